"""The page of promises names tests that exist, and every promise has one."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "promises.md"


def test_every_named_test_exists() -> None:
    """Each test that the page names is a function of the file that it names."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text())
    assert len(named) > 50
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    assert not missing


def test_every_promise_has_its_test() -> None:
    """Promises 1 to 6 are on the page, each with at least one test."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    assert [section[0] for section in sections] == list("123456")
    assert all("::test_" in section for section in sections)

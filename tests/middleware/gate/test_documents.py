"""The examples and the documentation say what the command does."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from middleware.cli.app import app
from middleware.cli.gate import EXIT_CODES

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("docs/gate.md", "examples/ci/github-action.yml", "examples/ci/gitlab-ci.yml")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_options_exist(name: str) -> None:
    """Every option that is named belongs to the command, or to pip."""
    command = get_command(app).get_command(None, "gate")  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / name).read_text()))
    assert named
    assert named <= known


def test_exit_codes_are_documented() -> None:
    """The table of exit codes has each verdict with its code."""
    rows = re.findall(r"^\| (\d) \| ([a-z ]+) \|", (ROOT / "docs/gate.md").read_text(), flags=re.MULTILINE)
    documented = {name: int(code) for code, name in rows}
    assert documented.pop("wrong use") == 2
    assert documented.pop("not measured") == EXIT_CODES["unmeasured"]
    assert documented == {name: code for name, code in EXIT_CODES.items() if name != "unmeasured"}

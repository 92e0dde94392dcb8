"""Pages name what is there: links lead somewhere, commands and their options exist, named tests are found."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from middleware.cli.app import command_line

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    Path(name)
    for name in subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "*.md"], capture_output=True, text=True, check=True
    ).stdout.split()
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCE = re.compile(r"```(?:console|sh|bash|shell)?\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*eqwatch ([a-z][^#|>\n]*)", re.MULTILINE)
INLINE = re.compile(r"`eqwatch ([a-z][^`]*)`")
TEST = re.compile(r"`(tests/[\w/.-]+?\.py)(?:::(\w+))?`")


@cache
def text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def root_command() -> Any:
    return typer.main.get_command(command_line())


def headings(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or folder of the repository, and its fragment a heading there."""
    for target in LINK.findall(text(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), f"{page}: {target}"
        if fragment and there.suffix == ".md":
            assert fragment in headings(there.resolve().relative_to(ROOT)), f"{page}: {target}"


def unknown(words: list[str]) -> str:
    """What of a command line the command line interface does not know; empty if it knows all."""
    command = root_command()
    while words and hasattr(command, "commands"):
        name, *words = words
        found = command.commands.get(name)
        if found is None:
            return "" if name.startswith("-") or not re.fullmatch(r"[a-z-]+", name) else name
        command = found
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    return " ".join(sorted(given - known - {"--help", "--version"}))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_exist(page: Path) -> None:
    """Every `eqwatch …` command that a page shows exists, with the options shown."""
    lines = [line for block in FENCE.findall(text(page)) for line in COMMAND.findall(block.replace("\\\n", " "))]
    for line in lines + INLINE.findall(text(page)):
        words = [word.strip("[]()…,") for word in re.split(r"\s+", line.strip())]
        names = words[0].split("|") if "|" in words[0] else [words[0]]
        for name in names:
            assert not unknown([name, *words[1:]]), f"{page}: eqwatch {line}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_named_tests_are_found(page: Path) -> None:
    """A test that a page names as evidence exists."""
    for file, name in TEST.findall(text(page)):
        path = ROOT / file
        assert path.exists(), f"{page}: {file}"
        if name:
            assert re.search(rf"^(?:async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), (
                f"{page}: {file}::{name}"
            )

"""docs/cli.md is current, and every command that prints data prints JSON as well."""

from pathlib import Path

import pytest
import typer
from rich.text import Text

from middleware.cli.app import command_line
from middleware.cli.exit_codes import WORDS
from middleware.cli.gate import EXIT_CODES
from middleware.cli.reference import cli_page

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
# These serve, write a file, or print a document that is no table.
WITHOUT_JSON = {
    "serve",
    "monitor",
    "demo",
    "fake-upstream",
    "dashboards",
    "baseline export",
    "config example",
    "config content-key",
    "config webhook-secret",
}


def commands(group, path=()):
    """Every command with its path."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(command_line())))


def test_the_page_is_current():
    """What `make generate` would write is what is there."""
    assert PAGE.read_text(encoding="utf-8") == cli_page()


def test_brackets_are_written_as_they_are_typed():
    """What help texts escape for the terminal has no backslash on the page, and is on the terminal as well."""
    assert "at the prices of [budget]" in cli_page()
    assert "\\[" not in cli_page()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_on_the_page(name):
    """Name, every option and what it means."""
    section = cli_page().partition(f"## `eqwatch {name}")[2].partition("\n## ")[0]
    assert section
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert all(f"`{option}" in section for option in parameter.opts), parameter.name
            assert parameter.help


def test_every_command_that_prints_data_prints_json():
    """`--json`, under the same name everywhere."""
    without = {name for name, command in COMMANDS.items() if not any("--json" in one.opts for one in command.params)}
    assert without <= WITHOUT_JSON


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_in_brackets_is_taken_for_markup(name):
    """`[budget]` in a help text is on the terminal as it is meant."""
    texts = [COMMANDS[name].help, *(getattr(one, "help", None) for one in COMMANDS[name].params)]
    for text in filter(None, texts):
        assert Text.from_markup(text).plain == text.replace("\\[", "["), name


def test_the_gates_exit_codes_are_everybodys():
    """A script that knows one command knows them all."""
    assert set(EXIT_CODES.values()) <= set(WORDS)
    assert "undecided" in WORDS[EXIT_CODES["undecided"]]

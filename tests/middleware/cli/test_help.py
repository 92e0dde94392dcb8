"""The command line explains itself."""

import click
import pytest
import typer
from typer.testing import CliRunner

from middleware.cli.app import command_line


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        here = (*path, name)
        found += commands(command, here) if hasattr(command, "commands") else [here]
    return found


COMMANDS = commands(typer.main.get_group(command_line()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example(path: tuple[str, ...]) -> None:
    """--help says what the command does and shows one line to copy."""
    result = CliRunner().invoke(command_line(), [*path, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert "eqwatch" in result.output


def test_the_stable_commands_are_there() -> None:
    """What scripts rely on keeps its name."""
    names = {path[0] for path in COMMANDS}
    assert {"serve", "demo", "run", "score", "items", "config", "fake-upstream"} <= names


def test_the_version_is_printed() -> None:
    """--version prints name and version."""
    result = CliRunner().invoke(command_line(), ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("eqwatch 0.")

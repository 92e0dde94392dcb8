"""docs/cli.md, generated from the commands themselves. Their objects are typer's own and have no public type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from middleware.cli.app import command_line
from middleware.cli.exit_codes import WORDS

__all__ = ["cli_page"]

_HEAD = """# The command line

Generated from the code: `make generate`. Every command explains itself with `--help`. Data goes to standard output,
progress and errors to standard error; `--json` prints one JSON value and nothing else.

| exit code | meaning |
| --- | --- |
{codes}

`eqwatch status` asks the admin API of a running sidecar, and the store of `--data-dir` where none runs; `eqwatch runs`
asks it with `--url`. `eqwatch compare` and `eqwatch baseline` read the store.
"""


def cli_page() -> str:
    """The whole page."""
    codes = "\n".join(f"| {code} | {words} |" for code, words in WORDS.items())
    return _HEAD.format(codes=codes) + "".join(_commands(typer.main.get_command(command_line()), "eqwatch"))


def _commands(command: Any, name: str) -> Iterator[str]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield _section(command, name)
        return
    for child in sorted(subcommands):
        yield from _commands(subcommands[child], f"{name} {child}")


def _section(command: Any, name: str) -> str:
    words, _, example = (command.help or "").partition("Example:")
    parameters = [one for one in command.params if not one.hidden and one.name != "help"]
    arguments = " ".join(_metavar(one) for one in parameters if one.param_type_name == "argument")
    lines = [f"\n## `{f'{name} {arguments}'.strip()}`\n", _folded(words)]
    if example.strip():
        lines += ["", f"    {_folded(example)}"]
    if parameters:
        lines += ["", "| option | meaning | default |", "| --- | --- | --- |"]
        lines += [_row(one) for one in parameters]
    return "\n".join(lines) + "\n"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{_metavar(parameter)}`"
    else:
        names = [*parameter.opts, *parameter.secondary_opts]
        value = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
        name = ", ".join(f"`{one}{value}`" for one in names)
    default = parameter.default
    shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
    text = _folded(parameter.help or "")
    if parameter.envvar:
        text += f" Environment: `{parameter.envvar}`."
    return _cells(name, text, shown)


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _metavar(parameter: Any) -> str:
    return str(getattr(parameter, "metavar", None) or (parameter.name or "").upper())


def _folded(text: str) -> str:
    """In one line. Help texts are Rich markup, where a bracket that is meant has a backslash."""
    return re.sub(r"\s+", " ", text).replace("\\[", "[").strip()

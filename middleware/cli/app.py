"""Wires the commands together and maps errors to exit codes.

What the exit codes mean is in exit_codes.py.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from middleware.cli.exit_codes import COULD_NOT_ASK, INTERRUPTED, UNDECIDED, WRONG_USE
from middleware.errors import (
    EqwatchError,
    ItemSetNotReached,
    NothingThere,
    NotReached,
    StoreUnavailable,
    UpstreamError,
)
from middleware.installed import relay_code

__all__ = ["command_line", "main"]

# Where each command is. Only the one that is called is imported: all of them together take a second.
_COMMANDS = {
    "serve": "serve",
    "monitor": "monitor",
    "demo": "demo",
    "run": "run",
    "score": "score",
    "status": "status",
    "runs": "runs",
    "erase": "erase",
    "compare": "compare",
    "gate": "gate",
    "plan": "plan",
    "dashboards": "dashboards",
    "rules": "rules",
    "baseline": "baseline",
    "items": "items",
    "config": "config",
    "fake-upstream": "fake_upstream",
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eqwatch {version('eqwatch')} ({relay_code()} relay)")
        raise typer.Exit


def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def command_line(called: str = "") -> typer.Typer:
    """The command line with the command that is called, or with all of them where that is none."""
    app = typer.Typer(
        name="eqwatch",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help=(
            "An emotion-awareness sidecar for production chat models: passes traffic through unchanged, runs EQ-Bench "
            "on a schedule, probes sampled conversations, and exports it all to Prometheus."
        ),
        epilog="Start with: eqwatch demo   or   eqwatch serve --upstream http://127.0.0.1:8000",
    )
    app.callback()(_root)
    for name in (called,) if called in _COMMANDS else _COMMANDS:
        module = import_module(f"middleware.cli.{_COMMANDS[name]}")
        group = getattr(module, "app", None)
        if isinstance(group, typer.Typer):
            app.add_typer(group, name=name)
        else:
            app.command(name=name)(getattr(module, _COMMANDS[name]))
    return app


def main() -> None:
    """The console script."""
    errors = Console(stderr=True)
    try:
        command_line(next(iter(sys.argv[1:]), "--help"))()
    except EqwatchError as error:
        errors.print(f"[bold red]eqwatch:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _exit_code(error: EqwatchError) -> int:
    if isinstance(error, UpstreamError | StoreUnavailable | NotReached | ItemSetNotReached):
        return COULD_NOT_ASK
    return UNDECIDED if isinstance(error, NothingThere) else WRONG_USE

"""Wires the commands together and maps errors to exit codes.

What the exit codes mean is in exit_codes.py.
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from middleware.cli.asking import NotReached
from middleware.cli.baseline import app as baseline_app
from middleware.cli.compare import compare
from middleware.cli.config import app as config_app
from middleware.cli.dashboards import dashboards
from middleware.cli.demo import demo
from middleware.cli.erase import erase
from middleware.cli.exit_codes import COULD_NOT_ASK, INTERRUPTED, WRONG_USE
from middleware.cli.fake_upstream import fake_upstream
from middleware.cli.gate import gate
from middleware.cli.items import app as items_app
from middleware.cli.monitor import monitor
from middleware.cli.plan import plan
from middleware.cli.rules import rules
from middleware.cli.run import run
from middleware.cli.runs import runs
from middleware.cli.score import score
from middleware.cli.serve import serve
from middleware.cli.status import status
from middleware.errors import EqwatchError, StoreUnavailable, UpstreamError

__all__ = ["app", "main"]

app = typer.Typer(
    name="eqwatch",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "An emotion-awareness sidecar for production chat models: passes traffic through unchanged, runs EQ-Bench on "
        "a schedule, probes sampled conversations, and exports it all to Prometheus."
    ),
    epilog="Start with: eqwatch demo   or   eqwatch serve --upstream http://127.0.0.1:8000",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eqwatch {version('eqwatch')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


app.command()(serve)
app.command()(monitor)
app.command()(demo)
app.command()(run)
app.command()(score)
app.command()(status)
app.command()(runs)
app.command()(erase)
app.command()(compare)
app.command()(gate)
app.command()(plan)
app.command()(dashboards)
app.command()(rules)
app.add_typer(baseline_app, name="baseline")
app.add_typer(items_app, name="items")
app.add_typer(config_app, name="config")
app.command(name="fake-upstream")(fake_upstream)


def main() -> None:
    """The console script."""
    errors = Console(stderr=True)
    try:
        app()
    except (UpstreamError, StoreUnavailable, NotReached) as error:
        errors.print(f"[bold red]eqwatch:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(COULD_NOT_ASK)
    except EqwatchError as error:
        errors.print(f"[bold red]eqwatch:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(WRONG_USE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)

"""`eqwatch config`: check the configuration, and show what it comes to."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from middleware.control.plans import benchmark_plans
from middleware.settings import load_settings
from middleware.settings.document import example_file, settings_table

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Check the configuration, show what it comes to, write an example file.")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Configuration file; default: eqwatch.toml.")]


@app.command()
def check(config: ConfigFile = None) -> None:
    """Read every setting and say whether it is valid.

    Example: eqwatch config check --config eqwatch.toml
    """
    benchmark_plans(load_settings(config))
    typer.echo("configuration is valid")


@app.command()
def show(config: ConfigFile = None) -> None:
    """Print every setting with the value in force; secrets are hidden.

    Example: EQWATCH_BENCHMARK_INTERVAL=30m eqwatch config show
    """
    Console().print(settings_table(load_settings(config)))


@app.command()
def example() -> None:
    """Print a commented eqwatch.toml with every setting and its default.

    Example: eqwatch config example > eqwatch.toml
    """
    typer.echo(example_file(), nl=False)

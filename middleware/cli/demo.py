"""`eqwatch demo`: the whole product at work on a real local model."""

import signal
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from middleware.errors import ConfigurationError

__all__ = ["demo"]


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Exit by itself; code 0 only if every step showed what it should.")
    ] = False,
) -> None:
    """Show the whole product at work on a real local model; says at each step what is real and what is scripted.

    Needs the demo extra and the weights, which make demo installs in a checkout.
    Stays up until Ctrl-C.

    Example: eqwatch demo --once
    """
    from middleware.demo.model_server import model_file

    try:
        import openai  # noqa: F401
        import xllamacpp  # noqa: F401

        model_file()
    except ImportError as error:
        raise ConfigurationError(f"{error.name} is not installed: make demo installs it") from error
    except RuntimeError as error:
        raise ConfigurationError(f"{error}, or make demo") from error
    raise typer.Exit(_show(once=once))


def _show(*, once: bool) -> int:
    from rich.console import Console

    from middleware.demo.show import Demo, addresses

    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eqwatch-demo-")))
        show = Demo(stack, folder, console)
        sidecar = show.start()
        steps = {"benchmark": show.benchmark(), "conversations": show.conversations(sidecar, every=not once)}
        steps["upgrade"], upgraded = show.upgrade()
        console.rule("[bold]5. Look for yourself", align="left")
        if once:
            console.print("(--once: both sidecars end now; without it they stay up.)")
        console.print(addresses([("real model", sidecar), ("scripted upgrade", upgraded)]), highlight=False)
        for name, passed in steps.items():
            console.print(f"{name}: {'[green]shown[/]' if passed else '[bold red]not shown[/]'}", highlight=False)
        if not once:
            console.print("Ctrl-C ends it.")
            _wait_for_signal()
    return 0 if all(steps.values()) else 1


def _wait_for_signal() -> None:
    """Until Ctrl-C or SIGTERM, both of which end the demonstration as intended."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()

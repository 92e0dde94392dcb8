"""`eqwatch serve`: checks the configuration, then becomes the relay process, which starts control as its child."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from middleware.cli.serving import checked, checked_listener, said_of_benchmark, said_of_deployments
from middleware.settings import Settings, load_settings, relay_config
from middleware.settings.monitor import monitor_target
from middleware.settings.secrets import conversation_salt, dump_settings, shared_salt

__all__ = ["serve"]


def serve(
    upstream: Annotated[str | None, typer.Option(help="Chat API: its origin, or the SDK-style base URL.")] = None,
    listen: Annotated[
        list[str] | None, typer.Option(help="Data listener, HOST:PORT or unix:/path; repeats. [127.0.0.1:8080]")
    ] = None,
    admin_listen: Annotated[str | None, typer.Option(help="Admin listener, HOST:PORT. [127.0.0.1:8081]")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the store and the items are kept.")] = None,
    monitor: Annotated[
        str | None, typer.Option(help="Report to the monitor at this URL, and own no benchmark, probe or store.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Put the sidecar in front of a chat model.

    Needs nothing but the upstream's URL: traffic passes at once; benchmark and probes start when they are configured.

    Example: eqwatch serve --upstream http://127.0.0.1:8000
    """
    overrides: dict[str, Any] = {}
    if upstream:
        overrides["upstream"] = {"url": upstream}
    if listen:
        overrides["relay"] = {"listen": listen}
    if admin_listen:
        overrides["admin"] = {"listen": admin_listen}
    if data_dir:
        overrides["data_dir"] = data_dir
    if monitor:
        overrides["monitor"] = {"url": monitor}
    settings = load_settings(config, overrides)
    relay = relay_config(settings, key_salt=_salt(settings))
    _check(settings)
    _say(settings)
    _become_relay(
        {
            **msgspec.to_builtins(relay),
            "control_command": [sys.executable, "-P", "-m", "middleware.control"],
            "control_stdin": dump_settings(settings),
        }
    )


def _say(settings: Settings) -> None:
    """What is about to run, for the person at the terminal."""
    scheme = "https" if settings.admin.certificate else "http"
    if settings.monitor.url:
        lines = [
            f"metrics: {scheme}://{settings.admin.listen}/metrics",
            f"reports to the monitor at {settings.monitor.url}",
            said_of_deployments(settings),
            *(["relay.emotions_header has no effect: no monitor sends it"] if settings.relay.emotions_header else []),
        ]
    else:
        lines = [
            f"status page and metrics: {scheme}://{settings.admin.listen}/",
            said_of_benchmark(settings),
            said_of_deployments(settings),
        ]
    for line in lines:
        typer.echo(f"eqwatch: {line}", err=True)


def _salt(settings: Settings) -> bytes:
    """One made here would be nobody else's: a sidecar that reports needs the configured one."""
    if settings.monitor.url:
        return shared_salt(settings, "eqwatch serve --monitor")
    return conversation_salt(settings)


def _check(settings: Settings) -> None:
    """What control would trip over later is said now, before anything listens."""
    if settings.monitor.url:
        monitor_target(settings)
        checked_listener(settings)
    else:
        checked(settings)


def _become_relay(configuration: dict[str, Any]) -> None:
    """Replace this process by the relay: same pid and signals, but none of the command line's modules in memory.

    The configuration holds secrets, so it travels through an anonymous file that only the new program can read.
    """
    descriptor = os.memfd_create("eqwatch-relay", 0) if hasattr(os, "memfd_create") else _unlinked_file()
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(json.dumps(configuration).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.set_inheritable(descriptor, True)
    command = [sys.executable, "-P", "-m", "middleware.server", f"/dev/fd/{descriptor}"]
    os.execv(command[0], command)  # noqa: S606 - no shell, fixed program


def _unlinked_file() -> int:
    """An anonymous file where the platform has no memfd (macOS)."""
    import tempfile

    descriptor, name = tempfile.mkstemp()
    Path(name).unlink()
    return descriptor

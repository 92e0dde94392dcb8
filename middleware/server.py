"""The relay process: runs the relay, spawns control and starts it anew when it ends. No FastAPI, no store, no settings.

``python -P -m middleware.server FILE`` runs it without the command line and the settings: FILE holds a RelayConfig as
JSON (bytes as base64) and may hold ``control_command``, a list of strings, and ``control_stdin``. One line ``ready HOST
PORT`` for each listener (``ready PATH 0`` for a Unix socket) goes to standard output once it listens; port 0 in FILE is
a free port. Logs are JSON lines on standard error.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import uvloop

from middleware.errors import ConfigurationError
from middleware.proxy.logs import JsonLog
from middleware.proxy.relay import Relay, running_relay
from middleware.proxy.supervisor import Supervisor
from middleware.records.relay import RelayConfig

__all__ = ["main", "serve"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(
    config: RelayConfig,
    control_command: Sequence[str] | None = None,
    control_stdin: bytes = b"",
    announce: Callable[[list[tuple[str, int]]], None] | None = None,
) -> int:
    """Relay until SIGTERM or SIGINT; the exit code: 0 after draining, 1 where a second signal cut that short.

    control_command: what to run as control, if anything; it reads control_stdin and finds its end of the socket to the
    relay in the environment variable EQWATCH_RELAY_FD. announce: called once with the listeners' addresses.
    Raises OSError (can't listen) and ConfigurationError.
    """
    log = JsonLog(sys.stderr)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(config, control_command, control_stdin, announce, log))
    finally:
        log.close()


async def _run(
    config: RelayConfig,
    control_command: Sequence[str] | None,
    control_stdin: bytes,
    announce: Callable[[list[tuple[str, int]]], None] | None,
    log: JsonLog,
) -> int:
    def access(line: dict[str, object]) -> None:
        log.info("request", **line)

    def fault(observer: str, error: BaseException) -> None:
        log.fault("observer_failed", error, observer=observer)

    stop, kill = _signals()
    async with running_relay(config, fault_log=fault, access_log=access if config.access_log else None) as relay:
        if announce is not None:
            announce(relay.addresses)
        log.info("listening", addresses=[f"{host} {port}" for host, port in relay.addresses])
        async with asyncio.TaskGroup() as group:
            children = []
            if control_command:
                supervisor = Supervisor(control_command, control_stdin, relay.link, log)
                children.append(group.create_task(supervisor.run()))
            await stop.wait()
            log.info("draining", seconds=config.timeouts.drain)
            code = await _drain(relay, kill)
            for child in children:
                child.cancel()
    log.info("stopped", code=code)
    return code


async def _drain(relay: Relay, kill: asyncio.Event) -> int:
    """Drain, unless told to end at once; the exit code."""
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(relay.drain())
        killed = group.create_task(kill.wait())
        await asyncio.wait({draining, killed}, return_when=asyncio.FIRST_COMPLETED)
        code = 0 if draining.done() else 1
        draining.cancel()
        killed.cancel()
    return code


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events set by the first and by the second signal to stop."""
    loop = asyncio.get_running_loop()
    stop, kill = asyncio.Event(), asyncio.Event()

    def received() -> None:
        (kill if stop.is_set() else stop).set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received)
    return stop, kill


class _Control(msgspec.Struct):
    """What the file may hold besides the RelayConfig."""

    control_command: list[str] = []
    control_stdin: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run the relay that a JSON file describes; the exit code, 2 where the file or an address can't be used."""
    try:
        (path,) = arguments
        data = Path(path).read_bytes()
        config = msgspec.json.decode(data, type=RelayConfig)
        control = msgspec.json.decode(data, type=_Control)
        return serve(config, control.control_command, control.control_stdin.encode(), _announce)
    except (OSError, ValueError, ConfigurationError) as error:
        sys.stderr.write(f"middleware.server: {error}\n")
        return 2


def _announce(addresses: list[tuple[str, int]]) -> None:
    for host, port in addresses:
        sys.stdout.write(f"ready {host} {port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

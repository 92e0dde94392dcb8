"""The relay process: runs the relay, spawns control and starts it anew when it ends. No FastAPI, no store, no settings.

``python -P -m middleware.server FILE`` runs it without the command line and the settings: FILE holds a RelayConfig as
JSON (bytes as base64) and may hold ``control_command``, a list of strings, and ``control_stdin``. One line ``ready HOST
PORT`` for each listener (``ready PATH 0`` for a Unix socket) goes to standard output once it listens; port 0 in FILE is
a free port. Logs are JSON lines on standard error. With ``workers`` > 1 the process starts siblings that share its
ports (SO_REUSEPORT) and, through it, its control; limits hold for each process. A sibling reads its FILE from ``-``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import uvloop

from middleware.errors import ConfigurationError
from middleware.proxy.hub import Hub, Sibling
from middleware.proxy.link import LinkProtocol
from middleware.proxy.logs import JsonLog
from middleware.proxy.relay import Relay, running_relay
from middleware.proxy.supervisor import RELAY_FD, Supervisor
from middleware.records.relay import RelayConfig

__all__ = ["main", "serve"]

Announce = Callable[[list[tuple[str, int]]], None]
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIBLING = (sys.executable, "-P", "-m", "middleware.server", "-")
# How much longer than its drain a sibling may take to end.
_SIBLING_SPARE_SECONDS = 5.0


def serve(
    config: RelayConfig,
    control_command: Sequence[str] | None = None,
    control_stdin: bytes = b"",
    announce: Announce | None = None,
    *,
    parent_fd: int | None = None,
) -> int:
    """Relay until SIGTERM or SIGINT; the exit code: 0 after draining, 1 where a second signal cut that short.

    control_command: what to run as control, if anything; it reads control_stdin and finds its end of the socket to the
    relay in the environment variable EQWATCH_RELAY_FD. announce: called once with the listeners' addresses.
    parent_fd: in a sibling, its end of the socket to the first process. Raises OSError (can't listen) and
    ConfigurationError.
    """
    process = _Process(config, JsonLog(sys.stderr.fileno()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(process.run(control_command, control_stdin, announce, parent_fd))


class _Process:
    """One relay process with its children."""

    def __init__(self, config: RelayConfig, log: JsonLog) -> None:
        self._config = config
        self._log = log

    async def run(
        self,
        control_command: Sequence[str] | None,
        control_stdin: bytes,
        announce: Announce | None,
        parent_fd: int | None,
    ) -> int:
        """Relay until told to stop; the exit code."""
        stop, kill = _signals()
        asyncio.get_running_loop().set_exception_handler(self._loop_fault)
        async with (
            running_relay(
                self._config, fault_log=self._fault, access_log=self._access if self._config.access_log else None
            ) as relay,
            asyncio.TaskGroup() as group,
        ):
            if parent_fd is not None:
                await _join_parent(relay, parent_fd)
            siblings = self._start_siblings(relay, group) if parent_fd is None else []
            control = (
                group.create_task(Supervisor(control_command, control_stdin, relay.link, self._log).run())
                if control_command
                else None
            )
            if announce is not None:
                announce(relay.addresses)
            self._log.info("listening", addresses=[f"{host} {port}" for host, port in relay.addresses])
            await stop.wait()
            self._log.info("draining", seconds=self._config.timeouts.drain)
            for sibling in siblings:
                sibling.cancel()
            code = await _drain(relay, kill)
            if control is not None:
                control.cancel()
            if code:
                _end_at_once(self._log, code)
        self._log.info("stopped", code=code)
        return code

    def _start_siblings(self, relay: Relay, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """The other relay processes on the same ports; Unix sockets can't be shared and stay the first one's."""
        if self._config.workers < 2:
            return []
        listeners = tuple(
            replace(listener, port=port)
            for listener, (_, port) in zip(self._config.listeners, relay.addresses, strict=True)
            if not listener.path
        )
        stdin = msgspec.json.encode(replace(self._config, listeners=listeners))
        seconds = self._config.timeouts.drain + _SIBLING_SPARE_SECONDS
        siblings = [Sibling(relay.context, relay.link) for _ in range(self._config.workers - 1)]
        relay.link.hub = Hub(siblings)
        return [
            group.create_task(relay.link.hub.poll()),
            *(
                group.create_task(
                    Supervisor(_SIBLING, stdin, sibling, self._log, worker="relay", term_seconds=seconds).run()
                )
                for sibling in siblings
            ),
        ]

    def _access(self, line: dict[str, object]) -> None:
        self._log.info("request", **line)

    def _fault(self, observer: str, error: BaseException) -> None:
        if observer == "link":  # what a child says is not this process's fault, and no traceback explains it
            self._log.warning("link_closed", reason=str(error))
        else:
            self._log.fault("observer_failed", error, observer=observer)

    def _loop_fault(self, _: asyncio.AbstractEventLoop, details: dict[str, object]) -> None:
        """What no protocol caught: uvloop has closed the connection that it came from."""
        error = details.get("exception")
        if isinstance(error, BaseException):
            self._log.fault("unexpected", error, where=str(details.get("message")))
        else:
            self._log.warning("unexpected", where=str(details.get("message")))


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


def _end_at_once(log: JsonLog, code: int) -> None:
    """End without waiting for anyone: the kernel takes the children with it."""
    log.warning("ended_by_second_signal", code=code)
    os._exit(code)


async def _join_parent(relay: Relay, descriptor: int) -> None:
    """Let the first process be this sibling's control."""
    channel = socket.socket(fileno=descriptor)
    channel.setblocking(False)
    await asyncio.get_running_loop().create_connection(lambda: LinkProtocol(relay.link), sock=channel)


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
        if path == "-":
            config = msgspec.json.decode(sys.stdin.buffer.read(), type=RelayConfig)
            return serve(config, parent_fd=int(os.environ[RELAY_FD]))
        data = Path(path).read_bytes()
        config = msgspec.json.decode(data, type=RelayConfig)
        control = msgspec.json.decode(data, type=_Control)
        return serve(config, control.control_command, control.control_stdin.encode(), _announce)
    except (OSError, ValueError, KeyError, ConfigurationError) as error:
        sys.stderr.write(f"middleware.server: {error}\n")
        return 2


def _announce(addresses: list[tuple[str, int]]) -> None:
    for host, port in addresses:
        sys.stdout.write(f"ready {host} {port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The relay as a process of its own: started from a RelayConfig, looked at through /proc, ended by its id."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil

from middleware.records.relay import Listener, RelayConfig, UpstreamTarget
from tests.e2e.traffic.wire import PATIENCE, Wire, wait_until

__all__ = ["RelayProcess", "start_relay"]


@dataclass
class RelayProcess:
    """A running relay. addresses: (host, port) of each listener, or (path, 0). forgiven: errors it may log."""

    process: subprocess.Popen[bytes]
    addresses: list[tuple[str, int]]
    log: Path
    forgiven: set[str] = field(default_factory=set)
    _wires: list[Wire] = field(default_factory=list)
    _resting: int = 0

    def __post_init__(self) -> None:
        self._resting = self.sockets()

    @property
    def pid(self) -> int:
        """Process id of the relay."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where clients reach its first listener."""
        host, port = self.addresses[0]
        return f"http://{host}:{port}"

    def dial(self, *, listener: int = 0, receive_buffer: int = 0) -> Wire:
        """A new client connection."""
        host, port = self.addresses[listener]
        family = socket.AF_UNIX if host.startswith("/") else socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family)
        sock.settimeout(PATIENCE)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        wire = Wire(sock)
        self._wires.append(wire)
        sock.connect(host if family == socket.AF_UNIX else (host, port))
        return wire

    def ask(self, request: bytes) -> Wire:
        """A new client connection that has sent these bytes."""
        return self.dial().send(request)

    def family(self) -> list[psutil.Process]:
        """The relay and its children (workers; control where there is one)."""
        own = psutil.Process(self.pid)
        return [own, *own.children(recursive=True)]

    def sockets(self) -> int:
        """How many sockets the relay holds, listeners included."""
        count = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                count += entry.readlink().name.startswith("socket:")
        return count

    def descriptors(self) -> int:
        """How many file descriptors the relay process holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory(self) -> int:
        """Resident bytes of the relay process."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def cpu_seconds(self) -> float:
        """CPU time that the relay process has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def log_lines(self) -> list[dict[str, Any]]:
        """Its log so far; every line must be a JSON object. What is only half written yet does not count."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def hang_up(self) -> None:
        """End every client connection."""
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    def settle(self, *, more: int = 0) -> None:
        """Wait until it holds no more sockets than after its start: nothing leaked. more: control's, if any."""
        wait_until(
            lambda: self.sockets() <= self._resting + more,
            what=f"the relay holds its {self._resting} resting sockets; it has {self.sockets()}",
        )

    def signal(self, number: signal.Signals) -> None:
        """Send the relay process a signal."""
        self.process.send_signal(number)

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait for its end."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End it as an operator would, then by force; nothing that it started may be left."""
        family = self.family() if self.process.poll() is None else []
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(PATIENCE)
        finally:
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()


def start_relay(
    folder: Path,
    upstream: UpstreamTarget,
    control: list[str] | None = None,
    *,
    installed: Path | None = None,
    **parts: Any,
) -> RelayProcess:
    """Start ``middleware.server`` with a configuration; parts are fields of RelayConfig.

    installed: a folder with the product as installed from a wheel, which is run in place of the sources.
    """
    parts.setdefault("listeners", (Listener(port=0),))
    config = msgspec.to_builtins(RelayConfig(upstream=upstream, **parts))
    if control:
        config["control_command"] = control
    folder.mkdir(parents=True, exist_ok=True)
    name = f"relay-{time.monotonic_ns()}"
    file = folder / f"{name}.json"
    file.write_bytes(msgspec.json.encode(config))
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "middleware.server", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONUNBUFFERED": "1"} | ({"PYTHONPATH": str(installed)} if installed else {}),
        )
    try:
        return RelayProcess(process, _ready(process, len(parts["listeners"]), log), log)
    except BaseException:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        raise


def _ready(process: subprocess.Popen[bytes], listeners: int, log: Path) -> list[tuple[str, int]]:
    assert process.stdout is not None
    said = b""
    end = time.monotonic() + PATIENCE
    while said.count(b"\n") < listeners:
        left = end - time.monotonic()
        assert left > 0, f"not ready: {log.read_text()}"
        if select.select([process.stdout], [], [], left)[0]:
            data = os.read(process.stdout.fileno(), 4096)
            assert data, f"ended with {process.wait()}: {log.read_text()}"
            said += data
    words = [line.split() for line in said.decode().splitlines()]
    assert all(word == "ready" for word, _, _ in words), said
    return [(host, int(port)) for _, host, port in words]

"""Child processes of the demonstration: started, awaited until ready, and ended by their id."""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from middleware.errors import EqwatchError

__all__ = ["Child", "StartError", "eqwatch_command", "free_port"]

_STOP_SECONDS = 10.0
_TAIL_LINES = 15


class StartError(EqwatchError):
    """A process of the demonstration did not become ready; the text ends with what it printed last."""


def eqwatch_command(*arguments: str) -> list[str]:
    """The command line of this very installation, whatever stands in the working directory."""
    return [sys.executable, "-P", "-c", "from middleware.cli import main; main()", *arguments]


def free_port(preferred: int) -> int:
    """The preferred port on loopback where it is free, else any other, kept for a minute for who knows its number."""
    for port in (preferred, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if not port:
                _keep(probe)
            return int(probe.getsockname()[1])
    raise StartError("no free port on 127.0.0.1")


def _keep(probe: socket.socket) -> None:
    """Leave a connection of the port in TIME_WAIT: the kernel then gives the port to nobody who asks for any one, while
    a server can bind it by its number."""
    probe.listen(1)
    with socket.create_connection(probe.getsockname()) as client:
        probe.accept()[0].close()  # the end that closes first waits
        client.recv(1)


class Child:
    """One process. Standard output is read for its ``ready`` line; standard error goes to a log file.

    Standard input is a pipe: a child that serves until its input closes can't outlive us, even if we are killed.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                text=True,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name=f"{name}-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - made with a pipe above
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ready(self, timeout_seconds: float) -> list[str]:
        """The words after ``ready`` on the line that says so; raises StartError on exit or time-out."""
        end = time.monotonic() + timeout_seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=left)
                if line is None:
                    raise StartError(f"{self.name} ended with code {self._process.wait()}:\n{self._tail()}")
                if line.startswith("ready "):
                    return line.split()[1:]
        raise StartError(f"{self.name} was not ready within {timeout_seconds:.0f} s:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def stop(self, seconds: float = _STOP_SECONDS) -> int:
        """SIGTERM, then SIGKILL after so many seconds; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(timeout=_STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


@contextlib.contextmanager
def running(child: Child) -> Iterator[Child]:
    """The child, stopped at the end whatever happens."""
    try:
        yield child
    finally:
        child.stop()

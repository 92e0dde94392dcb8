"""Raw ends of connections, driven by hand: every byte is the test's own, every byte received is kept. Not a client.

Each read is bounded by `PATIENCE` and fails loudly after it, so that a test waits for bytes and never for time.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PATIENCE", "Answer", "Message", "ThreadedUpstream", "Upstream", "Wire", "wait_until"]

PATIENCE = 20.0
_CHUNK = 65536


def wait_until(condition: Callable[[], Any], *, what: str, seconds: float = PATIENCE, pause: float = 0.01) -> Any:
    """The first true value of the condition, asked for after each pause; fails with ``what`` when the time is up."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return value


@dataclass
class Message:
    """A head as it came over the wire, and the body that its framing gave."""

    head: bytes
    body: bytes = b""
    trailers: bytes = b""

    @property
    def first_line(self) -> bytes:
        """Request line or status line."""
        return self.head.split(b"\r\n", 1)[0]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names as sent, values without the blanks around them, in order and with duplicates."""
        lines = self.head.split(b"\r\n")[1:-2]
        return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]

    def values(self, name: bytes) -> list[bytes]:
        """All values of a header, whatever its case."""
        return [value for given, value in self.headers if given.lower() == name.lower()]


class Answer(Message):
    """A response."""

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.first_line.split()[1])


@dataclass
class Wire:
    """One end of a connection. received holds everything that ever came in."""

    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    taken: int = 0

    def send(self, data: bytes) -> Wire:
        """All of the data; the wire, so that calls can be chained."""
        self.sock.sendall(data)
        return self

    def offer(self, data: bytes, most: int) -> int:
        """Send the data over and over until ``most`` bytes went out or nothing moved for a second; bytes sent."""
        sent = 0
        self.sock.settimeout(1.0)
        try:
            while sent < most:
                sent += self.sock.send(data[: most - sent])
        except TimeoutError:
            pass
        finally:
            self.sock.settimeout(PATIENCE)
        return sent

    def _more(self) -> bool:
        data = self.sock.recv(_CHUNK)
        self.received += data
        return bool(data)

    def _take(self, end: int) -> bytes:
        taken = bytes(self.received[self.taken : end])
        self.taken = end
        return taken

    def read(self, size: int) -> bytes:
        """Exactly that many bytes."""
        while len(self.received) - self.taken < size:
            assert self._more(), f"ended after {bytes(self.received[self.taken :])[:200]!r}"
        return self._take(self.taken + size)

    def read_until(self, marker: bytes) -> bytes:
        """Everything up to and with the marker."""
        while (at := self.received.find(marker, self.taken)) < 0:
            assert self._more(), f"ended before {marker!r}, after {bytes(self.received[self.taken :])[:200]!r}"
        return self._take(at + len(marker))

    def read_rest(self) -> tuple[bytes, str]:
        """Everything until the other side ends, and how it ended: ``end`` or ``reset``."""
        ending = "end"
        try:
            while self._more():
                pass
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            ending = "reset"
        return self._take(len(self.received)), ending

    def skip_rest(self) -> None:
        """Read and forget everything until the other side ends, whichever way."""
        with contextlib.suppress(OSError):
            while self.sock.recv(_CHUNK):
                pass

    def forget(self) -> None:
        """Keep no longer what was read already."""
        del self.received[: self.taken]
        self.taken = 0

    def read_chunk(self) -> bytes:
        """The data of the next chunk; empty for the last."""
        size = int(self.read_until(b"\r\n").split(b";")[0], 16)
        if size == 0:
            return b""
        data = self.read(size)
        assert self.read(2) == b"\r\n"
        return data

    def _body(self, message: Message, *, to_the_end: bool) -> None:
        if any(b"chunked" in value.lower() for value in message.values(b"transfer-encoding")):
            while data := self.read_chunk():
                message.body += data
            while (line := self.read_until(b"\r\n")) != b"\r\n":
                message.trailers += line
        elif lengths := message.values(b"content-length"):
            assert len(lengths) == 1, lengths
            message.body = self.read(int(lengths[0]))
        elif to_the_end:
            message.body, ending = self.read_rest()
            assert ending == "end"

    def read_head(self) -> Message:
        """A head alone."""
        return Message(self.read_until(b"\r\n\r\n"))

    def read_request(self) -> Message:
        """A whole request."""
        message = self.read_head()
        self._body(message, to_the_end=False)
        return message

    def read_answer(self, *, bodiless: bool = False) -> Answer:
        """A whole response, framed as its head says. bodiless: it answers a HEAD."""
        answer = Answer(self.read_until(b"\r\n\r\n"))
        if not bodiless and answer.status >= 200 and answer.status not in {204, 304}:
            self._body(answer, to_the_end=True)
        return answer

    def ended(self, seconds: float = PATIENCE) -> str:
        """Wait until the other side ends, and how it did; nothing more may come before that."""
        self.sock.settimeout(seconds)
        rest, ending = self.read_rest()
        assert rest == b"", rest[:300]
        return ending

    def half_close(self) -> None:
        """End what we send; we can still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End both ways, in order."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def reset(self) -> None:
        """End at once with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Upstream:
    """A listener whose connections the test accepts and answers one by one."""

    def __init__(
        self, host: str = "127.0.0.1", *, path: str = "", tls: ssl.SSLContext | None = None, backlog: int = 2048
    ) -> None:
        self.host = host
        self.path = path
        self._tls = tls
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(backlog)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, 0), family=family, backlog=backlog)
        self._wires: list[Wire] = []

    @property
    def port(self) -> int:
        """Its TCP port; 0 for a Unix socket."""
        return 0 if self.path else int(self._listener.getsockname()[1])

    @property
    def authority(self) -> bytes:
        """What stands in the Host header of a request to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode()

    def accept(self, seconds: float = PATIENCE) -> Wire:
        """The next connection."""
        self._listener.settimeout(seconds)
        sock, _ = self._listener.accept()
        sock.settimeout(PATIENCE)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True)
        wire = Wire(sock)
        self._wires.append(wire)
        return wire

    def pending(self) -> bool:
        """Whether a connection waits to be accepted; it is accepted and kept."""
        try:
            self.accept(0.001)
        except (TimeoutError, BlockingIOError):
            return False
        return True

    def accept_unless_answered(self, client: Wire) -> Wire | None:
        """The next connection, or None where the client is answered before one comes."""
        ready, _, _ = select.select([self._listener, client.sock], [], [], PATIENCE)
        assert ready, "neither the upstream was asked nor the client answered"
        return self.accept() if self._listener in ready else None

    def hang_up(self) -> None:
        """End every connection, those that nobody accepted too."""
        while self.pending():
            pass
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    def close(self) -> None:
        """End every connection and the listener."""
        for wire in self._wires:
            wire.close()
        self._listener.close()


class ThreadedUpstream:
    """A server that lives beside the test: each connection gets a thread that runs the handler until it returns."""

    def __init__(self, handler: Callable[[Wire], None]) -> None:
        self._handler = handler
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        # What ends a connection early is the other side's affair: the client's end of the test judges it.
        with sock, contextlib.suppress(OSError, AssertionError):
            self._handler(Wire(sock))

    def close(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(PATIENCE)
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

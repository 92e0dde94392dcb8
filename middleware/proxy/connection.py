"""What a client's connection needs whatever is said on it: its place, flow control, endings, and time."""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, cast

from middleware.proxy.body import BodyReader
from middleware.proxy.errors import Refusal, error_response
from middleware.proxy.sweep import hung_up, over
from middleware.proxy.transit import Transit

if TYPE_CHECKING:
    from middleware.proxy.context import Context

__all__ = ["ClientConnection", "State"]

# A body may take its timeout and, on top, the time that it needs at this rate: a drip is cut, a big upload is not.
_LEAST_BYTES_PER_SECOND = 500
_LINGER_OFF = struct.pack("ii", 1, 0)
# After an early refusal what the client still sends is read and thrown away, so that it gets to read the answer.
_LINGER_SECONDS = 2.0
_MAX_TURNED_AWAY = 1000
_LINGER_BYTES = 16 * 1024 * 1024


class State(Enum):
    """HEAD: a request's head is awaited or incomplete. BODY: its body is on the way. WAIT: an answer is.

    LINGER: all was said, what comes is thrown away. GONE: closed.
    """

    HEAD = 1
    BODY = 2
    WAIT = 3
    LINGER = 4
    GONE = 5


_HEAD, _BODY, _WAIT, _LINGER, _GONE = State  # an Enum's attributes are slow to get at


class ClientConnection:
    """An asyncio.Protocol in all but name: a base of the library's would keep it from being compiled.

    Owns its transit. keep_alive: whether another request may follow on this connection.
    """

    __slots__ = (
        "_body",
        "_context",
        "_held",
        "_left_to_drop",
        "_over_limit",
        "_partial",
        "_read_paused",
        "_served",
        "_since",
        "_slice",
        "_state",
        "_transit",
        "_transport",
        "_write_paused",
        "keep_alive",
        "write",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._state = _HEAD
        self._held = bytearray()
        self._transport: asyncio.Transport
        self._slice: set[ClientConnection]
        self._transit: Transit | None = None
        self._body: BodyReader | None = None
        self._read_paused = self._write_paused = False
        self._over_limit = False
        self._partial = False
        self._served = False
        self._left_to_drop = 0
        self._since = 0.0
        self.keep_alive = True

    @abstractmethod
    def fail(self, transit: Transit, refusal: Refusal, *, flushable: bool = True) -> None:
        """End a transit that can't be answered."""

    @abstractmethod
    def _advance(self) -> None:
        """Go on with what is held."""

    # -- lifecycle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        context = self._context
        # uvloop's transports have the interface of asyncio.Transport without deriving from it
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        self._transport.set_write_buffer_limits(high=context.limits.buffer_bytes)
        self._since = context.clock()
        # Those over the limit are only told so; they don't take the place of others.
        self._over_limit = context.admitted >= context.max_clients
        if self._over_limit:
            if context.counters.open_clients - context.admitted > _MAX_TURNED_AWAY:
                self._transport.abort()
        else:
            context.admitted += 1
        context.counters.accepted += 1
        self._slice = context.clients[context.counters.accepted % len(context.clients)]
        self._slice.add(self)
        context.counters.open_clients += 1
        if context.draining:  # accepted while the relay looked through those that it already knew
            self.drain()

    def _give_up_place(self) -> None:
        """The connection is gone: another may take its place."""
        context = self._context
        self._slice.discard(self)
        context.counters.open_clients -= 1
        context.admitted -= not self._over_limit
        self._state = _GONE

    def drain(self) -> None:
        """The relay is stopping: close at once where nothing is under way, else after the answer."""
        self.keep_alive = False
        if self._state is _HEAD and not self._held:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # -- flow control, both ways

    def pause_reading(self) -> None:
        """Let the client wait: the upstream is slow, or not connected yet."""
        if not self._read_paused and self._state is not _GONE:
            self._read_paused = True
            self._since = self._context.clock()
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """More may come; a body's time starts anew, since the wait was not the client's."""
        if self._read_paused and self._state is not _GONE:
            self._read_paused = False
            self._since = self._context.clock()
            if self._body is not None:
                self._body.received = 0
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._transit is not None and self._transit.upstream is not None:
            self._transit.upstream.pause_reading()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._transit is not None and self._transit.upstream is not None:
            self._transit.upstream.resume_reading()
        self._advance()

    # -- endings

    def _refuse(self, refusal: Refusal, head: bytes = b"") -> None:
        """Answer a request that never became a transit, and close."""
        counters = self._context.counters
        counters.count(counters.refusals, refusal.code)
        self.write(error_response(refusal, close=True, head_only=head.startswith(b"HEAD ")))
        self._linger()

    def _linger(self) -> None:
        """Say that no more will come, and let the client read what was said before the socket goes."""
        if self._state is _GONE:
            return
        self._body = None
        self._held.clear()
        self._state = _LINGER
        self._left_to_drop = _LINGER_BYTES
        self.keep_alive = False
        self.resume_reading()
        self._since = self._context.clock()
        self._transport.write_eof()

    def _close(self) -> None:
        """Send what is buffered, then close."""
        self._state = _LINGER
        self._since = self._context.clock()
        self._held.clear()
        self._transport.close()

    def _reset(self) -> None:
        """Close so that the client can't take it for a clean end."""
        self._state = _LINGER
        channel = self._transport.get_extra_info("socket")
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        self._transport.abort()

    # -- time

    def sweep(self, now: float) -> None:
        """Enforce the timeouts; called every so often for each connection."""
        state = self._state
        if state is _HEAD:
            self._sweep_head(now)
        elif state is _LINGER:
            flushed = not self._transport.get_write_buffer_size()
            if over(now - self._since, _LINGER_SECONDS if flushed else self._context.timeouts.idle):
                self._transport.abort()
        elif self._read_paused and hung_up(self._transport.get_extra_info("socket").fileno()):
            self._transport.abort()
        elif self._transit is not None:
            self._sweep_transit(self._transit, now)

    def _sweep_head(self, now: float) -> None:
        timeouts = self._context.timeouts
        waited = now - self._since
        if self._write_paused:
            if over(waited, timeouts.idle):
                self._transport.abort()
        elif self._held or not self._served:
            if over(waited, timeouts.head):
                self._refuse(Refusal.REQUEST_TIMEOUT) if self._held else self._transport.close()
        elif over(waited, timeouts.keep_alive):
            self._transport.close()

    def _sweep_transit(self, transit: Transit, now: float) -> None:
        timeouts = self._context.timeouts
        upstream = transit.upstream
        if upstream is not None and upstream.active:
            upstream.active = False
            transit.waiting_since = now
        elif self._body is not None and not self._read_paused:
            if over(now - self._since - self._body.received / _LEAST_BYTES_PER_SECOND, timeouts.body):
                self.fail(transit, Refusal.REQUEST_TIMEOUT)
        elif upstream is not None:
            timeout = timeouts.idle if transit.status or self._body is not None else timeouts.first_byte
            if over(now - max(transit.waiting_since, self._since), timeout):
                reason = "idle_timeout" if transit.status else "first_byte_timeout"
                self._context.counters.count(self._context.counters.failures, reason)
                self.fail(transit, Refusal.UPSTREAM_TIMEOUT, flushable=False)

"""Kept-alive connections to the one upstream, and the dialling of new ones. No request waits for another to end."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable

from middleware.proxy.context import Context
from middleware.proxy.errors import Refusal
from middleware.proxy.sweep import readable
from middleware.proxy.transit import Transit
from middleware.proxy.upstream import UpstreamSide

__all__ = ["Dial", "Pool"]

Dial = Callable[[Callable[[], UpstreamSide]], Awaitable[UpstreamSide]]

# A connection idle for longer is looked at before use: one that the upstream has closed meanwhile is not taken.
_TRUSTED_SECONDS = 0.5
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class Pool:
    """Owns every connection to the upstream, idle or in use. dial: opens one; group: owns the dialling tasks."""

    __slots__ = ("_context", "_dial", "_dialling", "_group", "_idle", "_size")

    def __init__(self, context: Context, dial: Dial, group: asyncio.TaskGroup) -> None:
        self._context = context
        self._dial = dial
        self._group = group
        self._idle: dict[
            UpstreamSide, None
        ] = {}  # in order of return: the last is taken first, the first expires first
        self._size = 0
        self._dialling: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def send(self, transit: Transit, now: float) -> None:
        """Send what is pending of a transit on an idle connection, else on a new one; fails the transit at the cap."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if now - connection.idle_since < _TRUSTED_SECONDS or not readable(connection.fileno):
                connection.begin(transit)
                return
            connection.abort()
        self._open(transit)

    def replay(self, transit: Transit) -> None:
        """Send a transit once more, on a new connection."""
        assert transit.sent is not None  # noqa: S101 - replayable means that
        transit.replayed = True
        transit.pending = transit.sent
        self._open(transit)

    def give_back(self, connection: UpstreamSide, now: float) -> None:
        """A connection has done its work and may do more."""
        connection.reused = True
        connection.idle_since = now
        self._idle[connection] = None

    def withdraw(self, connection: UpstreamSide) -> None:
        """A connection is about to close: it is offered to no request any more."""
        self._idle.pop(connection, None)

    def forget(self, connection: UpstreamSide) -> None:
        """A connection is closed."""
        self.withdraw(connection)
        self._size -= 1
        self._context.counters.open_upstreams -= 1

    def expire(self, now: float) -> None:
        """Close the connections that have been idle for too long."""
        keep_alive = self._context.timeouts.upstream_keep_alive
        while keep_alive and self._idle:
            connection = next(iter(self._idle))
            if now - connection.idle_since <= keep_alive:
                return
            del self._idle[connection]
            connection.abort()

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.popitem()[0].abort()

    def cancel_dialling(self) -> None:
        """Give up the connections that are being opened."""
        for task in self._dialling:
            task.cancel()

    def _open(self, transit: Transit) -> None:
        if self._size >= self._context.limits.upstream_connections:
            self._fail(transit, "connections", Refusal.UPSTREAM_CONNECTIONS)
            return
        self._size += 1
        if not transit.request_done and transit.client is not None:
            transit.client.pause_reading()
        task = self._group.create_task(self._connect(transit))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, transit: Transit) -> None:
        """Open a connection for a transit. Should its client have left meanwhile, the next one may use it."""
        try:
            async with asyncio.timeout(self._context.timeouts.connect or None):
                connection = await self._dial(lambda: UpstreamSide(self._context))
        except Exception as error:  # noqa: BLE001 - whatever dialling raises concerns this request alone
            self._size -= 1
            self._fail(transit, *_failure(error))
            return
        self._context.counters.open_upstreams += 1
        client = transit.client
        if client is None:
            self.give_back(connection, self._context.clock())
            return
        transit.waiting_since = self._context.clock()
        if connection.closed:
            self._fail(transit, "closed", Refusal.UPSTREAM_CLOSED)
            return
        connection.begin(transit)
        client.resume_reading()

    def _fail(self, transit: Transit, reason: str, refusal: Refusal) -> None:
        self._context.counters.count(self._context.counters.failures, reason)
        if transit.client is not None:
            transit.client.fail(transit, refusal)


def _failure(error: Exception) -> tuple[str, Refusal]:
    """The reason and the answer for a connection that could not be opened."""
    if isinstance(error, TimeoutError):
        return "connect_timeout", Refusal.UPSTREAM_CONNECT_TIMEOUT
    if isinstance(error, ssl.SSLError):
        return "tls", Refusal.UPSTREAM_UNREACHABLE
    if isinstance(error, (socket.gaierror, UnicodeError)):  # a name that can't even be encoded
        return "dns", Refusal.UPSTREAM_UNREACHABLE
    if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS:
        return "descriptors", Refusal.RELAY_EXHAUSTED
    return "connect", Refusal.UPSTREAM_UNREACHABLE

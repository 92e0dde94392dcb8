"""The relay's life: listeners, the ticker, draining. Wires the parts; moves no bytes itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

from middleware.proxy.busy import Load, asked_seconds
from middleware.proxy.client import ClientSide
from middleware.proxy.connection import ClientConnection
from middleware.proxy.context import AccessLog, Context, FaultLog
from middleware.proxy.counters import Counters
from middleware.proxy.dial import dialler
from middleware.proxy.link import Link
from middleware.proxy.pool import Pool
from middleware.proxy.sweep import sweep_connections
from middleware.proxy.tap import Tap
from middleware.records.relay import Listener, RelayConfig

__all__ = ["Relay", "running_relay"]

_BACKLOG = 4096
# Descriptors that are not client connections: listeners, the link, logs, epoll, name service.
_SPARE_DESCRIPTORS = 64


class Relay:
    """A running relay. addresses: host and port of each listener, or path and 0."""

    def __init__(
        self, context: Context, link: Link, servers: list[asyncio.Server], addresses: list[tuple[str, int]]
    ) -> None:
        self._servers = servers
        self.context = context
        self.link = link
        self.addresses = addresses

    async def drain(self) -> None:
        """Stop accepting and let what is under way finish, up to the drain timeout (seconds); then close the rest."""
        context = self.context
        context.draining = True
        for server in self._servers:
            server.close()
        for client in self._clients():
            client.drain()
        deadline = context.clock() + context.timeouts.drain
        while context.counters.open_clients and context.clock() < deadline:  # noqa: ASYNC110 - once in a lifetime
            await asyncio.sleep(0.02)
        self.abort()

    def abort(self) -> None:
        """Close everything at once."""
        for server in self._servers:
            server.close()
        for client in self._clients():
            client.abort()
        self.context.pool.close()

    def _clients(self) -> list[ClientConnection]:
        return [client for part in self.context.clients for client in part]


@contextlib.asynccontextmanager
async def running_relay(
    config: RelayConfig, *, fault_log: FaultLog, access_log: AccessLog | None = None
) -> AsyncIterator[Relay]:
    """Listen, and relay until the block ends; what is open then is closed. Raises OSError, ConfigurationError."""
    dial = dialler(config.upstream)
    counters = Counters(time.time())
    context = Context(config, clock=time.perf_counter, counters=counters, fault_log=fault_log, access_log=access_log)
    context.max_clients = min(config.limits.connections, _descriptors() // 2)
    link = Link(context)
    if config.tap.rate > 0:
        context.tap = Tap(
            rate=config.tap.rate,
            body_bytes=config.tap.body_bytes,
            counters=counters,
            ready=link.ready,
            offer=link.offer,
            wall=time.time,
            load=Load(config.tap.busy_share, asked_seconds, context.clock()),
            looked=link.tell_busy,
        )
        context.tap.hear(link.ready())
    channels = _bind(config)
    async with asyncio.TaskGroup() as group:
        context.pool = Pool(context, dial, group)
        servers, addresses = await _listen(channels, context)
        relay = Relay(context, link, servers, addresses)
        ticker = group.create_task(sweep_connections(context))
        gc.collect()
        gc.set_threshold(20_000, 20, 20)  # transits are freed by reference count; only odd endings leave cycles
        gc.freeze()  # what lives as long as the process need not be looked at again
        try:
            yield relay
        finally:
            relay.abort()
            ticker.cancel()
            context.pool.cancel_dialling()


def _bind(config: RelayConfig) -> list[socket.socket]:
    """The listeners' sockets; raises OSError, which names the address."""
    channels: list[socket.socket] = []
    for listener in config.listeners:
        try:
            channels.append(_bound(listener, shared=config.workers > 1))
        except OSError as error:
            for channel in channels:
                channel.close()
            where = listener.path or f"{listener.host} port {listener.port}"
            words = f"can't listen on {where}: {error.strerror or error}; pass another --listen HOST:PORT"
            raise OSError(error.errno, words) from error
    return channels


async def _listen(
    channels: list[socket.socket], context: Context
) -> tuple[list[asyncio.Server], list[tuple[str, int]]]:
    loop = asyncio.get_running_loop()
    factory = cast("Callable[[], asyncio.BaseProtocol]", lambda: ClientSide(context))  # protocols in all but name
    servers: list[asyncio.Server] = []
    addresses: list[tuple[str, int]] = []
    for channel in channels:
        if channel.family == socket.AF_UNIX:
            servers.append(await loop.create_unix_server(factory, sock=channel, backlog=_BACKLOG))
            addresses.append((channel.getsockname(), 0))
        else:
            servers.append(await loop.create_server(factory, sock=channel, backlog=_BACKLOG))
            addresses.append(channel.getsockname()[:2])
    return servers, addresses


def _bound(listener: Listener, *, shared: bool) -> socket.socket:
    """A bound socket, not yet listening; raises OSError."""
    if listener.path:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = Path(listener.path)
        if path.is_socket():
            path.unlink()  # left behind by a process that was killed
        channel.bind(listener.path)
        return channel
    family, _, _, _, address = socket.getaddrinfo(
        listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    channel = socket.socket(family, socket.SOCK_STREAM)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    channel.bind(address)
    return channel


def _descriptors() -> int:
    """Raise the soft limit of open files to the hard one; how many are left for connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else max(2, hard - _SPARE_DESCRIPTORS)

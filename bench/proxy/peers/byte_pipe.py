"""Two sockets and no HTTP: each client connection gets an upstream connection, and bytes are passed on as they come.

    python -m bench.proxy.peers.byte_pipe PORT UPSTREAM_PORT

Not a proxy that anybody could use, but the floor: what the event loop and the kernel cost under a Python relay before
it looks at a single byte.
"""

import asyncio
import sys
from typing import cast

import uvloop

__all__ = ["Near"]


class _Far(asyncio.Protocol):
    """The connection to the upstream."""

    def __init__(self, near: asyncio.Transport) -> None:
        self._near = near

    def data_received(self, data: bytes) -> None:
        self._near.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._near.close()


class Near(asyncio.Protocol):
    """The connection of a client."""

    def __init__(self, upstream_port: int, group: asyncio.TaskGroup) -> None:
        self._port = upstream_port
        self._group = group
        self._far: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._group.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        far, _ = await loop.create_connection(lambda: _Far(self._transport), "127.0.0.1", self._port)
        self._far = far
        far.write(b"".join(self._early))
        if self._transport.is_closing():
            far.abort()

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._early.append(data)
        else:
            self._far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._far is not None:
            self._far.abort()


async def _serve(port: int, upstream_port: int) -> None:
    async with asyncio.TaskGroup() as group:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Near(upstream_port, group), "127.0.0.1", port, backlog=4096)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))

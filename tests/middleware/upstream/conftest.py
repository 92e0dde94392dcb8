"""A raw loopback server: the test writes the bytes of the answer and reads the bytes of the request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest


@dataclass
class Upstream:
    """What the server saw: heads (request line and headers, lower case) and bodies, in order."""

    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]
Opener = Callable[[Handler], AbstractAsyncContextManager[Upstream]]


@asynccontextmanager
async def _serve(answer: Handler) -> AsyncIterator[Upstream]:
    seen = Upstream()
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (
                        int(v)
                        for k, _, v in (h.partition(":") for h in head.lower().split("\r\n"))
                        if k == "content-length"
                    ),
                    0,
                )
                seen.heads.append(head)
                seen.bodies.append(await reader.readexactly(length))
                await answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    seen.url = f"http://{host}:{port}"
    try:
        yield seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()  # also where bytes still wait to be sent


@pytest.fixture
def raw_upstream() -> Opener:
    """Opens a server on a free loopback port that answers each request through the handler."""
    return _serve

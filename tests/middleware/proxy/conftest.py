"""A relay in this process between raw sockets: a recording upstream on one side, hand-written bytes on the other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvloop

from middleware.proxy.relay import Relay, running_relay
from middleware.records.relay import Listener, RelayConfig, UpstreamTarget

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "RawUpstream"], Awaitable[None]]
PATIENCE_SECONDS = 20


@dataclass
class RawUpstream:
    """A server that keeps every byte it is sent. handler: what it does with each connection."""

    handler: Handler
    port: int = 0
    received: list[bytearray] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """One request with its body, kept as it came."""
        kept = self.received[-1]
        head = await reader.readuntil(b"\r\n\r\n")
        kept += head
        body = b""
        lowered = head.lower()
        if b"content-length: " in lowered:
            body = await reader.readexactly(int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0]))
        elif b"transfer-encoding: chunked" in lowered:
            while not body.endswith(b"0\r\n\r\n"):
                body += await reader.readuntil(b"\r\n")
        kept += body
        self.asked.set()
        return head + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(bytearray())
        try:
            await self.handler(reader, writer, self)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            self.gone.set()
            writer.close()


def answering(*answers: bytes) -> Handler:
    """A handler that gives these answers, one to each request of a connection, then goes on with the last."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: RawUpstream) -> None:
        for turn in range(1_000_000):
            await upstream.read_request(reader)
            writer.write(answers[min(turn, len(answers) - 1)])
            await writer.drain()

    return handle


@dataclass
class Rig:
    """The running relay, its upstream, and a way to talk to it."""

    relay: Relay
    upstream: RawUpstream

    @property
    def port(self) -> int:
        return self.relay.addresses[0][1]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def talk(self, sent: bytes, *, pieces: int = 0) -> bytes:
        """Send bytes (whole, or in pieces of this size) and read until the relay closes."""
        reader, writer = await self.open()
        for at in range(0, len(sent), pieces or len(sent) or 1):
            writer.write(sent[at : at + (pieces or len(sent))])
            if pieces:
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await reader.read()
        writer.close()
        return answer

    async def settled(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)

    def total(self, name: str) -> dict[tuple[str, ...], float]:
        """A counter's values by label values."""
        for counters in self.relay.context.snapshot().counters:
            if counters.name == name:
                return {tuple(labels): value for labels, value in counters.values}
        raise KeyError(name)


class Kit:
    """What the tests build on."""

    answering = staticmethod(answering)

    def __init__(self) -> None:
        self.faults: list[tuple[str, BaseException]] = []
        self.access: list[dict[str, Any]] = []

    @contextlib.asynccontextmanager
    async def rig(self, handler: Handler, **changes: Any) -> AsyncIterator[Rig]:
        """A relay before an upstream; changes: fields of RelayConfig, or ``target`` (fields of UpstreamTarget)."""
        upstream = RawUpstream(handler)
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 20)
        upstream.port = server.sockets[0].getsockname()[1]
        target = replace(UpstreamTarget("http", "127.0.0.1", upstream.port), **changes.pop("target", {}))
        config = RelayConfig(target, listeners=changes.pop("listeners", (Listener(port=0),)), **changes)
        try:
            async with running_relay(config, fault_log=self._fault, access_log=self.access.append) as relay:
                yield Rig(relay, upstream)
        finally:
            server.close()
            gc.unfreeze()

    def _fault(self, observer: str, error: BaseException) -> None:
        self.faults.append((observer, error))

    @staticmethod
    def run(main: Coroutine[Any, Any, None]) -> None:
        """Run a test on the loop that the relay runs on."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)


@pytest.fixture
def kit() -> Kit:
    return Kit()

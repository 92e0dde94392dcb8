"""What the relay counts reaches the limiters: over a real socket, with the relay's own snapshot."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.control.link import RelayLink
from middleware.control.yielding import Yielding, load_of
from middleware.proxy.counters import Counters
from middleware.records.exchange import Exchange, SnapshotRequest
from middleware.records.link import FrameBuffer, decode_from_control, encode_frame


@asynccontextmanager
async def relay(counters: Counters) -> AsyncIterator[RelayLink]:
    """A link whose other end answers with these counters."""
    ours, theirs = socket.socketpair()
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue(8)
    link = RelayLink(ours, queue=exchanges, exchanges_per_second=1.0)
    reader, writer = await asyncio.open_connection(sock=theirs)

    async def answer() -> None:
        frames = FrameBuffer()
        while data := await reader.read(65536):
            for payload in frames.feed(data):
                if isinstance(decode_from_control(payload), SnapshotRequest):
                    writer.write(encode_frame(counters.snapshot()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(link.serve()), group.create_task(answer())]
        while not link.connected:
            await asyncio.sleep(0)
        yield link
        for task in tasks:
            task.cancel()
    writer.close()


def test_user_traffic_lowers_the_limiters() -> None:
    """Requests under way lower each limiter's ceiling, a burst of 503 stops both, quiet lifts it again."""

    async def scenario() -> None:
        counters, now = Counters(1.0), 0.0
        limiters = [Limiter(ConcurrencyRule(8)), Limiter(ConcurrencyRule(2))]
        cell = counters.cell("default", "openai_chat")
        async with relay(counters) as link:
            yielding = Yielding(link, limiters, yield_from=10, clock=lambda: now)

            async def allowed() -> list[int]:
                await yielding.look()
                return [limiter.rule.allowed() for limiter in limiters]

            assert await allowed() == [8, 2]
            counters.inflight = 12
            assert await allowed() == [2, 1]
            counters.inflight = 0
            cell.codes[503] = 5
            assert await allowed() == [0, 0]
            now = 11.0
            assert await allowed() == [1, 1]
            now = 12.0
            assert await allowed() == [2, 2]

    asyncio.run(scenario())


def test_load_counts_overload_and_failures_only() -> None:
    """429 and 5xx are trouble, a client's own 404 is not."""
    counters = Counters(7.0)
    counters.inflight = 3
    counters.cell("default", "openai_chat").codes.update({200: 10, 404: 4, 429: 2})
    counters.cell("tutor", "openai_chat").codes.update({502: 1})
    load = load_of(counters.snapshot())
    assert (load.in_flight, load.answered, load.troubled, load.since) == (3, 17.0, 3.0, 7.0)

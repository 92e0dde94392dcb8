"""What the relay counts reaches the limiters: over a real socket, with the relay's own snapshot."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.control.link import RelayLink
from middleware.control.yielding import Yielding, load_of
from middleware.proxy.counters import Counters
from middleware.records.exchange import Exchange, SnapshotRequest
from middleware.records.link import FrameBuffer, decode_from_control, encode_frame


class Asked:
    """How often the relay was asked for its counters. silent: it does not answer."""

    def __init__(self) -> None:
        self.times = 0
        self.silent = False


@asynccontextmanager
async def relay(counters: Counters, asked: Asked | None = None) -> AsyncIterator[RelayLink]:
    """A link whose other end answers with these counters."""
    asked = asked or Asked()
    ours, theirs = socket.socketpair()
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue(8)
    link = RelayLink(ours, queue=exchanges, exchanges_per_second=1.0)
    reader, writer = await asyncio.open_connection(sock=theirs)

    async def answer() -> None:
        frames = FrameBuffer()
        while data := await reader.read(65536):
            for payload in frames.feed(data):
                if isinstance(decode_from_control(payload), SnapshotRequest):
                    asked.times += 1
                    if asked.silent:
                        continue
                    writer.write(encode_frame(counters.snapshot()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(link.serve()), group.create_task(answer())]
        while not link.connected:
            await asyncio.sleep(0)
        yield link
        for task in tasks:
            task.cancel()
    writer.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look may take as long as a busy machine takes."""
    monkeypatch.setattr("middleware.control.yielding._REFRESH_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
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


@asynccontextmanager
async def running(yielding: Yielding) -> AsyncIterator[None]:
    """The worker at work, asleep to begin with."""
    task = asyncio.create_task(yielding.run())
    await asyncio.sleep(0)
    yield
    task.cancel()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("which", [0, 1])
def test_the_relay_is_asked_while_own_calls_are_wanted(which: int) -> None:
    """Never before the first call, again and again while it is under way, and no more some looks after it."""

    async def scenario() -> None:
        asked, limiters = Asked(), [Limiter(ConcurrencyRule(8)), Limiter(ConcurrencyRule(2))]
        async with (
            relay(Counters(1.0), asked) as link,
            running(Yielding(link, limiters, yield_from=10, look_seconds=0.01)),
        ):
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert asked.times == 0
            async with limiters[which].turn():
                assert asked.times == 1
                while asked.times < 8:
                    await asyncio.sleep(0.01)
            seen = 0
            while asked.times != seen:  # asleep once the time of ten looks passed without one
                seen = asked.times
                await asyncio.sleep(0.1)

    asyncio.run(scenario())


@pytest.mark.usefixtures("patient")
def test_the_first_call_meets_the_traffic_of_now() -> None:
    """Traffic that became heavy while nobody looked holds it back until it is over; then it begins."""

    async def scenario() -> None:
        counters, limiter = Counters(1.0), Limiter(ConcurrencyRule(4))
        counters.inflight = 50
        async with relay(counters) as link, running(Yielding(link, [limiter], yield_from=10, look_seconds=0.01)):
            begun = asyncio.Event()

            async def call() -> None:
                async with limiter.turn():
                    begun.set()

            calling = asyncio.create_task(call())
            while limiter.rule.allowed():
                await asyncio.sleep(0.01)
            assert (begun.is_set(), limiter.wanted) == (False, True)
            counters.inflight = 0
            await calling

    asyncio.run(scenario())


def test_a_relay_that_does_not_answer_holds_nobody_up() -> None:
    """A call begins with the ceiling that was, once a look would have been over; old numbers are no look."""

    async def scenario() -> None:
        counters, asked, now = Counters(1.0), Asked(), 0.0
        limiter = Limiter(ConcurrencyRule(4))
        counters.inflight = 12
        async with relay(counters, asked) as link:
            yielding = Yielding(link, [limiter], yield_from=10, clock=lambda: now)
            await yielding.look()
            assert limiter.rule.allowed() == 1
            asked.silent = True
            async with running(yielding), limiter.turn():
                while asked.times < 2:  # it was asked; a busy machine hears of it late
                    await asyncio.sleep(0.01)
                assert limiter.rule.allowed() == 1

    asyncio.run(scenario())


def test_load_counts_overload_and_failures_only() -> None:
    """429 and 5xx are trouble, a client's own 404 is not."""
    counters = Counters(7.0)
    counters.inflight = 3
    counters.cell("default", "openai_chat").codes.update({200: 10, 404: 4, 429: 2})
    counters.cell("tutor", "openai_chat").codes.update({502: 1})
    load = load_of(counters.snapshot())
    assert (load.in_flight, load.answered, load.troubled, load.since) == (3, 17.0, 3.0, 7.0)

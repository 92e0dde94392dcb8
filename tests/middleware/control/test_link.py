"""Control's end of the socket: credit bounds what comes in, numbers are fetched on request, an end is noticed."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from middleware.control.link import RelayClosedError, RelayLink
from middleware.records.exchange import (
    AwarenessUpdate,
    Busy,
    Credit,
    Exchange,
    FromControl,
    FromRelay,
    RelaySnapshot,
    SnapshotRequest,
)
from middleware.records.link import FrameBuffer, decode_from_control, encode_frame

EXCHANGE = Exchange(
    "d", "openai_chat", b"POST", b"/v1/chat/completions", [], b"{}", False, 200, [], b"{}", False, True, "", "", 1, 0, 0
)


class Relay:
    """The other end, as the relay would be."""

    def __init__(self, endpoint: socket.socket) -> None:
        self._endpoint = endpoint
        self._frames = FrameBuffer()
        self._records: list[FromControl] = []

    async def next(self, kind: type[FromControl]) -> FromControl:
        """The next record of that kind, leaving out others."""
        while True:
            while self._records:
                record = self._records.pop(0)
                if isinstance(record, kind):
                    return record
            data = await asyncio.get_running_loop().sock_recv(self._endpoint, 65536)
            self._records += [decode_from_control(payload) for payload in self._frames.feed(data)]

    async def send(self, record: FromRelay) -> None:
        """Send a record."""
        await asyncio.get_running_loop().sock_sendall(self._endpoint, encode_frame(record))

    def close(self) -> None:
        """The relay is gone."""
        self._endpoint.close()


@contextlib.asynccontextmanager
async def linked(*, queue: int, rate: float) -> AsyncIterator[tuple[Relay, RelayLink, asyncio.Queue[Exchange]]]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue(queue)
    link = RelayLink(theirs, queue=exchanges, exchanges_per_second=rate)
    serving = asyncio.ensure_future(link.serve())
    relay = Relay(ours)
    try:
        yield relay, link, exchanges
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
            await serving
        relay.close()


async def credit_of(relay: Relay, rounds: int) -> int:
    total = 0
    for _ in range(rounds):
        record = await relay.next(Credit)
        assert isinstance(record, Credit)
        total += record.exchanges
    return total


def test_credit_never_exceeds_the_room_of_the_queue() -> None:
    """However fast the rate, only what has a place may be sent; a place that frees gives new credit."""

    async def scenario() -> None:
        async with linked(queue=3, rate=1000) as (relay, _, exchanges):
            assert await credit_of(relay, 1) == 3
            for _ in range(3):
                await relay.send(EXCHANGE)
            while exchanges.qsize() < 3:
                await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(relay.next(Credit), 0.35)
            exchanges.get_nowait()
            assert await credit_of(relay, 1) == 1

    asyncio.run(scenario())


def test_a_pause_saves_up_no_more_than_a_second_of_credit() -> None:
    """After any silence a burst takes what the rate allows in a second; then the rate goes on as before."""

    async def scenario() -> None:
        async with linked(queue=256, rate=20) as (relay, _, exchanges):
            assert await credit_of(relay, 10) == 20
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(relay.next(Credit), 0.35)
            for _ in range(20):
                await relay.send(EXCHANGE)
            for _ in range(20):
                assert await exchanges.get() == EXCHANGE
            async with asyncio.timeout(10):
                assert await credit_of(relay, 1) <= 2

    asyncio.run(scenario())


def test_a_snapshot_is_fetched_on_request() -> None:
    """A refresh asks the relay and returns with its numbers; before the first there are none."""

    async def scenario() -> None:
        async with linked(queue=1, rate=1) as (relay, link, _):
            await relay.next(Credit)
            assert link.snapshot is None
            asking = asyncio.ensure_future(link.refresh(10))
            await relay.next(SnapshotRequest)
            snapshot = RelaySnapshot(5.0, [], [])
            await relay.send(snapshot)
            await asking
            assert link.snapshot == snapshot

    asyncio.run(scenario())


def test_a_relay_that_does_not_answer_costs_a_bounded_wait() -> None:
    """The old numbers stay; a scrape is not held up."""

    async def scenario() -> None:
        async with linked(queue=1, rate=1) as (relay, link, _):
            await relay.next(Credit)
            await asyncio.wait_for(link.refresh(0.05), 5)
            assert link.snapshot is None

    asyncio.run(scenario())


def test_awareness_travels_to_the_relay() -> None:
    """The header value of a conversation arrives as it was told."""

    async def scenario() -> None:
        async with linked(queue=1, rate=1) as (relay, link, _):
            await relay.next(Credit)
            link.tell("c1", "Boredom=7")
            assert await relay.next(AwarenessUpdate) == AwarenessUpdate("c1", "Boredom=7")

    asyncio.run(scenario())


def test_control_knows_whether_the_relay_is_busy() -> None:
    """As it was said last; at first it is not."""

    async def scenario() -> None:
        async with linked(queue=1, rate=1) as (relay, link, _):
            await relay.next(Credit)
            assert not link.busy
            for busy in (True, False):
                await relay.send(Busy(busy))
                async with asyncio.timeout(10):
                    while link.busy is not busy:
                        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_the_end_of_the_relay_ends_the_link() -> None:
    """Control notices that its relay is gone, since there is nothing left to serve."""

    async def scenario() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        link = RelayLink(theirs, queue=asyncio.Queue(1), exchanges_per_second=1)
        ours.close()
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(link.serve(), 10)
        assert caught.value.subgroup((RelayClosedError, ConnectionError)) is not None

    asyncio.run(scenario())


def test_credit_comes_again_after_a_pause_in_which_none_could() -> None:
    """With all credit out the link sleeps; the first exchange that comes wakes it."""

    async def scenario() -> None:
        async with linked(queue=2, rate=1000) as (relay, _, exchanges):
            assert await credit_of(relay, 1) == 2
            await asyncio.sleep(0.3)  # three intervals: the allowance is full, and there is nothing to grant
            await relay.send(EXCHANGE)
            assert await exchanges.get() == EXCHANGE
            async with asyncio.timeout(10):
                assert await credit_of(relay, 1) == 1

    asyncio.run(scenario())

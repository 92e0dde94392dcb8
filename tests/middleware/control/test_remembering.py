"""A restart makes no new conversations of those that go on, and keeps nothing of those that are not sampled."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from middleware.control.remembering import Remembering
from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.records.conversation import Message, Skipped, Transcript, Turn
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation
from middleware.store import Store
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.hashing import exchange_key
from middleware.traffic.intake import Intake
from middleware.traffic.selecting import Selection, SelectionRule
from middleware.traffic.trace import trace_of

SALT = b"a salt of at least sixteen bytes"
SAID = ("heliotrope", "Hello!", "help", "Sure.", "more", "Yes.")


class Process:
    """One life of control: a tracker and what it remembers, over a store that outlives it."""

    def __init__(self, store: Store, now: float = 100.0) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.remembering = Remembering(store, retention=50.0, metrics=self.metrics, clock=lambda: now)
        self.tracker = ConversationTracker(SALT)
        self.tracker.restore(self.remembering.restored())
        selection = Selection([SelectionRule("tutor", 1.0)], SALT)
        self.intake = Intake(selection, self.tracker, remember=self.remembering.take)

    def hears(self, turn: int) -> Turn:
        """Turn number ``turn`` of the conversation."""
        messages = tuple(Message(("user", "assistant")[n % 2], text) for n, text in enumerate(SAID[: 2 * turn - 1]))
        seen = Transcript("openai_chat", "m", messages, Message("assistant", SAID[2 * turn - 1]), False)
        heard = Observation("tutor", seen, trace_of(SALT, seen), id=f"turn-{turn}", key_id="00aa", at=100.0)
        placed = self.intake.place(heard)
        assert isinstance(placed, Turn)
        return placed


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as opened:
        yield opened


def test_a_conversation_goes_on_in_the_next_process(store: Store, tmp_path: Path) -> None:
    """The same id, the next turn, and the hash of each exchange's id; not a word is in the store."""
    first = Process(store)
    begun = first.hears(1)
    asyncio.run(first.remembering.flush())
    second = Process(store)
    going_on = second.hears(2)
    asyncio.run(second.remembering.flush())
    third = Process(store)
    assert third.tracker.lookup([{"role": "user", "content": "heliotrope"}]) == begun.conversation
    last = third.hears(3)
    assert {begun.conversation, going_on.conversation, last.conversation} == {begun.conversation}
    assert [turn.index for turn in (begun, going_on, last)] == [1, 2, 3]
    kept = store.places(0.0, 10)
    assert [place.exchange for place in kept] == [exchange_key(SALT, f"turn-{number}") for number in (1, 2)]
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"heliotrope" not in files
    assert b"turn-1" not in files


def test_what_is_older_than_its_time_is_forgotten(store: Store) -> None:
    """Then the conversation begins anew, and the row is gone."""
    first = Process(store)
    begun = first.hears(1)
    asyncio.run(first.remembering.flush())
    later = Process(store, now=200.0)
    assert later.hears(2).conversation != begun.conversation
    assert store.places(0.0, 10) == []


def test_a_conversation_that_is_not_sampled_is_not_kept(store: Store) -> None:
    """Nor one that no purpose covers."""
    process = Process(store)
    process.intake = Intake(
        Selection([SelectionRule("tutor", 1e-12)], SALT), process.tracker, remember=process.remembering.take
    )
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    answer = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}}]}'
    fields = (
        "tutor",
        "openai_chat",
        b"POST",
        b"/v1",
        [],
        body,
        False,
        200,
        [],
        answer,
        False,
        True,
        "",
        "",
        90.0,
        0.1,
        1.0,
    )
    assert process.intake.take(Exchange(*fields)) == Skipped("tutor", "not_sampled")
    asyncio.run(process.remembering.flush())
    assert store.places(0.0, 10) == []


def test_a_store_that_is_away_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, and counted."""
    process = Process(store)
    process.hears(1)
    write = store.save_places

    def away(_: object) -> None:
        raise StoreUnavailable("for the test", reason="locked")

    monkeypatch.setattr(store, "save_places", away)
    asyncio.run(process.remembering.flush())
    process.hears(2)
    asyncio.run(process.remembering.flush())
    monkeypatch.setattr(store, "save_places", write)
    asyncio.run(process.remembering.flush())
    assert [place.turn for place in store.places(0.0, 10)] == [1, 2]
    assert process.metrics.store_errors_total.labels(reason="locked")._value.get() == 2


def test_what_comes_from_any_thread_is_written_soon(store: Store) -> None:
    """The worker sleeps until a place comes, again and again, and before that asks the store for nothing."""
    process = Process(store)

    async def scenario() -> None:
        working = asyncio.create_task(process.remembering.run())
        await asyncio.sleep(0)
        for turn in (1, 2):
            await asyncio.to_thread(process.hears, turn)
            while [place.turn for place in store.places(0.0, 10)] != [1, 2][:turn]:
                await asyncio.sleep(0.02)
        working.cancel()

    asyncio.run(scenario())

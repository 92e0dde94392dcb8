"""Events that other processes save reach the live subscribers of this one."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from middleware.admin.feed import EventFeed
from middleware.control.elsewhere import Elsewhere
from middleware.errors import StoreUnavailable
from middleware.records.event import Event
from middleware.store import Store


def event(kind: str) -> Event:
    return Event(kind, "tutor", 1.0)


@pytest.fixture
def told() -> Callable[..., list[str]]:
    """What one subscriber hears while a scenario runs."""

    def play(store: Store, scenario: Callable[[EventFeed, Elsewhere], Any]) -> list[str]:
        async def run() -> list[str]:
            feed = EventFeed(count_drop=lambda: None)
            elsewhere = Elsewhere(store, feed, interval_seconds=0.01)
            with feed.subscribe() as subscription:
                await scenario(feed, elsewhere)
                feed.close()
                heard = []
                while (one := await subscription.next()) is not None:
                    heard.append(one.kind)
                return heard

        return asyncio.run(run())

    return play


def test_what_another_process_saved_is_told_once(store: Store, tmp_path: Path, told: Callable[..., list[str]]) -> None:
    """Not what was before the first look, and not what this process told itself."""
    store.save_event(event("before"))

    async def scenario(feed: EventFeed, elsewhere: Elsewhere) -> None:
        await elsewhere.look()
        with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as other:
            other.save_event(event("baseline_accepted"))
        own = store.save_event(event("own"))
        feed.publish(Event("own", "tutor", 1.0, id=own))
        for _ in range(3):
            await elsewhere.look()
        store.save_event(event("later"))
        await elsewhere.look()

    assert sorted(told(store, scenario)) == ["baseline_accepted", "later", "own"]


def test_many_at_once_come_in_their_order(store: Store, told: Callable[..., list[str]]) -> None:
    """More than a page of them, none lost and none twice."""

    async def scenario(feed: EventFeed, elsewhere: Elsewhere) -> None:
        await elsewhere.look()
        for number in range(120):
            store.save_event(event(f"e{number:03d}"))
        await elsewhere.look()
        await elsewhere.look()

    assert told(store, scenario) == [f"e{number:03d}" for number in range(120)]


def test_nobody_subscribed_nothing_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is left alone until somebody listens, and again afterwards."""
    reads: list[int] = []
    latest = store.latest_event_id

    def counted() -> int:
        reads.append(1)
        return latest()

    monkeypatch.setattr(store, "latest_event_id", counted)

    async def scenario() -> None:
        feed = EventFeed(count_drop=lambda: None)
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(Elsewhere(store, feed, interval_seconds=0.01).run())
            await asyncio.sleep(0.1)
            assert reads == []
            with feed.subscribe() as subscription:
                while not reads:
                    await asyncio.sleep(0.01)
                store.save_event(event("heard"))
                heard = await asyncio.wait_for(subscription.next(), 30)
                assert heard is not None
                assert heard.kind == "heard"
            worker.cancel()

    asyncio.run(scenario())


def test_a_store_that_is_away_is_looked_at_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker does not end, and tells what it missed."""
    events, failures = store.events, [3]

    def sometimes(since_id: int = 0, limit: int = 100) -> list[Event]:
        if failures[0]:
            failures[0] -= 1
            raise StoreUnavailable("away", reason="connection")
        return events(since_id, limit)

    monkeypatch.setattr(store, "events", sometimes)

    async def scenario() -> None:
        feed = EventFeed(count_drop=lambda: None)
        async with asyncio.TaskGroup() as group:
            elsewhere = Elsewhere(store, feed, interval_seconds=0.01)
            with feed.subscribe() as subscription:
                await elsewhere.look()
                worker = group.create_task(elsewhere.run())
                store.save_event(event("missed"))
                heard = await asyncio.wait_for(subscription.next(), 30)
                assert heard is not None
                assert heard.kind == "missed"
            worker.cancel()
        assert failures == [0]

    asyncio.run(scenario())


def test_who_is_answered_hears_what_others_save_from_then_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly the store says where the present begins: a stream begins after that, for each new round of
    subscribers."""
    latest, asked, answered = store.latest_event_id, threading.Event(), threading.Event()

    def slowly() -> int:
        asked.set()
        assert answered.wait(30)
        return latest()

    monkeypatch.setattr(store, "latest_event_id", slowly)

    async def one_round(feed: EventFeed, number: int) -> None:
        with feed.subscribe() as subscription:
            assert await asyncio.to_thread(asked.wait, 30)
            assert not feed.followed.is_set(), "the store has not said where the present begins"
            answered.set()
            await asyncio.wait_for(feed.followed.wait(), 30)
            with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as other:
                other.save_event(event(f"saved-{number}"))
            heard = await asyncio.wait_for(subscription.next(), 30)
            assert heard is not None
            assert heard.kind == f"saved-{number}"
        asked.clear()
        answered.clear()

    async def scenario() -> None:
        feed = EventFeed(count_drop=lambda: None)
        async with asyncio.TaskGroup() as group:
            worker = group.create_task(Elsewhere(store, feed, interval_seconds=0.01).run())
            for number in range(2):
                await one_round(feed, number)
                while feed.followed.is_set():
                    await asyncio.sleep(0.01)
            worker.cancel()

    asyncio.run(scenario())

"""Writes survive a store that is away for a while, in order and within bounds."""

import asyncio
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from middleware.errors import StoreUnavailable
from middleware.records.event import Event
from middleware.store import Store
from middleware.store.spool import Spool


class Recorder:
    """A store of a list that can be away. changed: set after every attempt."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.away = False
        self.drops: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.attempted = threading.Semaphore(0)

    def write(self, number: int) -> None:
        self.attempted.release()
        if self.away:
            raise StoreUnavailable("away", reason="locked")
        self.written.append(number)

    def spool(self, capacity: int) -> Spool:
        return Spool(
            capacity,
            on_drop=lambda reason: self.drops.update([reason]),
            on_error=lambda reason: self.errors.update([reason]),
            first_pause_seconds=0.001,
        )


def test_what_waited_is_caught_up_in_order() -> None:
    """Nothing is lost or doubled while there is room."""

    async def scenario() -> None:
        kept = Recorder()
        spool = kept.spool(100)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(spool.run())
            spool.put(lambda: kept.write(0))
            assert await spool.drained(60)
            kept.away = True
            for number in range(1, 21):
                spool.put(lambda number=number: kept.write(number))  # type: ignore[misc]
            for _ in range(5):  # the first write, and a fourth attempt at the second: three have failed by then
                await asyncio.to_thread(kept.attempted.acquire)
            assert (spool.depth, kept.written) == (20, [0])
            assert not await spool.drained(0.01)
            assert spool.failing == "locked"
            kept.away = False
            assert await spool.drained(60)
            running.cancel()
        assert kept.written == list(range(21))
        assert spool.failing == ""
        assert kept.drops == Counter()
        assert kept.errors["locked"] >= 3

    asyncio.run(scenario())


def test_what_follows_comes_once_it_is_written() -> None:
    """Not while the store is away, and never after a write that was refused; all of it before the spool is drained."""

    async def scenario() -> None:
        kept, followed = Recorder(), []
        spool = kept.spool(100)

        def refused() -> None:
            raise ValueError("a bad value")

        kept.away = True
        spool.put(lambda: kept.write(1), lambda: followed.append((1, list(kept.written))))
        spool.put(refused, lambda: followed.append((2, [])))
        spool.put(lambda: kept.write(3), lambda: followed.append((3, list(kept.written))))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(spool.run())
            for _ in range(3):
                await asyncio.to_thread(kept.attempted.acquire)
            assert followed == []
            kept.away = False
            assert await spool.drained(60)
            assert followed == [(1, [1]), (3, [1, 3])]
            running.cancel()
        assert kept.drops == {"rejected": 1}

    asyncio.run(scenario())


def test_a_full_spool_drops_the_oldest_and_counts() -> None:
    """The newest are kept, still in order."""

    async def scenario() -> None:
        kept = Recorder()
        spool = kept.spool(5)
        for number in range(12):
            spool.put(lambda number=number: kept.write(number))  # type: ignore[misc]
        async with asyncio.TaskGroup() as group:
            running = group.create_task(spool.run())
            assert await spool.drained(60)
            running.cancel()
        assert kept.written == [7, 8, 9, 10, 11]
        assert kept.drops == {"full": 7}

    asyncio.run(scenario())


def test_what_is_being_written_is_not_counted_as_dropped() -> None:
    """A full spool drops the oldest of those that wait."""

    async def scenario() -> None:
        kept, begun, goes_on = Recorder(), asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow() -> None:
            loop.call_soon_threadsafe(begun.set)
            assert goes_on.wait(60)
            kept.write(0)

        spool = kept.spool(1)
        spool.put(slow)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(spool.run())
            await begun.wait()
            for number in (1, 2):
                spool.put(lambda number=number: kept.write(number))  # type: ignore[misc]
            assert spool.depth == 2
            goes_on.set()
            assert await spool.drained(60)
            running.cancel()
        assert (kept.written, kept.drops) == ([0, 2], {"full": 1})

    asyncio.run(scenario())


def test_a_write_that_can_never_succeed_does_not_hold_up_the_others() -> None:
    """It is dropped with its own reason."""

    async def scenario() -> None:
        kept = Recorder()
        spool = kept.spool(5)

        def defect() -> None:
            raise ValueError("secret words")

        spool.put(defect)
        spool.put(lambda: kept.write(1))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(spool.run())
            assert await spool.drained(60)
            running.cancel()
        assert (kept.written, kept.drops) == ([1], {"rejected": 1})

    asyncio.run(scenario())


def test_a_real_store_that_is_locked_catches_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the file for a while; afterwards every event is there once, in order."""
    monkeypatch.setattr("middleware.store.engine.BUSY_SECONDS", 0.02)

    async def scenario() -> list[float]:
        store = Store(f"sqlite:///{tmp_path / 'eq.db'}")
        store.open()
        kept = Recorder()
        failed = asyncio.Event()
        loop = asyncio.get_running_loop()
        spool = Spool(
            100,
            on_drop=kept.drops.update,
            on_error=lambda _: loop.call_soon_threadsafe(failed.set),
            first_pause_seconds=0.001,
        )
        with closing(sqlite3.connect(tmp_path / "eq.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.TaskGroup() as group:
                running = group.create_task(spool.run())
                for number in range(10):
                    spool.put(lambda number=number: store.save_event(Event("k", "d", float(number))))  # type: ignore[misc]
                await failed.wait()
                other.execute("ROLLBACK")
                assert await spool.drained(60)
                running.cancel()
        events = [event.at for event in store.events()]
        store.close()
        return events

    assert asyncio.run(scenario()) == [float(number) for number in range(10)]


def test_a_spool_has_room() -> None:
    """A capacity below one is a mistake."""
    with pytest.raises(ValueError, match="at least 1"):
        Recorder().spool(0)

"""Several runs in one sitting, interleaved item by item: what is slow or different about a moment strikes all alike."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence

from middleware.benchmark.outcomes import RunReport
from middleware.benchmark.run_store import LeaseLost
from middleware.benchmark.runner import RunSession, first_error
from middleware.errors import CallRefused, StoreUnavailable
from scorer.items import Item

__all__ = ["carry_out_together"]

_Call = tuple[RunSession, Item, int]


async def carry_out_together(sessions: Sequence[RunSession]) -> list[RunReport]:
    """Ask what is open in each of the runs, then score and close them. The item sets have the same item ids.

    Which run is asked an item first is drawn by the item's id. Raises as `run_benchmark`; what stops one run stops
    all, and the same runs can be resumed.
    """
    try:
        done = {session.run.id: await session.begin() for session in sessions}
        await _ask([call for call in _calls(sessions) if _key(call) not in done[call[0].run.id]], sessions)
        return [await session.conclude() for session in sessions]
    except (StoreUnavailable, LeaseLost):
        raise
    except BaseException:
        await asyncio.shield(_stop(sessions))
        raise


def _calls(sessions: Sequence[RunSession]) -> Iterator[_Call]:
    first = sessions[0].run
    for repetition in range(first.passes):
        for item_id in first.item_ids:
            turn = hashlib.sha256(f"{repetition}|{item_id}".encode()).digest()[0] % len(sessions)
            for session in (*sessions[turn:], *sessions[:turn]):
                yield session, session.item_set.by_id[item_id], repetition


def _key(call: _Call) -> tuple[str, int]:
    return call[1].id, call[2]


async def _ask(open_calls: Sequence[_Call], sessions: Sequence[RunSession]) -> None:
    calls = iter(open_calls)

    async def work() -> None:
        for session, item, repetition in calls:
            try:
                await session.ask(item, repetition)
            except CallRefused as error:
                session.refused = error
                return

    # As in one run: while one worker saves and prepares, another one's call is under way.
    workers = min(2 * sessions[0].limiter.rule.configured, len(open_calls))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise first_error(failed) from None
    for session in sessions:
        if session.refused is not None:
            raise session.refused


async def _stop(sessions: Sequence[RunSession]) -> None:
    for session in sessions:
        await session.store.stop(session.run, session.now())

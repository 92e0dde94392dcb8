"""A run's side of the store: the few methods it needs, called on one thread, tried again while the store is away."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol as Interface
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from middleware.benchmark.outcomes import RunReport
from middleware.errors import StoreUnavailable, UpstreamError
from middleware.records.benchmark import ItemResult, Run, RunStatus
from middleware.store import Fence
from scorer.items import Item

__all__ = ["LeaseLost", "RunStore", "StoreThread"]

_SAVE_SECONDS = 30.0

T = TypeVar("T")


class LeaseLost(UpstreamError):
    """Another owner took the run over; nothing more may be written to it."""


class RunStore(Interface):
    """What a run needs of the store. Synchronous; one thread calls it at a time."""

    def begin_run(self, run: Run) -> None: ...
    def item_results(self, run_id: str) -> list[ItemResult]: ...
    def mark_attempted(
        self, run_id: str, item_id: str, repetition: int, at: float, *, fence: Fence | None = None
    ) -> bool: ...
    def save_item(self, result: ItemResult, *, fence: Fence | None = None) -> bool: ...
    def finish_run(
        self,
        run_id: str,
        status: RunStatus,
        score_points: float | None,
        parseable: int | None,
        finished_at: float,
        *,
        flags: Sequence[str] = (),
        fence: Fence | None = None,
    ) -> bool: ...


class StoreThread:
    """The store on a thread of its own. A write that was begun is finished, even if the run is cancelled meanwhile."""

    def __init__(self, store: RunStore, thread: ThreadPoolExecutor, fence: Fence | None) -> None:
        self._store = store
        self._thread = thread
        self._fence = fence

    async def begin(self, run: Run) -> list[ItemResult]:
        """Save the run if it is new; returns what it has so far."""
        await self._call(lambda: self._store.begin_run(run))
        return await self.results(run)

    async def results(self, run: Run) -> list[ItemResult]:
        """All outcomes of the run so far."""
        return await self._call(lambda: self._store.item_results(run.id))

    async def attempt(self, run: Run, item: Item, repetition: int, at: float) -> None:
        """Count a call before it is made; raises LeaseLost where the run is no longer ours."""
        held = await self._call(lambda: self._store.mark_attempted(run.id, item.id, repetition, at, fence=self._fence))
        if not held:
            raise _lost(run.id)

    async def save(self, result: ItemResult) -> None:
        """Save an outcome; raises LeaseLost where the run is no longer ours."""
        if await self._call(lambda: self._store.save_item(result, fence=self._fence)):
            return
        # Of a try that seemed to fail it may be there already.
        found = await self._call(lambda: self._store.item_results(result.run_id))
        if not any(_same_call(one, result) for one in found):
            raise _lost(result.run_id)

    async def finish(self, report: RunReport, at: float) -> None:
        """Close the run; raises LeaseLost. A run that is not valid gets no score: it would be read as one."""
        points = report.score.points if report.valid else None
        flags = tuple(flag.words for flag in report.flags)
        parseable = round(report.score.parseable)
        held = await self._call(
            lambda: self._store.finish_run(
                report.run.id, "finished", points, parseable, at, flags=flags, fence=self._fence
            )
        )
        if not held:
            raise _lost(report.run.id)

    async def stop(self, run: Run, at: float) -> None:
        """Mark a run that gave up or was broken off: it has no score, and a later sitting may go on with it."""
        await self._call(lambda: self._store.finish_run(run.id, "stopped", None, None, at, fence=self._fence))

    async def _call(self, work: Callable[[], T]) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailable),
            stop=stop_after_delay(_SAVE_SECONDS),
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            reraise=True,
        )

        async def submitted() -> T:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))

        return await retrying(submitted)


def _same_call(one: ItemResult, other: ItemResult) -> bool:
    return (one.item_id, one.repetition, one.at) == (other.item_id, other.repetition, other.at)


def _lost(run_id: str) -> LeaseLost:
    return LeaseLost("lease", f"run {run_id} was taken over by another owner")

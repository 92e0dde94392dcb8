"""Carries out a run: asks what is still open, concurrently, saves each outcome at once, and can go on after a kill.

The sampling parameters of a call are the protocol's, on every retry: a monitor never changes what it measures.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_random_exponential

from middleware.benchmark.limiter import Limiter
from middleware.benchmark.outcomes import RunReport, failed_result, is_answer, report_of, scored_result
from middleware.benchmark.protocol import messages_for, schema_for
from middleware.benchmark.run_store import LeaseLost, RunStore, StoreThread
from middleware.errors import CallRefused, StoreUnavailable, UpstreamError
from middleware.records.benchmark import ItemResult, Run
from middleware.store import Fence
from middleware.tracing import BATCH, ITEM, Attributes, evaluated
from middleware.upstream import Completion, UpstreamClient
from scorer.items import Item, ItemSet

__all__ = ["LeaseLost", "RetryPolicy", "RunSession", "RunStore", "UpstreamGaveUp", "first_error", "run_benchmark"]

_RETRYABLE = frozenset({"connect", "rate_limited", "server_error", "protocol"})
_OVERLOAD = frozenset({"connect", "rate_limited", "server_error", "timeout"})
# The key, the path or the model is wrong: every other call would fail alike.
_FATAL_STATUS = frozenset({401, 403, 404})
_LEAST_FAILURES_IN_A_ROW = 8
_FIRST_CONTACT_ATTEMPTS = 3
_POINTS_PER_UNIT = 10.0

Progress = Callable[[ItemResult], None]


class UpstreamGaveUp(UpstreamError):
    """The run stopped early because the upstream answers nothing; it can be resumed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """attempts: calls per item at most. first_wait, longest_wait: seconds of back-off at most, doubled each time; each
    wait is drawn from zero to that.

    patience: a server that asks to wait longer than this many seconds stops the run.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 30.0
    patience: float = 300.0


async def run_benchmark(
    run: Run,
    item_set: ItemSet,
    *,
    client: UpstreamClient,
    store: RunStore,
    limiter: Limiter,
    system_prompt: str = "",
    retry: RetryPolicy | None = None,
    progress: Progress = lambda _: None,
    fence: Fence | None = None,
    now: Callable[[], float] = time.time,
) -> RunReport:
    """Ask every item of the run that has no answer yet, then score all of it and close the run.

    now: Unix seconds. fence: of the slot in whose name the run writes. Raises UpstreamGaveUp where the upstream
    fails throughout and StoreUnavailable where results can't be saved; the run stays open then, for a later call.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="eqwatch-run") as thread:
        session = RunSession(
            run=run,
            item_set=item_set,
            client=client,
            store=StoreThread(store, thread, fence),
            limiter=limiter,
            system_prompt=system_prompt,
            retry=retry or RetryPolicy(),
            progress=progress,
            now=now,
        )
        about = {"eqwatch.run": run.id, "eqwatch.deployment": run.deployment, "eqwatch.purpose": run.purpose}
        with client.tracing.span(BATCH, {**about, "eqwatch.item_set": item_set.name}) as span:
            report = await session.carry_out()
            points = report.run.score_points
            evaluated(span, "eq_bench", "scored" if points is not None else "not_valid", points)
            return report


@dataclass(slots=True, kw_only=True)
class RunSession:
    """One sitting of a run. Owns what it learns of the upstream: whether it ever answered, failures in a row.

    refused: that no more calls are allowed, by budget or kill switch; those under way are finished and saved.
    """

    run: Run
    item_set: ItemSet
    client: UpstreamClient
    store: StoreThread
    limiter: Limiter
    system_prompt: str
    retry: RetryPolicy
    progress: Progress
    now: Callable[[], float]
    failures_in_a_row: int = 0
    answered: bool = False
    refused: CallRefused | None = None

    async def begin(self) -> set[tuple[str, int]]:
        """Save the run if it is new; returns item id and repetition of what is answered already."""
        earlier = [result for result in await self.store.begin(self.run) if is_answer(result)]
        return {(result.item_id, result.repetition) for result in earlier}

    async def ask(self, item: Item, repetition: int) -> ItemResult:
        """One call with its retries, saved. Raises UpstreamGaveUp where going on would be in vain, CallRefused where no
        more calls are allowed."""
        about: Attributes = {"eqwatch.item_set": self.item_set.name, "eqwatch.repetition": repetition}
        with self.client.tracing.span(ITEM, about) as span:
            result = await self._outcome(item, repetition)
            await self.store.save(result)
            self.progress(result)
            points = _POINTS_PER_UNIT * result.score if result.score is not None else None
            evaluated(span, "eq_bench.item", result.outcome, points, item=item.id)
        self._count_failure(result)
        return result

    async def carry_out(self) -> RunReport:
        """Ask all that is open, score the run and close it. What stops it leaves the run `stopped`, to be resumed."""
        try:
            return await self._carry_out()
        except (StoreUnavailable, LeaseLost):
            raise
        except BaseException:
            await asyncio.shield(self.store.stop(self.run, self.now()))
            raise

    async def _carry_out(self) -> RunReport:
        done = await self.begin()
        open_calls = (
            (self.item_set.by_id[item_id], repetition)
            for repetition in range(self.run.passes)
            for item_id in self.run.item_ids
            if (item_id, repetition) not in done
        )
        # Twice as many workers as calls: while one saves and prepares, another one's call is under way.
        workers = min(2 * self.limiter.rule.configured, len(self.run.item_ids) * self.run.passes - len(done))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(open_calls))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None
        if self.refused is not None:
            raise self.refused
        return await self.conclude()

    async def conclude(self) -> RunReport:
        """Score what the run has and close it, once all was asked."""
        report = report_of(self.run, self.item_set, await self.store.results(self.run))
        if report.answered:  # otherwise nothing was measured, and a later sitting asks again
            await self.store.finish(report, self.now())
            return replace(report, run=replace(self.run, status="finished"))
        await self.store.stop(self.run, self.now())
        return report

    async def _work(self, calls: Iterator[tuple[Item, int]]) -> None:
        for item, repetition in calls:
            if self.refused is not None:
                return
            try:
                await self.ask(item, repetition)
            except CallRefused as error:
                self.refused = error

    async def _outcome(self, item: Item, repetition: int) -> ItemResult:
        started = time.perf_counter()
        retrying = AsyncRetrying(
            retry=self._again,
            stop=stop_after_attempt(self.retry.attempts),
            wait=self._wait,
            reraise=True,
        )
        try:
            completion: Completion = await retrying(self._ask, item, repetition)
        except UpstreamError as error:
            if isinstance(error, LeaseLost | CallRefused) or error.status in _FATAL_STATUS:
                raise
            self._require_hope(error)
            spent = time.perf_counter() - started
            return failed_result(self.run, item, repetition, error, latency_seconds=spent, at=self.now())
        return scored_result(self.run, item, self.item_set, repetition, completion, at=self.now())

    async def _ask(self, item: Item, repetition: int) -> Completion:
        protocol = self.run.protocol
        # Before the turn: saving takes longer than the pause between two turns should.
        await self.store.attempt(self.run, item, repetition, self.now())
        async with self.limiter.turn() as ticket:
            try:
                completion = await self.client.complete(
                    messages_for(item, self.item_set, protocol, self.system_prompt),
                    model=self.run.model,
                    temperature=protocol.temperature,
                    max_tokens=protocol.max_tokens,
                    seed=protocol.seed,
                    schema=schema_for(item, protocol),
                )
            except UpstreamError as error:
                if error.reason in _OVERLOAD:
                    wait = error.retry_after_seconds if error.retry_after_seconds is not None else 0.0
                    self.limiter.overloaded(ticket, wait_seconds=wait)
                raise
            self.limiter.succeeded(ticket, completion.latency_seconds)
            self.answered = True
            return completion

    def _again(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        if not isinstance(error, UpstreamError) or isinstance(error, LeaseLost) or self._unreachable(error, state):
            return False
        return error.reason in _RETRYABLE and (error.retry_after_seconds or 0.0) <= self.retry.patience

    def _unreachable(self, error: UpstreamError, state: RetryCallState) -> bool:
        """An address at which nothing has ever answered is more likely wrong than overloaded."""
        return error.reason == "connect" and not self.answered and state.attempt_number >= _FIRST_CONTACT_ATTEMPTS

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        backoff = wait_random_exponential(multiplier=self.retry.first_wait, max=self.retry.longest_wait)(state)
        asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
        return backoff if asked is None else asked

    def _require_hope(self, error: UpstreamError) -> None:
        """Raise UpstreamGaveUp where asking the other items would be in vain."""
        wait = error.retry_after_seconds or 0.0
        if wait > self.retry.patience:
            raise UpstreamGaveUp(error.reason, f"{error}; it asks to wait {wait:.0f} s", status=error.status)
        if error.reason == "connect" and not self.answered:
            raise UpstreamGaveUp(error.reason, f"{error}; check the upstream URL") from None

    def _count_failure(self, result: ItemResult) -> None:
        self.failures_in_a_row = 0 if is_answer(result) else self.failures_in_a_row + 1
        limit = max(_LEAST_FAILURES_IN_A_ROW, self.limiter.rule.configured)
        if self.failures_in_a_row >= limit:
            raise UpstreamGaveUp(
                result.reason,
                f"{self.client.base_url} failed {self.failures_in_a_row} items in a row ({result.reason}): "
                f"run {self.run.id} stopped and can be resumed",
            )


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that made the others of a task group stop."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first

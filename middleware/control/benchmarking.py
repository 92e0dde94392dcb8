"""The scheduled benchmark as a worker: due slot, lease, budget, batch, detection, store, metrics.

It owns no statistics and no state of a watch: see watching.py. After a kill, or on another replica, the next batch goes
on exactly where the last one stopped.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.outcomes import RunReport
from middleware.benchmark.plan import Plan
from middleware.benchmark.runner import LeaseLost, run_benchmark
from middleware.benchmark.schedule import due_slot, next_slot, slot_offset
from middleware.benchmark.watch import Watch
from middleware.control.budget import Budget
from middleware.control.exporting import BenchmarkExport
from middleware.control.watching import Watches
from middleware.errors import CallRefused, UpstreamError
from middleware.records.benchmark import Run
from middleware.records.event import Event
from middleware.records.standing import Standing
from middleware.store import Fence, Store
from middleware.upstream import UpstreamClient

__all__ = ["Benchmarking", "Schedule"]

_log = structlog.get_logger(__name__)
_PAUSE_STATE = "benchmark"
_LEASE_SECONDS = 120.0
# Replicas spread over the interval by name; below a minute that would only delay.
_SPREAD_FROM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """interval_seconds between slots, suspected_seconds while sampling is stepped up; owner names us in leases."""

    interval_seconds: float
    suspected_seconds: float
    concurrency: int
    owner: str


class Benchmarking:
    """Runs due batches of the plans, one at a time. Owns whether it is paused.

    publish: called with each event after it was saved, with its id.
    """

    def __init__(
        self,
        watches: Watches,
        *,
        schedule: Schedule,
        client: UpstreamClient,
        store: Store,
        budget: Budget,
        export: BenchmarkExport,
        publish: Callable[[Event], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._watches = watches
        self._schedule = schedule
        self._client = client
        self._store = store
        self._budget = budget
        self._export = export
        self._publish = publish
        self._clock = clock
        self._limiter = Limiter(ConcurrencyRule(schedule.concurrency))
        self._paused = False
        self._pausing = asyncio.Lock()
        self._last_slots: dict[str, float] = {}
        self._wake = asyncio.Event()

    @property
    def limiter(self) -> Limiter:
        """Of its calls."""
        return self._limiter

    @property
    def paused(self) -> bool:
        """Whether an operator stopped the batches."""
        return self._paused

    @property
    def standings(self) -> list[Standing]:
        """Where each plan stands."""
        return self._watches.standings

    async def restore(self) -> None:
        """Load what the store knows, and export it: gauges survive a restart."""
        saved = await asyncio.to_thread(self._store.load_state, _PAUSE_STATE)
        self._paused = bool(saved and saved["paused"])
        for plan in self._watches.plans:
            await self._watches.load(plan)

    async def run(self) -> None:
        """Run due batches until cancelled."""
        while True:
            for plan in self._watches.plans:
                if not self._paused:
                    await self._tick(plan)
            await self._sleep()

    async def set_paused(self, paused: bool) -> None:
        """Stop after the present batch, or go on; survives restarts."""
        async with self._pausing:
            kind = "benchmark_paused" if paused else "benchmark_resumed"
            events = (Event(kind, "", self._clock()),) if paused != self._paused else ()
            ids = await asyncio.to_thread(self._store.save_state, _PAUSE_STATE, {"paused": paused}, events)
            self._paused = paused
            for event, identity in zip(events, ids, strict=True):
                self._publish(replace(event, id=identity))
        self._wake.set()

    async def declare(self, deployment: str, from_model: str, to_model: str, note: str) -> int:
        """Somebody changes the version on purpose; the id of the event."""
        identity = await self._watches.declare(deployment, from_model, to_model, note)
        self._wake.set()
        return identity

    async def acknowledge(self, incident: int, new_baseline: bool) -> bool:
        """Close an open incident; False where none has this id."""
        return await self._watches.acknowledge(incident, new_baseline=new_baseline)

    async def _sleep(self) -> None:
        now = self._clock()
        due = min(
            next_slot(now=now, interval_seconds=self._interval(plan), offset=self._offset(plan))
            for plan in self._watches.plans
        )
        self._wake.clear()
        try:
            async with asyncio.timeout(max(0.05, due - now)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _interval(self, plan: Plan) -> float:
        """Seconds between the plan's slots, as things stand."""
        watch = self._watches.of(plan)
        stepped_up = watch is not None and watch.stepped_up
        return self._schedule.suspected_seconds if stepped_up else self._schedule.interval_seconds

    def _offset(self, plan: Plan) -> float:
        interval = self._schedule.interval_seconds
        return slot_offset(plan.name, interval) if interval >= _SPREAD_FROM_SECONDS else 0.0

    async def _tick(self, plan: Plan) -> None:
        watch = await self._watches.load(plan)
        now = self._clock()
        interval = self._interval(plan)
        slot = due_slot(last=watch.state.last_slot, now=now, interval_seconds=interval, offset=self._offset(plan))
        if slot is None:
            self._notice_owner(plan, watch)
            return
        token = await asyncio.to_thread(
            self._store.claim_slot, plan.name, slot, self._schedule.owner, _LEASE_SECONDS, now
        )
        self._export.slot(plan, taken=token is not None)
        if token is None:
            return
        self._last_slots[plan.name] = slot
        await self._watches.tell(plan)  # at once: whoever had the schedule before has just removed it
        fence = Fence(plan.name, slot, token)
        if obstacle := await self._budget.obstacle(plan.batch):
            _log.warning("batch_skipped", reason=obstacle, item_set=plan.item_set.name)
            watch.failed(f"No batch: {obstacle}.", at=now)
            await self._skip(watch, slot, fence)
            return
        try:
            await self._batch(watch, slot, fence)
        except Exception:
            # This worker when it is restarted, or another replica, goes on with the slot at once.
            await asyncio.to_thread(self._store.release_slot, fence, self._clock(), done=False)
            raise

    def _notice_owner(self, plan: Plan, watch: Watch) -> None:
        """A slot that was run since we looked last, and not by us, was run by another replica: the schedule is its."""
        last = watch.state.last_slot
        if last is not None and self._last_slots.setdefault(plan.name, last) < last:
            self._last_slots[plan.name] = last
            self._export.slot(plan, taken=False)

    async def _batch(self, watch: Watch, slot: float, fence: Fence) -> None:
        run = self._run_of(watch)
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep_lease(fence), name="lease")
            report = await self._ask(watch, run, fence)
            keeper.cancel()
        if report is None or not report.answered:
            await self._skip(watch, slot, fence)
            return
        if not await self._watches.conclude(watch, run.id, report.results, slot, fence):
            _log.warning("batch_belongs_to_nothing", run=run.id, reason="version or owner changed while it was asked")
        await asyncio.to_thread(self._store.release_slot, fence, self._clock())

    async def _skip(self, watch: Watch, slot: float, fence: Fence) -> None:
        """The slot is over without a batch, and its lease with it."""
        watch.skip(slot)
        await self._watches.save(watch, fence)
        await asyncio.to_thread(self._store.release_slot, fence, self._clock())

    async def _ask(self, watch: Watch, run: Run, fence: Fence) -> RunReport | None:
        """The batch's report, or None where the upstream or the lease gave way: a later slot goes on with it."""
        try:
            return await run_benchmark(
                run,
                watch.plan.item_set,
                client=self._client.metered(self._budget.meter("benchmark", run.id)),
                store=self._store,
                limiter=self._limiter,
                system_prompt=watch.plan.system_prompt,
                progress=lambda result: self._export.item(watch.plan, result),
                fence=fence,
                now=self._clock,
            )
        except LeaseLost as error:
            _log.warning("batch_lost", error=str(error))
            return None
        except CallRefused as error:
            _log.warning("batch_stopped", reason=error.reason, why=str(error))
            watch.failed(f"The last batch was stopped: {error}.", at=self._clock())
            return None
        except UpstreamError as error:
            _log.warning("batch_failed", reason=error.reason, error=str(error))
            watch.failed(f"The last batch failed: {error}.", at=self._clock())
            await asyncio.to_thread(self._store.finish_run, run.id, "stopped", None, None, self._clock(), fence=fence)
            self._export.failed(watch.plan, error.reason)
            return None

    async def _keep_lease(self, fence: Fence) -> None:
        while True:
            await asyncio.sleep(_LEASE_SECONDS / 3)
            await asyncio.to_thread(self._store.renew_slot, fence, _LEASE_SECONDS, self._clock())

    def _run_of(self, watch: Watch) -> Run:
        plan = watch.plan
        return Run(
            id=watch.run_id(),
            deployment=plan.deployment,
            purpose="batch" if watch.state.baseline is not None else "commissioning",
            protocol=plan.protocol,
            model=plan.model,
            upstream=self._client.base_url,
            item_ids=watch.next_items(),
            passes=1,
            started_at=self._clock(),
        )

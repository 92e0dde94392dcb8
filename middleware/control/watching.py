"""The watches of all plans and their durable side: what the store knows is taken up, what happens is saved at once.

A state is saved together with its events and its baseline, in one transaction: after a kill nothing is told twice and
nothing is lost. What a batch means is benchmark/watch.py's business.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from middleware.benchmark.plan import Plan
from middleware.benchmark.watch import Taken, Watch
from middleware.control.exporting import BenchmarkExport
from middleware.records.benchmark import ItemResult
from middleware.records.event import Event
from middleware.records.standing import Standing
from middleware.store import Fence, Store
from scorer.baseline import Baseline

__all__ = ["Watches"]

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_VERSION_EVENTS = frozenset({"upgrade_noticed", "upgrade_withdrawn"})


class Watches:
    """Owns the watches. One change at a time: a declaration never meets a batch that is half taken in.

    publish: called with each event after it was saved, with its id.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        *,
        store: Store,
        export: BenchmarkExport,
        publish: Callable[[Event], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.plans = tuple(plans)
        self._store = store
        self._export = export
        self._publish = publish
        self._clock = clock
        self._watches: dict[str, Watch] = {}
        self._standings: dict[str, Standing] = {}
        self._references: dict[str, int] = {}
        self._changing = asyncio.Lock()

    @property
    def standings(self) -> list[Standing]:
        """Where each plan stands, as saved: a batch that is half taken in shows neither here nor in the metrics."""
        return list(self._standings.values())

    def of(self, plan: Plan) -> Watch | None:
        """The plan's watch, once it was loaded."""
        return self._watches.get(plan.name)

    async def load(self, plan: Plan) -> Watch:
        """The watch as the store knows it: another replica may have moved it on, somebody accepted a baseline."""
        async with self._changing:
            return await self._current(plan)

    async def tell(self, plan: Plan) -> None:
        """Say once more where the plan stands, as saved: not in the middle of a change."""
        async with self._changing:
            if (watch := self._watches.get(plan.name)) is not None:
                self._tell(watch)

    async def save(self, watch: Watch, fence: Fence | None = None) -> bool:
        """Keep what changed without a batch; False where another replica moved on: it did not happen then."""
        async with self._changing:
            return await self._commit(watch, Taken(), fence)

    async def conclude(
        self, watch: Watch, run_id: str, results: Sequence[ItemResult], slot: float, fence: Fence | None = None
    ) -> bool:
        """Take in a batch; False where the watch moved on while it was asked, here or in another replica, or where the
        slot is no longer ours: it belongs to nothing then."""
        async with self._changing:
            if self._watches.get(watch.plan.name) is not watch or watch.run_id() != run_id:
                return False
            taken = await self._or_forget(watch, lambda: watch.take(results, at=self._clock()))
            watch.skip(slot)
            if not await self._commit(watch, taken, fence):
                return False
            if any(event.kind in _VERSION_EVENTS for event in taken.events):
                await self._tell_others(watch)
            if taken.baseline is not None:
                await self._take_up_baselines(watch)
            return True

    async def declare(self, deployment: str, from_model: str, to_model: str, note: str) -> int:
        """A change of version on purpose; the id of its event."""
        async with self._changing:
            found = [watch for watch in self._watches.values() if watch.plan.deployment == deployment]
            before = from_model or (found[0].version if found else "")
            details: dict[str, Any] = {"from_model": before, "to_model": to_model, "note": note}
            event = Event("upgrade_declared", deployment, self._clock(), details)
            identity = await asyncio.to_thread(self._store.save_event, event)
            self._publish(replace(event, id=identity))
            for watch in found:
                await self._change(watch.plan, lambda newest: newest.declare(before, to_model, at=event.at))
            return identity

    async def acknowledge(self, incident: int, *, new_baseline: bool) -> bool:
        """Close an open incident; False where none has this id."""
        async with self._changing:
            now = self._clock()
            for watch in list(self._watches.values()):
                if await self._change(
                    watch.plan, lambda newest: newest.acknowledge(incident, new_baseline=new_baseline, at=now)
                ):
                    return True
            return False

    # -- the store's side

    async def _current(self, plan: Plan) -> Watch:
        """The watch as the store knows it, again where another replica moved it on while it was taken up."""
        while True:
            saved = await asyncio.to_thread(self._store.load_state, plan.name)
            watch = self._watches.get(plan.name)
            if watch is None or (saved is not None and saved.get("revision") != watch.state.revision):
                watch = await self._taken_up(plan, saved)
            await self._take_up_baselines(watch)
            if self._watches.get(plan.name) is watch:
                return watch

    async def _change(self, plan: Plan, change: Callable[[Watch], list[Event] | None]) -> bool:
        """Change the newest state, again where another replica was quicker; False where there is nothing to change."""
        while True:
            watch = await self._current(plan)
            events = change(watch)
            if events is None:
                return False
            if await self._commit(watch, Taken(tuple(events))):
                return True

    async def _taken_up(self, plan: Plan, saved: dict[str, Any] | None) -> Watch:
        """A watch from what was saved, or a new one. Calibration is CPU work: off the loop."""
        watch: Watch | None = None
        if saved is not None:
            try:
                watch = await asyncio.to_thread(Watch, plan, saved)
            except ValueError as error:
                await self._set_aside(plan, str(error))
        begun = watch is None
        if watch is None:
            watch = Watch(plan, epoch=int(self._clock()))
        self._watches[plan.name] = watch
        started = watch.start(self._clock())
        if started or begun:
            await self._commit(watch, Taken(tuple(started)))
        else:
            self._tell(watch)
        return watch

    async def _set_aside(self, plan: Plan, why: str) -> None:
        """A state of another version of eqwatch is kept for people to look at, and not used."""
        kept = f"{plan.name}|set-aside-{int(self._clock())}"
        _log.error("watch_state_set_aside", kept=kept, reason=why)
        details: dict[str, Any] = {"item_set": plan.item_set.name, "reason": why, "kept": kept}
        event = Event("state_set_aside", plan.deployment, self._clock(), details)
        identity = await asyncio.to_thread(self._store.set_state_aside, plan.name, kept, event)
        if identity is not None:  # otherwise another replica did it
            self._publish(replace(event, id=identity))

    async def _take_up_baselines(self, watch: Watch) -> None:
        """What was accepted since, here or by `eqwatch baseline accept`, is compared with from now on."""
        plan, state = watch.plan, watch.state
        in_force, reference = await asyncio.to_thread(self._store.baseline_ids, plan.deployment, plan.protocol.key)
        if reference is not None and (watch.reference is None or reference != self._references.get(plan.name)):
            record = await asyncio.to_thread(self._store.baseline, reference)
            if record is not None:
                watch.reference = Baseline.from_dict(record.value)
                self._references[plan.name] = record.id
                self._tell(watch)
        if in_force is None:
            await self._explain_other_protocol(watch)
        elif in_force not in {state.baseline_id, state.retired_id}:
            record = await asyncio.to_thread(self._store.baseline, in_force)
            if record is not None:
                events = await self._or_forget(watch, lambda: watch.adopt(record, at=self._clock()))
                await self._commit(watch, Taken(tuple(events)))

    async def _explain_other_protocol(self, watch: Watch) -> None:
        """Why the baseline that people know of is not in use: another protocol is never compared with."""
        plan = watch.plan
        if watch.state.index or watch.other_protocol:
            return
        records = await asyncio.to_thread(self._store.baselines, plan.deployment)
        others = [r for r in records if r.item_set == plan.item_set.name and r.accepted_at is not None]
        if others:
            watch.other_protocol = "; ".join(others[-1].protocol.differences(plan.protocol))
            _log.warning("protocol_differs", baseline=others[-1].id, fields=watch.other_protocol)
            self._tell(watch)

    async def _tell_others(self, seen: Watch) -> None:
        """One deployment has one model: what one item set noticed, the others compare from now on."""
        now = self._clock()
        for watch in list(self._watches.values()):
            if watch is not seen and watch.plan.deployment == seen.plan.deployment:
                await self._change(watch.plan, lambda newest: newest.notice(seen, at=now))

    async def _commit(self, watch: Watch, taken: Taken, fence: Fence | None = None) -> bool:
        """Save what came of it, all or nothing. False where the store has moved on: the watch is forgotten then."""
        after = watch.state.revision
        progress = await self._or_forget(
            watch,
            lambda: self._store.save_progress(
                watch.plan.name,
                lambda ids, baseline_id: watch.numbered(taken, ids, baseline_id),
                after=after,
                events=taken.events,
                baseline=taken.baseline,
                fence=fence,
            ),
        )
        if progress is None:
            self._watches.pop(watch.plan.name, None)
            _log.warning("watch_moved_on_elsewhere", item_set=watch.plan.item_set.name)
            return False
        for event, identity in zip(taken.events, progress.event_ids, strict=True):
            self._publish(replace(event, id=identity))
        self._tell(watch)
        return True

    def _tell(self, watch: Watch) -> None:
        """What the store knows of it now, to API, page and metrics in one step: they never contradict each other."""
        self._standings[watch.plan.name] = watch.standing
        self._export.standing(watch)

    async def _or_forget(self, watch: Watch, work: Callable[[], _T]) -> _T:
        """In a thread. Until it is saved the store's state is the true one: forget what is half done in memory."""
        try:
            return await asyncio.to_thread(work)
        except BaseException:
            self._watches.pop(watch.plan.name, None)
            raise

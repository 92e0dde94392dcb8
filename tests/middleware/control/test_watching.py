"""The durable side of the watches: restarts, replicas, baselines accepted elsewhere, states of other versions."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.watch import Watch
from middleware.control.exporting import BenchmarkExport
from middleware.control.watching import Watches
from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.records.benchmark import ItemResult
from middleware.records.event import Event
from middleware.store import Fence, Store
from scorer.items import ItemSet

LABELS = {"deployment": "default", "item_set": "small"}


@pytest.fixture
def plan(small_set: ItemSet) -> Plan:
    return Plan("default", small_set, make_protocol(small_set), "m", 10, 1, 5, 8766.0)


class Process:
    """One control process: its watches, what it told, what it exports."""

    def __init__(self, store: Store, plans: Sequence[Plan]) -> None:
        self.store, self.now = store, 1_000_000.0
        self.told: list[Event] = []
        self.registry = CollectorRegistry()
        export = BenchmarkExport(Metrics(self.registry, models=("m",)), interval_seconds=60.0)
        self.watches = Watches(plans, store=store, export=export, publish=self.told.append, clock=lambda: self.now)
        self.rng = np.random.default_rng(2)

    async def batches(self, plan: Plan, number: int, *, loss: float = 0.0, who: str = "fp") -> None:
        for _ in range(number):
            self.now += 60.0
            watch = await self.watches.load(plan)
            assert await self.watches.conclude(watch, watch.run_id(), self.results(watch, loss, who), self.now)

    def results(self, watch: Watch, loss: float, who: str) -> list[ItemResult]:
        answer = {"Joy": 7.0 - 2 * loss, "Anger": 0.0, "Fear": 1.0, "Pride": 8.0}
        return [
            ItemResult(
                watch.run_id(),
                item,
                0,
                "scored",
                score=9.0 - loss + float(self.rng.normal(0.0, 0.1)),
                answer=answer,
                answered_model="m",
                system_fingerprint=who,
                at=self.now,
            )
            for item in watch.next_items()
        ]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"eqwatch_{name}", LABELS | labels)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.told]


def test_a_restart_loses_nothing_and_tells_nothing_twice(store: Store, plan: Plan) -> None:
    """A new process stands where the old one stood, down to the exported numbers."""

    async def scenario() -> None:
        first = Process(store, [plan])
        await first.batches(plan, 10)
        await first.batches(plan, 6, loss=3.0)
        second = Process(store, [plan])
        watch = await second.watches.load(plan)
        before = await first.watches.load(plan)
        assert watch.standing == before.standing
        assert watch.standing.state == "regressed"
        assert second.kinds() == []
        model = {"deployment": "default", "model_version": "m", "temperature": "0.01"}
        targets = [sample for family in second.registry.collect() for sample in family.samples]
        assert any(s.name == "eqwatch_target_info" and model.items() <= s.labels.items() for s in targets)
        for name in ("bench_regression_active", "bench_regression_cusum_ratio", "bench_score_points"):
            assert second.sample(name) == first.sample(name) is not None
        assert [event.id for event in first.told] == [event.id for event in store.events()]
        told = {event.kind for event in store.events()}
        assert told == {"baseline_accepted", "incident_opened", "reference_margin_crossed"}
        assert watch.standing.incident in {event.id for event in store.events() if event.kind == "incident_opened"}
        second.now = first.now
        await second.batches(plan, 3, loss=3.0)
        assert "reference_margin_crossed" not in second.kinds()

    asyncio.run(scenario())


def held_back(save: Callable[..., Any]) -> tuple[Callable[..., Any], threading.Event, threading.Event]:
    """The same, but it says when it begins and goes on when it is told to."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        assert go_on.wait(20.0)
        return save(*args, **kwargs)

    return slow, begun, go_on


def test_a_verdict_is_told_once_it_is_saved_and_everywhere_at_once(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is slow, API and metrics both say what was before; then both say what is now."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 10)
        slow, begun, go_on = held_back(store.save_progress)

        def told() -> tuple[str, float | None]:
            [standing] = process.watches.standings
            return standing.state, process.sample("bench_regression_active")

        for _ in range(12):
            before = told()
            begun.clear()
            go_on.clear()
            with monkeypatch.context() as patched:
                patched.setattr(store, "save_progress", slow)
                batch = asyncio.create_task(process.batches(plan, 1, loss=3.0))
                assert await asyncio.to_thread(begun.wait, 20.0)
                assert told() == before
                go_on.set()
                await batch
            state, active = told()
            assert active == float(state == "regressed")
        assert told() == ("regressed", 1.0)

    asyncio.run(scenario())


def test_a_look_in_the_middle_of_a_change_tells_nothing_that_is_not_saved(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes a slot while an incident is being closed exports the incident until that is saved."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 10)
        await process.batches(plan, 6, loss=3.0)
        [standing] = process.watches.standings
        slow, begun, go_on = held_back(store.save_progress)

        monkeypatch.setattr(store, "save_progress", slow)
        closing = asyncio.create_task(process.watches.acknowledge(standing.incident, new_baseline=False))
        assert await asyncio.to_thread(begun.wait, 20.0)
        telling = asyncio.create_task(process.watches.tell(plan))
        await asyncio.wait({telling}, timeout=0.1)
        assert process.sample("bench_regression_active") == 1.0
        assert process.watches.standings == [standing]
        go_on.set()
        assert await closing
        await telling
        assert process.sample("bench_regression_active") == 0.0

    asyncio.run(scenario())


def test_what_could_not_be_saved_did_not_happen(store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails in the middle: the batch is taken in again from the state before, and told once."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 9)
        watch = await process.watches.load(plan)
        results, run = process.results(watch, 0.0, "fp"), watch.run_id()
        with monkeypatch.context() as broken:
            broken.setattr(store, "save_progress", _unavailable)
            with pytest.raises(StoreUnavailable):
                await process.watches.conclude(watch, run, results, 1.0)
        again = await process.watches.load(plan)
        assert again is not watch
        assert again.run_id() == run
        assert await process.watches.conclude(again, run, results, 1.0)
        assert process.kinds() == ["baseline_accepted"]
        assert len(store.baselines()) == 1

    asyncio.run(scenario())


def _unavailable(*_: Any, **__: Any) -> None:
    raise StoreUnavailable("the disk is full", reason="full")


def test_another_replica_goes_on_where_the_first_one_stopped(store: Store, plan: Plan) -> None:
    """Batches taken in turn give one baseline and one state."""

    async def scenario() -> None:
        replicas = [Process(store, [plan]), Process(store, [plan])]
        for number in range(10):
            await replicas[number % 2].batches(plan, 1)
        standings = [(await replica.watches.load(plan)).standing for replica in replicas]
        assert standings[0] == standings[1]
        assert standings[0].state == "fine"
        assert sum(replica.kinds().count("baseline_accepted") for replica in replicas) == 1

    asyncio.run(scenario())


def test_a_replica_that_stalled_in_mid_batch_overwrites_nothing(store_url: str, plan: Plan) -> None:
    """It wakes up after another one took over and went on: its batch counts for nothing, and it goes on from there."""

    async def scenario(store: Store) -> None:
        stalled, other = Process(store, [plan]), Process(store, [plan])
        await stalled.batches(plan, 10)
        watch = await stalled.watches.load(plan)
        run, late = watch.run_id(), stalled.results(watch, 5.0, "fp")
        fence = Fence(plan.name, 0.0, store.claim_slot(plan.name, 0.0, "stalled", 120.0, now=0.0) or 0)
        assert store.claim_slot(plan.name, 0.0, "other", 120.0, now=121.0) == 2
        assert not await stalled.watches.conclude(watch, run, late, 0.0, fence), "before the other one saved anything"
        watch = await stalled.watches.load(plan)
        late = stalled.results(watch, 5.0, "fp")
        other.now = stalled.now
        await other.batches(plan, 3)
        before, told = store.load_state(plan.name), store.events()
        assert not await stalled.watches.conclude(watch, run, late, 0.0), "nor afterwards, even without a fence"
        assert (store.load_state(plan.name), store.events()) == (before, told)
        mine, theirs = await stalled.watches.load(plan), await other.watches.load(plan)
        assert (mine.run_id(), mine.standing) == (theirs.run_id(), theirs.standing)

    with Store(store_url) as store:
        asyncio.run(scenario(store))


def test_a_change_that_meets_another_replica_s_batch_is_made_on_the_newest_state(store_url: str, plan: Plan) -> None:
    """A declaration and an acknowledgement through a replica that ran no batch for a while lose no batch."""

    async def scenario(store: Store) -> None:
        idle, busy = Process(store, [plan]), Process(store, [plan])
        await idle.watches.load(plan)
        await busy.batches(plan, 10)
        await busy.batches(plan, 6, loss=3.0)
        incident = (await busy.watches.load(plan)).standing.incident
        index = (await busy.watches.load(plan)).state.index
        assert await idle.watches.acknowledge(incident, new_baseline=False)
        await busy.batches(plan, 1, loss=3.0)
        await idle.watches.declare("default", "", "m-2", "planned")
        newest = await busy.watches.load(plan)
        assert newest.state.index > index
        assert newest.standing.baseline_id == 1
        assert newest.standing.upgrade is not None
        assert newest.standing.upgrade.to_model == "m-2"

    with Store(store_url) as store:
        asyncio.run(scenario(store))


def test_a_baseline_that_is_accepted_elsewhere_is_compared_with_from_the_next_batch_on(
    store: Store, plan: Plan
) -> None:
    """`eqwatch baseline accept` needs no restart; an incident that was open against the old one is over."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 10)
        await process.batches(plan, 6, loss=3.0)
        other = Process(store, [replace(plan, deployment="elsewhere")])
        await other.batches(other.watches.plans[0], 10, loss=3.0)
        lower = replace(store.baselines("elsewhere")[0], deployment="default", id=0, accepted_at=None)
        identity = store.add_baseline(lower)
        assert (await process.watches.load(plan)).standing.state == "regressed"
        store.accept_baseline(identity, process.now)
        standing = (await process.watches.load(plan)).standing
        assert (standing.state, standing.baseline_id) == ("fine", identity)
        assert standing.baseline_points == pytest.approx(60.0, abs=1.0)
        assert process.sample("bench_regression_active") == 0
        await process.batches(plan, 4, loss=3.0)
        assert (await process.watches.load(plan)).standing.state == "fine"
        reference = process.sample("bench_reference_delta_points")
        assert reference is not None
        assert reference == pytest.approx(-30.0, abs=1.5), "the first accepted one stays the reference of record"

    asyncio.run(scenario())


def test_a_state_of_another_version_is_set_aside_and_the_baseline_kept(store: Store, plan: Plan) -> None:
    """No crash loop: it is logged, kept under another name, and detection goes on with the accepted baseline."""

    async def scenario() -> None:
        first = Process(store, [plan])
        await first.batches(plan, 10)
        runs = (await first.watches.load(plan)).run_id()
        old = {**(store.load_state(plan.name) or {}), "schema": 1}
        store.save_state(plan.name, old)
        second = Process(store, [plan])
        second.now += 5000.0
        watch = await second.watches.load(plan)
        assert second.kinds()[0] == "state_set_aside"
        kept = second.told[0].details["kept"]
        assert store.load_state(str(kept)) == json.loads(json.dumps(old))
        assert (watch.standing.state, watch.standing.baseline_id) == ("fine", 1)
        assert watch.run_id().rsplit("-", 2)[1] != runs.rsplit("-", 2)[1], "no old run is taken up"
        assert (await second.watches.load(plan)) is watch

    asyncio.run(scenario())


@pytest.mark.parametrize("old", [{"schema": 1, "revision": 7}, {"schema": 2, "revision": 7}, {}])
def test_a_state_that_cannot_be_read_before_any_baseline_is_set_aside_once(
    store: Store, plan: Plan, old: dict[str, Any]
) -> None:
    """Of an older schema, damaged or empty: one event, one copy, and commissioning begins anew, over restarts."""

    async def scenario() -> None:
        store.save_state(plan.name, old)
        first = Process(store, [plan])
        for _ in range(3):
            watch = await first.watches.load(plan)
        assert first.kinds() == ["state_set_aside"]
        assert watch.standing.state == "not_measured"
        second = Process(store, [plan])
        await second.batches(plan, 10)
        assert second.kinds() == ["baseline_accepted"]
        assert [event.kind for event in store.events()] == ["state_set_aside", "baseline_accepted"]

    asyncio.run(scenario())


def test_the_branches_of_an_item_set_are_exported(store: Store, plan: Plan) -> None:
    """One gauge for each branch that the items name, from the newest answers; a restart restores them."""
    items = tuple(
        replace(item, branch=("management", "use", "")[number % 3]) for number, item in enumerate(plan.item_set.items)
    )
    branched = replace(plan, item_set=replace(plan.item_set, items=items))

    async def scenario() -> None:
        process = Process(store, [branched])
        await process.batches(branched, 3)
        standing = (await process.watches.load(branched)).standing
        assert set(standing.branch_points) == {"management", "use"}
        restarted = Process(store, [branched])
        await restarted.watches.load(branched)
        for branch, points in standing.branch_points.items():
            assert process.sample("bench_branch_score_points", branch=branch) == pytest.approx(points)
            assert restarted.sample("bench_branch_score_points", branch=branch) == pytest.approx(points)
            assert points == pytest.approx(90.0, abs=1.0)
        assert process.sample("bench_branch_score_points", branch="") is None

    asyncio.run(scenario())


def test_a_baseline_of_another_protocol_is_not_used_and_the_page_says_which_field(store: Store, plan: Plan) -> None:
    """Commissioning begins anew, and why is told until a baseline stands."""

    async def scenario() -> None:
        await Process(store, [plan]).batches(plan, 10)
        warm = replace(plan, protocol=replace(plan.protocol, temperature=0.7))
        process = Process(store, [warm])
        watch = await process.watches.load(warm)
        assert watch.standing.state == "not_measured"
        assert "temperature is 0.01 and 0.7" in watch.standing.detail
        await process.batches(warm, 2)
        assert "temperature" in (await process.watches.load(warm)).standing.detail

    asyncio.run(scenario())


def test_a_declaration_reaches_every_item_set_of_the_deployment(store: Store, plan: Plan) -> None:
    """And a batch that was under way when it came belongs to neither version."""

    async def scenario() -> None:
        second_plan = replace(plan, item_set=replace(plan.item_set, name="other", sha256="1" * 64))
        second_plan = replace(second_plan, protocol=make_protocol(second_plan.item_set))
        plans = [plan, second_plan]
        process = Process(store, plans)
        for each in plans:
            await process.batches(each, 11)
        watch = await process.watches.load(plan)
        under_way, run = process.results(watch, 0.0, "fp"), watch.run_id()
        identity = await process.watches.declare("default", "", "m-2", "planned")
        assert {s.upgrade.to_model for s in process.watches.standings if s.upgrade} == {"m-2"}
        assert all(s.upgrade is not None for s in process.watches.standings)
        declared = next(event for event in store.events() if event.id == identity)
        assert (declared.kind, declared.details["from_model"]) == ("upgrade_declared", "m")
        assert not await process.watches.conclude(watch, run, under_way, process.now)
        assert process.sample("upgrade_verdict", verdict="pass") == 0
        for each in plans:
            await process.batches(each, 2)
        assert process.sample("upgrade_verdict", verdict="pass") == 1
        assert process.kinds().count("upgrade_verdict") == 2

    asyncio.run(scenario())


def test_what_one_item_set_notices_the_others_hear_of(store: Store, plan: Plan) -> None:
    """A new fingerprint behind one name is one upgrade of the deployment, and no other deployment's."""

    async def scenario() -> None:
        second_plan = replace(plan, item_set=replace(plan.item_set, name="other", sha256="1" * 64))
        second_plan = replace(second_plan, protocol=make_protocol(second_plan.item_set))
        apart = replace(plan, deployment="tutor")
        process = Process(store, [plan, second_plan, apart])
        for each in process.watches.plans:
            await process.batches(each, 10)
        await process.batches(plan, 3, who="fp_new")
        upgrades = {(s.deployment, s.item_set): s.upgrade is not None for s in process.watches.standings}
        assert upgrades == {("default", "small"): True, ("default", "other"): True, ("tutor", "small"): False}

    asyncio.run(scenario())


def test_an_acknowledgement_with_a_new_baseline_does_not_take_up_the_old_one_again(store: Store, plan: Plan) -> None:
    """What was given up stays given up, over a restart."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 10)
        await process.batches(plan, 6, loss=3.0)
        incident = (await process.watches.load(plan)).standing.incident
        assert not await process.watches.acknowledge(incident + 99, new_baseline=True)
        assert await process.watches.acknowledge(incident, new_baseline=True)
        assert (await process.watches.load(plan)).standing.state == "commissioning"
        restarted = Process(store, [plan])
        restarted.now = process.now
        assert (await restarted.watches.load(plan)).standing.state == "commissioning"
        await restarted.batches(plan, 11, loss=3.0)
        standing = (await restarted.watches.load(plan)).standing
        assert (standing.state, standing.baseline_id) == ("fine", 2)
        assert [(r.id, r.reference) for r in store.baselines()] == [(1, True), (2, False)]

    asyncio.run(scenario())


def test_an_open_incident_is_exported_with_its_figures_and_a_closed_one_is_gone(store: Store, plan: Plan) -> None:
    """What the event says is what an alert can say: fall, interval, answers, beginning; over a restart too."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 10)
        assert process.sample("bench_regression_active") == 0
        assert process.sample("bench_incident_points", kind="regression") is None
        await process.batches(plan, 6, loss=3.0)
        opened = next(e for e in process.told if e.kind == "incident_opened" and e.details["kind"] == "regression")
        second = Process(store, [plan])
        await second.watches.load(plan)
        for one in (process, second):
            assert one.sample("bench_regression_active") == 1
            for name, detail in (("", "points"), ("_lower", "lower"), ("_upper", "upper")):
                assert one.sample(f"bench_incident_points{name}", kind="regression") == opened.details[detail]
            assert one.sample("bench_incident_items", kind="regression") == opened.details["items"]
            assert one.sample("bench_incident_opened_timestamp_seconds", kind="regression") == opened.at
            assert one.sample("bench_reference_below_active") == 1
            assert one.sample("bench_reference_delta_points_upper") < 0
        watch = await second.watches.load(plan)
        assert await second.watches.acknowledge(watch.state.incident_ids["regression"], new_baseline=True)
        for name in ("bench_regression_active", "bench_reference_below_active", "bench_regression_cusum_ratio"):
            assert second.sample(name) is None, "there is no baseline to be worse than"
        assert second.sample("bench_incident_points", kind="regression") is None

    asyncio.run(scenario())


def test_when_a_change_was_declared_is_exported_over_a_restart(store: Store, plan: Plan) -> None:
    """EQSilentModelChange has to know for days."""

    async def scenario() -> None:
        process = Process(store, [plan])
        await process.batches(plan, 10)
        assert process.sample("upgrade_declared_timestamp_seconds") is None
        await process.watches.declare("default", "m", "m-2", "")
        second = Process(store, [plan])
        await second.watches.load(plan)
        assert second.sample("upgrade_declared_timestamp_seconds") == process.now
        assert second.sample("upgrade_passes") == 0
        assert second.sample("upgrade_delta_points") is None
        second.now = process.now
        await second.batches(plan, 4, loss=3.0)
        assert second.sample("upgrade_verdict", verdict="regressed") == 1
        assert second.sample("upgrade_delta_points_upper") < -1
        assert second.sample("upgrade_decided_timestamp_seconds") <= second.now

    asyncio.run(scenario())

"""The schedule: when batches come, when they come more often, and what a stopped upstream leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from middleware.benchmark.fake_upstream import FakeUpstream
from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.control.benchmarking import Benchmarking, Schedule
from middleware.control.budget import Budget
from middleware.control.exporting import BenchmarkExport
from middleware.control.prices import Caps
from middleware.control.switch import CallSwitch
from middleware.control.watching import Watches
from middleware.metrics import Metrics
from middleware.records.event import Event
from middleware.store import Store
from middleware.upstream import UpstreamClient
from scorer.items import ItemSet

HOUR = 3600.0
Serve = Callable[[FakeUpstream], str]


@pytest.fixture
def plan(small_set: ItemSet) -> Plan:
    return Plan("default", small_set, make_protocol(small_set), "m", 10, 1, 5, 4 * 8766.0)


@asynccontextmanager
async def benchmarking_of(
    url: str,
    store: Store,
    plan: Plan,
    clock: Any,
    *,
    tokens_per_day: int | None = None,
    publish: Callable[[Event], None] = lambda _event: None,
) -> AsyncIterator[Benchmarking]:
    """One as the composition root makes it, on a loopback upstream."""
    metrics = Metrics(CollectorRegistry(), models=("m",))
    export = BenchmarkExport(metrics, interval_seconds=HOUR)
    async with UpstreamClient(base_url=url, api_key="k") as client:
        made = Benchmarking(
            Watches([plan], store=store, export=export, publish=lambda _event: None, clock=clock),
            schedule=Schedule(HOUR, HOUR / 4, 8, owner="test"),
            client=client,
            store=store,
            budget=Budget(store, switch=CallSwitch(store), clock=clock, day=Caps(tokens=tokens_per_day)),
            export=export,
            publish=publish,
            clock=clock,
        )
        await made.restore()
        yield made


async def quarters(made: Benchmarking, plan: Plan, clock: Any, number: int) -> None:
    """So many quarters of an hour, with a look at the schedule in each."""
    for _ in range(number):
        clock.now += HOUR / 4
        await made._tick(plan)


def test_batches_come_by_the_interval_and_more_often_while_an_upgrade_is_judged(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any
) -> None:
    """Four an hour instead of one until the verdict, then one again; what was declared is in the store at once."""

    async def scenario() -> None:
        async with benchmarking_of(serve_fake(fake), store, plan, clock) as made:
            await quarters(made, plan, clock, 40)
            usual = len(store.runs(limit=1000))
            assert usual in {10, 11}, "the slot that was due at the start counts"
            assert made.standings[0].state == "fine"
            await made.declare("default", "m", "m-2", "")
            assert made.standings[0].stepped_up
            await quarters(made, plan, clock, 2)
            assert len(store.runs(limit=1000)) == usual + 2
            upgrade = made.standings[0].upgrade
            assert upgrade is not None
            assert upgrade.verdict == "pass"
            await quarters(made, plan, clock, 40)
            assert len(store.runs(limit=1000)) - usual - 2 in {9, 10, 11}
            assert {run.status for run in store.runs(limit=1000)} == {"finished"}

    asyncio.run(scenario())


def test_a_model_that_the_upstream_does_not_have_is_said_and_asked_again_later(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any
) -> None:
    """Nothing is measured and no run is left open; once the model is there, the same batch is asked."""

    async def scenario() -> None:
        missing = replace(plan, model="not-there")
        async with benchmarking_of(serve_fake(fake), store, missing, clock) as made:
            await quarters(made, missing, clock, 8)
            standing = made.standings[0]
            assert (standing.state, "404" in standing.detail) == ("not_measured", True)
            assert {run.status for run in store.runs()} == {"stopped"}

    asyncio.run(scenario())


def test_a_budget_that_is_spent_skips_the_batch_and_a_pause_stops_all(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any
) -> None:
    """Skipped slots are not made up for, and commissioning keeps what it has."""

    async def scenario() -> None:
        async with benchmarking_of(serve_fake(fake), store, plan, clock, tokens_per_day=1) as made:
            await quarters(made, plan, clock, 12)
            assert store.runs(limit=10) == []
            assert made.standings[0].state == "not_measured"
            await made.set_paused(True)
        async with benchmarking_of(serve_fake(fake), store, plan, clock) as again:
            assert again.paused, "a pause survives a restart"
            await again.set_paused(False)
            await quarters(again, plan, clock, 4)
            assert len(store.runs(limit=10)) == 1
            assert [event.kind for event in store.events()] == ["benchmark_paused", "benchmark_resumed"]

    asyncio.run(scenario())


def test_a_pause_is_saved_with_its_event_and_told_once(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at the same instant are one; until it is saved nothing says that it happened."""
    save, told, during = store.save_state, list[Event](), list[tuple[bool, int]]()

    async def scenario() -> None:
        async with benchmarking_of(serve_fake(fake), store, plan, clock, publish=told.append) as made:

            def watched(*given: Any) -> Any:
                ids = save(*given)
                during.append((made.paused, len(told)))
                return ids

            monkeypatch.setattr(store, "save_state", watched)
            await asyncio.gather(made.set_paused(True), made.set_paused(True))
            assert made.paused

    asyncio.run(scenario())
    assert during == [(False, 0), (True, 1)]
    assert [event.kind for event in told] == ["benchmark_paused"]
    assert told == store.events()


@pytest.mark.parametrize(("model", "tokens_per_day"), [("not-there", None), ("m", 1)])
def test_a_slot_without_a_batch_gives_its_lease_back(
    serve_fake: Serve,
    fake: FakeUpstream,
    store: Store,
    plan: Plan,
    clock: Any,
    model: str,
    tokens_per_day: int | None,
) -> None:
    """Whether the upstream failed or the budget was spent: the slot is over at once, and nobody makes up for it."""

    async def scenario() -> None:
        subject = replace(plan, model=model)
        async with benchmarking_of(serve_fake(fake), store, subject, clock, tokens_per_day=tokens_per_day) as made:
            await quarters(made, subject, clock, 1)
            watch = made._watches.of(subject)
            assert watch is not None
            slot = watch.state.last_slot
            assert slot is not None
            long_after_any_lease = clock.now + 10 * HOUR
            assert store.claim_slot(plan.name, slot, "b", 60.0, now=long_after_any_lease) is None

    asyncio.run(scenario())


def test_a_batch_that_breaks_leaves_its_slot_to_the_next_owner(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of our own ends the lease too: a restarted worker or another replica need not wait until it expires."""

    async def scenario() -> None:
        async with benchmarking_of(serve_fake(fake), store, plan, clock) as made:

            async def broken(*_: Any) -> None:
                raise ZeroDivisionError

            with monkeypatch.context() as patch:
                patch.setattr(made, "_batch", broken)
                with pytest.raises(ZeroDivisionError):
                    await made._tick(plan)
            await made._tick(plan)
            assert [run.status for run in store.runs()] == ["finished"]

    asyncio.run(scenario())


def test_who_has_the_slot_is_exported(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any
) -> None:
    """1 for the replica that took the newest slot, 0 for one that came too late; nothing before any was due."""

    async def scenario() -> None:
        async with benchmarking_of(serve_fake(fake), store, plan, clock) as made:
            leader = made._export._metrics.leader

            def said() -> list[float]:
                return [sample.value for family in leader.collect() for sample in family.samples]

            assert said() == []
            await quarters(made, plan, clock, 4)
            assert said() == [1.0]
            clock.now += HOUR
            slot = clock.now - clock.now % HOUR
            for late in (slot - HOUR, slot, slot + HOUR):
                store.claim_slot(plan.name, late + made._offset(plan), "another", 60.0, clock.now)
            await made._tick(plan)
            assert said() == [0.0]

    asyncio.run(scenario())


def test_only_the_replica_that_has_the_schedule_exports_its_gauges(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any
) -> None:
    """Whoever loses a slot removes what gauges say of it, whoever takes one says it at once; what was counted stays."""
    gauges = ("bench_score_points", "bench_regression_active", "bench_last_success_timestamp_seconds", "target_info")

    async def scenario() -> None:
        url = serve_fake(fake)
        async with (
            benchmarking_of(url, store, plan, clock) as one,
            benchmarking_of(url, store, plan, clock) as two,
        ):

            def said(made: Benchmarking) -> list[bool]:
                metrics = made._export._metrics
                return [any(family.samples for family in getattr(metrics, name).collect()) for name in gauges]

            await quarters(one, plan, clock, 40)
            assert said(one) == [True] * 4
            await quarters(two, plan, clock, 4)
            assert said(two) == [True] * 4, "it ran the newest slot"
            await one._tick(plan)
            assert said(one) == [False] * 4, "another replica ran a slot since"
            assert one._export._metrics.bench_items_total.collect()[0].samples, "what it asked, it asked"
            await one.declare("default", "m", "m-2", "")
            assert said(one) == [False] * 4, "a change through it is not a schedule of its own"
            await quarters(one, plan, clock, 4)
            assert said(one) == [True] * 4
            await two._tick(plan)
            assert said(two) == [False] * 4

    asyncio.run(scenario())


def test_a_restarted_process_says_at_once_which_model_it_measures(
    serve_fake: Serve, fake: FakeUpstream, store: Store, plan: Plan, clock: Any
) -> None:
    """The model's name, and when it changed, are back with the scores, not an interval later."""

    async def scenario() -> None:
        url = serve_fake(fake)
        async with benchmarking_of(url, store, plan, clock) as made:
            await quarters(made, plan, clock, 40)
            declared = clock.now
            await made.declare("default", "m", "m-2", "")
            await quarters(made, plan, clock, 2)
        async with benchmarking_of(url, store, plan, clock) as again:
            metrics = again._export._metrics
            (info,), (changed,) = metrics.target_info.collect(), metrics.target_changed_timestamp_seconds.collect()
            assert [sample.labels["model_version"] for sample in info.samples] == ["m"]
            assert [sample.value for sample in changed.samples] == [declared]

    asyncio.run(scenario())

"""Caps that are set aside before each call: never overspent, whoever calls at once, over restarts and processes."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from middleware.benchmark.fake_upstream import FakeUpstream, FaultPlan, parse_fault
from middleware.control.budget import Budget
from middleware.control.prices import Caps, Prices, caps_of, deployment_caps, prices_of
from middleware.control.switch import CallSwitch
from middleware.errors import CallRefused, StoreUnavailable, UpstreamError
from middleware.metrics import Metrics
from middleware.settings import Settings
from middleware.store import Store
from middleware.store.ledger import Amount
from middleware.upstream import Estimate, UpstreamClient, Usage

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
DAY = "day:2026-03-01"
QUESTION = [{"role": "user", "content": "How does Ben feel about the bridge that holds? " * 20}]
Serve = Callable[[FakeUpstream], str]


def budget_of(store: Store, clock: Any, **options: Any) -> Budget:
    return Budget(store, switch=options.pop("switch", CallSwitch(store)), clock=clock, **options)


def ask_at_once(url: str, budget: Budget, calls: int, *, run_id: str = "") -> list[str]:
    """That many calls at the same instant; how each ended."""

    async def one(client: UpstreamClient) -> str:
        try:
            await client.complete(QUESTION, model="m", temperature=0.0, max_tokens=60)
        except UpstreamError as error:
            return error.reason
        return "answered"

    async def scenario() -> list[str]:
        async with UpstreamClient(base_url=url, api_key="k") as plain:
            client = plain.metered(budget.meter("run", run_id))
            ended = await asyncio.gather(*(one(client) for _ in range(calls)))
            await budget.flush()
            return list(ended)

    return asyncio.run(scenario())


def paid(url: str) -> int:
    """Requests that reached the upstream."""
    return int(httpx2.get(url.removesuffix("/v1") + "/-/stats").json()["requests"])


@pytest.mark.parametrize("window", ["day", "run"])
def test_64_calls_at_once_never_overspend(
    serve_fake: Serve, fake: FakeUpstream, store: Store, clock: Any, window: str
) -> None:
    """Against a budget for a few calls just these are made; every token that was used is counted, none is lost."""
    fake.latency = 0.05
    budget = budget_of(store, clock, **{window: Caps(tokens=2_000)})
    url = serve_fake(fake)
    ended = ask_at_once(url, budget, 64, run_id="r1")
    answered = ended.count("answered")
    spent = store.budget_taken(DAY if window == "day" else "run:r1").tokens
    assert set(ended) == {"answered", "budget"}
    assert answered == paid(url)
    assert 1_000 < spent <= 2_000
    # What the calls took less than was set aside was used for more calls: no further one would have fitted.
    assert spent == store.tokens_used(None, NOW - 60)
    assert 2_000 - spent < spent / answered + 200


def test_an_empty_budget_makes_no_call(serve_fake: Serve, fake: FakeUpstream, store: Store, clock: Any) -> None:
    """A cap of 0 lets nothing out, and says which setting it was."""
    url = serve_fake(fake)
    assert ask_at_once(url, budget_of(store, clock, day=Caps(tokens=0)), 8) == ["budget"] * 8
    assert paid(url) == 0

    async def scenario() -> None:
        await budget_of(store, clock, day=Caps(tokens=0)).meter("run").reserve(Estimate(10, 10))

    with pytest.raises(CallRefused, match=r"0 of 0 tokens.*budget\.tokens_per_day"):
        asyncio.run(scenario())


def test_a_deployments_budget_holds_its_probes_only(store: Store, clock: Any) -> None:
    """Within that of the day: what one deployment may not take is there for others, over a restart, until tomorrow;
    who is refused never waits for calls of somebody else."""
    caps = {"tutor": Caps(tokens=1_000)}

    async def scenario() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=50_000), deployments=caps)
        tutor, robot = (budget.meter("probe", deployment=name) for name in ("tutor", "robot"))
        under_way = await robot.reserve(Estimate(3_000, 60))
        (await tutor.reserve(Estimate(500, 60))).settle(Usage(500, 40))
        with pytest.raises(CallRefused, match=r"'tutor'.*of 1000 tokens.*may take 560.*deployments\.tokens_per_day"):
            await tutor.reserve(Estimate(500, 60))
        under_way.settle(Usage(3_000, 60))
        assert (await budget.allows(2, "tutor"), await budget.allows(2, "robot")) == (False, True)
        await budget.flush()
        assert (await budget.left_today("tutor"), await budget.left_today()) == (460, 46_400)

    asyncio.run(scenario())
    assert (store.budget_taken(DAY).tokens, store.budget_taken(f"{DAY}:tutor").tokens) == (3_600, 540)

    async def restarted() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=50_000), deployments=caps)
        with pytest.raises(CallRefused, match="tutor"):
            await budget.meter("judge", deployment="tutor").reserve(Estimate(500, 60))
        clock.now += 86_400
        assert await budget.allows(1, "tutor")
        await budget.meter("judge", deployment="tutor").reserve(Estimate(500, 60))

    asyncio.run(restarted())


def test_money_is_held_like_tokens(serve_fake: Serve, fake: FakeUpstream, store: Store, clock: Any) -> None:
    """At 10 and 30 a million tokens, a cent buys so many calls and not one more."""
    metrics = Metrics(CollectorRegistry())
    prices = Prices(10.0, 30.0, "EUR")
    budget = budget_of(store, clock, day=Caps(micros=10_000), prices=prices, metrics=metrics)
    ended = ask_at_once(serve_fake(fake), budget, 64)
    taken = store.budget_taken(DAY)
    assert set(ended) == {"answered", "budget"}
    assert 5_000 < taken.micros <= 10_000
    spent = metrics.spend_total.labels(currency="EUR")._value.get()
    assert spent == pytest.approx(taken.micros / 1e6)
    assert metrics.tokens_total.labels(purpose="run", type="prompt")._value.get() > 0


ASK = """
import asyncio, sys
from middleware.control.budget import Budget
from middleware.control.prices import Caps
from middleware.control.switch import CallSwitch
from middleware.errors import UpstreamError
from middleware.store import Store
from middleware.upstream import UpstreamClient

async def one(client):
    try:
        answer = await client.complete(
            [{"role": "user", "content": "How does Ben feel? " * 40}], model="m", temperature=0.0, max_tokens=60)
        return answer.prompt_tokens + answer.completion_tokens
    except UpstreamError as error:
        assert error.reason == "budget", error
        return 0

async def main(url, path, cap):
    store = Store(f"sqlite:///{path}")
    store.open()
    budget = Budget(store, switch=CallSwitch(store), day=Caps(tokens=cap), clock=lambda: float(sys.argv[4]))
    async with UpstreamClient(base_url=url, api_key=None) as plain:
        client = plain.metered(budget.meter("run"))
        used = await asyncio.gather(*(one(client) for _ in range(32)))
    await budget.flush()
    store.close()
    print(sum(used))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def test_two_processes_share_one_budget(serve_fake: Serve, fake: FakeUpstream, tmp_path: Path) -> None:
    """They spend what one would, together: each counts in the same store, at the same time."""
    fake.latency = 0.05
    url, path = serve_fake(fake), tmp_path / "shared.db"
    command = [sys.executable, "-P", "-c", ASK, url, str(path), "6000", str(NOW)]
    schema = Store(f"sqlite:///{path}")
    schema.open()
    schema.close()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    used = [int(process.communicate(timeout=150)[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert 4_000 < sum(used) <= 6_000
    store = Store(f"sqlite:///{path}")
    store.open()
    assert store.budget_taken(DAY).tokens == sum(used)
    store.close()


def test_what_failed_costs_nothing_and_what_is_unclear_costs_all(
    serve_fake: Serve, fake: FakeUpstream, store: Store, clock: Any
) -> None:
    """A refused connection and a 500 are free; an answer that broke off may have been paid, so it counts in full."""
    fake.faults = FaultPlan((parse_fault("500:first=2"), parse_fault("truncated:every=3")), seed=0)
    url = serve_fake(fake)
    budget = budget_of(store, clock)
    assert ask_at_once(url, budget, 1) == ["server_error"]
    assert ask_at_once("http://127.0.0.1:9/v1", budget, 1) == ["connect"]
    assert store.budget_taken(DAY) == Amount()
    assert ask_at_once(url, budget, 1) == ["server_error"]
    assert ask_at_once(url, budget, 1) == ["protocol"]
    assert store.budget_taken(DAY).tokens > 300


def test_a_kill_counts_what_was_set_aside(store: Store, clock: Any) -> None:
    """Nothing is known of a call that was under way: its tokens stay spent, in the store, for the next process."""

    async def killed() -> None:
        await budget_of(store, clock, day=Caps(tokens=1_000)).meter("run").reserve(Estimate(300, 60))

    asyncio.run(killed())
    assert 360 <= store.budget_taken(DAY).tokens <= 1_000

    async def next_process() -> None:
        await budget_of(store, clock, day=Caps(tokens=1_000)).meter("run").reserve(Estimate(900, 60))

    with pytest.raises(CallRefused, match="used up"):
        asyncio.run(next_process())


def test_the_next_day_begins_anew(store: Store, clock: Any) -> None:
    """Windows are UTC days; a call that began before midnight counts for the day on which it was allowed."""

    async def scenario() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=1_000))
        meter = budget.meter("run")
        late = await meter.reserve(Estimate(600, 60))
        clock.now += 86_400
        early = await meter.reserve(Estimate(600, 60))
        late.settle(Usage(500, 10))
        late.settle(Usage(500, 10))  # once is enough
        early.settle(Usage(400, 20))
        await budget.flush()
        assert await budget.left_today() == 580

    asyncio.run(scenario())
    assert store.budget_taken(DAY).tokens == 510
    assert store.budget_taken("day:2026-03-02").tokens == 420


def test_more_than_was_guessed_is_counted_and_learnt(store: Store, clock: Any) -> None:
    """A text that takes three times the guess is counted in full, and the next one is guessed three times as high."""

    async def scenario() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=1_500))
        first = await budget.meter("run").reserve(Estimate(300, 0))
        first.settle(Usage(900, 0))
        with pytest.raises(CallRefused, match="may take 900"):
            await budget.meter("run").reserve(Estimate(300, 0))
        await budget.flush()

    asyncio.run(scenario())
    assert store.budget_taken(DAY).tokens == 900


def test_without_the_store_nothing_is_asked(store: Store, clock: Any) -> None:
    """What was spent is unknown then; usage that could not be written is written later."""

    class Away(Store):
        away = False

        def take_budget(self, *arguments: Any) -> Any:
            self._check()
            return super().take_budget(*arguments)

        def settle_budget(self, *arguments: Any) -> None:
            self._check()
            super().settle_budget(*arguments)

        def _check(self) -> None:
            if self.away:
                raise StoreUnavailable("away", reason="locked")

    store.__class__ = Away

    async def scenario() -> None:
        metrics = Metrics(CollectorRegistry())
        budget = budget_of(store, clock, metrics=metrics)
        held = await budget.meter("probe").reserve(Estimate(100, 10))
        store.away = True  # type: ignore[attr-defined]
        held.settle(Usage(90, 5))
        with pytest.raises(CallRefused, match="unknown while the store is unavailable"):
            await budget.meter("probe").reserve(Estimate(100_000, 10))
        with pytest.raises(StoreUnavailable):
            await budget.flush()
        assert metrics.store_errors_total.labels(reason="locked")._value.get() == 1
        store.away = False  # type: ignore[attr-defined]
        await budget.flush()

    asyncio.run(scenario())
    assert store.budget_taken(DAY).tokens == store.tokens_used("probe", NOW - 60) == 95


def test_the_kill_switch_stops_the_next_call(serve_fake: Serve, fake: FakeUpstream, store: Store, clock: Any) -> None:
    """By the API for every process that shares the store, over restarts; by the setting for good."""
    url = serve_fake(fake)
    switch = CallSwitch(store)
    assert asyncio.run(switch.set_paused(True, at=NOW)) is not None
    assert ask_at_once(url, budget_of(store, clock, switch=switch), 3) == ["paused"] * 3
    restarted = CallSwitch(store)
    restarted.load()
    assert restarted.paused
    assert asyncio.run(restarted.set_paused(False, at=NOW)) is not None
    assert ask_at_once(url, budget_of(store, clock, switch=restarted), 1) == ["answered"]
    assert ask_at_once(url, budget_of(store, clock, switch=CallSwitch(store, enabled=False)), 1) == ["paused"]
    assert paid(url) == 1


def test_what_was_read_before_a_pause_never_undoes_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is read every few seconds: an answer of the store that is older than the pause comes before it."""
    load_state, reading, go_on = store.load_state, threading.Event(), threading.Event()

    def slowly(name: str) -> dict[str, Any] | None:
        saved = load_state(name)
        reading.set()
        assert go_on.wait(30)
        return saved

    monkeypatch.setattr(store, "load_state", slowly)
    switch = CallSwitch(store)

    async def scenario() -> None:
        read = asyncio.ensure_future(asyncio.to_thread(switch.load))
        assert await asyncio.to_thread(reading.wait, 30)
        pause = asyncio.ensure_future(switch.set_paused(True, at=NOW))
        await asyncio.wait({pause}, timeout=0.2)  # it may be through before the reading is, or wait for it
        go_on.set()
        assert await pause
        await read
        assert switch.paused

    asyncio.run(scenario())


def test_a_pause_is_saved_with_its_event_and_told_by_all_at_once(
    store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch and its metric say what was until both are in the store; a pause of what is paused is no event."""
    metrics, switch, save = Metrics(CollectorRegistry()), CallSwitch(store), store.save_state
    during: list[tuple[bool, float]] = []
    budget_of(store, clock, switch=switch, metrics=metrics)

    def said() -> tuple[bool, float]:
        (family,) = metrics.calls_paused.collect()
        return switch.paused, next(sample.value for sample in family.samples if sample.labels["reason"] == "operator")

    def watched(*given: Any) -> Any:
        ids = save(*given)
        during.append(said())
        return ids

    monkeypatch.setattr(store, "save_state", watched)
    told = [asyncio.run(switch.set_paused(paused, at=NOW)) for paused in (True, True, False)]
    assert during == [(False, 0.0), (True, 1.0), (True, 1.0)]
    assert said() == (False, 0.0)
    assert [event for event in told if event is not None] == store.events()
    assert [event.kind for event in store.events()] == ["calls_paused", "calls_resumed"]


def test_what_is_left_is_told_exactly_while_a_call_is_set_aside(
    store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly the store answers: what it has given out for several calls is not spent."""
    take, given, go_on = store.take_budget, threading.Event(), threading.Event()

    def slowly(takes: Any) -> Any:
        granted = take(takes)
        given.set()
        assert go_on.wait(30)
        return granted

    monkeypatch.setattr(store, "take_budget", slowly)

    async def scenario() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=1_000))
        calling = asyncio.ensure_future(budget.meter("run").reserve(Estimate(60, 40)))
        assert await asyncio.to_thread(given.wait, 30)
        left = asyncio.ensure_future(budget.left_today())
        await asyncio.wait({left}, timeout=0.2)  # it may wait for the call, and is right in any case
        go_on.set()
        await calling
        assert await left == 900

    asyncio.run(scenario())


def test_a_call_after_a_quiet_while_sees_what_others_stopped(store: Store, clock: Any) -> None:
    """An idle process reads the switch rarely; its next call reads it first, once for all calls that begin then."""
    loads, now = [], 1000.0

    class Counted(CallSwitch):
        def load(self) -> None:
            loads.append(now)
            super().load()

    async def scenario() -> None:
        nonlocal now
        meter = budget_of(store, clock, switch=Counted(store, clock=lambda: now)).meter("run")
        for _ in range(2):
            (await meter.reserve(Estimate(10, 10))).settle(Usage(10, 10))
        await CallSwitch(store).set_paused(True, at=NOW)
        (await meter.reserve(Estimate(10, 10))).settle(Usage(10, 10))  # within seconds
        now = 4600.0
        ended = await asyncio.gather(*(meter.reserve(Estimate(10, 10)) for _ in range(8)), return_exceptions=True)
        assert [type(end) for end in ended] == [CallRefused] * 8
        assert loads == [1000.0, 4600.0]

    asyncio.run(scenario())


def test_a_call_that_comes_while_usage_is_written_gives_back_what_it_did_not_use(
    store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken for it is not lost, although nothing of its window was at hand or under way at that moment."""
    writing, goes_on, really_settle = threading.Event(), threading.Event(), store.settle_budget

    def settle(*arguments: Any) -> None:
        writing.set()
        assert goes_on.wait(60)
        really_settle(*arguments)

    async def scenario() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=1_000))
        meter = budget.meter("run")
        (await meter.reserve(Estimate(300, 60))).settle(Usage(40, 10))
        monkeypatch.setattr(store, "settle_budget", settle)
        flushing = asyncio.create_task(budget.flush())
        assert await asyncio.to_thread(writing.wait, 60)
        reserving = asyncio.create_task(meter.reserve(Estimate(300, 60)))
        while not budget._lock._waiters:  # what is at hand may not change while it is written
            await asyncio.sleep(0.001)
        goes_on.set()
        await flushing
        (await reserving).settle(Usage(40, 10))
        await budget.flush()
        assert store.budget_taken(DAY).tokens == 100
        assert await budget.left_today() == 900

    asyncio.run(scenario())


def test_usage_of_an_idle_process_is_written_soon(store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker sleeps long while nothing is spent; a call wakes it up."""
    monkeypatch.setattr("middleware.control.budget._FLUSH_SECONDS", 0.01)
    monkeypatch.setattr("middleware.control.budget._IDLE_SECONDS", 3600.0)

    async def scenario() -> None:
        budget = budget_of(store, clock, day=Caps(tokens=1_000))
        working = asyncio.create_task(budget.run())
        await asyncio.sleep(0.1)
        for spent in (50, 100):
            (await budget.meter("run").reserve(Estimate(300, 60))).settle(Usage(40, 10))
            while store.budget_taken(DAY).tokens != spent:
                await asyncio.sleep(0.01)
        working.cancel()

    asyncio.run(scenario())


def test_caps_and_prices_come_from_the_settings() -> None:
    """The command line's values go over them; money can't be capped without prices."""
    settings = Settings(
        budget={
            "tokens_per_day": 5_000,
            "money_per_run": 1.5,
            "price_per_million_prompt_tokens": 2.0,
            "price_per_million_completion_tokens": 8.0,
        }
    )
    day, run = caps_of(settings.budget, overrides={"tokens_per_run": 700, "money_per_run": None})
    assert (day, run) == (Caps(5_000, None), Caps(700, 1_500_000))
    capped = Settings(deployments=[{"name": "tutor", "tokens_per_day": 900}, {"name": "robot"}])
    assert deployment_caps(capped.deployments) == {"tutor": Caps(tokens=900)}
    assert prices_of(settings.budget).micros(1_000, 100) == 2_800
    with pytest.raises(ValueError, match="money_per_day and money_per_run can't be kept without prices"):
        Settings(budget={"money_per_day": 3.0})

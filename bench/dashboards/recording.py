"""A scripted half day of a sidecar, told by the real export code into the real registry, as OpenMetrics with times.

Three deployments: the tutor's model is replaced in the fifth hour by one that reads feelings worse, the companion's in
the sixth hour by an equal one, marketing's stays. Answers, conversations and traffic are drawn from a seed; what they
mean is decided by the same watches, windows and counters that serve in production.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from bench.dashboards.conversations import Conversations
from bench.dashboards.traffic import Traffic
from middleware.benchmark.item_sets import load
from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.control.exporting import BenchmarkExport
from middleware.control.watching import Watches
from middleware.metrics import Metrics, RelayCollector
from middleware.metrics.exposition import merged
from middleware.records.benchmark import ItemOutcome, ItemResult
from middleware.records.event import Event
from middleware.store import Store
from scorer.eqbench import score_item
from scorer.items import Item

__all__ = ["BATCH_SECONDS", "ENDS", "HOURS", "JOB", "SCRAPE_SECONDS", "Recorded", "record"]

JOB, INSTANCE = "eqwatch", "127.0.0.1:8081"
HOURS = 8.0
ENDS = datetime(2026, 3, 2, 20, tzinfo=UTC).timestamp()
SCRAPE_SECONDS = 150.0
BATCH_SECONDS = 300.0
_ITEMS_PER_BATCH, _PASSES = 12, 5
_TOKENS_PER_DAY = 4_000_000
_UPGRADES = {"tutor": (4.0, "small-2", 0.9), "companion": (5.5, "warm-2", 0.0)}
_MODELS = {"tutor": "small-1", "companion": "warm-1", "marketing": "brief-1"}
_NOISE, _LEVEL = 0.45, 1.1


@dataclass(frozen=True, slots=True)
class Recorded:
    """The exposition's file, from when to when it reaches (Unix seconds), and what was told on the way."""

    path: Path
    begins: float
    ends: float
    events: tuple[Event, ...]


class _Sidecar:
    """Everything that a control process would own, on a clock that the script moves."""

    def __init__(self, store: Store, begins: float) -> None:
        self.begins = self.now = begins
        self.registry = CollectorRegistry()
        self.told: list[Event] = []
        self.rng = np.random.default_rng(6)
        self.tokens = 0
        self.declared = False
        allowed = {*_MODELS.values(), *(model for _, model, _ in _UPGRADES.values())}
        self.metrics = Metrics(self.registry, models=allowed)
        self.export = BenchmarkExport(self.metrics, interval_seconds=BATCH_SECONDS)
        items = load("starter", Path())
        protocol = make_protocol(items)
        self.plans = [
            Plan(name, items, protocol, model, _ITEMS_PER_BATCH, 1, _PASSES, 8766.0) for name, model in _MODELS.items()
        ]
        self.watches = Watches(
            self.plans, store=store, export=self.export, publish=self.told.append, clock=lambda: self.now
        )
        self.traffic = Traffic(tuple(_MODELS), self.begins, self.rng)
        self.conversations = Conversations(self.metrics, self.rng)
        self.registry.register(RelayCollector(self.traffic.counters.snapshot))

    @property
    def hour(self) -> float:
        return (self.now - self.begins) / 3600.0

    def step(self, seconds: float) -> None:
        """What happens between two scrapes."""
        self.now += seconds
        self.traffic.minute(self.hour, seconds)
        self.conversations.talk(self.hour, self.now)
        self._operation(seconds)

    async def batches(self) -> None:
        """One batch of each plan; shortly before the companion's model changes, its operator says so."""
        deployment, (begins, model, _) = "companion", _UPGRADES["companion"]
        if not self.declared and self.hour >= begins - BATCH_SECONDS / 3600.0:
            self.declared = True
            await self.watches.declare(deployment, "", model, "planned")
        for plan in self.plans:
            watch = await self.watches.load(plan)
            model, fall = self._answering(plan)
            results = [self._answer(plan, watch.run_id(), item, model, fall) for item in watch.next_items()]
            for result in results:
                self.export.item(plan, result)
            await self.watches.conclude(watch, watch.run_id(), results, self.now)

    def _answering(self, plan: Plan) -> tuple[str, float]:
        begins, model, fall = _UPGRADES.get(plan.deployment, (HOURS, "", 0.0))
        return (model, fall) if self.hour >= begins else (plan.model, 0.0)

    def _answer(self, plan: Plan, run: str, item_id: str, model: str, fall: float) -> ItemResult:
        item = plan.item_set.by_id[item_id]
        self._spent("benchmark", 420, 30)
        if self.rng.random() < (0.04 if fall else 0.01):
            outcome: ItemOutcome = "unparseable" if self.rng.random() < 0.7 else "refused"
            return ItemResult(run, item_id, 0, outcome, answered_model=model, system_fingerprint=model, at=self.now)
        answer = self._intensities(item, fall)
        return ItemResult(
            run,
            item_id,
            0,
            "scored",
            score=score_item(item, answer, "v2"),
            answer=answer,
            answered_model=model,
            system_fingerprint=model,
            at=self.now,
        )

    def _intensities(self, item: Item, fall: float) -> dict[str, float]:
        """The reference, off by what this model always gets wrong about the item, and by the noise of the day."""
        own = np.random.default_rng(sum(item.id.encode()))
        wrong = own.choice((-1.0, 1.0), len(item.emotions)) * _LEVEL
        worse = own.choice((-1.0, 1.0), len(item.emotions)) * fall
        noise = self.rng.normal(0.0, _NOISE, len(item.emotions))
        found = np.clip(np.array(item.reference_for("v2")) + wrong + worse + noise, 0.0, 10.0)
        return dict(zip(item.emotions, np.round(found, 1).tolist(), strict=True))

    def _spent(self, purpose: str, prompt: int, completion: int) -> None:
        for type_, number in (("prompt", prompt), ("completion", completion)):
            self.metrics.tokens_total.labels(purpose=purpose, type=type_).inc(number)
            self.tokens += number
        self.metrics.spend_total.labels(currency="USD").inc((0.15 * prompt + 0.6 * completion) / 1e6)

    def _operation(self, seconds: float) -> None:
        self._spent("probe", int(12 * seconds), int(seconds))
        self._spent("judge", int(9 * seconds), int(seconds))
        metrics, hour = self.metrics, self.hour
        metrics.token_budget_limit.labels(window="day").set(_TOKENS_PER_DAY)
        metrics.token_budget_remaining.labels(window="day").set(max(0, _TOKENS_PER_DAY - self.tokens))
        for reason in ("settings", "operator"):
            metrics.calls_paused.labels(reason=reason).set(0)
        for queue, depth in (("exchanges", 3.0), ("probe", 5.0), ("reference", 2.0), ("store", 0.0)):
            metrics.queue_depth.labels(queue=queue).set(self.rng.poisson(depth))
        for outcome, mean in (("chosen", 4.0), ("not_sampled", 8.0)):
            number = int(self.rng.poisson(mean))
            metrics.observed_exchanges_total.labels(deployment="tutor", outcome=outcome).inc(number)
            if outcome == "chosen":
                metrics.forwarded_exchanges_total.labels(outcome="accepted").inc(number)
                metrics.arrived_exchanges_total.labels(source="observer", outcome="accepted").inc(number)
        metrics.forward_attempts_total.labels(outcome="timeout" if 2.0 <= hour < 2.1 else "delivered").inc()
        if 2.0 <= hour < 2.4:  # the store was away for a while
            metrics.store_errors_total.labels(reason="locked").inc()
            metrics.worker_restarts_total.labels(worker="writer").inc(0)
        if 2.0 <= hour < 2.1:
            metrics.worker_restarts_total.labels(worker="writer").inc()
            metrics.dropped_total.labels(queue="probe", reason="full").inc(4)


def record(folder: Path, *, ends: float = ENDS, hours: float = HOURS) -> Recorded:
    """Play the script so that it ends at `ends` (Unix seconds) and write every scrape into a file in `folder`."""
    path = folder / "recorded.om"
    begins = ends - hours * 3600.0
    with (
        Store(f"sqlite:///{folder / 'eqwatch.db'}") as store,
        path.open("w", encoding="utf-8") as file,
    ):
        sidecar = _Sidecar(store, begins)
        asyncio.run(_play(sidecar, file, hours))
        file.write("# EOF\n")
    return Recorded(path, begins, ends, tuple(sidecar.told))


async def _play(sidecar: _Sidecar, file: IO[str], hours: float) -> None:
    next_batch = sidecar.begins
    for _ in range(int(hours * 3600.0 / SCRAPE_SECONDS)):
        sidecar.step(SCRAPE_SECONDS)
        if sidecar.now >= next_batch:
            await sidecar.batches()
            next_batch += BATCH_SECONDS
        file.writelines(_scraped(sidecar.registry, sidecar.now))


class _Families:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[object]:
        return merged(self._registry)


def _scraped(registry: CollectorRegistry, at: float) -> Iterator[str]:
    """The lines of one scrape, with the labels that Prometheus adds, and its time on each."""
    own = f'instance="{INSTANCE}",job="{JOB}"'
    yield f"up{{{own}}} 1 {at:.3f}\n"
    text: str = generate_latest(_Families(registry)).decode()  # type: ignore[arg-type]
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.partition("#")[0].strip().rpartition(" ")
        labelled = f"{name[:-1]},{own}}}" if name.endswith("}") else f"{name}{{{own}}}"
        yield f"{labelled} {value} {at:.3f}\n"

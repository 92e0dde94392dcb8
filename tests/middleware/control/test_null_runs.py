"""Nothing pages where nothing changed: unchanged models at MID noise, through the real watch and the real exporter.

Alerts on the model read what is exported as `_active`, so a series that never says 1 is an alert that never fires. 20
seeds, each with a baseline of 10 passes and 20 passes after it, are 800 batches of comparison. The rate over years is
simulated by `python -m bench.detection`.
"""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from middleware.benchmark.answers import read_answers
from middleware.benchmark.fake_upstream.noise import Noise
from middleware.benchmark.item_sets import load
from middleware.benchmark.plan import Plan
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.watch import Watch
from middleware.control.exporting import BenchmarkExport
from middleware.metrics import Metrics
from middleware.observe import ALERTS
from middleware.records.benchmark import ItemResult
from scorer.eqbench import outcome_of

REPLAY = Path(__file__).resolve().parents[3] / "examples" / "replay"
BASELINE_PASSES = 10
PASSES = 20
BATCH = 12
PAGING = ("bench_regression_active", "bench_reference_below_active")


class Installation:
    """A watch over the starter items and a scripted model that never changes."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.items = load("starter", folder)
        self.protocol = make_protocol(self.items)
        self.answers = read_answers(REPLAY / "scripted-strong.json").passes[0]
        self.noise = Noise("mid", seed)
        self.watch = Watch(Plan("default", self.items, self.protocol, "m", BATCH, 1, BASELINE_PASSES, 8766.0))
        self.registry = CollectorRegistry()
        self.export = BenchmarkExport(Metrics(self.registry, models=("m",)), interval_seconds=3600.0)
        self.asked = 0

    def batch(self) -> None:
        """Ask, take in, export."""
        at = 1_700_000_000.0 + 3600.0 * self.watch.state.index
        self.watch.take([self.result(item, at) for item in self.watch.next_items()], at=at)
        if self.watch.reference is None:
            self.watch.reference = self.watch.state.baseline
        self.export.standing(self.watch)

    def result(self, item_id: str, at: float) -> ItemResult:
        """One answer, as restless as a real model's at MID noise."""
        item = self.items.by_id[item_id]
        self.asked += 1
        text = self.noise.apply(self.answers[item_id].text, item.emotions, str(self.asked))
        found = outcome_of(item, text, item_set=self.items, profile=self.protocol.scoring_profile, revise=False)
        answer = dict(found.answer.last) if found.answer is not None else {}
        return ItemResult(
            self.watch.run_id(), item_id, 0, found.outcome, score=found.last, answer=answer, answered_model="m", at=at
        )

    def exported(self, name: str) -> float | None:
        labels = {"deployment": "default", "item_set": "starter"}
        return self.registry.get_sample_value(f"eqwatch_{name}", labels)


@pytest.mark.parametrize("seed", range(20))
def test_an_unchanged_model_pages_nobody(seed: int, tmp_path: Path) -> None:
    """After no batch does any series say 1 on which a page about the model rests."""
    installation = Installation(seed, tmp_path)
    per_pass = installation.watch.plan.batches_per_pass
    for _ in range(BASELINE_PASSES * per_pass):
        installation.batch()
    assert installation.exported("bench_regression_active") == 0, "there is a baseline to be worse than"
    for _ in range(PASSES * per_pass):
        installation.batch()
        assert [installation.exported(name) for name in PAGING] == [0, 0]
    score = installation.exported("bench_score_points")
    assert score is not None
    assert score > 70


def test_pages_about_the_model_rest_on_these_series_alone() -> None:
    """EQRegression reads the two, and the only other critical alert about the model needs an upgrade."""
    about_the_model = [a for a in ALERTS if a.severity == "critical" and "item_set" in a.carries]
    assert {a.name for a in about_the_model} == {"EQRegression", "EQUpgradeRegressed"}
    expr = next(a.expr for a in about_the_model if a.name == "EQRegression")
    assert all(f"(eqwatch_{name}) == 1" in expr for name in PAGING)

"""Runs worlds through the detectors' own arithmetic and notes when each rule first speaks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.detection.worlds import BATCH_ITEMS, World, batches_per_year
from scorer.detection.panel import PanelReading, alarms

__all__ = ["RULES", "Alarms", "follow", "run"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RULES = ("CUSUM", "evidence", "joint", "regression", "change")
"""CUSUM over its limit; evidence over c; both, with c/20; the same and the level condition; change evidence over c."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Item evaluations after the change until each rule's first alarm, rule -> [row]; inf = not within the trial."""

    first: dict[str, Floats]

    def quantile(self, rule: str, q: float) -> float:
        """A quantile over rows, item evaluations."""
        return float(np.quantile(self.first[rule], q, method="higher"))

    def share(self, rule: str) -> float:
        """Share of rows with an alarm."""
        return float(np.isfinite(self.first[rule]).mean())


def run(world: World, *, batches: int, change_at: Ints, until: str | None = None) -> Alarms:
    """Feed every row for that many batches after its change. until: stop once this rule has spoken in all rows."""
    threshold = float(np.log10(batches_per_year(world.items)))
    first = {rule: np.full(world.rows, np.inf) for rule in RULES}
    for t, reading in enumerate(follow(world, batches=batches, change_at=change_at)):
        found = alarms(reading, threshold)
        over = reading.cusum_ratios >= 1.0
        spoken = (over, reading.evidence_log10 >= threshold, over & found.suspected, found.regression, found.change)
        since = t + 1 - change_at
        live = (since > 0) & (since <= batches)
        for rule, now in zip(RULES, spoken, strict=True):
            new = now & live & np.isinf(first[rule])
            first[rule][new] = BATCH_ITEMS * since[new]
        if until is not None and t % 10 == 0 and np.isfinite(first[until]).all():
            break
    return Alarms(first)


def follow(world: World, *, batches: int, change_at: Ints) -> Iterator[PanelReading]:
    """Every batch's reading, until so many batches after the last row's change."""
    statistics = world.panel.start()
    for batch in world.batches(batches + int(change_at.max()), change_at):
        statistics, reading = world.panel.advance(statistics, batch)
        yield reading

"""What a detector will find and when, by simulation on its own baseline: falls of a given size, batch by batch.

Future answers are drawn from the baseline's own residuals. How a fall spreads over items is an assumption: a random
third of the items loses, each an exponential share, by one emotion that moved. It opens nothing and asks nobody.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.baseline import Baseline
from scorer.detection.detector import DetectorConfig
from scorer.detection.panel import Panel, PanelBatch, alarms

__all__ = ["NOISE_RUN_SD", "Pace", "Prospect", "prospect", "typical_baseline"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NOISE_RUN_SD = {"low": 0.22, "mid": 0.61, "high": 0.98}
"""SD of one pass over 171 items, points: gpt-4 at temperature 0.01, and the same answers with added jitter."""
_NOISE_ITEMS = 171
_SHARE_LOST = 1.0 / 3.0
_RUN_IN_PASSES = 2
_PERFECT = 10.0
_POINTS = 10.0
# A fall of one item unit by one emotion of four, in squared steps of the 0..10 scale: what `distance` is made of.
_STEPS_PER_UNIT = 1.0 / 0.7477
_EMOTIONS = 4.0
# At low noise most answers are the usual ones and few are quite different.
_LOW_SHARE = 0.045


@dataclass(frozen=True, slots=True)
class Pace:
    """Days between batches, as usual and while a fall is suspected, and the day after which a simulation gives up."""

    interval_days: float
    suspected_days: float
    most_batches: int = 2_000


@dataclass(frozen=True, slots=True)
class Prospect:
    """Of one size of fall in points: item evaluations and days until the page, over simulated installations.

    found: share of them that paged at all within `most_batches`; a quantile beyond that share is None.
    """

    points: float
    found: float
    median_items: float | None
    p90_items: float | None
    median_days: float | None
    p90_days: float | None


def prospect(
    baseline: Baseline,
    config: DetectorConfig,
    limits: tuple[float, ...],
    points: float,
    pace: Pace,
    rng: np.random.Generator,
    *,
    installations: int = 200,
    tell: Callable[[int], None] = lambda _batch: None,
) -> Prospect:
    """Simulate a fall of so many points in so many installations. limits: of the CUSUMs. tell: called every batch."""
    rows = installations
    panel = Panel.of([baseline] * rows, np.tile(np.array(limits), (rows, 1)))
    world = _World(baseline, _losses(baseline, points, rows, rng), config.batch_items, rng)
    threshold = math.log10(config.threshold)
    statistics = panel.start()
    run_in = _RUN_IN_PASSES * world.batches_per_pass
    clock, paged_items, paged_days = np.zeros(rows), np.full(rows, np.inf), np.full(rows, np.inf)
    suspected = np.zeros(rows, dtype=np.bool_)
    for number, batch in enumerate(world.batches(run_in, run_in + pace.most_batches)):
        statistics, reading = panel.advance(statistics, batch)
        found = alarms(reading, threshold)
        if number >= run_in:
            clock += np.where(suspected, pace.suspected_days, pace.interval_days)
            now = found.regression & np.isinf(paged_items)
            paged_items[now] = (number - run_in + 1) * world.batch_size
            paged_days[now] = clock[now]
            tell(number - run_in + 1)
            if np.isfinite(paged_items).all():
                break
        suspected = found.suspected
    return Prospect(
        points=points,
        found=float(np.isfinite(paged_items).mean()),
        median_items=_quantile(paged_items, 0.5),
        p90_items=_quantile(paged_items, 0.9),
        median_days=_quantile(paged_days, 0.5),
        p90_days=_quantile(paged_days, 0.9),
    )


class _World:
    """Answers of many installations with the same baseline, whose true item means lie around the measured ones."""

    def __init__(self, baseline: Baseline, losses: Floats, batch: int, rng: np.random.Generator) -> None:
        self._rng, self._losses = rng, losses
        rows, self._items = losses.shape
        counts = baseline.counts[:, None]
        self._passes = baseline.passes
        residuals = baseline.residuals * np.sqrt(counts / (counts - 1.0))
        order = np.argsort(np.isnan(residuals), axis=1, kind="stable")
        filled = np.arange(baseline.passes)[None, :] % counts
        order = np.take_along_axis(order, filled, axis=1)
        self._residuals = np.take_along_axis(residuals, order, axis=1)
        self._distances = np.nan_to_num(np.take_along_axis(baseline.distances, order, axis=1))
        self._floor = math.sqrt(baseline.noise_variance - baseline.pooled_variance)
        error = np.sqrt(baseline.noise_variance / baseline.counts)
        self._means = baseline.means + rng.normal(0.0, 1.0, (rows, self._items)) * error
        self.batches_per_pass = math.ceil(self._items / min(batch, self._items))
        self.batch_size = self._items / self.batches_per_pass

    def batches(self, falls_at: int, total: int) -> Iterator[PanelBatch]:
        """Batch after batch; from batch falls_at on the losses are taken off."""
        rows = len(self._losses)
        cuts = [k * self._items // self.batches_per_pass for k in range(self.batches_per_pass + 1)]
        order: Ints = np.empty((rows, 0), dtype=np.int64)
        for number in range(total):
            place = number % self.batches_per_pass
            if place == 0:
                order = np.argsort(self._rng.random((rows, self._items)), axis=1).astype(np.int64)
            yield self._answers(order[:, cuts[place] : cuts[place + 1]], fallen=number >= falls_at)

    def _answers(self, items: Ints, *, fallen: bool) -> PanelBatch:
        drawn = items * self._passes + self._rng.integers(0, self._passes, items.shape)
        lost = np.take_along_axis(self._losses, items, axis=1) * fallen
        scores = np.take_along_axis(self._means, items, axis=1) + self._residuals.ravel()[drawn] - lost
        scores += self._floor * self._rng.standard_normal(items.shape)
        moved = (lost * _STEPS_PER_UNIT) ** 2 / _EMOTIONS
        return PanelBatch(items, np.minimum(scores, _PERFECT), self._distances.ravel()[drawn] + moved)


def _losses(baseline: Baseline, points: float, rows: int, rng: np.random.Generator) -> Floats:
    """What each item loses, item units, [row, item]; the mean over items is the fall in every row."""
    shares = rng.exponential(1.0, (rows, baseline.size))
    hit = np.argsort(np.argsort(rng.random(shares.shape), axis=1), axis=1) < max(1, round(_SHARE_LOST * baseline.size))
    shares = np.where(hit, shares, 0.0)
    losses: Floats = shares * (points / _POINTS) / shares.mean(axis=1, keepdims=True)
    return losses


def typical_baseline(
    noise: str, items: int, rng: np.random.Generator, *, passes: int = 10, protocol_key: str = "typical"
) -> Baseline:
    """What commissioning would give at a known level of noise: low, mid or high. Where no baseline was measured yet.

    KeyError: no such level.
    """
    variance = (NOISE_RUN_SD[noise] / _POINTS) ** 2 * _NOISE_ITEMS
    share = _LOW_SHARE if noise == "low" else 1.0
    means = np.clip(rng.normal(8.0, 1.2, items), 3.0, 9.5)
    usual = np.clip(rng.integers(0, 10, (items, int(_EMOTIONS))), 1, 9).astype(np.float64)
    on = rng.random((passes, items)) < share
    scores = means + np.where(on, rng.normal(0.0, math.sqrt(variance / share), (passes, items)), 0.0)
    # The squared distance of jittered answers is about as large as the variance of their scores.
    jitter = rng.normal(0.0, math.sqrt(variance / share), (passes, items, int(_EMOTIONS)))
    answers = usual + np.where(on[:, :, None], jitter, 0.0)
    names = [f"i{k}" for k in range(items)]
    return Baseline.from_arrays(
        np.minimum(scores, _PERFECT), answers, item_ids=names, protocol_key=protocol_key, min_passes=passes
    )


def _quantile(values: Floats, q: float) -> float | None:
    found = float(np.quantile(values, q, method="higher"))
    return found if math.isfinite(found) else None

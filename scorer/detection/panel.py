"""The arithmetic of the detectors over rows: one row in production, hundreds of simulated installations in the bench.

It turns a batch into new statistics and numbers. What they mean for an operator is decided in detector.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.baseline import Baseline
from scorer.detection import cusum, evidence, level
from scorer.detection.noise import distance_noise, score_noise

__all__ = ["Panel", "PanelBatch", "PanelReading", "Statistics"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

TOLERANCE = 0.05
"""What an item may fall before it is evidence, item units: half a point."""
CHANGE_TOLERANCE = 0.05
"""What the squared distance from the usual answer may grow before it is evidence, squared steps of the 0..10 scale."""
ONSET_ALLOWANCE = 0.12
"""Taken off every distance by the CUSUM that dates a change, in SD of the distance."""
CUSUM_CEILING = 10.0
"""A CUSUM stops at this many limits, so that it does not take a month to come down."""
_LARGEST_LOSS = 0.9
_PERFECT = 10.0
_STAKES = np.array(evidence.STAKES)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is remembered between batches, with a leading row axis.

    onset: CUSUM of answer distances. falls, answers: [row, 2, item], sums of (baseline - score) and their number, since
    onset left 0 and since the first score CUSUM left 0.
    """

    cusums: Floats
    log_evidence: Floats
    log_change: Floats
    onset: Floats
    falls: Floats
    answers: Floats


@dataclass(frozen=True, slots=True)
class PanelBatch:
    """items: [row, answer] indices. scores: item units, nan = unreadable. distances: nan = not comparable."""

    items: Indices
    scores: Floats
    distances: Floats


@dataclass(frozen=True, slots=True)
class PanelReading:
    """After a batch, [row]: CUSUMs over their limits, evidences as common logarithms, lower bound of the mean fall."""

    cusum_ratios: Floats
    evidence_log10: Floats
    change_log10: Floats
    fall_lower: Floats


@dataclass(frozen=True, slots=True)
class Panel:
    """The frozen numbers of some baselines of equal size, [row, item], [row, 1] or [row], and what is done with them."""

    limits: Floats
    means: Floats
    weights: Floats
    bias: Floats
    tolerances: Floats
    caps: Floats
    distances: Floats
    distance_weights: Floats
    distance_tolerances: Floats
    distance_caps: Floats
    onset_allowances: Floats
    noise_variance: Floats
    mean_variance: Floats

    @classmethod
    def of(cls, baselines: Sequence[Baseline], limits: Floats) -> "Panel":
        """Stack baselines with their CUSUM limits, [row, allowance]."""
        scores = [score_noise(b) for b in baselines]
        answers = [distance_noise(b, CHANGE_TOLERANCE) for b in baselines]
        means = np.array([b.means for b in baselines])
        mean_variance = np.array([b.mean_variance for b in baselines])
        bias = np.array([s.bias for s in scores])
        tolerances = (TOLERANCE + 2.0 * np.sqrt(mean_variance) + bias)[:, None]
        distances = np.array([a.means for a in answers])
        distance_tolerances = np.array([[a.tolerance] for a in answers])
        spread = np.array([[a.spread] for a in answers])
        return cls(
            limits=limits,
            means=means,
            weights=np.array([s.weights for s in scores]),
            bias=bias,
            tolerances=tolerances,
            caps=_LARGEST_LOSS / (_PERFECT - means + tolerances),
            distances=distances,
            distance_weights=np.array([a.weights for a in answers]),
            distance_tolerances=distance_tolerances,
            distance_caps=_LARGEST_LOSS / (distances + distance_tolerances),
            onset_allowances=np.maximum(ONSET_ALLOWANCE * spread, distance_tolerances),
            noise_variance=np.array([b.noise_variance for b in baselines]),
            mean_variance=mean_variance,
        )

    def start(self) -> Statistics:
        """Statistics that remember nothing."""
        rows, items = self.means.shape
        empty = np.full((rows, len(_STAKES)), evidence.LOG_FLOOR)
        windows = np.zeros((rows, 2, items))
        return Statistics(np.zeros_like(self.limits), empty, empty, np.zeros(rows), windows, windows)

    def advance(self, statistics: Statistics, batch: PanelBatch) -> tuple[Statistics, PanelReading]:
        """Take in one batch. An item may come twice in it."""
        residuals = _at(self.means, batch.items) - np.minimum(batch.scores, _PERFECT)
        readable = np.isfinite(residuals)
        residuals = np.where(readable, residuals, 0.0)
        weights = np.where(readable, _at(self.weights, batch.items), 0.0)
        gains = np.where(readable, residuals - self.tolerances, 0.0)
        excess = batch.distances - _at(self.distances, batch.items)
        comparable = np.isfinite(excess)
        excess = np.where(comparable, excess, 0.0)
        distance_weights = np.where(comparable, _at(self.distance_weights, batch.items), 0.0)
        cusums = cusum.step(statistics.cusums, residuals, weights, self.bias, CUSUM_CEILING * self.limits)
        onset = statistics.onset + (distance_weights * excess - np.where(comparable, self.onset_allowances, 0.0)).sum(1)
        onset = np.clip(onset, 0.0, None)
        falls, answers = self._windows(
            statistics, np.stack([onset, cusums[:, 0]], axis=1), batch.items, residuals, readable
        )
        following = Statistics(
            cusums=cusums,
            log_evidence=evidence.grow(statistics.log_evidence, gains, weights, _at(self.caps, batch.items), _STAKES),
            log_change=evidence.grow(
                statistics.log_change,
                np.where(comparable, excess - self.distance_tolerances, 0.0),
                distance_weights,
                _at(self.distance_caps, batch.items),
                _STAKES,
            ),
            onset=onset,
            falls=falls,
            answers=answers,
        )
        return following, self.read(following)

    def read(self, statistics: Statistics) -> PanelReading:
        """The numbers as they stand. The fall is counted from the onset of a change, else from that of the CUSUM."""
        bounds = level.lower_bound(
            statistics.falls, statistics.answers, self.noise_variance[:, None], self.mean_variance[:, None]
        )
        return PanelReading(
            cusum_ratios=(statistics.cusums / self.limits).max(axis=1),
            evidence_log10=evidence.log10_evidence(statistics.log_evidence),
            change_log10=evidence.log10_evidence(statistics.log_change),
            fall_lower=np.where(statistics.onset > 0.0, bounds[:, 0], bounds[:, 1]),
        )

    @staticmethod
    def _windows(
        statistics: Statistics, open_: Floats, items: Indices, residuals: Floats, readable: Bools
    ) -> tuple[Floats, Floats]:
        """Sums and counts per item since each window opened; open_: [row, window], at 0 the window is empty."""
        kept = (open_ > 0.0)[:, :, None]
        falls, answers = np.where(kept, statistics.falls, 0.0), np.where(kept, statistics.answers, 0.0)
        taken = kept & readable[:, None, :]
        rows = np.arange(len(items))[:, None, None]
        windows = np.arange(2)[None, :, None]
        np.add.at(falls, (rows, windows, items[:, None, :]), np.where(taken, residuals[:, None, :], 0.0))
        np.add.at(answers, (rows, windows, items[:, None, :]), taken.astype(np.float64))
        return falls, answers


def _at(table: Floats, items: Indices) -> Floats:
    values: Floats = np.take_along_axis(table, items, axis=1)
    return values

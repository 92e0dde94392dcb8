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

__all__ = ["Panel", "PanelAlarms", "PanelBatch", "PanelReading", "Statistics", "alarms"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

TOLERANCE = 0.05
"""What an item may fall before it is evidence, item units: half a point."""
CHANGE_TOLERANCE = 0.05
"""What the squared distance from the usual answer may grow before it is evidence, squared steps of the 0..10 scale."""
ONSET_ALLOWANCES = (0.12, 0.5)
"""Taken off every distance by the CUSUMs that date a change, in SD of the distance.

The first one dates small changes but lingers above 0 by chance; the second one dates a swap of the whole model sharply.
"""
CUSUM_CEILING = 10.0
"""A CUSUM stops at this many limits, so that it does not take a month to come down."""
SUSPICION = -np.log10(20.0)
"""The part of the full evidence that suspicion and the joint rule ask for, a twentieth."""
_LARGEST_LOSS = 0.9
_PERFECT = 10.0
_STAKES = np.array(evidence.STAKES)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is remembered between batches, with a leading row axis.

    onsets: CUSUMs of answer distances. falls, answers: [row, window, item], sums of (baseline - score) and their
    number, since each onset left 0 and since the first score CUSUM left 0.
    """

    cusums: Floats
    log_evidence: Floats
    log_change: Floats
    onsets: Floats
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
class PanelAlarms:
    """What follows from a reading, [row]. Suspicion needs evidence alone; a regression CUSUM and level as well."""

    suspected: Bools
    regression: Bools
    change: Bools


@dataclass(frozen=True, slots=True)
class Panel:
    """The frozen numbers of baselines of equal size, [row, item], [row, 1] or [row], and what is done with them."""

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
        answers = [distance_noise(b) for b in baselines]
        means = np.array([b.means for b in baselines])
        mean_variance = np.array([b.mean_variance for b in baselines])
        bias = np.array([s.bias for s in scores])
        tolerances = (TOLERANCE + np.maximum(np.sqrt(mean_variance), bias))[:, None]
        distances = np.array([a.means for a in answers])
        distance_tolerances = np.array([[CHANGE_TOLERANCE + 2.0 * a.error + a.bias] for a in answers])
        smallest = np.array([[CHANGE_TOLERANCE + 2.0 * a.error] for a in answers])
        spread, distance_bias = np.array([[a.spread] for a in answers]), np.array([[a.bias] for a in answers])
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
            onset_allowances=distance_bias + np.maximum(np.array(ONSET_ALLOWANCES) * spread, smallest),
            noise_variance=np.array([b.noise_variance for b in baselines]),
            mean_variance=mean_variance,
        )

    def start(self) -> Statistics:
        """Statistics that remember nothing."""
        rows, items = self.means.shape
        empty = np.full((rows, len(_STAKES)), evidence.LOG_FLOOR)
        windows = np.zeros((rows, len(ONSET_ALLOWANCES) + 1, items))
        onsets = np.zeros((rows, len(ONSET_ALLOWANCES)))
        return Statistics(np.zeros_like(self.limits), empty, empty, onsets, windows, windows)

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
        strayed = (distance_weights * excess).sum(axis=1)[:, None]
        allowed = comparable.sum(axis=1)[:, None] * self.onset_allowances
        # Within a pass of the old answers it is down again, however long the other ones lasted.
        onsets = np.clip(statistics.onsets + strayed - allowed, 0.0, self.means.shape[1] * self.onset_allowances)
        opened = np.concatenate([onsets, cusums[:, :1]], axis=1)
        falls, answers = self._windows(statistics, opened, batch.items, residuals, readable)
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
            onsets=onsets,
            falls=falls,
            answers=answers,
        )
        return following, self.read(following)

    def read(self, statistics: Statistics) -> PanelReading:
        """The numbers as they stand."""
        bounds = level.lower_bound(
            statistics.falls, statistics.answers, self.noise_variance[:, None], self.mean_variance[:, None]
        )
        return PanelReading(
            cusum_ratios=(statistics.cusums / self.limits).max(axis=1),
            evidence_log10=evidence.log10_evidence(statistics.log_evidence),
            change_log10=evidence.log10_evidence(statistics.log_change),
            fall_lower=_fall(statistics.onsets, bounds),
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
        windows = np.arange(open_.shape[1])[None, :, None]
        np.add.at(falls, (rows, windows, items[:, None, :]), np.where(taken, residuals[:, None, :], 0.0))
        np.add.at(answers, (rows, windows, items[:, None, :]), taken.astype(np.float64))
        return falls, answers


def alarms(reading: PanelReading, threshold_log10: float) -> PanelAlarms:
    """The joint rule at threshold c, the batches per allowed false alarm."""
    suspected = reading.evidence_log10 >= threshold_log10 + SUSPICION
    over = (reading.cusum_ratios >= 1.0) & (reading.fall_lower > level.TOLERANCE)
    return PanelAlarms(suspected, suspected & over, reading.change_log10 >= threshold_log10)


def _fall(onsets: Floats, bounds: Floats) -> Floats:
    """Lower bound of the fall; bounds: [row, window].

    It is counted from the onset of a change, by the sharper dating too where that has enough items, because a window
    that was open before a swap takes items that were not asked since for items that did not fall. Without a change of
    answers it is counted from the onset of the score CUSUM.
    """
    sharp = np.where(np.isfinite(bounds[:, 1]), bounds[:, 1], np.inf)
    return np.where(onsets[:, 0] > 0.0, np.minimum(bounds[:, 0], sharp), bounds[:, 2])


def _at(table: Floats, items: Indices) -> Floats:
    values: Floats = np.take_along_axis(table, items, axis=1)
    return values

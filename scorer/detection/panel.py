"""The arithmetic of the detectors over rows: one row in production, hundreds of simulated installations in the bench.

It turns a batch into new statistics and numbers. What they mean for an operator is decided in detector.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.baseline import Baseline
from scorer.detection import cusum, evidence, level
from scorer.detection.noise import inverse_weights, shrunk

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
TOLERANCE = 0.05
CHANGE_TOLERANCE = 0.05
WIN_SD = 0.12
_LARGEST_LOSS = 0.9
_STAKES = np.array(evidence.STAKES)


@dataclass(frozen=True, slots=True)
class Statistics:
    cusums: Floats
    log_evidence: Floats
    log_change: Floats
    onset: Floats
    fall_sums: Floats
    fall_counts: Floats


@dataclass(frozen=True, slots=True)
class PanelBatch:
    items: npt.NDArray[np.int64]
    scores: Floats
    distances: Floats


@dataclass(frozen=True, slots=True)
class PanelReading:
    cusums: Floats
    evidence_log10: Floats
    change_log10: Floats
    fall_lower: Floats


@dataclass(frozen=True, slots=True)
class Panel:
    means: Floats
    weights: Floats
    caps: Floats
    tolerances: Floats
    distances: Floats
    distance_weights: Floats
    distance_caps: Floats
    distance_tolerances: Floats
    onset_allowances: Floats
    noise_variance: Floats
    mean_variance: Floats

    @classmethod
    def of(cls, baselines: Sequence[Baseline]) -> "Panel":
        tol = np.array([[TOLERANCE + 2.0 * b.mean_variance**0.5] for b in baselines])
        means = np.array([b.means for b in baselines])
        rows = [_dist(b) for b in baselines]
        mi, dw, dtol, oa = (np.array([r[j] for r in rows]) for j in range(4))
        return cls(
            means=means,
            weights=np.array([inverse_weights(b.item_variances, b.counts - 1.0, b.noise_variance) for b in baselines]),
            caps=_LARGEST_LOSS / (10 - means + tol),
            tolerances=tol,
            distances=mi,
            distance_weights=dw,
            distance_tolerances=dtol[:, None],
            distance_caps=_LARGEST_LOSS / (mi + dtol[:, None]),
            onset_allowances=oa[:, None],
            noise_variance=np.array([b.noise_variance for b in baselines]),
            mean_variance=np.array([b.mean_variance for b in baselines]),
        )

    def start(self) -> Statistics:
        rows, items = self.means.shape
        empty = np.full((rows, len(_STAKES)), evidence.LOG_FLOOR)
        return Statistics(
            np.zeros((rows, len(cusum.ALLOWANCES))),
            empty,
            empty,
            np.zeros(rows),
            np.zeros((rows, items)),
            np.zeros((rows, items)),
        )

    def advance(self, s: Statistics, batch: PanelBatch) -> tuple[Statistics, PanelReading]:
        res = _at(self.means, batch.items) - np.minimum(batch.scores, 10.0)
        readable = np.isfinite(res)
        res = np.where(readable, res, 0.0)
        w = np.where(readable, _at(self.weights, batch.items), 0.0)
        cus = cusum.step(s.cusums, res, w)
        gains = np.where(readable, res - self.tolerances, 0.0)
        le = evidence.grow(s.log_evidence, gains, w, _at(self.caps, batch.items), _STAKES)
        dg = batch.distances - _at(self.distances, batch.items) - self.distance_tolerances
        ok = np.isfinite(dg)
        dg = np.where(ok, dg, 0.0)
        dw = _at(self.distance_weights, batch.items)
        lc = evidence.grow(s.log_change, dg, dw, _at(self.distance_caps, batch.items), _STAKES)
        onset = np.maximum(0.0, s.onset + (dw * dg).sum(axis=1) - self.onset_allowances[:, 0] * ok.sum(axis=1))
        fresh = (onset <= 0)[:, None]
        sums = np.where(fresh, 0.0, s.fall_sums)
        counts = np.where(fresh, 0.0, s.fall_counts)
        taken = readable & ~fresh
        rows = np.broadcast_to(np.arange(len(sums))[:, None], batch.items.shape)
        np.add.at(sums, (rows, batch.items), np.where(taken, res, 0.0))
        np.add.at(counts, (rows, batch.items), taken.astype(np.float64))
        s = Statistics(cus, le, lc, onset, sums, counts)
        return s, self.read(s)

    def read(self, s: Statistics) -> PanelReading:
        return PanelReading(
            s.cusums,
            evidence.log10_evidence(s.log_evidence),
            evidence.log10_evidence(s.log_change),
            level.lower_bound(s.fall_sums, s.fall_counts, self.noise_variance, self.mean_variance),
        )


def _at(table: Floats, items: npt.NDArray[np.int64]) -> Floats:
    return np.take_along_axis(table, items, axis=1)


DIST_FLOOR = 0.02


def _dist(b):
    d = b.distances
    k = np.isfinite(d).sum(axis=1)
    mi = np.nanmean(d, axis=1)
    var = np.nanvar(d, axis=1, ddof=1)
    pooled = max(float((var * (k - 1)).sum() / (k - 1).sum()), DIST_FLOOR)
    w = inverse_weights(var, k - 1.0, pooled)
    tol = CHANGE_TOLERANCE + 2 * (pooled * (1 / k).sum()) ** 0.5 / len(d)
    sd = np.sqrt((w**2 * shrunk(var, k - 1.0, pooled)).mean())
    return mi, w, tol, max(0.0, WIN_SD * sd - tol)

"""How noisy each item is, and the weights that follow: quiet items weigh more.

Ten passes say little about one item's variance, so half of the estimate comes from all items together. Weighting brings
a bias that has to be taken off again: an item whose few passes happened to go well has a high mean and looks quiet.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.baseline import VARIANCE_FLOOR, Baseline

__all__ = ["DistanceNoise", "ScoreNoise", "distance_noise", "score_noise"]

Floats = npt.NDArray[np.float64]

PRIOR_FREEDOM = 9.0
"""Degrees of freedom that the pooled variance counts for when an item's own is drawn towards it."""


@dataclass(frozen=True, slots=True)
class ScoreNoise:
    """weights: [item], mean 1. left_out: [item, pass], the weights without that pass, on the same scale.

    bias: mean of weight * (baseline mean - score) for an unchanged model, item units; at least 0.
    """

    weights: Floats
    left_out: Floats
    bias: float


@dataclass(frozen=True, slots=True)
class DistanceNoise:
    """Of the squared distance from the usual answer: means and weights [item], its tolerance, and the weighted SD."""

    means: Floats
    weights: Floats
    tolerance: float
    spread: float


def score_noise(baseline: Baseline) -> ScoreNoise:
    """Weights for score residuals, with the bias that they bring, estimated by leaving each pass out in turn."""
    counts = baseline.counts[:, None].astype(np.float64)
    pooled = baseline.noise_variance
    squares = np.nansum(baseline.residuals**2, axis=1, keepdims=True)
    full = 1.0 / _shrunk(squares / (counts - 1.0), counts - 1.0, pooled)
    freedom = np.maximum(counts - 2.0, 0.0)
    without = np.maximum(squares - baseline.residuals**2 * counts / (counts - 1.0), 0.0) / np.maximum(freedom, 1.0)
    left_out = 1.0 / _shrunk(without, freedom, pooled) / full.mean()
    held_out = left_out * -baseline.residuals * counts / (counts - 1.0)
    return ScoreNoise(full[:, 0] / full.mean(), left_out, max(0.0, float(np.nanmean(held_out))))


def distance_noise(baseline: Baseline, tolerance: float) -> DistanceNoise:
    """Weights for answer distances. Two standard errors of the baseline's own mean are added to the tolerance."""
    given = np.isfinite(baseline.distances)
    counts = np.maximum(given.sum(axis=1), 2).astype(np.float64)
    distances = np.where(given, baseline.distances, 0.0)
    means = distances.sum(axis=1) / counts
    variances = np.where(given, (distances - means[:, None]) ** 2, 0.0).sum(axis=1) / (counts - 1.0)
    pooled = max(float(((counts - 1.0) * variances).sum() / (counts - 1.0).sum()), VARIANCE_FLOOR)
    shrunk = _shrunk(variances, counts - 1.0, pooled)
    weights = (1.0 / shrunk) / (1.0 / shrunk).mean()
    error = float(np.sqrt(pooled * (1.0 / counts).sum())) / len(means)
    spread = float(np.sqrt((weights**2 * shrunk).mean()))
    return DistanceNoise(means, weights, tolerance + 2.0 * error, spread)


def _shrunk(variances: Floats, freedom: Floats, pooled: float) -> Floats:
    combined: Floats = (PRIOR_FREEDOM * pooled + freedom * variances) / (PRIOR_FREEDOM + freedom)
    return combined

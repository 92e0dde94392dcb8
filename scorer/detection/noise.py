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
    """Of the squared distance from the usual answer: means and weights [item], and the weighted SD.

    bias: mean of weight * (distance - mean) for an unchanged model; at least 0. error: standard error of the mean.
    """

    means: Floats
    weights: Floats
    bias: float
    error: float
    spread: float


def score_noise(baseline: Baseline) -> ScoreNoise:
    """Weights for score residuals, with the bias that they bring, estimated by leaving each pass out in turn."""
    counts = baseline.counts.astype(np.float64)
    shrunk, left_out = _shrunk_variances(baseline.residuals, counts, baseline.noise_variance)
    weights, left_out_weights = _weights(shrunk, left_out)
    return ScoreNoise(weights, left_out_weights, _bias(-baseline.residuals, left_out_weights, counts))


def distance_noise(baseline: Baseline) -> DistanceNoise:
    """The same for answer distances, where larger is worse."""
    given = np.isfinite(baseline.distances)
    counts = np.maximum(given.sum(axis=1), 2).astype(np.float64)
    means = np.where(given, baseline.distances, 0.0).sum(axis=1) / counts
    residuals = np.where(given, baseline.distances - means[:, None], np.nan)
    pooled = max(float(np.nansum(residuals**2) / (counts - 1.0).sum()), VARIANCE_FLOOR)
    shrunk, left_out = _shrunk_variances(residuals, counts, pooled)
    weights, left_out_weights = _weights(shrunk, left_out)
    return DistanceNoise(
        means=means,
        weights=weights,
        bias=_bias(residuals, left_out_weights, counts),
        error=float(np.sqrt(pooled * (1.0 / counts).sum())) / len(means),
        spread=float(np.sqrt((weights**2 * shrunk).mean())),
    )


def _shrunk_variances(residuals: Floats, counts: Floats, pooled: float) -> tuple[Floats, Floats]:
    """Variances drawn towards the pooled one, [item], and the same without each pass, [item, pass]."""
    k = counts[:, None]
    squares = np.nansum(residuals**2, axis=1, keepdims=True)
    without = np.maximum(squares - residuals**2 * k / (k - 1.0), 0.0)
    shrunk = (PRIOR_FREEDOM * pooled + squares) / (PRIOR_FREEDOM + k - 1.0)
    left_out = (PRIOR_FREEDOM * pooled + without) / (PRIOR_FREEDOM + k - 2.0)
    return shrunk[:, 0], left_out


def _weights(shrunk: Floats, left_out: Floats) -> tuple[Floats, Floats]:
    scale = float((1.0 / shrunk).mean())
    return 1.0 / shrunk / scale, 1.0 / left_out / scale


def _bias(worse: Floats, left_out_weights: Floats, counts: Floats) -> float:
    """Mean weighted loss of each pass against the others, as a future answer would have it; worse: [item, pass]."""
    held_out = left_out_weights * worse * (counts / (counts - 1.0))[:, None]
    present = np.isfinite(held_out)
    return max(0.0, float(held_out[present].mean())) if present.any() else 0.0

"""Weighted CUSUMs of item residuals and their limit, bootstrapped from the installation's own commissioning passes.

Page, Continuous inspection schemes (Biometrika 1954).
"""

import math

import numpy as np
import numpy.typing as npt

from scorer.baseline import Baseline
from scorer.detection.noise import inverse_weights, left_out_weights

__all__ = ["ALLOWANCES", "CEILING", "LIMIT_FACTOR", "bootstrap_limits", "step"]

Floats = npt.NDArray[np.float64]

ALLOWANCES = (0.1, 0.25)
"""Taken off every residual, item units. The first waits for falls of about 2 points, the second for 5 and more."""
LIMIT_FACTOR = 2.0
DAY_SD = 0.03
CEILING = 10.0
_DRAWS = 12_000_000


def step(cusums: Floats, residuals: Floats, weights: Floats) -> Floats:
    """C <- max(0, C + sum over the batch of weight * (baseline mean - score - allowance)).

    cusums: [..., allowance]; residuals, weights: [..., answer], weight 0 where an answer cannot be read.
    """
    falls = (weights * residuals).sum(axis=-1)[..., None]
    allowed = weights.sum(axis=-1)[..., None] * np.array(ALLOWANCES)
    advanced: Floats = np.maximum(0.0, cusums + falls - allowed)
    return advanced


def bootstrap_limits(
    baseline: Baseline,
    rng: np.random.Generator,
    *,
    batch_items: int,
    batches_per_year: float,
    alarms_per_year: float,
    years: int = 200,
    factor: float = LIMIT_FACTOR,
) -> Floats:
    n, batch = baseline.size, min(batch_items, baseline.size)
    weights, table = weighted_residuals(baseline)
    extra = math.sqrt(baseline.noise_variance - baseline.pooled_variance)
    horizon = max(1, min(math.ceil(batches_per_year), _DRAWS // (years * batch)))
    day_of = (np.arange(horizon) * 365.0 / batches_per_year).astype(np.int64)
    passes = np.broadcast_to(np.arange(n), (-(-horizon * batch // n), n))
    peaks = np.empty((years, len(ALLOWANCES)))
    for year in range(years):
        base_items = np.broadcast_to(np.arange(n), (baseline.passes, n))
        shift = _draw(table, base_items, extra * weights, rng).mean(axis=0)
        items = rng.permuted(passes, axis=1).ravel()[: horizon * batch]
        falls = (shift[items] - _draw(table, items, extra * weights, rng)).reshape(horizon, batch).sum(axis=1)
        weight = weights[items].reshape(horizon, batch).sum(axis=1)
        days = rng.normal(0.0, DAY_SD, day_of[-1] + 1) - rng.normal(0.0, DAY_SD / math.sqrt(3))
        falls -= days[day_of] * weight
        for a, allowance in enumerate(ALLOWANCES):
            walk = (falls - weight * allowance).cumsum()
            peaks[year, a] = (walk - np.minimum(np.minimum.accumulate(walk), 0.0)).max()
    quiet = math.exp(-alarms_per_year * horizon / batches_per_year)
    return factor * np.maximum(ALLOWANCES[0], np.quantile(peaks, quiet, axis=0))


def weighted_residuals(baseline: Baseline) -> tuple[Floats, Floats]:
    counts = baseline.counts.astype(np.float64)
    pooled = baseline.noise_variance
    weights = inverse_weights(baseline.item_variances, counts - 1.0, pooled)
    left_out = left_out_weights(baseline.residuals, counts, pooled)
    residuals = baseline.residuals * np.sqrt(counts / (counts - 1.0))[:, None] * left_out
    order = np.argsort(np.isnan(residuals), axis=1, kind="stable")
    present = np.take_along_axis(residuals, order, axis=1)
    cycle = np.arange(baseline.passes)[None, :] % baseline.counts[:, None]
    return weights, np.take_along_axis(present, cycle, axis=1)


def _draw(table: Floats, items: npt.NDArray[np.int64], extra: Floats, rng: np.random.Generator) -> Floats:
    width = table.shape[1]
    drawn: Floats = table.ravel()[items * width + rng.integers(0, width, size=items.shape)]
    return drawn + extra[items] * rng.standard_normal(items.shape) if extra[0] > 0.0 else drawn

"""Weighted CUSUMs of item residuals and their limits, bootstrapped from the installation's own commissioning passes.

Page, Continuous inspection schemes (Biometrika 1954).
"""

import math

import numpy as np
import numpy.typing as npt

from scorer.baseline import Baseline
from scorer.detection.noise import score_noise

__all__ = ["ALLOWANCES", "LIMIT_FACTOR", "bootstrap_limits", "step"]

Floats = npt.NDArray[np.float64]

ALLOWANCES = (0.1, 0.25)
"""Taken off every residual, item units. The first waits for falls of about 2 points, the second for 5 and more."""
LIMIT_FACTOR = 1.75
"""Margin above the bootstrapped limits, for what commissioning did not show."""
DAY_SD = 0.03
"""Days may differ by this SD without being a regression, item units (0.3 points)."""
COMMISSIONING_DAYS = 3
SMALLEST_LIMIT = 1.0
"""Item units: one answer that is one point of ten worse."""
_DRAWS = 12_000_000
_DAYS_PER_YEAR = 365.0


def step(cusums: Floats, residuals: Floats, weights: Floats, bias: Floats, ceilings: Floats) -> Floats:
    """C <- max(0, C + sum over the batch of weight * (baseline mean - score - allowance) - bias), up to a ceiling.

    cusums, ceilings: [row, allowance]; bias: [row]; residuals, weights: [row, answer], weight 0 where unreadable.
    """
    falls = (weights * residuals).sum(axis=1) - bias * (weights > 0).sum(axis=1)
    allowed = weights.sum(axis=1)[:, None] * np.array(ALLOWANCES)
    advanced: Floats = np.clip(cusums + falls[:, None] - allowed, 0.0, ceilings)
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
    """For each allowance the level that an unchanged model reaches alarms_per_year times a year, times factor.

    Weighted item units. Each simulated year draws a baseline of its own from the residuals, so that the baseline's own
    error counts (a nested bootstrap), and days that differ. Where a year is too long to draw, a shorter time is drawn
    and the rate applied to it.
    """
    n, batch = baseline.size, min(batch_items, baseline.size)
    weights, table = _weighted_residuals(baseline)
    extra = weights * math.sqrt(baseline.noise_variance - baseline.pooled_variance)
    horizon = max(1, min(math.ceil(batches_per_year), _DRAWS // (years * batch)))
    day_of = (np.arange(horizon) * (_DAYS_PER_YEAR / batches_per_year)).astype(np.int64)
    every_item = np.arange(n)
    order = rng.permuted(np.broadcast_to(every_item, (-(-horizon * batch // n), n)), axis=1).ravel()
    items = order[: horizon * batch].reshape(horizon, batch)
    weight = weights[items].sum(axis=1)
    peaks = np.empty((years, len(ALLOWANCES)))
    for year in range(years):
        shift = _draw(table, np.broadcast_to(every_item, (baseline.passes, n)), extra, rng).mean(axis=0)
        days = rng.normal(0.0, DAY_SD, day_of[-1] + 1) + rng.normal(0.0, DAY_SD / math.sqrt(COMMISSIONING_DAYS))
        falls = (shift[items] - _draw(table, items, extra, rng)).sum(axis=1) + days[day_of] * weight
        walks = (falls[:, None] - weight[:, None] * np.array(ALLOWANCES)).cumsum(axis=0)
        peaks[year] = (walks - np.minimum(np.minimum.accumulate(walks, axis=0), 0.0)).max(axis=0)
    quiet = math.exp(-alarms_per_year * horizon / batches_per_year)
    limits: Floats = np.maximum(SMALLEST_LIMIT, factor * np.quantile(peaks, quiet, axis=0))
    return limits


def _weighted_residuals(baseline: Baseline) -> tuple[Floats, Floats]:
    """Weights [item], and residuals [item, pass] of the right variance, each weighted as if it had not been seen.

    A residual times the weight that it helped to make would look quieter than a future answer. An item's missing passes
    are filled with its other ones.
    """
    noise = score_noise(baseline)
    counts = baseline.counts[:, None]
    residuals = baseline.residuals * np.sqrt(counts / (counts - 1.0)) * noise.left_out
    order = np.argsort(np.isnan(residuals), axis=1, kind="stable")
    present = np.take_along_axis(residuals, order, axis=1)
    filled: Floats = np.take_along_axis(present, np.arange(baseline.passes)[None, :] % counts, axis=1)
    return noise.weights, filled


def _draw(table: Floats, items: npt.NDArray[np.int64], extra: Floats, rng: np.random.Generator) -> Floats:
    """One residual of each item, plus the noise by which the measured one is under the floor."""
    width = table.shape[1]
    drawn: Floats = table.ravel()[items * width + rng.integers(0, width, size=items.shape)]
    return drawn + extra[items] * rng.standard_normal(items.shape) if extra[0] > 0.0 else drawn

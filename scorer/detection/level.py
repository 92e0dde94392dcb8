"""The level condition: is the mean over items lower, or have only single items that came first changed?

Residuals of single items add up before a pass is balanced, so a model that is as good but has other strengths would
page without it. It looks at item means since the change began and allows for the items that have not come round yet.
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from scorer.intervals import student_t

__all__ = ["MIN_DISTINCT", "TOLERANCE", "lower_bound", "mean_fall"]

Floats = npt.NDArray[np.float64]

MIN_DISTINCT = 24
"""Distinct items below which nothing is concluded (all of them where the set is smaller)."""
ITEM_SIGMAS = 3.0
"""How far the items that came round so far may misrepresent the others."""
NOISE_SIGMAS = 1.64
"""How far noise may deceive; the CUSUM and the evidence already guard against it."""
TOLERANCE = 0.05
"""The fall that the lower bound has to exceed, item units: half a point."""


def mean_fall(sums: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and sample variance over items of the item mean of (baseline - score), and the number of items m; [...].

    sums, counts: [..., item]. Nothing seen is a mean of 0 with m = 0; the variance of one item is infinite.
    """
    seen = counts > 0
    m = seen.sum(axis=-1).astype(np.float64)
    falls = np.where(seen, sums / np.maximum(counts, 1.0), 0.0)
    mean = falls.sum(axis=-1) / np.maximum(m, 1.0)
    squares = np.where(seen, (falls - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    return mean, np.where(m > 1, squares / np.maximum(m - 1.0, 1.0), np.inf), m


def lower_bound(sums: Floats, counts: Floats, noise_variance: Floats, baseline_variance: Floats) -> Floats:
    """Lower bound of the mean fall over all items, item units; -inf where too few distinct items were seen.

    noise_variance: of one answer. baseline_variance: of the mean over items of the baseline's item means.
    """
    n = counts.shape[-1]
    mean, variance, m = mean_fall(sums, counts)
    enough = m >= min(MIN_DISTINCT, n)
    variance = np.where(enough, variance, 0.0)
    unseen = _item_sigmas(n)[m.astype(np.int64)] ** 2 * variance * (1.0 - m / n) / np.maximum(m, 1.0)
    noise = NOISE_SIGMAS**2 * (noise_variance / np.maximum(counts.sum(axis=-1), 1.0) + baseline_variance)
    bound: Floats = np.where(enough, mean - np.sqrt(unseen + noise), -np.inf)
    return bound


@lru_cache(maxsize=16)
def _item_sigmas(n: int) -> Floats:
    """ITEM_SIGMAS for m = 0..n items seen, as quantiles of Student's t, since few items show their variance badly."""
    probability = NormalDist().cdf(ITEM_SIGMAS)
    return np.array([student_t(probability, max(m - 1.0, 1.0)) for m in range(n + 1)])

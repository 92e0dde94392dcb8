"""Means with their standard errors: of clustered items, and of repeated measurements of the same items."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "clustered_mean", "repeated_mean", "student_t", "summed"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its standard error and the degrees of freedom behind that error."""

    mean: float
    error: float
    freedom: float

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Lower and upper bound, each one-sided at alpha. Infinite where there is nothing to estimate an error from."""
        if self.freedom < 1.0 or not math.isfinite(self.error):
            return -math.inf, math.inf
        half = student_t(1.0 - alpha, self.freedom) * self.error
        return self.mean - half, self.mean + half


def student_t(probability: float, freedom: float) -> float:
    """Quantile of Student's t, from that of the normal distribution; exact to 1 % from 4 degrees of freedom.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
        (79.0 * z**9 + 776.0 * z**7 + 1482.0 * z**5 - 1920.0 * z**3 - 945.0 * z) / 92160.0,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def summed(first: Estimate, second: Estimate) -> Estimate:
    """The sum of two independent estimates, with the degrees of freedom of Welch and Satterthwaite.

    Satterthwaite, An approximate distribution of estimates of variance components (Biometrics Bulletin 1946).
    """
    parts = (first.error**2, second.error**2)
    variance = sum(parts)
    if min(first.freedom, second.freedom) < 1.0 or not math.isfinite(variance):
        return Estimate(first.mean + second.mean, math.inf, 0.0)
    shares = sum(part**2 / one.freedom for part, one in zip(parts, (first, second), strict=True))
    freedom = variance**2 / shares if shares > 0.0 else min(first.freedom, second.freedom)
    return Estimate(first.mean + second.mean, math.sqrt(variance), freedom)


def clustered_mean(values: Floats, clusters: Sequence[int] | Indices) -> Estimate:
    """The mean of values with an error that lets values of a cluster move together; nan values are left out.

    Cluster-robust, with the correction G / (G - 1) for G clusters: Miller, Adding Error Bars to Evals (arXiv
    2411.00640), section 3.2.
    """
    present = np.isfinite(values)
    values, labels = values[present], np.asarray(clusters)[present]
    if len(values) == 0:
        return Estimate(math.nan, math.inf, 0.0)
    mean = float(values.mean())
    _, group = np.unique(labels, return_inverse=True)
    sums = np.bincount(group, weights=values - mean)
    groups = len(sums)
    if groups < 2:
        return Estimate(mean, math.inf, 0.0)
    error = math.sqrt(float((sums**2).sum()) * groups / (groups - 1.0)) / len(values)
    return Estimate(mean, error, groups - 1.0)


def repeated_mean(values: Floats, variance_floor: float) -> Estimate:
    """The mean over items of item means, with the error of these very items measured again; [pass, item], nan left out.

    The within-item variance is pooled over items and floored. No degrees of freedom where no item was measured twice.
    """
    counts = np.isfinite(values).sum(axis=0)
    values, counts = values[:, counts > 0], counts[counts > 0]
    if counts.size == 0:
        return Estimate(math.nan, math.inf, 0.0)
    means = np.nansum(values, axis=0) / counts
    freedom = float((counts - 1).sum())
    pooled = float(np.nansum((values - means) ** 2)) / freedom if freedom > 0 else math.inf
    variance = max(pooled, variance_floor)
    return Estimate(float(means.mean()), math.sqrt(variance * float((1.0 / counts).sum())) / counts.size, freedom)

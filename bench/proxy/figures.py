"""Medians, ranges, and the bound of a paired change. Pure; imports nothing of the bench."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

__all__ = ["Change", "Spread", "paired_change", "slope", "spread"]

# Student's t, 0.975 quantile, for 1..30 degrees of freedom; beyond, the normal one is near enough.
# fmt: off
_T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of some rounds."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Change:
    """A relative change over pairs, in percent: mean, and the 95 % interval's ends."""

    percent: float
    low: float
    high: float
    pairs: int


def spread(values: Sequence[float]) -> Spread | None:
    """Median and range, None for no values."""
    if not values:
        return None
    return Spread(median(values), min(values), max(values), len(values))


def paired_change(before: Sequence[float], after: Sequence[float]) -> Change:
    """Change from before to after, pair by pair, on the log scale: with Student's t the two-sided 95 % interval.

    Raises ValueError for fewer than two pairs or a value that is not positive.
    """
    logs = [math.log(b / a) for a, b in zip(before, after, strict=True)]
    if len(logs) < 2:
        raise ValueError("a bound needs two pairs at least")
    t = _T975[len(logs) - 2] if len(logs) - 2 < len(_T975) else 1.96
    middle, half = fmean(logs), t * stdev(logs) / math.sqrt(len(logs))
    percent = [100 * math.expm1(x) for x in (middle, middle - half, middle + half)]
    return Change(percent[0], percent[1], percent[2], len(logs))


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Least-squares slope of y over x and its standard error; raises ValueError for fewer than three points."""
    if len(points) < 3:
        raise ValueError("a slope with an error needs three points")
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread_x = math.fsum((x - mean_x) ** 2 for x, _ in points)
    found = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / spread_x
    rest = math.fsum((y - mean_y - found * (x - mean_x)) ** 2 for x, y in points)
    return found, math.sqrt(rest / (len(points) - 2) / spread_x)

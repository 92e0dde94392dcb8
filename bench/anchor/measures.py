"""How well ratings fit labels: rank correlation, strongest emotion, mean error and slope, with bootstrap intervals.

Ranks share ties, as labels have many zeros (Spearman 1904; Kendall, Rank Correlation Methods, ch. 3). Whole messages
are drawn with replacement, since the emotions of one message belong together (Efron and Tibshirani 1993, ch. 6 and 13).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.anchor.labelled import Labelled

__all__ = ["LEAST", "MEASURES", "Interval", "Ratings", "measured", "spearman"]

Reals = npt.NDArray[np.float64]
Ratings = Sequence[Mapping[str, float]]

LEAST = 30
"""Smallest group that a figure is given for, in messages."""

_DRAWS = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the middle 95 % of its bootstrap."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def spearman(rated: Reals, labels: Reals) -> float:
    """0 where either says the same of everything: no order is no correlation."""
    a, b = _ranks(rated), _ranks(labels)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm else 0.0


def measured(messages: Sequence[Labelled], ratings: Ratings, seed: int = 20240501) -> dict[str, Interval]:
    """Of each measure; the same draws for every rater, so that raters can be compared."""
    draws = np.random.default_rng(seed).integers(0, len(messages), (_DRAWS, len(messages)))
    found = {}
    for name, measure in MEASURES.items():
        once = measure(messages, ratings)
        again = [measure([messages[i] for i in draw], [ratings[i] for i in draw]) for draw in draws]
        known = [value for value in again if not np.isnan(value)]
        low, high = np.quantile(known, (0.025, 0.975)) if known else (once, once)
        found[name] = Interval(once, float(low), float(high))
    return found


def _ranks(values: Reals) -> Reals:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Reals = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return ranks


def _pairs(messages: Sequence[Labelled], ratings: Ratings) -> tuple[Reals, Reals]:
    rated = [
        rating[emotion] for message, rating in zip(messages, ratings, strict=True) for emotion in message.intensity
    ]
    return np.array(rated), np.array([value for message in messages for value in message.intensity.values()])


def _rank_correlation(messages: Sequence[Labelled], ratings: Ratings) -> float:
    return spearman(*_pairs(messages, ratings))


def _strongest(messages: Sequence[Labelled], ratings: Ratings) -> float:
    """Share of the messages with one strongest emotion in which it is rated the strongest."""
    hits = []
    for message, rating in zip(messages, ratings, strict=True):
        highest = max(message.intensity.values())
        strongest = [emotion for emotion, value in message.intensity.items() if value == highest]
        if highest > 0 and len(strongest) == 1 < len(message.intensity):
            hits.append(max(message.intensity, key=lambda emotion: rating[emotion]) == strongest[0])
    return float(np.mean(hits)) if hits else float("nan")


def _error(messages: Sequence[Labelled], ratings: Ratings) -> float:
    rated, labels = _pairs(messages, ratings)
    return float(np.abs(rated - labels).mean())


def _slope(messages: Sequence[Labelled], ratings: Ratings) -> float:
    """By how much labels rise per point of rating: 1 is calibrated."""
    rated, labels = _pairs(messages, ratings)
    centred = rated - rated.mean()
    spread = float(centred @ centred)
    return float(centred @ labels) / spread if spread else float("nan")


MEASURES: Mapping[str, Callable[[Sequence[Labelled], Ratings], float]] = {
    "rank correlation": _rank_correlation,
    "strongest emotion": _strongest,
    "mean error": _error,
    "slope": _slope,
}

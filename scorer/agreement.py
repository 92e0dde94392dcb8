"""How far two ratings of the same turn lie apart: of two judges (agreement), or of one judge twice (its noise floor).

The loss is EQ-Bench's own, 100 minus the score in points that one rating would get with the other as its reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scorer.intervals import clustered_mean
from scorer.scoring import score_answers

__all__ = ["Loss", "Meaning", "loss_points", "mean_loss", "meaning", "retest_ratio"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

Meaning = Literal["quality", "change_signal"]

_POINTS_PER_UNIT = 10.0
_PERFECT_POINTS = 100.0
_ALPHA = 0.025
_LEAST_PAIRS = 10


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean loss in points, 0..300, with a 95 % interval; lower, upper: None where there is no error to tell."""

    mean: float
    lower: float | None
    upper: float | None
    turns: int
    conversations: int


def loss_points(rated: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """0 where both are equal. Raises ValueError where they name different emotions, or none."""
    if set(rated) != set(reference) or not rated:
        raise ValueError(f"ratings of {sorted(rated)} and {sorted(reference)} can't be compared")
    names = sorted(rated)
    answer, other = (np.array([[given[name] for name in names]]) for given in (rated, reference))
    return _PERFECT_POINTS - _POINTS_PER_UNIT * float(score_answers(answer, other, "v2")[0])


def mean_loss(losses: Floats, conversation: Indices) -> Loss | None:
    """Over turns, with an error that lets turns of a conversation move together; None of no turns."""
    if len(losses) == 0:
        return None
    found = clustered_mean(losses, conversation)
    lower, upper = found.bounds(_ALPHA)
    known = found.freedom >= 1.0
    conversations = len(np.unique(conversation))
    return Loss(found.mean, max(0.0, lower) if known else None, upper if known else None, len(losses), conversations)


def meaning(reference_points: float | None, model_points: float | None) -> Meaning:
    """What agreement with a reference says: quality only where the reference has the better benchmark score.

    Simulated on EQ-Bench answers: agreement correlates with the model's true score at .87 where the reference stands
    at 86 points, at .41 at 81, and not at all at 74. Otherwise a change of it says only that something changed.
    """
    if reference_points is None or model_points is None:
        return "change_signal"
    return "quality" if reference_points > model_points else "change_signal"


def retest_ratio(first: Sequence[Mapping[str, float]], again: Sequence[Mapping[str, float]]) -> float | None:
    """The share of the variance of a judge's ratings that it gives again: 1 is perfect, 0 is noise. May be negative.

    One minus the squared difference over twice the variance, summed over emotions: the intraclass correlation
    ICC(1,1), Shrout & Fleiss 1979, on pooled sums. None of fewer than 10 pairs, or where nothing varies.
    """
    if len(first) < _LEAST_PAIRS:
        return None
    names = sorted(set.intersection(*(set(rating) for rating in (*first, *again))))
    pairs = np.array([[[rating[name] for name in names] for rating in side] for side in (first, again)])
    within = float(((pairs[0] - pairs[1]) ** 2).sum())
    spread = float(((pairs - pairs.mean(axis=(0, 1))) ** 2).sum())
    return None if spread == 0.0 else 1.0 - within / spread

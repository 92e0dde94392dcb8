"""What happens to a feeling in the turn after the reply, beyond what is to be expected from where it stood.

Strong feelings fall by themselves (regression to the mean), so a fall alone shows nothing. The expected change at each
intensity is learnt once, from a reference window, and frozen; relief is the mean change less the expected one. It is an
association: what else changed between the windows is in it too.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from scorer.intervals import clustered_mean, student_t

__all__ = ["LEAST_TURNS", "Expectation", "Relief", "learn", "relief"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LEAST_TURNS = 30
_ALPHA = 0.025


@dataclass(frozen=True, slots=True)
class Expectation:
    """Expected change = intercept + slope * intensity before, with the covariance of both, from `turns` turns."""

    intercept: float
    slope: float
    intercept_variance: float
    slope_variance: float
    covariance: float
    turns: int
    conversations: int

    def change(self, before: Floats) -> Floats:
        """Intensity points."""
        return self.intercept + self.slope * before

    def variance(self, before: float) -> float:
        """Of the expected change where the mean intensity is `before`."""
        return max(0.0, self.intercept_variance + before * (2.0 * self.covariance + before * self.slope_variance))

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As it was stored."""
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Relief:
    """change: mean change beyond the expected one, in intensity points, with a 95 % interval; negative is a fall.

    observed: the mean change as it was. lower, upper: None where too few conversations give no error.
    """

    change: float
    lower: float | None
    upper: float | None
    observed: float
    turns: int
    conversations: int


def learn(conversation: Indices, before: Floats, after: Floats) -> Expectation | None:
    """The line through change over before, with an error that lets turns of a conversation move together.

    None of fewer than 30 turns. Liang & Zeger, Longitudinal data analysis using generalized linear models (1986).
    """
    if len(before) < LEAST_TURNS:
        return None
    design = np.column_stack([np.ones(len(before)), before])
    change = after - before
    # Where all intensities are equal there is no slope to learn: the shortest solution is the mean change.
    bread = np.linalg.pinv(design.T @ design, rcond=1e-9)
    fitted = bread @ design.T @ change
    labels, group = np.unique(conversation, return_inverse=True)
    residuals = change - design @ fitted
    scores = np.column_stack([np.bincount(group, weights=residuals * column) for column in design.T])
    correction = len(labels) / max(1.0, len(labels) - 1.0)
    spread = bread @ (scores.T @ scores) @ bread * correction
    return Expectation(
        intercept=float(fitted[0]),
        slope=float(fitted[1]),
        intercept_variance=float(spread[0, 0]),
        slope_variance=float(spread[1, 1]),
        covariance=float(spread[0, 1]),
        turns=len(before),
        conversations=len(labels),
    )


def relief(expected: Expectation, conversation: Indices, before: Floats, after: Floats) -> Relief | None:
    """Of the current window; None of no turns."""
    if len(before) == 0:
        return None
    observed = after - before
    beyond = clustered_mean(observed - expected.change(before), conversation)
    conversations, mean = len(np.unique(conversation)), float(observed.mean())
    if not math.isfinite(beyond.error):
        return Relief(beyond.mean, None, None, mean, len(before), conversations)
    error = math.sqrt(beyond.error**2 + expected.variance(float(before.mean())))
    half = student_t(1.0 - _ALPHA, beyond.freedom) * error
    return Relief(beyond.mean, beyond.mean - half, beyond.mean + half, mean, len(before), conversations)

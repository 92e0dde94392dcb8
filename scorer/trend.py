"""Where an intensity is going over the last turns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["TREND_TURNS", "Direction", "Trend", "trend"]

Direction = Literal["rising", "falling", "steady"]

TREND_TURNS = 5
_LEAST_SLOPE = 0.5
_SURE = 2.0


@dataclass(frozen=True, slots=True)
class Trend:
    """slope: intensity points per turn, least squares. direction: steady where it is small, or within the noise."""

    slope: float
    direction: Direction


def trend(turns: Sequence[int], intensities: Sequence[float], *, noise: float | None = None) -> Trend | None:
    """Over the newest five estimates, in the order of turns; None of fewer than two.

    noise: standard deviation of one rating; with it a direction needs a slope of two of its standard errors, and in any
    case half a point per turn.
    """
    x = np.asarray(turns[-TREND_TURNS:], dtype=np.float64)
    y = np.asarray(intensities[-TREND_TURNS:], dtype=np.float64)
    spread = float(((x - x.mean()) ** 2).sum()) if len(x) else 0.0
    if spread == 0.0:
        return None
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    least = max(_LEAST_SLOPE, _SURE * (noise or 0.0) / spread**0.5)
    direction: Direction = "steady" if abs(slope) < least else "rising" if slope > 0 else "falling"
    return Trend(slope, direction)

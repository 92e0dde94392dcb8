"""How well a judge repeats itself on one emotion: what its single rating is worth, apart from being right. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["LEAST_RETESTS", "NEAR", "Repeatability", "repeatability"]

NEAR = 1.0
"""Intensity points within which a second rating counts as the same."""
LEAST_RETESTS = 20
_Z = 1.959964  # 95 %, two-sided


@dataclass(frozen=True, slots=True)
class Repeatability:
    """share: of retests within one point of the first rating; confidence: lower end of its 95 % interval (Wilson).

    noise: standard deviation of one rating, intensity points. confidence is None of fewer than 20 retests.
    """

    retests: int
    share: float
    confidence: float | None
    noise: float


def repeatability(first: Sequence[float], again: Sequence[float]) -> Repeatability | None:
    """From pairs of ratings, 0..10, of the same turns by the same judge; None of no pairs.

    Wilson, Probable inference (JASA 1927): honest near 1 and for few pairs, where a plain share would claim too much.
    """
    pairs = len(first)
    if pairs == 0:
        return None
    differences = np.asarray(first, dtype=np.float64) - np.asarray(again, dtype=np.float64)
    share = float((np.abs(differences) <= NEAR + 1e-9).mean())
    z2 = _Z**2
    centre = share + z2 / (2 * pairs)
    half = _Z * math.sqrt(share * (1 - share) / pairs + z2 / (4 * pairs**2))
    lower = max(0.0, (centre - half) / (1 + z2 / pairs))
    noise = float(np.sqrt((differences**2).mean() / 2.0))
    return Repeatability(pairs, share, lower if pairs >= LEAST_RETESTS else None, noise)

"""Whether the intensities of an emotion are distributed as they were in a reference window: how far, how surely.

The distance is Wasserstein's first, in intensity points: by how much an average conversation's intensity has moved.
The test may be looked at after every conversation, for ever: each new one is ranked among all so far, the rank is
uniform as long as conversations are exchangeable, and bets against that make a martingale which exceeds 1/alpha with
probability alpha at most (Ville 1939). Bets on higher, lower, more and less spread ranks run side by side and change
sides now and then, so that a late change is found as well.

The Simple Jumper on conformal p-values: Vovk et al., Retrain or not retrain: conformal test martingales for
change-point detection (arXiv 2102.10439), section 4. Intensities are kept in tenths, so a state is a small table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["STEPS", "DriftTest", "distance", "histogram", "tenths"]

Counts = npt.NDArray[np.int64]

STEPS = 101
"""Intensities 0.0, 0.1 … 10.0."""
_STAKES = (-1.0, 0.0, 1.0)
_JUMP = 0.01
_CEILING = 70.0
_FEATURES = 2


def tenths(intensity: float) -> int:
    """The nearest step, 0..100."""
    return min(STEPS - 1, max(0, math.floor(intensity * 10.0 + 0.5)))


def histogram(values: Sequence[int]) -> Counts:
    """How often each step occurs among steps."""
    counts: Counts = np.bincount(np.asarray(values, dtype=np.int64), minlength=STEPS).astype(np.int64)
    return counts


def distance(reference: Counts, current: Counts) -> float:
    """Wasserstein's first distance in intensity points: the area between the distribution functions.

    Vallender, Calculation of the Wasserstein distance between probability distributions on the line (1974).
    Raises ValueError for an empty window, which has no distribution.
    """
    if reference.sum() == 0 or current.sum() == 0:
        raise ValueError("a window without conversations has no distance")
    gap = np.cumsum(reference) / reference.sum() - np.cumsum(current) / current.sum()
    return float(np.abs(gap[:-1]).sum()) / 10.0


@dataclass(frozen=True, slots=True)
class DriftTest:
    """pool: all conversations so far by step, those of the reference included. Capitals as natural logarithms.

    highest: the greatest evidence since the test began, which is what the bound on false alarms holds for.
    """

    pool: tuple[int, ...]
    log_capitals: tuple[float, ...] = (math.log(1.0 / len(_STAKES)),) * (len(_STAKES) * _FEATURES)
    highest: float = 0.0

    @classmethod
    def against(cls, reference: Counts) -> Self:
        """A test that begins after this reference window."""
        return cls(tuple(int(count) for count in reference))

    def seen(self, step: int, lot: float) -> "DriftTest":
        """The test after one more conversation. lot: 0..1, uniform and independent of it; settles ties."""
        pool = np.asarray(self.pool, dtype=np.int64)
        pool[step] += 1
        rank = (float(pool[step + 1 :].sum()) + lot * float(pool[step])) / float(pool.sum())
        place = 2.0 * rank - 1.0
        features = (place, 2.0 * abs(place) - 1.0)
        capitals = np.exp(np.asarray(self.log_capitals).reshape(_FEATURES, -1))
        # Some of each capital is dealt out anew before the next bet: the jumps.
        capitals = (1.0 - _JUMP) * capitals + _JUMP * capitals.mean(axis=1, keepdims=True)
        # Half of the capital at most is at stake, so that one rank can't ruin a bet.
        gains = 1.0 + 0.5 * np.asarray(features)[:, None] * np.asarray(_STAKES)[None, :]
        logs = np.clip(np.log(capitals * gains), -_CEILING, _CEILING).ravel()
        grown = replace(self, pool=tuple(map(int, pool)), log_capitals=tuple(map(float, logs)))
        return replace(grown, highest=max(self.highest, grown.log_evidence))

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the martingale now: the mean over the features of the capital over all stakes."""
        return float(np.log(np.exp(np.asarray(self.log_capitals)).sum() / _FEATURES))

    def ratio(self, alpha: float) -> float:
        """The greatest evidence over its limit 1/alpha: 1 or more rejects at alpha, however often one looked."""
        return math.exp(self.highest) * alpha

    def as_json(self) -> dict[str, Any]:
        """For the store."""
        return {"pool": list(self.pool), "log_capitals": list(self.log_capitals), "highest": self.highest}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As it was stored."""
        return cls(tuple(value["pool"]), tuple(value["log_capitals"]), value["highest"])

"""Turns whose next turn never came: how many, after which predictions, and what they could change.

People who leave are not like those who stay, so turns without a next one are weighed for, bounded, and never dropped
silently. Weights: Horvitz & Thompson 1952; Robins, Rotnitzky & Zhao 1994. Worst-case bounds: Manski, Nonparametric
bounds on treatment effects (AER 1990).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BANDS", "LARGEST_WEIGHT", "Band", "bands", "bounds", "weights"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BANDS: tuple[float, ...] = (0.0, 2.0, 4.0, 6.0, 8.0)
"""Lower ends of the bands of predicted distress, intensity points; the last one ends at 10, included."""
LARGEST_WEIGHT = 10.0
_LEAST, _MOST = 0.0, 10.0


@dataclass(frozen=True, slots=True)
class Band:
    """Turns whose predicted distress is from `low` up to `high`: how many there were, and how many had no next turn."""

    low: float
    high: float
    turns: int
    censored: int

    @property
    def share(self) -> float | None:
        """Censored turns among all, 0..1; None of an empty band."""
        return self.censored / self.turns if self.turns else None


def bands(distress: Floats, censored: Flags) -> tuple[Band, ...]:
    """The five bands. distress: predicted for each turn, 0..10."""
    place = _places(distress)
    ends = (*BANDS[1:], _MOST)
    return tuple(
        Band(low, high, int((place == number).sum()), int(((place == number) & censored).sum()))
        for number, (low, high) in enumerate(zip(BANDS, ends, strict=True))
    )


def weights(distress: Floats, found: Sequence[Band]) -> Floats:
    """How many turns of its band each turn with a next one stands for: turns / followed, at most 10.

    A band in which nobody went on can't be weighed for, which is what `bounds` are for.
    """
    of_band = np.array([_weight(band) for band in found])
    chosen: Floats = of_band[_places(distress)]
    return chosen


def bounds(
    mean: float, followed: int, censored: int, *, least: float = _LEAST, most: float = _MOST
) -> tuple[float, float]:
    """Lowest and highest mean over all turns, whatever the censored ones would have shown between least and most."""
    turns = followed + censored
    return (mean * followed + least * censored) / turns, (mean * followed + most * censored) / turns


def _weight(band: Band) -> float:
    followed = band.turns - band.censored
    return min(LARGEST_WEIGHT, band.turns / followed) if followed else LARGEST_WEIGHT


def _places(distress: Floats) -> npt.NDArray[np.intp]:
    return np.clip(np.searchsorted(np.asarray(BANDS), distress, side="right") - 1, 0, len(BANDS) - 1)

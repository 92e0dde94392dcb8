"""How far the present level is from the reference of record: the sum of all steps since the first accepted baseline.

Each upgrade may lose less than its margin and pass; the sum of many is seen here. It decides nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from scorer.baseline import Baseline

__all__ = ["Difference", "baseline_difference", "level_difference"]

_POINTS = 10.0
_TWO_SIDED_95 = NormalDist().inv_cdf(0.975)
LEAST_SHARE = 0.5
"""Share of the reference's items below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Later minus reference in points, with a 95 % interval; items: those that both have."""

    points: float
    lower: float
    upper: float
    items: int


def baseline_difference(reference: Baseline, later: Baseline) -> Difference | None:
    """Between two baselines, over the items of both; None where fewer than half of the reference's are in both.

    ValueError: made under different protocols, which are never compared.
    """
    if reference.protocol_key != later.protocol_key:
        raise ValueError("baselines of different protocols can't be compared")
    means = dict(zip(later.item_ids, later.means.tolist(), strict=True))
    counts = dict(zip(later.item_ids, later.counts.tolist(), strict=True))
    return _difference(reference, means, counts, later.noise_variance)


def level_difference(reference: Baseline, recent: Mapping[str, Sequence[float]]) -> Difference | None:
    """Of the newest readable scores of each item (item units, one or more); None as for baselines."""
    means = {item_id: sum(scores) / len(scores) for item_id, scores in recent.items() if scores}
    counts = {item_id: len(scores) for item_id, scores in recent.items() if scores}
    freedom = sum(count - 1 for count in counts.values())
    squares = sum((score - means[i]) ** 2 for i, scores in recent.items() for score in scores)
    measured = squares / freedom if counts and freedom >= len(counts) else 0.0
    return _difference(reference, means, counts, max(measured, reference.noise_variance))


def _difference(
    reference: Baseline, means: Mapping[str, float], counts: Mapping[str, int], noise_variance: float
) -> Difference | None:
    both = [i for i, item_id in enumerate(reference.item_ids) if item_id in means]
    m, n = len(both), reference.size
    if m < max(2, LEAST_SHARE * n):
        return None
    ids = [reference.item_ids[i] for i in both]
    differences = np.array([means[item_id] for item_id in ids]) - reference.means[both]
    noise = noise_variance * sum(1.0 / counts[item_id] for item_id in ids) / m**2
    frozen = reference.noise_variance * float((1.0 / reference.counts[both]).sum()) / m**2
    unseen = float(differences.var(ddof=1)) * (1.0 - m / n) / m
    half = _POINTS * _TWO_SIDED_95 * math.sqrt(noise + frozen + unseen)
    points = _POINTS * float(differences.mean())
    return Difference(points, points - half, points + half, m)

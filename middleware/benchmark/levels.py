"""The level that the newest answers show: the score, the score of each branch, the distance to the reference. Pure.

Of each item the newest few scores are kept, of one version only: a change of version begins anew.
"""

from collections.abc import Iterable, Mapping

from scorer.baseline import Baseline, Observation
from scorer.items import ItemSet
from scorer.reference import Difference, level_difference

__all__ = ["Recent", "branch_points", "is_below", "reference_difference", "remembered", "score_points"]

Recent = Mapping[str, tuple[float | None, ...]]
"""Item -> its newest scores in item units, the newest one last; None where an answer could not be read."""

_KEPT = 4
_POINTS_PER_UNIT = 10.0
_SURE = 2.0
"""Half-widths of the 95 % interval: one look in 20,000 is deceived by noise."""


def remembered(recent: Recent, observations: Iterable[Observation]) -> Recent:
    """With the answers of one more batch."""
    new = {o.item_id: (*recent.get(o.item_id, ()), o.score)[-_KEPT:] for o in observations}
    return {**recent, **new}


def score_points(recent: Recent) -> float | None:
    """The mean over items of the newest score of each; None before any could be read."""
    return _mean(scores[-1] for scores in recent.values() if scores)


def branch_points(recent: Recent, item_set: ItemSet) -> dict[str, float]:
    """The same for the items of each branch of emotional intelligence that the set names."""
    by_branch: dict[str, list[float | None]] = {}
    for item in item_set.items:
        if item.branch and recent.get(item.id):
            by_branch.setdefault(item.branch, []).append(recent[item.id][-1])
    means = {branch: _mean(scores) for branch, scores in sorted(by_branch.items())}
    return {branch: points for branch, points in means.items() if points is not None}


def reference_difference(reference: Baseline | None, recent: Recent) -> Difference | None:
    """How far the level is from the reference of record; None before every item of it came round."""
    if reference is None or not all(item_id in recent for item_id in reference.item_ids):
        return None
    return level_difference(reference, {item: [s for s in scores if s is not None] for item, scores in recent.items()})


def is_below(distance: Difference, margin: float, *, before: bool) -> bool:
    """Whether the level counts as below the reference by the margin, points; before: whether it did so far.

    It begins at the margin, once a fall is sure, and ends at half of it, so that noise does not flap. It is looked at
    after every batch, for years: an interval of 95 % would call noise a fall on most small item sets.
    """
    if before:
        return distance.points < -margin / 2.0
    half = distance.upper - distance.points
    return distance.points <= -margin and distance.points + _SURE * half < 0.0


def _mean(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return _POINTS_PER_UNIT * sum(known) / len(known) if known else None

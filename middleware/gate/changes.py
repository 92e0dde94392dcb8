"""What changed between two versions, below the verdict: per item, per emotion, per group of items. No I/O."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from middleware.records.benchmark import ItemResult
from scorer.intervals import clustered_mean
from scorer.items import Item, ItemSet

__all__ = [
    "FLATTERY",
    "Answer",
    "EmotionChange",
    "GroupChange",
    "ItemChange",
    "WorstItem",
    "emotion_changes",
    "group_changes",
    "item_changes",
    "worst_items",
]

FLATTERY = "check:flattery"
"""Tag of items on which the kind answer is the wrong one: their change is shown as a check of its own."""
_LEAST_IN_GROUP = 6
_GROUP_ALPHA = 0.025
_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class ItemChange:
    """Points of both versions, means over the passes; None where no answer could be read."""

    item_id: str
    baseline: float | None
    candidate: float | None
    change: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it was given. points: None unless it was read. scores: emotion -> 0..10."""

    outcome: str
    text: str
    points: float | None
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WorstItem:
    """An item that lost most, with both answers of the pass in which it lost most (counted from 1)."""

    change: ItemChange
    subject: str
    dialogue: str
    reference: Mapping[str, float]
    repetition: int
    baseline: Answer
    candidate: Answer


@dataclass(frozen=True, slots=True)
class EmotionChange:
    """One emotion over the items that ask for it. Intensities 0..10; errors: mean distance to the reference."""

    emotion: str
    items: int
    reference: float
    baseline: float
    candidate: float
    baseline_error: float
    candidate_error: float

    @property
    def error_change(self) -> float:
        """Above 0: the candidate is further off."""
        return self.candidate_error - self.baseline_error


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Items with one tag: candidate minus baseline in points with a 95 % interval, clustered by dialogue."""

    name: str
    kind: Literal["tag", "flattery"]
    items: int
    points: float
    lower: float
    upper: float


def item_changes(
    item_set: ItemSet,
    change: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    candidate: Mapping[str, float | None],
) -> tuple[ItemChange, ...]:
    """In the order of the set."""
    return tuple(
        ItemChange(item.id, baseline.get(item.id), candidate.get(item.id), change.get(item.id))
        for item in item_set.items
    )


def worst_items(
    item_set: ItemSet,
    worst: Sequence[str],
    changes: Iterable[ItemChange],
    baseline: Iterable[ItemResult],
    candidate: Iterable[ItemResult],
) -> tuple[WorstItem, ...]:
    """Both answers of the named items side by side."""
    by_id = {change.item_id: change for change in changes}
    ours = {(result.item_id, result.repetition): result for result in baseline}
    theirs = {(result.item_id, result.repetition): result for result in candidate}
    found = []
    for item_id in worst:
        item = item_set.by_id[item_id]
        pairs = [
            (_lost(ours[key], theirs[key]), key[1])
            for key in sorted(ours.keys() & theirs.keys())
            if key[0] == item_id and ours[key].score is not None and theirs[key].score is not None
        ]
        if not pairs:
            continue
        _, repetition = min(pairs)
        found.append(
            WorstItem(
                change=by_id[item_id],
                subject=item.subject,
                dialogue=item.dialogue,
                reference=_reference(item, item_set),
                repetition=repetition + 1,
                baseline=_answer(ours[item_id, repetition]),
                candidate=_answer(theirs[item_id, repetition]),
            )
        )
    return tuple(found)


def emotion_changes(
    item_set: ItemSet, baseline: Iterable[ItemResult], candidate: Iterable[ItemResult]
) -> tuple[EmotionChange, ...]:
    """Each emotion over items that both versions answered readably, largest loss of accuracy first."""
    ours, theirs = _mean_answers(baseline), _mean_answers(candidate)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for item_id in ours.keys() & theirs.keys():
        reference = _reference(item_set.by_id[item_id], item_set)
        for emotion, value in reference.items():
            before, after = ours[item_id].get(emotion), theirs[item_id].get(emotion)
            if before is not None and after is not None:
                found.setdefault(emotion, []).append((value, before, after))
    changes = [_emotion(emotion, np.array(rows)) for emotion, rows in found.items()]
    return tuple(sorted(changes, key=lambda each: (-each.error_change * each.items, each.emotion)))


def group_changes(item_set: ItemSet, changes: Iterable[ItemChange]) -> tuple[GroupChange, ...]:
    """Branches and tags that at least six readable items share; the flattery check first."""
    groups: dict[str, list[tuple[float, str]]] = {}
    for change in changes:
        item = item_set.by_id[change.item_id]
        names = [*item.tags, *([f"branch:{item.branch}"] if item.branch else [])]
        for name in names if change.change is not None else ():
            groups.setdefault(name, []).append((change.change or 0.0, item.cluster or item.id))
    found = [_group(name, rows) for name, rows in sorted(groups.items()) if len(rows) >= _LEAST_IN_GROUP]
    return tuple(sorted(found, key=lambda group: group.kind != "flattery"))


def _group(name: str, rows: Sequence[tuple[float, str]]) -> GroupChange:
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(cluster for _, cluster in rows))}
    estimate = clustered_mean(np.array([value for value, _ in rows]), [numbers[cluster] for _, cluster in rows])
    lower, upper = estimate.bounds(_GROUP_ALPHA)
    return GroupChange(name, "flattery" if name == FLATTERY else "tag", len(rows), estimate.mean, lower, upper)


def _emotion(emotion: str, rows: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> EmotionChange:
    reference, before, after = rows.T
    return EmotionChange(
        emotion=emotion,
        items=len(rows),
        reference=float(reference.mean()),
        baseline=float(before.mean()),
        candidate=float(after.mean()),
        baseline_error=float(np.abs(before - reference).mean()),
        candidate_error=float(np.abs(after - reference).mean()),
    )


def _mean_answers(results: Iterable[ItemResult]) -> dict[str, dict[str, float]]:
    """Item -> emotion -> mean intensity over the passes in which the item was read."""
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        if result.outcome == "scored":
            for emotion, value in result.answer.items():
                found.setdefault(result.item_id, {}).setdefault(emotion, []).append(value)
    return {
        item_id: {emotion: sum(values) / len(values) for emotion, values in answer.items()}
        for item_id, answer in found.items()
    }


def _lost(ours: ItemResult, theirs: ItemResult) -> float:
    return (theirs.score or 0.0) - (ours.score or 0.0)


def _answer(result: ItemResult) -> Answer:
    points = None if result.score is None or not math.isfinite(result.score) else _POINTS * result.score
    return Answer(result.outcome, result.text, points, dict(result.answer))


def _reference(item: Item, item_set: ItemSet) -> dict[str, float]:
    return dict(zip(item.emotions, item.reference_for(item_set.version), strict=True))

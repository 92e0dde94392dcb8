"""What changed against the baseline, item by item, emotion by emotion, branch by branch. Pure; it decides nothing.

Compared are the baseline's frozen means and medians with the newest answers of the version that answers now.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from middleware.records.benchmark import ItemResult
from scorer.baseline import Baseline
from scorer.items import Item, ItemSet

__all__ = ["BranchLevel", "Changes", "EmotionChange", "ItemChange", "changes_of"]

_NORMAL_95 = 1.96
_POINTS = 10.0
_KEPT = 4
_LEAST_ITEMS = 3


@dataclass(frozen=True, slots=True)
class ItemChange:
    """Points before and now, and the change with a 95 % interval from the baseline's pooled noise of an answer."""

    item_id: str
    before: float
    now: float
    lower: float
    upper: float
    answers: int

    @property
    def change(self) -> float:
        """Negative is worse."""
        return self.now - self.before

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero. Of twenty unchanged items one does so by chance."""
        return self.upper < 0.0 or self.lower > 0.0


@dataclass(frozen=True, slots=True)
class EmotionChange:
    """One emotion over its items, intensity points. shift: how much more is seen in people; error_*: distance to the
    reference, None where there is none."""

    emotion: str
    items: int
    shift: float
    error_before: float
    error_now: float

    @property
    def change(self) -> float:
        """Of the distance to the reference; positive is worse."""
        return self.error_now - self.error_before


@dataclass(frozen=True, slots=True)
class BranchLevel:
    """A branch of emotional intelligence: mean points of its items, before and now, over the items that have both."""

    branch: str
    items: int
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Changes:
    """items: the one that lost most first. emotions: the one that became least accurate first. branches: by name."""

    items: tuple[ItemChange, ...] = ()
    emotions: tuple[EmotionChange, ...] = ()
    branches: tuple[BranchLevel, ...] = ()


def changes_of(
    baseline: Baseline, results: Iterable[ItemResult], *, since: float | None, item_set: ItemSet | None
) -> Changes:
    """From the answers that came after `since` (Unix seconds; None: all). Emotions and branches need the item set."""
    newest = _newest(results, since)
    items = tuple(sorted(_items(baseline, newest), key=lambda one: one.change))
    if item_set is None:
        return Changes(items)
    return Changes(items, _emotions(baseline, newest, item_set), _branches(items, item_set))


def _newest(results: Iterable[ItemResult], since: float | None) -> Mapping[str, Sequence[ItemResult]]:
    """Of each item its newest few readable answers."""
    found: dict[str, list[ItemResult]] = defaultdict(list)
    for result in sorted(results, key=lambda each: each.at):
        if result.score is not None and (since is None or result.at >= since):
            found[result.item_id].append(result)
    return {item: answers[-_KEPT:] for item, answers in found.items()}


def _items(baseline: Baseline, newest: Mapping[str, Sequence[ItemResult]]) -> Iterable[ItemChange]:
    for place, item_id in enumerate(baseline.item_ids):
        answers = newest.get(item_id)
        if not answers:
            continue
        before = _POINTS * float(baseline.means[place])
        now = _POINTS * statistics.fmean(result.score for result in answers if result.score is not None)
        noise = baseline.noise_variance * (1.0 / len(answers) + 1.0 / int(baseline.counts[place]))
        half = _NORMAL_95 * _POINTS * math.sqrt(noise)
        yield ItemChange(item_id, before, now, now - before - half, now - before + half, len(answers))


def _emotions(
    baseline: Baseline, newest: Mapping[str, Sequence[ItemResult]], item_set: ItemSet
) -> tuple[EmotionChange, ...]:
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for place, item_id in enumerate(baseline.item_ids):
        item = item_set.by_id.get(item_id)
        width = int(baseline.emotions[place])
        if item is None or item_id not in newest or width != len(item.emotions):
            continue
        for emotion, before, reference in zip(
            item.emotions, baseline.medians[place, :width].tolist(), _reference(item, item_set), strict=True
        ):
            values = [result.answer[emotion] for result in newest[item_id] if emotion in result.answer]
            if values:
                now = statistics.fmean(values)
                found[emotion].append((now - before, abs(before - reference), abs(now - reference)))
    changes = [
        EmotionChange(emotion, len(rows), *(statistics.fmean(column) for column in zip(*rows, strict=True)))
        for emotion, rows in found.items()
        if len(rows) >= _LEAST_ITEMS
    ]
    return tuple(sorted(changes, key=lambda one: -one.change))


def _reference(item: Item, item_set: ItemSet) -> tuple[float, ...]:
    """What the item's emotions are measured by, on 0..10; v1 references are shares of ten."""
    return item.reference_for(item_set.version)


def _branches(items: Sequence[ItemChange], item_set: ItemSet) -> tuple[BranchLevel, ...]:
    found: dict[str, list[ItemChange]] = defaultdict(list)
    for change in items:
        item = item_set.by_id.get(change.item_id)
        if item is not None and item.branch:
            found[item.branch].append(change)
    return tuple(
        BranchLevel(
            branch,
            len(rows),
            statistics.fmean(row.before for row in rows),
            statistics.fmean(row.now for row in rows),
        )
        for branch, rows in sorted(found.items())
    )

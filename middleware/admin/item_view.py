"""What the page of one benchmark item shows: the question, and what each version of each deployment answered. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from middleware.records.benchmark import ItemResult, Run
from middleware.records.event import Event
from middleware.records.standing import Standing
from scorer.baseline import Baseline
from scorer.items import Item, ItemSet

__all__ = ["Answered", "Asked", "EmotionRow", "ItemView", "VersionAnswers", "item_view"]

_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class VersionAnswers:
    """The answers of one version, the newest one last. points: their mean; medians: of readable ones, by emotion."""

    name: str
    answers: tuple[ItemResult, ...]
    points: float | None
    medians: Mapping[str, float]

    @property
    def newest(self) -> ItemResult:
        """The last one that was given."""
        return self.answers[-1]


@dataclass(frozen=True, slots=True)
class EmotionRow:
    """One emotion of the item: its reference, and what the version before and the present one say; None: not known."""

    emotion: str
    reference: float
    before: float | None
    now: float | None

    @property
    def worse(self) -> bool:
        """Whether the present version is further from the reference by at least one."""
        if self.before is None or self.now is None:
            return False
        return abs(self.now - self.reference) - abs(self.before - self.reference) >= 1.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer in the history, newest first in `Asked`."""

    at: float
    version: str
    outcome: str
    points: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One deployment. versions: oldest first. baseline_points: of its frozen baseline, None without one."""

    deployment: str
    versions: tuple[VersionAnswers, ...]
    emotions: tuple[EmotionRow, ...]
    baseline_points: float | None
    history: tuple[Answered, ...]
    outcomes: Mapping[str, int]
    changes: tuple[float, ...] = ()

    @property
    def now(self) -> VersionAnswers:
        """The version that answered last."""
        return self.versions[-1]

    @property
    def before(self) -> VersionAnswers | None:
        """The one before it."""
        return self.versions[-2] if len(self.versions) > 1 else None


@dataclass(frozen=True, slots=True)
class ItemView:
    """item: None where the set's text is not here. asked: the deployments that it was asked of."""

    item_set: str
    item_id: str
    official: bool
    item: Item | None
    reference: Mapping[str, float]
    asked: tuple[Asked, ...]

    @property
    def dialogue(self) -> tuple[str, ...]:
        """The lines of the dialogue, else of the prompt."""
        text = "" if self.item is None else self.item.dialogue or self.item.prompt
        return tuple(line for line in text.strip().splitlines() if line.strip())


def item_view(
    item_set: str,
    item_id: str,
    *,
    loaded: ItemSet | None,
    answers: Sequence[tuple[Run, ItemResult]],
    standings: Sequence[Standing],
    baselines: Mapping[str, Baseline],
    events: Sequence[Event] = (),
) -> ItemView:
    """answers: newest first. standings, baselines: of this item set, the latter by deployment."""
    item = loaded.by_id.get(item_id) if loaded is not None else None
    reference: dict[str, float] = {}
    if item is not None and loaded is not None:
        reference = dict(zip(item.emotions, item.reference_for(loaded.version), strict=True))
    by_deployment: dict[str, list[tuple[Run, ItemResult]]] = {}
    for run, result in reversed(answers):
        by_deployment.setdefault(run.deployment, []).append((run, result))
    starts = {standing.deployment: _started(standing) for standing in standings}
    asked = (
        _asked(deployment, own, item_id, reference, baselines.get(deployment), starts.get(deployment), events)
        for deployment, own in by_deployment.items()
    )
    # The one whose present version lost most comes first.
    ranked = sorted(asked, key=lambda one: (_change(one) is None, _change(one) or 0.0))
    return ItemView(item_set, item_id, loaded is not None and loaded.official, item, reference, tuple(ranked))


def _started(standing: Standing) -> float | None:
    """When the present version began, where it is not told by its name."""
    if standing.upgrade is not None:
        return standing.upgrade.since
    return standing.since if standing.state in {"regressed", "changed"} else None


def _asked(
    deployment: str,
    answers: Sequence[tuple[Run, ItemResult]],
    item_id: str,
    reference: Mapping[str, float],
    baseline: Baseline | None,
    started: float | None,
    events: Sequence[Event],
) -> Asked:
    versions = _versions(answers, started)
    now, before = versions[-1], versions[-2] if len(versions) > 1 else None
    frozen: dict[str, float] = {}
    points = None
    if baseline is not None and item_id in baseline.item_ids:
        place = baseline.item_ids.index(item_id)
        points = _POINTS * float(baseline.means[place])
        if int(baseline.emotions[place]) == len(reference):
            frozen = dict(zip(reference, baseline.medians[place].tolist(), strict=False))
    rows = tuple(
        EmotionRow(emotion, value, _first(emotion, frozen, before), now.medians.get(emotion))
        for emotion, value in reference.items()
    )
    history = tuple(
        Answered(result.at, _name(run, result), result.outcome, _points(result)) for run, result in reversed(answers)
    )
    changes = tuple(
        event.at
        for event in events
        if event.deployment == deployment and event.kind in {"upgrade_declared", "upgrade_noticed"}
    )
    outcomes: Mapping[str, int] = Counter(str(result.outcome) for _, result in answers)
    return Asked(deployment, versions, rows, points, history, outcomes, changes)


def _first(emotion: str, frozen: Mapping[str, float], before: VersionAnswers | None) -> float | None:
    """From the baseline, else from the version before."""
    return frozen.get(emotion, before.medians.get(emotion) if before is not None else None)


def _versions(answers: Sequence[tuple[Run, ItemResult]], started: float | None) -> tuple[VersionAnswers, ...]:
    """By name and fingerprint; where all are of one name, those from before and after the change of version."""
    found: dict[tuple[str, str], list[ItemResult]] = {}
    for run, result in answers:
        found.setdefault((_name(run, result), result.system_fingerprint), []).append(result)
    known = {key: results for key, results in found.items() if any(r.score is not None for r in results)}
    groups = [(_label(key, known), results) for key, results in known.items()]
    if len(groups) == 1 and started is not None:
        name, results = groups[0]
        halves = ([r for r in results if r.at < started], [r for r in results if r.at >= started])
        groups = [(f"{name}, {word}", half) for word, half in zip(("before", "now"), halves, strict=True) if half]
    if not groups:
        everything = [result for _, result in answers]
        groups = [(_name(*answers[-1]), everything)]
    return tuple(_version(name, results) for name, results in sorted(groups, key=lambda one: one[1][-1].at))


def _name(run: Run, result: ItemResult) -> str:
    return result.answered_model or run.model


def _label(key: tuple[str, str], found: Mapping[tuple[str, str], object]) -> str:
    name, fingerprint = key
    several = sum(other == name for other, _ in found) > 1
    return f"{name} ({fingerprint})" if several and fingerprint else name


def _version(name: str, answers: Sequence[ItemResult]) -> VersionAnswers:
    readable = [result for result in answers if result.score is not None]
    values: dict[str, list[float]] = {}
    for result in readable:
        for emotion, value in result.answer.items():
            values.setdefault(emotion, []).append(value)
    scores = [points for result in readable if (points := _points(result)) is not None]
    return VersionAnswers(
        name,
        tuple(answers),
        statistics.fmean(scores) if scores else None,
        {emotion: statistics.median(found) for emotion, found in values.items()},
    )


def _points(result: ItemResult) -> float | None:
    return None if result.score is None else _POINTS * result.score


def _change(asked: Asked) -> float | None:
    before = asked.baseline_points
    if before is None and asked.before is not None:
        before = asked.before.points
    return None if before is None or asked.now.points is None else asked.now.points - before

"""Scores of one subject over time: its runs, and the level that they show whichever items each of them asked. Pure.

A batch asks a part of the items, so its own score scatters with their difficulty. The level compares each answer with
the baseline's mean of the same item, over about one pass of batches; it never crosses a change of version.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from middleware.admin.api import item_points, run_score
from middleware.records.benchmark import ItemResult, Run
from middleware.records.event import Event
from scorer.baseline import Baseline

__all__ = ["VERSION_EVENTS", "LevelPoint", "RunLine", "ScoreHistory", "history_of", "levels", "run_line"]

VERSION_EVENTS = frozenset({"upgrade_declared", "upgrade_noticed", "upgrade_withdrawn"})
"""Events after which another version answers."""

_NORMAL_95 = 1.96
_LEAST_ANSWERS = 4
_POINTS_PER_UNIT = 10.0


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a table or on a chart. lower, upper: 95 % interval of its score over items; None for too few items.

    results: without the answers' texts. item_scores: item -> points, None where none could be read.
    """

    run: Run
    score: float | None
    lower: float | None
    upper: float | None
    answered: int
    outcomes: Mapping[str, int]
    item_scores: Mapping[str, float | None]
    results: tuple[ItemResult, ...] = ()

    @property
    def at(self) -> float:
        """Its end, or its start while it runs."""
        return self.run.finished_at if self.run.finished_at is not None else self.run.started_at

    @property
    def readable(self) -> float | None:
        """Share of answers that could be scored, 0..1; None before the first answer of the model."""
        said = sum(count for outcome, count in self.outcomes.items() if outcome not in {"api_error", "timeout"})
        return self.outcomes.get("scored", 0) / said if said else None


@dataclass(frozen=True, slots=True)
class LevelPoint:
    """The level in points with its 95 % interval, after a run. segment: counts versions; a line never crosses them."""

    at: float
    points: float
    lower: float
    upper: float
    answers: int
    segment: int


@dataclass(frozen=True, slots=True)
class ScoreHistory:
    """Scores of one deployment on one item set, oldest first, the level they show, and what happened meanwhile."""

    deployment: str
    item_set: str
    lines: tuple[RunLine, ...]
    baseline_points: float | None
    events: tuple[Event, ...]
    levels: tuple[LevelPoint, ...] = ()

    @property
    def rows(self) -> list[tuple[RunLine, LevelPoint | None]]:
        """Each run with the level after it, newest first."""
        by_time = {point.at: point for point in self.levels}
        return [(line, by_time.get(line.at)) for line in reversed(self.lines)]


def run_line(run: Run, results: Sequence[ItemResult]) -> RunLine:
    """The run with its score, its interval over items, and its outcomes."""
    scores = item_points(results)
    known = [value for value in scores.values() if value is not None]
    score = run_score(run, results)
    lower = upper = None
    if score is not None and len(known) >= _LEAST_ANSWERS:
        half = _NORMAL_95 * statistics.stdev(known) / math.sqrt(len(known))
        lower, upper = score - half, score + half
    return RunLine(
        run=run,
        score=score,
        lower=lower,
        upper=upper,
        answered=len(results),
        outcomes=Counter(result.outcome for result in results),
        item_scores=scores,
        results=tuple(replace(result, text="") for result in results),
    )


def history_of(
    deployment: str,
    item_set: str,
    lines: Iterable[RunLine],
    *,
    baseline: Baseline | None,
    baseline_points: float | None,
    events: Iterable[Event],
) -> ScoreHistory | None:
    """Of the runs of this subject (gate runs are of other models); None where none of them has a score."""
    own = sorted(
        (line for line in lines if _is_of(line, deployment, item_set) and line.score is not None),
        key=lambda line: line.at,
    )
    if not own:
        return None
    meanwhile = tuple(event for event in events if _concerns(event, deployment, item_set, own[0].run.started_at))
    changes = [event.at for event in meanwhile if event.kind in VERSION_EVENTS]
    return ScoreHistory(
        deployment, item_set, tuple(own), baseline_points, meanwhile, tuple(levels(own, baseline, changes))
    )


def _is_of(line: RunLine, deployment: str, item_set: str) -> bool:
    run = line.run
    return (run.deployment, run.protocol.item_set) == (deployment, item_set) and run.purpose != "gate"


def _concerns(event: Event, deployment: str, item_set: str, since: float) -> bool:
    return (
        event.deployment in {deployment, ""} and event.details.get("item_set") in {item_set, None} and event.at >= since
    )


def levels(lines: Sequence[RunLine], baseline: Baseline | None, changes: Sequence[float]) -> list[LevelPoint]:
    """After each run, over the newest answers to each item of about one pass. lines: oldest first.

    With a baseline: its score plus the mean difference to its item means. Without one: the mean of what was asked.
    """
    means = {} if baseline is None else dict(zip(baseline.item_ids, baseline.means.tolist(), strict=True))
    found: list[LevelPoint] = []
    newest: dict[str, float] = {}
    segment, version = 0, ""
    for line in lines:
        now = sum(change <= line.run.started_at for change in changes)
        if now != segment or line.run.model != version:
            newest, segment, version = {}, now, line.run.model
        for item, points in line.item_scores.items():
            if points is not None and (not means or item in means):
                newest.pop(item, None)
                newest[item] = points - _POINTS_PER_UNIT * means.get(item, 0.0)
        if len(newest) >= _LEAST_ANSWERS:
            centre = statistics.fmean(newest.values()) + (baseline.points if baseline is not None else 0.0)
            half = _NORMAL_95 * statistics.stdev(newest.values()) / math.sqrt(len(newest))
            found.append(LevelPoint(line.at, centre, centre - half, centre + half, len(newest), segment))
    return found

"""The report of a gate as plain values, from which every form of it is written. No I/O and no words."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

from middleware.benchmark.outcomes import report_of
from middleware.gate.changes import (
    EmotionChange,
    GroupChange,
    ItemChange,
    WorstItem,
    emotion_changes,
    group_changes,
    item_changes,
    worst_items,
)
from middleware.gate.contamination import KnownByHeart
from middleware.gate.request import GateRequest, Role
from middleware.gate.session import Decided
from middleware.records.benchmark import ItemResult, Protocol, Run
from scorer.comparison import Comparison, GateRules, Verdict
from scorer.items import ItemSet

__all__ = ["GateReport", "Side", "make_report"]

WORST = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One version. points: of its own readable items; parseable: items, the mean over passes."""

    role: Role
    model: str
    upstream: str
    run_id: str
    points: float
    parseable: float
    valid: bool
    outcomes: dict[str, int]
    prompt_tokens: int
    completion_tokens: int
    median_seconds: float
    answered_models: tuple[str, ...]
    fingerprints: tuple[str, ...]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateReport:
    """Everything that a gate found. looks: all decision points, the deciding one last. Times: Unix seconds, UTC.

    contamination: of baseline and candidate, where it was asked for.
    """

    gate_id: str
    verdict: Verdict
    rules: GateRules
    seed: int
    protocol: Protocol
    items: int
    dialogues: int
    baseline: Side
    candidate: Side
    looks: tuple[Comparison, ...]
    item_changes: tuple[ItemChange, ...]
    emotions: tuple[EmotionChange, ...]
    groups: tuple[GroupChange, ...]
    worst: tuple[WorstItem, ...]
    no_longer_read: tuple[str, ...]
    started_at: float
    finished_at: float
    contamination: tuple[KnownByHeart, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """The look that decided."""
        return self.looks[-1]

    @property
    def flattery(self) -> GroupChange | None:
        """The change on items whose kind answer is the wrong one, where the set has at least six that were read."""
        return next((group for group in self.groups if group.kind == "flattery"), None)


def make_report(request: GateRequest, decided: Decided, contamination: tuple[KnownByHeart, ...] = ()) -> GateReport:
    """The report of a gate that came to its end."""
    last, evidence, item_set = decided.comparison, decided.evidence, request.item_set
    baseline, ours = _side("baseline", decided.runs.baseline, item_set, evidence.baseline, last.passes)
    candidate, theirs = _side("candidate", decided.runs.candidate, item_set, evidence.candidate, last.passes)
    changes = item_changes(item_set, last.item_points, ours, theirs)
    return GateReport(
        gate_id=decided.runs.gate_id,
        verdict=last.verdict or "undecided",
        rules=request.rules,
        seed=request.seed,
        protocol=request.protocol,
        items=len(item_set.items),
        dialogues=len({item.cluster or item.id for item in item_set.items}),
        baseline=baseline,
        candidate=candidate,
        looks=decided.looks,
        item_changes=changes,
        emotions=emotion_changes(item_set, evidence.baseline, evidence.candidate),
        groups=group_changes(item_set, changes),
        worst=worst_items(item_set, last.worst(WORST), changes, evidence.baseline, evidence.candidate),
        no_longer_read=tuple(
            change.item_id for change in changes if change.baseline is not None and change.candidate is None
        ),
        started_at=decided.runs.started_at,
        finished_at=decided.finished_at,
        contamination=contamination,
    )


def _side(
    role: Role, run: Run, item_set: ItemSet, results: Iterable[ItemResult], passes: int
) -> tuple[Side, dict[str, float | None]]:
    """The side, and the points of its items."""
    report = report_of(replace(run, passes=passes), item_set, results)
    side = Side(
        role=role,
        model=run.model,
        upstream=run.upstream,
        run_id=run.id,
        points=report.score.points,
        parseable=report.score.parseable,
        valid=report.valid,
        outcomes=report.outcomes,
        prompt_tokens=report.prompt_tokens,
        completion_tokens=report.completion_tokens,
        median_seconds=statistics.median([result.latency_seconds for result in report.results] or [0.0]),
        answered_models=tuple(sorted({result.answered_model for result in report.results} - {""})),
        fingerprints=tuple(sorted({result.system_fingerprint for result in report.results} - {""})),
        flags=tuple(flag.words for flag in report.flags),
    )
    return side, report.score.item_points

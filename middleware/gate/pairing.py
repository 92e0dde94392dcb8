"""From the results of two runs to paired scores: what may be compared, and what counts as missing. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from middleware.benchmark.outcomes import is_answer, report_of
from middleware.benchmark.soundness import degenerate
from middleware.errors import ConfigurationError
from middleware.records.benchmark import ItemResult, Run
from scorer.comparison import Comparison, GateRules, Paired, compare
from scorer.items import ItemSet

__all__ = ["Evidence", "compared", "require_comparable"]

_ITEM_UNIT_POINTS = 10.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All outcomes of both sides so far."""

    baseline_run: Run
    candidate_run: Run
    baseline: tuple[ItemResult, ...]
    candidate: tuple[ItemResult, ...]

    def of_passes(self, passes: int) -> "Evidence":
        """Without later passes: a gate that goes on may decide earlier than it had asked, once failed calls succeed."""
        return replace(
            self,
            baseline=tuple(result for result in self.baseline if result.repetition < passes),
            candidate=tuple(result for result in self.candidate if result.repetition < passes),
        )


def require_comparable(baseline: Run, candidate: Run) -> None:
    """Raise ConfigurationError unless both runs asked the same items in the same way (statistics: the protocol key)."""
    if baseline.protocol != candidate.protocol:
        fields = [
            f"{name} is {getattr(baseline.protocol, name)!r} and {getattr(candidate.protocol, name)!r}"
            for name in type(baseline.protocol).__dataclass_fields__
            if getattr(baseline.protocol, name) != getattr(candidate.protocol, name)
        ]
        raise ConfigurationError(f"these runs can't be compared, their protocols differ: {'; '.join(fields)}")
    if set(baseline.item_ids) != set(candidate.item_ids):
        raise ConfigurationError("these runs can't be compared: they did not ask the same items")


def compared(evidence: Evidence, item_set: ItemSet, passes: int, rules: GateRules) -> Comparison:
    """Where the gate stands after so many passes. Pure: the same answers give the same verdict after a restart."""
    require_comparable(evidence.baseline_run, evidence.candidate_run)
    baseline, candidate = [], []
    for repetition in range(passes):
        ours = _of_pass(evidence.baseline, repetition)
        theirs = _of_pass(evidence.candidate, repetition)
        # A call that failed says nothing about either model: it takes its pair out, so that an outage of one side is
        # not read as answers that nobody can read.
        both = {result.item_id for result in ours} & {result.item_id for result in theirs}
        baseline.append(_scores(evidence.baseline_run, item_set, ours, both))
        candidate.append(_scores(evidence.candidate_run, item_set, theirs, both))
    clusters: Mapping[str, str] = {item.id: item.cluster for item in item_set.items}
    paired = Paired.of(evidence.baseline_run.item_ids, baseline, candidate, clusters)
    found = compare(paired, rules)
    unsound = _unsound(evidence.of_passes(passes), item_set)
    if found.verdict is None or not unsound:
        return found
    return replace(found, verdict="unmeasured", reason=unsound, declined=False, passes_to_decide=None)


def _unsound(evidence: Evidence, item_set: ItemSet) -> str:
    """Why answers of a side say nothing about the items; empty for sound ones."""
    sides = (
        ("baseline", evidence.baseline_run, evidence.baseline),
        ("candidate", evidence.candidate_run, evidence.candidate),
    )
    found = [(role, degenerate(report_of(run, item_set, results).flags)) for role, run, results in sides]
    return "; ".join(f"the answers of the {role} are degenerate: {words}" for role, words in found if words)


def _of_pass(results: Iterable[ItemResult], repetition: int) -> list[ItemResult]:
    return [replace(each, repetition=0) for each in results if each.repetition == repetition and is_answer(each)]


def _scores(run: Run, item_set: ItemSet, results: Sequence[ItemResult], only: Iterable[str]) -> dict[str, float | None]:
    """Item units. Which of two answers of a revision counts is decided per pass, as the official scoring does."""
    wanted = set(only)
    points = report_of(replace(run, passes=1), item_set, results).score.item_points
    return {
        item_id: value / _ITEM_UNIT_POINTS if value is not None and item_id in wanted else None
        for item_id, value in points.items()
    }

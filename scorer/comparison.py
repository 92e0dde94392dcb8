"""The decision rule of the upgrade gate: two versions, the same items, asked in turn.

It takes scores and says pass, regressed, undecided or unmeasured, with the intervals behind it. It asks nothing, and
nothing in it can be tuned after seeing the data: looks and error rates are fixed beforehand.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from scorer.baseline import VARIANCE_FLOOR, Baseline
from scorer.intervals import Estimate, clustered_mean, repeated_mean, student_t, summed

__all__ = [
    "Comparison",
    "GateRules",
    "Interval",
    "NewDialogues",
    "Paired",
    "Verdict",
    "compare",
    "compare_with_baseline",
    "is_look",
    "looks",
]

Floats = npt.NDArray[np.float64]
Verdict = Literal["pass", "regressed", "undecided", "unmeasured"]

READABLE_DROP = 0.03
"""A readable share that is lower by more than this is a regression of its own (3 percentage points)."""
LEAST_PAIRED_SHARE = 0.5
LEAST_PAIRED_ITEMS = 12
"""Items with a readable pair below which nothing can be said."""
_POINTS = 10.0
_MOST_PASSES = 1024


@dataclass(frozen=True, slots=True)
class GateRules:
    """margin: points that the candidate may be worse. max_passes: the budget. alpha: one-sided, over all looks."""

    margin: float = 1.0
    max_passes: int = 4
    alpha: float = 0.05

    def alpha_at(self, passes: int) -> float:
        """The one-sided error rate of the look after that many passes: alpha * 2^-k at look k."""
        return self.alpha * 2.0 ** -(math.ceil(math.log2(passes)) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Scores of both versions, [pass, item], item units (10 = perfect), nan = unreadable; clusters: [item]."""

    item_ids: tuple[str, ...]
    baseline: Floats
    candidate: Floats
    clusters: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        item_ids: Sequence[str],
        baseline: Sequence[Mapping[str, float | None]],
        candidate: Sequence[Mapping[str, float | None]],
        clusters: Mapping[str, str | int] | None = None,
    ) -> "Paired":
        """From one mapping per pass. An item without a cluster is one of its own. ValueError: passes do not match."""
        if len(baseline) != len(candidate) or not baseline:
            raise ValueError(f"{len(baseline)} passes of the baseline cannot be paired with {len(candidate)}")
        names = {item_id: ("of", (clusters or {}).get(item_id, "")) for item_id in item_ids}
        names = {item_id: name if name[1] != "" else ("single", item_id) for item_id, name in names.items()}
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
        return cls(
            item_ids=tuple(item_ids),
            baseline=_matrix(item_ids, baseline),
            candidate=_matrix(item_ids, candidate),
            clusters=np.array([numbers[names[item_id]] for item_id in item_ids], dtype=np.int64),
        )

    @property
    def passes(self) -> int:
        """How many passes there are."""
        return len(self.baseline)

    @property
    def differences(self) -> Floats:
        """Candidate minus baseline, [pass, item], nan where one of the two is missing."""
        differences: Floats = self.candidate - self.baseline
        return differences


@dataclass(frozen=True, slots=True)
class Interval:
    """Candidate minus baseline in points, with one-sided bounds at alpha each."""

    points: float
    lower: float
    upper: float
    alpha: float


@dataclass(frozen=True, slots=True)
class NewDialogues:
    """The verdict on dialogues that were not asked. dialogues_to_decide: None where it is decided or out of reach."""

    verdict: Verdict
    interval: Interval
    dialogues: int
    dialogues_to_decide: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The state of a gate after a pass. verdict is None while another look is to come.

    declined: passed, but measurably worse within the margin. reason: one phrase for people. passes_to_decide: the look
    that would decide if the difference stayed as it is; None where it is decided, or no sensible number would.
    deciding_margin: the smallest margin that these data would have passed, points.
    """

    verdict: Verdict | None
    reason: str
    passes: int
    these_items: Interval
    new_dialogues: NewDialogues
    readable_baseline: float
    readable_candidate: float
    declined: bool = False
    passes_to_decide: int | None = None
    deciding_margin: float = math.inf
    item_points: Mapping[str, float | None] = field(default_factory=dict)

    def worst(self, count: int = 10) -> tuple[str, ...]:
        """The items that lost most, worst first; only those that lost."""
        lost = {item_id: points for item_id, points in self.item_points.items() if points is not None and points < 0.0}
        return tuple(sorted(lost, key=lost.__getitem__)[:count])


def looks(max_passes: int) -> tuple[int, ...]:
    """The passes after which one looks: 1, 2, 4, 8 ... and the last one of the budget."""
    powers = [2**k for k in range(max_passes.bit_length()) if 2**k <= max_passes]
    return tuple(powers if powers[-1] == max_passes else [*powers, max_passes])


def is_look(passes: int, rules: GateRules) -> bool:
    """Whether a decision may be taken after that many passes."""
    return passes in looks(rules.max_passes)


def compare(paired: Paired, rules: GateRules) -> Comparison:
    """Where the gate stands after these passes. Between looks the verdict is None and the intervals are for show."""
    differences = paired.differences
    items = _item_means(differences)
    sampled = clustered_mean(items, paired.clusters)
    change = np.isfinite(paired.candidate).mean(axis=0) - np.isfinite(paired.baseline).mean(axis=0)
    return _stands(
        _Evidence(
            item_ids=paired.item_ids,
            passes=paired.passes,
            items=items,
            these=sampled if paired.passes == 1 else repeated_mean(differences, 2.0 * VARIANCE_FLOOR),
            sampled=sampled,
            readable=clustered_mean(change.astype(np.float64), paired.clusters),
            readable_baseline=float(np.isfinite(paired.baseline).mean()),
            readable_candidate=float(np.isfinite(paired.candidate).mean()),
        ),
        rules,
    )


def compare_with_baseline(
    baseline: Baseline,
    candidate: Sequence[Mapping[str, float | None]],
    rules: GateRules,
    clusters: Mapping[str, str | int] | None = None,
) -> Comparison:
    """The same rule where the old version can no longer be asked: new passes against its frozen item means.

    The baseline's passes are the old version's replicates, all of them at every look, so its error stays the same and
    only the candidate's shrinks with its passes. Items that the baseline left out are left out. A missing key is an
    item that was not asked; None is an answer that could not be read.
    """
    frozen = [dict(zip(baseline.item_ids, baseline.means.tolist(), strict=True))] * len(candidate)
    paired = Paired.of(baseline.item_ids, frozen, candidate, clusters)
    asked = np.array([[item_id in one for item_id in baseline.item_ids] for one in candidate])
    readable = np.isfinite(paired.candidate)
    shares = np.where(asked.any(axis=0), readable.sum(axis=0) / np.maximum(asked.sum(axis=0), 1), np.nan)
    before = baseline.counts / baseline.passes
    items = _item_means(paired.differences)
    sampled = clustered_mean(items, paired.clusters)
    own = repeated_mean(paired.differences, VARIANCE_FLOOR)
    frozen_error = Estimate(0.0, math.sqrt(baseline.mean_variance), float((baseline.counts - 1).sum()))
    return _stands(
        _Evidence(
            item_ids=baseline.item_ids,
            passes=len(candidate),
            items=items,
            these=sampled if len(candidate) == 1 else summed(own, frozen_error),
            sampled=sampled,
            readable=clustered_mean(shares - before, paired.clusters),
            readable_baseline=float(before.mean()),
            readable_candidate=float(readable.sum() / max(int(asked.sum()), 1)),
        ),
        rules,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Evidence:
    """What a look decides on. items: [item], mean differences, nan where no pair is readable; estimates: item units.

    readable: change of the readable share.
    """

    item_ids: tuple[str, ...]
    passes: int
    items: Floats
    these: Estimate
    sampled: Estimate
    readable: Estimate
    readable_baseline: float
    readable_candidate: float


def _stands(evidence: _Evidence, rules: GateRules) -> Comparison:
    alpha = rules.alpha_at(evidence.passes)
    interval = _interval(evidence.these, alpha)
    verdict, reason = _decide(evidence, interval, rules, alpha)
    open_ = verdict in {None, "undecided"}
    return Comparison(
        verdict=verdict,
        reason=reason,
        passes=evidence.passes,
        these_items=interval,
        new_dialogues=_new_dialogues(evidence.sampled, rules, alpha),
        readable_baseline=evidence.readable_baseline,
        readable_candidate=evidence.readable_candidate,
        declined=verdict == "pass" and interval.upper < 0.0,
        passes_to_decide=_passes_to_decide(evidence.these, evidence.passes, rules) if open_ else None,
        deciding_margin=max(0.0, -interval.lower),
        item_points={
            item_id: _POINTS * float(value) if math.isfinite(value) else None
            for item_id, value in zip(evidence.item_ids, evidence.items, strict=True)
        },
    )


def _decide(evidence: _Evidence, these: Interval, rules: GateRules, alpha: float) -> tuple[Verdict | None, str]:
    """The rule, in its order."""
    if not is_look(evidence.passes, rules):
        return None, "between looks"
    items, pairs = len(evidence.item_ids), int(np.isfinite(evidence.items).sum())
    if pairs < min(LEAST_PAIRED_ITEMS, items) or pairs < LEAST_PAIRED_SHARE * items:
        return "unmeasured", f"only {pairs} of {items} items have a readable pair"
    if evidence.readable.bounds(alpha)[1] < -READABLE_DROP:
        return "regressed", "fewer answers of the candidate can be read"
    if these.lower > -rules.margin:
        return "pass", "worse within the margin" if these.upper < 0.0 else "not worse than the margin"
    if these.upper < -rules.margin:
        return "regressed", "worse than the margin"
    if evidence.passes < rules.max_passes:
        return None, "another look is needed"
    if these.upper < 0.0:
        return "regressed", "worse, margin unresolved"
    return "undecided", "the interval holds both no loss and a loss over the margin"


def _new_dialogues(sampled: Estimate, rules: GateRules, alpha: float) -> NewDialogues:
    """Passes do not narrow which dialogues were drawn; more dialogues would."""
    interval = _interval(sampled, alpha)
    dialogues = int(sampled.freedom) + 1
    verdict: Verdict = "undecided"
    if not math.isfinite(interval.lower):
        return NewDialogues("unmeasured", interval, dialogues, None)
    if interval.lower > -rules.margin:
        verdict = "pass"
    elif interval.upper < -rules.margin:
        verdict = "regressed"
    if verdict != "undecided":
        return NewDialogues(verdict, interval, dialogues, None)
    gap, half = abs(interval.points + rules.margin), interval.points - interval.lower
    needed = math.ceil(dialogues * (half / gap) ** 2) if gap > 0.0 else math.inf
    return NewDialogues(verdict, interval, dialogues, int(needed) if needed <= 100 * dialogues else None)


def _passes_to_decide(these: Estimate, passes: int, rules: GateRules) -> int | None:
    """The first look whose interval, at this noise and this difference, would lie on one side of the margin.

    After one pass the noise of an answer is unknown; all of the spread is taken for noise, which asks for too many.
    """
    gap = abs(_POINTS * these.mean + rules.margin)
    if not math.isfinite(gap) or not math.isfinite(these.error):
        return None
    look = 1 << passes.bit_length()
    while look <= _MOST_PASSES:
        error = _POINTS * these.error * math.sqrt(passes / look)
        if student_t(1.0 - rules.alpha_at(look), max(these.freedom, 4.0)) * error < gap:
            return look
        look *= 2
    return None


def _interval(estimate: Estimate, alpha: float) -> Interval:
    lower, upper = estimate.bounds(alpha)
    return Interval(_POINTS * estimate.mean, _POINTS * lower, _POINTS * upper, alpha)


def _item_means(differences: Floats) -> Floats:
    counts = np.isfinite(differences).sum(axis=0)
    means: Floats = np.where(counts > 0, np.nansum(differences, axis=0) / np.maximum(counts, 1), np.nan)
    return means


def _matrix(item_ids: Sequence[str], passes: Sequence[Mapping[str, float | None]]) -> Floats:
    rows = [[one.get(item_id) for item_id in item_ids] for one in passes]
    return np.array([[math.nan if value is None else value for value in row] for row in rows], dtype=np.float64)

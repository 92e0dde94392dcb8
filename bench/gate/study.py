"""Gates between pairs of real models whose true difference is known, because it is set.

The true difference on these items is the mean of expected scores under noise; a constant moves it to where the case
wants it. Errors are counted where they are most likely: a drop of exactly the margin, and no drop at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.detection.answers import NOISES, Answers, Noise, jitter
from scorer.comparison import GateRules, Paired, compare, looks

__all__ = ["CASES", "Case", "Outcome", "study"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """baseline and candidate name models; drop: true points that the candidate is worse; margin and passes as given."""

    baseline: str
    candidate: str
    drop: float
    margin: float = 1.0
    max_passes: int = 8

    @property
    def wrong(self) -> str:
        """The verdict that would be an error; empty where both would be defensible."""
        return "pass" if self.drop >= self.margin else "regressed" if self.drop <= 0.0 else ""


SAME = ("gpt-4-0314", "gpt-4-0314")
CHANGED = ("gpt-4-0314", "gpt-4-1106-preview")
FAR = ("gpt-3.5-turbo-0613", "gpt-3.5-turbo-0301")
CASES = tuple(
    Case(baseline, candidate, drop) for drop in (0.0, 1.0, 3.0) for baseline, candidate in (SAME, CHANGED, FAR)
)


@dataclass(slots=True)
class Outcome:
    """What a case came to: shares of verdicts, and the mean number of passes."""

    case: Case
    noise: str
    gates: int
    shares: dict[str, float] = field(default_factory=dict)
    passes: float = 0.0

    @property
    def error(self) -> float:
        """The share of wrong verdicts."""
        return self.shares.get(self.case.wrong, 0.0)


def study(
    answers: Answers, cases: tuple[Case, ...], gates: int, seed: int, tell: Callable[[str], None]
) -> list[Outcome]:
    """Run that many gates per case and noise level."""
    rng = np.random.default_rng(seed)
    outcomes = []
    for noise in NOISES:
        for case in cases:
            outcomes.append(_outcome(answers, case, noise, gates, rng))
            tell(f"{noise.name} {case.baseline} / {case.candidate}, {case.drop:g} points: {outcomes[-1].shares}")
    return outcomes


def _outcome(answers: Answers, case: Case, noise: Noise, gates: int, rng: np.random.Generator) -> Outcome:
    models = [answers.models[case.baseline], answers.models[case.candidate]]
    expected = [float(answers.expected_scores(model, noise, rng).mean()) for model in models]
    offset = expected[0] - expected[1] - case.drop / 10.0
    rules = GateRules(margin=case.margin, max_passes=case.max_passes)
    names = tuple(str(item) for item in range(answers.items))
    counts: dict[str, int] = {}
    passes = 0
    for _ in range(gates):
        baseline, candidate = (_passes(answers, model, noise, case.max_passes, rng) for model in models)
        for look in looks(case.max_passes):
            paired = Paired(names, baseline[:look], candidate[:look] + offset, answers.clusters)
            comparison = compare(paired, rules)
            if comparison.verdict is not None:
                counts[comparison.verdict] = counts.get(comparison.verdict, 0) + 1
                passes += look
                break
    shares = {verdict: count / gates for verdict, count in sorted(counts.items())}
    return Outcome(case, noise.name, gates, shares, passes / gates)


def _passes(answers: Answers, model: Ints, noise: Noise, passes: int, rng: np.random.Generator) -> Floats:
    noisy = jitter(np.broadcast_to(model, (passes, *model.shape)), [noise] * passes, rng)
    return answers.scores(np.broadcast_to(np.arange(answers.items), noisy.shape[:-1]), noisy)

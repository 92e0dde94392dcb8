"""The cases: models that fall, years in which nothing happens, swaps to a model that is as good, and silent swaps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.detection.answers import NOISES, Answers, Noise
from bench.detection.trials import Alarms, run
from bench.detection.worlds import BATCH_ITEMS, Backends, Rows, World, batches_per_year

__all__ = ["NULLS", "NullYear", "Split", "equal_or_better", "fall", "null_year", "regressed", "swap"]

Ints = npt.NDArray[np.int64]

STRONG, WEAK = "gpt-4-0314", "gpt-3.5-turbo-0301"
TWINS = ("gpt-3.5-turbo-0613", "gpt-3.5-turbo-16k-0613")
"""The same weights behind two names: 91 % of the answers are equal, the scores differ by 0.3 points."""
SWAP_DAYS = 30


@dataclass(frozen=True, slots=True)
class NullYear:
    """A year in which the model does not change."""

    name: str
    day_sd: float
    backends: Backends


NULLS = (
    NullYear("nothing at all", 0.0, "one"),
    NullYear("days differ by 0.3 points", 0.3, "one"),
    NullYear("days differ, two backends by call", 0.3, "by call"),
    NullYear("days differ, two backends by day", 0.3, "by day"),
)


class Split:
    """Rows of several noise levels in one world; results by level."""

    def __init__(self, noises: Sequence[Noise], replicates: int) -> None:
        self.noises = tuple(noise for noise in noises for _ in range(replicates))
        self._names, self._replicates = [noise.name for noise in noises], replicates

    def by_noise(self, alarms: Alarms) -> dict[str, Alarms]:
        """One result per noise level."""
        size = self._replicates
        return {
            name: Alarms({rule: first[k * size : (k + 1) * size] for rule, first in alarms.first.items()})
            for k, name in enumerate(self._names)
        }


def fall(
    answers: Answers, points: float, split: Split, rng: np.random.Generator, *, batches: int, limit_years: int
) -> dict[str, Alarms]:
    """The strong model answers a random part of the items like the weak one, until its mean is so much lower."""
    after = np.stack([regressed(answers, points, rng) for _ in split.noises])
    world = World(answers, Rows.swapped(answers.named(STRONG), after, split.noises), rng, limit_years=limit_years)
    return split.by_noise(run(world, batches=batches, change_at=_run_in(split, rng), until="regression"))


def null_year(
    answers: Answers, year: NullYear, split: Split, rng: np.random.Generator, *, limit_years: int
) -> dict[str, Alarms]:
    """A whole year without a change."""
    first = answers.models[TWINS[0]] if year.backends != "one" else answers.named(STRONG)
    second = answers.models[TWINS[1]] if year.backends != "one" else first
    rows = Rows.unchanged(first, second, split.noises)
    world = World(answers, rows, rng, day_sd=year.day_sd, backends=year.backends, limit_years=limit_years)
    never = np.zeros(len(split.noises), dtype=np.int64)
    return split.by_noise(run(world, batches=round(batches_per_year(answers.items)), change_at=never))


def swap(
    answers: Answers, before: str, after: str, split: Split, rng: np.random.Generator, *, limit_years: int
) -> dict[str, Alarms]:
    """Thirty days after another model took over unannounced."""
    rows = Rows.swapped(answers.models[before], answers.models[after], split.noises)
    world = World(answers, rows, rng, limit_years=limit_years)
    batches = SWAP_DAYS * answers.items // BATCH_ITEMS
    return split.by_noise(run(world, batches=batches, change_at=_run_in(split, rng)))


def equal_or_better(answers: Answers, rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """The hardest swaps to a model that is not worse at any noise level: those with the least gain per difference.

    Noise costs models differently, so that a model that is as good without noise may truly be worse with it.
    """
    expected = {
        name: [answers.expected_scores(model, noise, rng, draws=400) for noise in NOISES]
        for name, model in answers.models.items()
        if answers.points(model) > 60.0
    }
    pairs = []
    for before, old in expected.items():
        for after, new in expected.items():
            gains = [float((b - a).mean()) for a, b in zip(old, new, strict=True)]
            if before != after and min(gains) >= 0.0:
                pairs.append((max(gains) / float((new[0] - old[0]).std()), before, after))
    named = ("gpt-4-0314", "gpt-4-1106-preview")
    hardest = [(before, after) for _, before, after in sorted(pairs) if (before, after) != named]
    return [named, *hardest[: count - 1]]


def _run_in(split: Split, rng: np.random.Generator) -> Ints:
    """The change comes one to four passes after the detector started, at a random batch."""
    return rng.integers(15, 57, len(split.noises))


def regressed(answers: Answers, points: float, rng: np.random.Generator) -> Ints:
    """The strong model's answers with a random part of the items answered like the weak one, [item, emotion]."""
    strong, weak = answers.named(STRONG), answers.named(WEAK)
    every = np.arange(answers.items)
    lost = answers.scores(every, strong) - answers.scores(every, weak)
    order = rng.permutation(answers.items)
    taken = order[: int(np.argmax(10.0 * lost[order].cumsum() / answers.items >= points)) + 1]
    mixed = strong.copy()
    mixed[taken] = weak[taken]
    return mixed

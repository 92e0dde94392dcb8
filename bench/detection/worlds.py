"""Simulated installations: their commissioning passes, then batch after batch of answers, with a change or without.

Rows are installations. Every row has its own baseline, noise, rotation and moment of change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.detection.answers import Answers, Noise, jitter
from scorer.baseline import Baseline
from scorer.detection.cusum import bootstrap_limits
from scorer.detection.panel import Panel, PanelBatch

__all__ = ["BATCH_ITEMS", "PASSES", "Backends", "Rows", "World", "batches_per_year"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Backends = Literal["one", "by call", "by day"]

BATCH_ITEMS = 12
PASSES = 10
"""Commissioning passes, on three days."""
_COMMISSIONING_DAYS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
_DAYS_PER_YEAR = 365
_BLOCK = 12
_BEST = 10.0


def batches_per_year(items: int) -> float:
    """One pass a day."""
    return items * _DAYS_PER_YEAR / BATCH_ITEMS


@dataclass(frozen=True, slots=True)
class Rows:
    """Answers before and after the change, [row, backend, item, emotion], and the noise of each row."""

    before: Ints
    after: Ints
    noises: tuple[Noise, ...]

    @classmethod
    def unchanged(cls, first: Ints, second: Ints, noises: Sequence[Noise]) -> "Rows":
        """Installations behind which one or two backends answer all year."""
        one = np.stack([first, second])
        both = np.broadcast_to(one, (len(noises), *one.shape))
        return cls(both, both, tuple(noises))

    @classmethod
    def swapped(cls, before: Ints, after: Ints, noises: Sequence[Noise]) -> "Rows":
        """One model that another one replaces; after: [item, emotion], or [row, item, emotion]."""
        shape = (len(noises), 2, *before.shape)
        after = after if after.ndim == before.ndim else after[:, None]
        return cls(np.broadcast_to(before, shape), np.broadcast_to(after, shape), tuple(noises))


class World:
    """Installations that run side by side. day_sd: points by which whole days differ."""

    def __init__(
        self,
        answers: Answers,
        rows: Rows,
        rng: np.random.Generator,
        *,
        day_sd: float = 0.0,
        backends: Backends = "one",
        limit_years: int = 100,
    ) -> None:
        self._answers, self._rows, self._rng = answers, rows, rng
        self._day_sd, self._backends = day_sd / 10.0, backends
        self.rows, self.items = len(rows.noises), answers.items
        self.baselines = self._commission()
        limits = [
            bootstrap_limits(
                baseline,
                rng,
                batch_items=BATCH_ITEMS,
                batches_per_year=batches_per_year(self.items),
                alarms_per_year=1.0,
                years=limit_years,
            )
            for baseline in self.baselines
        ]
        self.panel = Panel.of(self.baselines, np.array(limits))
        self._medians = np.array([baseline.medians for baseline in self.baselines])

    def _commission(self) -> list[Baseline]:
        items = np.broadcast_to(np.arange(self.items), (self.rows, PASSES, self.items))
        answers, scores = self._asked(self._rows.before, items, _COMMISSIONING_DAYS)
        names = [str(i) for i in range(self.items)]
        return [
            Baseline.from_arrays(scores[r], answers[r].astype(np.float64), item_ids=names, protocol_key="bench")
            for r in range(self.rows)
        ]

    def _asked(self, models: Ints, items: Ints, days: Ints) -> tuple[Ints, Floats]:
        """Answers and scores; items [row, pass, item], days [pass], numbered from days[0] on."""
        serving: Ints | int = 0
        if self._backends == "by call":
            serving = self._rng.integers(0, 2, items.shape)
        elif self._backends == "by day":
            serving = np.broadcast_to((days % 2)[None, :, None], items.shape)
        chosen = models[np.arange(self.rows)[:, None, None], serving, items]
        answers = jitter(chosen, self._rows.noises, self._rng)
        scores = self._answers.scores(items, answers)
        if self._day_sd > 0.0:
            effects = self._rng.normal(0.0, self._day_sd, (self.rows, int(days[-1] - days[0]) + 1))
            scores = np.minimum(scores + effects[:, days - days[0]][:, :, None], _BEST)
        return answers, scores

    def batches(self, total: int, change_at: Ints) -> Iterator[PanelBatch]:
        """`total` batches; from batch change_at [row] on the model after the change answers."""
        done = 0
        while done < total:
            first_pass = done * BATCH_ITEMS // self.items
            block = self._block(first_pass, change_at * BATCH_ITEMS - first_pass * self.items)
            yield from block[: total - done]
            done += len(block)

    def _block(self, first_pass: int, cut: Ints) -> list[PanelBatch]:
        """Twelve passes, which are a whole number of batches; cut: [row], the answer from which on all is changed."""
        items = np.argsort(self._rng.random((self.rows, _BLOCK, self.items)), axis=-1)
        days = first_pass + np.arange(_BLOCK)
        answers, scores = self._asked(self._rows.after, items, days)
        if (cut > 0).any():
            old_answers, old_scores = self._asked(self._rows.before, items, days)
            old = (np.arange(_BLOCK * self.items) < cut[:, None]).reshape(items.shape)
            answers, scores = np.where(old[..., None], old_answers, answers), np.where(old, old_scores, scores)
        usual = self._medians[np.arange(self.rows)[:, None, None], items]
        distances = ((answers - usual) ** 2).mean(axis=-1)
        shape = (self.rows, -1, BATCH_ITEMS)
        items, scores, distances = items.reshape(shape), scores.reshape(shape), distances.reshape(shape)
        return [PanelBatch(items[:, b], scores[:, b], distances[:, b]) for b in range(items.shape[1])]

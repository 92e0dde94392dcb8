"""Whole passes of one version, gathered batch by batch: what a baseline is made of and an upgrade is judged by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from middleware.records.benchmark import ItemResult
from scorer.baseline import Observation
from scorer.items import ItemSet

__all__ = ["Collected", "observed", "passes_of"]

_DAY_SECONDS = 86_400.0
_Pass = tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """passes: the last one may be incomplete. begins: index of the first batch, a whole number of passes.

    first_at, last_at: ends of the first and the newest batch, Unix seconds.
    """

    begins: int
    passes: tuple[_Pass, ...] = ()
    complete: int = 0
    first_at: float | None = None
    last_at: float | None = None

    def add(self, observations: Sequence[Observation], *, index: int, per_pass: int, at: float) -> "Collected":
        """With the batch of that index; batches before `begins` do not belong to it."""
        if index < self.begins:
            return self
        position = (index - self.begins) % per_pass
        open_ = () if position == 0 or len(self.passes) == self.complete else self.passes[-1]
        return replace(
            self,
            passes=(*self.passes[: self.complete], (*open_, *observations)),
            complete=self.complete + (position == per_pass - 1),
            first_at=at if self.first_at is None else self.first_at,
            last_at=at,
        )

    @property
    def whole(self) -> tuple[_Pass, ...]:
        """The passes that are complete."""
        return self.passes[: self.complete]

    @property
    def days(self) -> float:
        """Between the first and the newest batch."""
        return 0.0 if self.first_at is None or self.last_at is None else (self.last_at - self.first_at) / _DAY_SECONDS

    def thinned(self) -> "Collected":
        """With every second pass, so that many passes go on covering all the days."""
        kept = (*self.whole[1::2], *self.passes[self.complete :])
        return replace(self, passes=kept, complete=len(self.whole[1::2]))

    def without_first(self) -> "Collected":
        """Without the oldest pass."""
        return replace(self, passes=self.passes[1:], complete=self.complete - 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        passes = [[[o.item_id, o.score, o.answer] for o in one] for one in self.passes]
        return {
            "begins": self.begins,
            "passes": passes,
            "complete": self.complete,
            "first_at": self.first_at,
            "last_at": self.last_at,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Collected":
        """The inverse of to_dict."""
        passes = tuple(
            tuple(Observation(item, score, None if answer is None else tuple(answer)) for item, score, answer in one)
            for one in data["passes"]
        )
        return cls(**{**data, "passes": passes})


def observed(result: ItemResult, item_set: ItemSet) -> Observation:
    """The answer in the item's own order of emotions, whatever order the model wrote them in."""
    emotions = item_set.by_id[result.item_id].emotions
    complete = result.outcome == "scored" and all(emotion in result.answer for emotion in emotions)
    answer = tuple(result.answer[emotion] for emotion in emotions) if complete else None
    return Observation(result.item_id, result.score, answer)


def passes_of(results: Iterable[ItemResult], item_set: ItemSet) -> list[list[Observation]]:
    """Answers as passes over the set, however they were asked: the k-th answer to each item belongs to pass k.

    Only passes that nine of ten items have an answer in; what is missing is missing. Oldest first.
    """
    by_item: dict[str, list[Observation]] = {}
    for result in sorted(results, key=lambda each: (each.at, each.repetition)):
        by_item.setdefault(result.item_id, []).append(observed(result, item_set))
    counts = sorted(len(answers) for answers in by_item.values())
    complete = counts[len(counts) // 10] if counts else 0
    return [[answers[number] for answers in by_item.values() if number < len(answers)] for number in range(complete)]

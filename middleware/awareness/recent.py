"""The last estimates of each conversation, in memory: what is told at once, without asking the store. Bounded."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from middleware.awareness.estimates import Estimate, estimates
from middleware.records.conversation import ProbeResult
from scorer.repeatability import Repeatability
from scorer.trend import TREND_TURNS

__all__ = ["Recent", "Told"]

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """A new estimate, as everybody is told of it. at: when it was there, Unix seconds."""

    result: ProbeResult
    found: Mapping[str, Estimate]

    @property
    def at(self) -> float:
        """When the judge had answered."""
        return self.result.at


class Recent:
    """Owns the last estimates. repeatability: of whoever perceives, by emotion of a deployment.

    listeners: told of each new estimate; must not block.
    """

    def __init__(
        self, repeatability: Callable[[str], Mapping[str, Repeatability]] = lambda _: {}, *, capacity: int = _REMEMBERED
    ) -> None:
        self._repeatability = repeatability
        self._capacity = capacity
        self._results: OrderedDict[str, list[ProbeResult]] = OrderedDict()
        self.listeners: list[Callable[[Told], object]] = []

    def __len__(self) -> int:
        return len(self._results)

    def forget(self, conversations: Iterable[str]) -> None:
        """Of erased conversations nothing is kept."""
        for conversation in conversations:
            self._results.pop(conversation, None)

    def take(self, result: ProbeResult) -> None:
        """A result of a judge. What is no estimate, or is of a turn before the newest one, is told to nobody."""
        if result.kind != "perception" or result.outcome != "scored":
            return
        before = self._results.get(result.conversation, [])
        if before and result.turn < before[-1].turn:
            return
        known = [*before, result][-TREND_TURNS:]
        self._results[result.conversation] = known
        self._results.move_to_end(result.conversation)
        while len(self._results) > self._capacity:
            self._results.popitem(last=False)
        told = Told(result, estimates(known, "perception", self._repeatability(result.deployment)))
        for listener in self.listeners:
            listener(told)

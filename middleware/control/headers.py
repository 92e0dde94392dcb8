"""Tells the relay what to say in ``x-eqwatch-emotions`` of a conversation's next response. In memory only.

The relay knows a conversation by the value of ``x-eqwatch-conversation``, everything else by its salted id: the newest
names are kept here, and never stored.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from middleware.awareness.estimates import Estimate, estimates
from middleware.awareness.header import header_value
from middleware.records.conversation import ProbeResult
from middleware.records.exchange import Exchange
from middleware.traffic.hashing import conversation_id
from scorer.repeatability import Repeatability
from scorer.trend import TREND_TURNS

__all__ = ["EmotionsHeader"]

_REMEMBERED = 10_000


class _Known:
    """What is remembered of a named conversation."""

    __slots__ = ("name", "results")

    def __init__(self, name: str) -> None:
        self.name = name
        self.results: list[ProbeResult] = []


class EmotionsHeader:
    """Owns the names. tell: conversation, header value and when its turn ended, to the relay.

    repeatability: of whoever perceives, by emotion of a deployment. said: called with each estimate that was told.
    """

    def __init__(
        self,
        salt: bytes,
        *,
        tell: Callable[[str, str, float], object],
        repeatability: Callable[[str], Mapping[str, Repeatability]],
        said: Callable[[ProbeResult], object] = lambda _: None,
        capacity: int = _REMEMBERED,
    ) -> None:
        self._salt = salt
        self._tell = tell
        self._repeatability = repeatability
        self._said = said
        self._capacity = capacity
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def note(self, exchange: Exchange) -> None:
        """Remember what the application calls this conversation; the longest unheard of goes."""
        if not exchange.conversation:
            return
        identity = conversation_id(self._salt, exchange.conversation)
        if identity not in self._known:
            self._known[identity] = _Known(exchange.conversation)
        self._known.move_to_end(identity)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def take(self, result: ProbeResult) -> None:
        """A result that was saved; an estimate of a turn before the newest one is not told."""
        known = self._known.get(result.conversation)
        if known is None or result.kind != "perception" or result.outcome != "scored":
            return
        if known.results and result.turn < known.results[-1].turn:
            return
        known.results = [*known.results, result][-TREND_TURNS:]
        found: dict[str, Estimate] = estimates(known.results, "perception", self._repeatability(result.deployment))
        self._tell(known.name, header_value(found), result.turn_ended_at or result.at)
        self._said(result)

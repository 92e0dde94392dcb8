"""Who does not want to be probed, and how much of a conversation or of an hour is probed at most.

Caps look at places and times, never at what was said. A conversation that was begun before the hour's cap was reached
goes on being probed in this hour and the next: half conversations would bias more than fewer whole ones.
"""

import threading
from dataclasses import dataclass

from middleware.records.conversation import SkipReason, Turn

__all__ = ["Caps", "OptOuts"]

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class OptOuts:
    """Routes (prefixes of the request target) and tenants (key ids) that are never probed, nor even decoded."""

    paths: tuple[str, ...] = ()
    key_ids: frozenset[str] = frozenset()

    def covers(self, target: str, key_id: str) -> bool:
        """Whether this exchange is to be left alone."""
        if key_id and key_id in self.key_ids:
            return True
        return any(target.startswith(prefix) for prefix in self.paths)


class Caps:
    """Owns the counts of the current hour, by deployment. turns: of one conversation; conversations: begun in an hour.

    None: no cap. The clock is that of the turns, so that a backlog is counted where it belongs. Thread-safe: what the
    relay heard and what arrived over the network are placed in two threads.
    """

    def __init__(self, *, turns: int | None = None, conversations: int | None = None) -> None:
        self._turns = turns
        self._conversations = conversations
        self._lock = threading.Lock()
        self._hour = -1
        self._begun: dict[str, set[str]] = {}
        self._going_on: dict[str, set[str]] = {}

    def refuses(self, turn: Turn) -> SkipReason | None:
        """Why this turn is not probed, or None."""
        if self._turns is not None and turn.index > self._turns:
            return "conversation_cap"
        if self._conversations is None:
            return None
        with self._lock:
            return self._over_the_hours(turn, self._conversations)

    def _over_the_hours(self, turn: Turn, most: int) -> SkipReason | None:
        hour = int(turn.at // _HOUR_SECONDS)
        if hour > self._hour:
            self._going_on, self._begun, self._hour = self._begun, {}, hour
        begun = self._begun.setdefault(turn.deployment, set())
        if turn.conversation in begun or turn.conversation in self._going_on.get(turn.deployment, ()):
            return None
        if len(begun) >= most:
            return "hourly_cap"
        begun.add(turn.conversation)
        return None

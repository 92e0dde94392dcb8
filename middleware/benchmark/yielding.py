"""How many own calls may be under way beside user traffic: fewer while it is heavy, none while it is in trouble.

A rule without I/O: it is told what the relay counts and says a ceiling for the limiters.
"""

from dataclasses import dataclass

__all__ = ["Load", "YieldRule"]

# A single 5xx among many answers is everyday life; one in twenty is an upstream in trouble.
_TROUBLED_SHARE = 0.05
# Also how far two looks may be apart: what failed between them would hold still, whenever that was.
_HOLD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """User traffic: requests under way, and so far answered, and of these with 429, 5xx or not at all.

    since: start of the counting process; another one means that the counts began anew.
    """

    in_flight: int
    answered: float
    troubled: float
    since: float


class YieldRule:
    """configured: own calls at once when nobody else asks. yield_from: user requests under way before which they yield.

    Owns what the last look counted, and how far it has come back since the last trouble. Where nobody looked
    for longer, what failed may be over or go on: own calls begin with one then, and with all where nothing failed.
    """

    def __init__(self, configured: int, *, yield_from: int) -> None:
        self.configured = configured
        self._yield_from = yield_from
        self._last: Load | None = None
        self._last_at = float("-inf")
        self._recovered = configured
        self._hold_until = float("-inf")

    def ceiling(self, load: Load, now: float) -> int:
        """Most own calls from now on, 0 to `configured`. now: monotonic seconds.

        Look about once a second while own calls are wanted, and anew when they are wanted again.
        """
        if now - self._last_at > _HOLD_SECONDS:
            self._recovered = self._after_pause(load, now)
        elif self._in_trouble(load):
            self._recovered = 0
            self._hold_until = now + _HOLD_SECONDS
        elif now >= self._hold_until:
            self._recovered = min(self.configured, self._recovered + 1)
        self._last, self._last_at = load, now
        return min(self._recovered, self._beside(load.in_flight))

    def _after_pause(self, load: Load, now: float) -> int:
        """As many as looks in between would have found, where nothing failed."""
        last = self._last
        before = last.troubled if last is not None and last.since == load.since else 0.0
        if load.troubled > before:
            return 1
        quiet_seconds = now - max(self._last_at, self._hold_until)
        return int(min(self.configured, self._recovered + max(1.0, quiet_seconds)))

    def _in_trouble(self, load: Load) -> bool:
        last = self._last
        if last is None or last.since != load.since:
            return False
        troubled = load.troubled - last.troubled
        return troubled > 0 and troubled >= _TROUBLED_SHARE * max(1.0, load.answered - last.answered)

    def _beside(self, in_flight: int) -> int:
        if in_flight >= 2 * self._yield_from:
            return 0
        if in_flight >= self._yield_from:
            return max(1, self.configured // 4)
        if 2 * in_flight >= self._yield_from:
            return max(1, self.configured // 2)
        return self.configured

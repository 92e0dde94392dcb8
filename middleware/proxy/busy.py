"""Whether a relay process has time to spare: what its loop asks of a processor, and the rule that judges it.

Waiting to run counts like running: on a processor that it shares, or under a quota, a relay at its limit never uses the
whole of one.
"""

import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Load", "asked_seconds", "is_busy"]

# Shorter than the ticker's usual period, so that each of its rounds counts.
_LEAST_SECONDS = 0.4
# Of the limit, below which a busy relay is no longer busy: else it would change its mind with every look.
_AGAIN_BELOW = 0.7
# Nanoseconds run, nanoseconds waited for a processor, slices (Documentation/scheduler/sched-stats.rst of Linux).
_SCHEDULED = Path("/proc/thread-self/schedstat")


def asked_seconds() -> float:
    """Processor time that this thread has used or waited for so far; only used, where the system tells no more."""
    try:
        waited = int(_SCHEDULED.read_bytes().split()[1])
    except OSError:
        waited = 0
    return time.thread_time() + waited / 1e9


def is_busy(share: float, limit: float, *, already: bool) -> bool:
    """Whether that share of one processor is too much; for a relay that is busy already, until it is well below."""
    return limit > 0 and share >= (limit * _AGAIN_BELOW if already else limit)


class Load:
    """Owns the last measure. limit: share of one processor from which the relay is busy, 0: never.

    asked: processor seconds of the loop's thread so far; now: monotonic seconds.
    """

    __slots__ = ("_asked", "_before", "_limit", "_since", "busy")

    def __init__(self, limit: float, asked: Callable[[], float], now: float) -> None:
        self._limit = limit
        self._asked = asked
        self._before = asked()
        self._since = now
        self.busy = False

    def look(self, now: float) -> bool:
        """Whether the relay is busy; measured over the time since the last measure, once that is long enough."""
        seconds = now - self._since
        if seconds >= _LEAST_SECONDS and self._limit > 0:
            asked = self._asked()
            self.busy = is_busy((asked - self._before) / seconds, self._limit, already=self.busy)
            self._before = asked
            self._since = now
        return self.busy

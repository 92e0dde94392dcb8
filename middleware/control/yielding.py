"""Makes the sidecar's own calls give way to user traffic, as the relay's numbers show it. A worker."""

import asyncio
import time
from collections.abc import Callable, Sequence

from middleware.benchmark.limiter import Limiter
from middleware.benchmark.yielding import Load, YieldRule
from middleware.control.link import RelayLink
from middleware.records.exchange import RelaySnapshot

__all__ = ["Yielding", "load_of"]

_LOOK_SECONDS = 1.0
_REFRESH_SECONDS = 0.5
# Between two calls of a batch nobody falls asleep.
_LOOKS_AFTER = 3
_OVERLOADED = "429"


class Yielding:
    """Looks at the relay once a second while own calls are under way or wait, and sets the ceiling of each limiter.

    The first call after a quiet while waits for a look, as long as a look may take and no longer. clock: monotonic
    seconds.
    """

    def __init__(
        self,
        link: RelayLink,
        limiters: Sequence[Limiter],
        *,
        yield_from: int,
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._link = link
        self._rules = [(limiter, YieldRule(limiter.rule.configured, yield_from=yield_from)) for limiter in limiters]
        self._clock = clock
        self._look_seconds = look_seconds
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Look while own calls are wanted and shortly after, and sleep otherwise, until cancelled."""
        while True:
            await self._wanted()
            unwanted = 0
            while unwanted < _LOOKS_AFTER:
                await self.look()
                await asyncio.sleep(self._look_seconds)
                unwanted = 0 if self._in_use() else unwanted + 1

    async def look(self) -> None:
        """One look: without new numbers of the relay nothing changes."""
        if not await self._link.refresh(_REFRESH_SECONDS) or self._link.snapshot is None:
            return
        load, now = load_of(self._link.snapshot), self._clock()
        for limiter, rule in self._rules:
            limiter.set_ceiling(rule.ceiling(load, now))

    def _in_use(self) -> bool:
        return any(limiter.wanted for limiter, _ in self._rules)

    async def _wanted(self) -> None:
        """Until one of the limiters is in use."""
        if self._in_use():
            return
        self._wake.clear()
        for limiter, _ in self._rules:
            limiter.rest(self._wake.set, _REFRESH_SECONDS)
        await self._wake.wait()


def load_of(snapshot: RelaySnapshot) -> Load:
    """User traffic in the relay's own counters."""
    families = {family.name: family for family in snapshot.counters}
    answered = troubled = 0.0
    if (requests := families.get("requests_total")) is not None:
        code = requests.labels.index("code")
        for labels, count in requests.values:
            answered += count
            troubled += count if labels[code] == _OVERLOADED or labels[code].startswith("5") else 0.0
    in_flight = families.get("inflight_requests")
    now = sum(count for _, count in in_flight.values) if in_flight is not None else 0.0
    return Load(int(now), answered, troubled, snapshot.started_at)

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
_OVERLOADED = "429"


class Yielding:
    """Looks at the relay once a second and sets the ceiling of each limiter. clock: monotonic seconds."""

    def __init__(
        self,
        link: RelayLink,
        limiters: Sequence[Limiter],
        *,
        yield_from: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._rules = [(limiter, YieldRule(limiter.rule.configured, yield_from=yield_from)) for limiter in limiters]
        self._clock = clock

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """One look: without numbers of the relay nothing changes."""
        await self._link.refresh(_REFRESH_SECONDS)
        if self._link.snapshot is None:
            return
        load, now = load_of(self._link.snapshot), self._clock()
        for limiter, rule in self._rules:
            limiter.set_ceiling(rule.ceiling(load, now))


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

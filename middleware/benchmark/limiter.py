"""How many of the sidecar's own calls may be under way: starts at the configured number and adapts to the upstream.

`ConcurrencyRule` decides and knows no time but what it is told; `Limiter` lets calls wait for their turn.
Additive increase, multiplicative decrease, at most one decrease per round trip (Jacobson, Congestion Avoidance and
Control, 1988).
"""

import asyncio
import math
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["ConcurrencyRule", "Limiter", "Ticket"]

_DECREASE = 0.5
_SLOWER_DECREASE = 0.9
_LATENCY_WINDOW = 16
# A median this many times the best one means that calls queue at the upstream.
_LATENCY_RATIO = 3.0
_LATENCY_FLOOR_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Ticket:
    """A call that is under way; generation says before which decrease it began."""

    generation: int


class ConcurrencyRule:
    """The limit as a function of what calls met: between 1 and configured. paused_until is in clock seconds."""

    def __init__(self, configured: int) -> None:
        if configured < 1:
            raise ValueError(f"concurrency is at least 1, not {configured}")
        self.configured = configured
        self.limit = float(configured)
        self.paused_until = -math.inf
        self._ceiling = configured
        self._generation = 0
        self._latencies: list[float] = []
        self._best_median = math.inf

    def allowed(self) -> int:
        """Calls that may be under way at once, the ceiling included."""
        return min(int(self.limit), self._ceiling)

    def begin(self) -> Ticket:
        """A call begins."""
        return Ticket(self._generation)

    def set_ceiling(self, calls: int) -> None:
        """Most calls for now, 0 to stop: how the benchmark yields to user traffic."""
        self._ceiling = min(max(calls, 0), self.configured)

    def succeeded(self, ticket: Ticket, latency_seconds: float) -> None:
        """A call was answered: come back by one call per round trip, or step down where answers became slow."""
        if self._slower(latency_seconds):
            self._decrease(ticket, _SLOWER_DECREASE)
        else:
            self.limit = min(float(self.configured), self.limit + 1 / self.limit)

    def overloaded(self, ticket: Ticket, *, now: float, wait_seconds: float) -> None:
        """The upstream asked to slow down, or broke: halve, and begin no call for wait_seconds."""
        self._decrease(ticket, _DECREASE)
        self.paused_until = max(self.paused_until, now + wait_seconds)

    def _decrease(self, ticket: Ticket, factor: float) -> None:
        # Calls that began before the last decrease tell nothing about the limit since.
        if ticket.generation == self._generation:
            self.limit = max(1.0, self.limit * factor)
            self._generation += 1

    def _slower(self, latency_seconds: float) -> bool:
        self._latencies.append(latency_seconds)
        if len(self._latencies) < _LATENCY_WINDOW:
            return False
        median = statistics.median(self._latencies)
        self._latencies.clear()
        self._best_median = min(self._best_median, median)
        return median > _LATENCY_RATIO * max(self._best_median, _LATENCY_FLOOR_SECONDS)


class Limiter:
    """Hands out turns in order of arrival, within the rule. One event loop owns it.

    clock: monotonic seconds.
    """

    def __init__(self, rule: ConcurrencyRule, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rule = rule
        self.in_flight = 0
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._resting: tuple[Callable[[], object], float] | None = None
        self._held_until = -math.inf

    @property
    def wanted(self) -> bool:
        """Whether a turn is held or waited for."""
        return self.in_flight > 0 or bool(self._waiting)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Ticket]:
        """Wait for a turn and hold it for the block."""
        await self._acquire()
        try:
            yield self.rule.begin()
        finally:
            self.in_flight -= 1
            self._wake()

    def succeeded(self, ticket: Ticket, latency_seconds: float) -> None:
        """The call of this turn was answered."""
        self.rule.succeeded(ticket, latency_seconds)

    def overloaded(self, ticket: Ticket, *, wait_seconds: float) -> None:
        """The upstream asked this call to slow down, or broke under it."""
        self.rule.overloaded(ticket, now=self._clock(), wait_seconds=wait_seconds)

    def set_ceiling(self, calls: int) -> None:
        """As `ConcurrencyRule.set_ceiling`, effective at once for calls that have not begun."""
        self._resting, self._held_until = None, -math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.rule.set_ceiling(calls)
        self._wake()

    def rest(self, wake: Callable[[], object], hold_seconds: float) -> None:
        """Nobody looks after the ceiling until a turn is wanted: then `wake` is called, once, and calls wait for the
        next `set_ceiling`, so long at most."""
        self._resting = (wake, hold_seconds)

    async def _acquire(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.in_flight -= 1  # the turn came together with the cancellation: pass it on
            elif turn in self._waiting:
                self._waiting.remove(turn)
            self._wake()
            raise

    def _wake(self) -> None:
        """Give turns to those who wait, as far as the rule goes; come back when a pause ends."""
        if self._resting is not None and self._waiting:
            (wake, hold_seconds), self._resting = self._resting, None
            self._held_until = self._clock() + hold_seconds
            wake()
        pause = max(self.rule.paused_until, self._held_until) - self._clock()
        if pause > 0:
            if self._waiting and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(pause, self._pause_ended)
            return
        while self._waiting and self.in_flight < self.rule.allowed():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    def _pause_ended(self) -> None:
        self._timer = None
        self._wake()

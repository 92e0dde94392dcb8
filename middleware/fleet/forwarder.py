"""Forwards observations to the monitor: a bounded queue in memory, one delivery at a time, in order.

Nothing waits longer than its time: what can't be delivered by then is dropped and counted, so that a monitor that is
away costs a pod no more than its queue.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from middleware.fleet.delivery import Delivered, Undelivered
from middleware.metrics import Metrics
from middleware.records.observation import Observation

__all__ = ["DropReason", "ForwardRule", "Forwarder"]

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
# What an observation costs beside its text: hashes and framing.
_FIXED_BYTES = 1024
_OUTCOMES = frozenset({"undecodable", "opted_out", "not_configured", "not_sampled", "queue_full", "beginning_unknown"})

DropReason = Literal["full", "monitor_away", "rejected", "stopping"]


@dataclass(frozen=True, slots=True)
class ForwardRule:
    """queue, queue_bytes: what may wait. batch: most in one delivery, linger: how long it waits to fill.

    retry_seconds: how long an observation waits at most.
    """

    queue: int = 1000
    queue_bytes: int = 16 * 1024 * 1024
    batch: int = 50
    batch_bytes: int = 1024 * 1024
    linger_seconds: float = 0.1
    retry_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    observation: Observation
    size: int
    since: float


class Forwarder:
    """Owns the queue. deliver: one attempt, as `Delivery.deliver`. clock: monotonic seconds."""

    def __init__(
        self,
        deliver: Callable[[Sequence[Observation]], Awaitable[Delivered | Undelivered]],
        *,
        rule: ForwardRule,
        metrics: Metrics,
        rng: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self._deliver = deliver
        self._rule = rule
        self._metrics = metrics
        self._rng = rng
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._added = asyncio.Event()
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the last delivery failed, or empty."""
        return self._trouble

    @property
    def depth(self) -> int:
        """Observations that wait."""
        return len(self._waiting)

    def put(self, observation: Observation) -> bool:
        """Queue it, or drop and count it; never waits."""
        size = _size(observation)
        if len(self._waiting) >= self._rule.queue or self._bytes + size > self._rule.queue_bytes:
            self._drop("full", 1)
            return False
        self._waiting.append(_Waiting(observation, size, self._clock()))
        self._bytes += size
        self._show()
        self._added.set()
        return True

    async def run(self) -> None:
        """Deliver until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            if not self._waiting:
                self._added.clear()
                await self._added.wait()
                await asyncio.sleep(self._rule.linger_seconds)
            if await self._step():
                pause = _FIRST_PAUSE_SECONDS
            else:
                await asyncio.sleep(pause * self._rng.uniform(0.7, 1.3))
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def flush(self, seconds: float) -> None:
        """At the end: deliver what waits, within so many seconds; the rest is dropped and counted."""
        try:
            async with asyncio.timeout(seconds):
                while self._waiting and await self._step():
                    pass
        except TimeoutError:
            pass
        self._drop("stopping", len(self._waiting))
        self._take(len(self._waiting))

    async def _step(self) -> bool:
        """One delivery of the oldest; False where a pause is due before the next."""
        self._forget_late()
        batch = self._batch()
        if not batch:
            return True
        try:
            result = await self._deliver([waiting.observation for waiting in batch])
        except Exception:
            # What can't even be sent would be tried for ever.
            self._take(len(batch))
            self._drop("rejected", len(batch))
            raise
        if isinstance(result, Delivered):
            self._count(result)
            self._take(len(batch))
            self._say("")
            return True
        self._metrics.forward_attempts_total.labels(outcome=result.reason).inc()
        self._say(result.reason, result.status)
        if not result.again:
            self._take(len(batch))
            self._drop("rejected", len(batch))
        return False

    def _batch(self) -> list[_Waiting]:
        chosen: list[_Waiting] = []
        size = 0
        for waiting in self._waiting:
            size += waiting.size
            if chosen and (len(chosen) >= self._rule.batch or size > self._rule.batch_bytes):
                break
            chosen.append(waiting)
        return chosen

    def _forget_late(self) -> None:
        """Those whose time is over, unless nothing is wrong: a long queue alone is no reason."""
        if not self._trouble:
            return
        oldest = self._clock() - self._rule.retry_seconds
        late = 0
        for waiting in self._waiting:
            if waiting.since > oldest:
                break
            late += 1
        self._take(late)
        self._drop("monitor_away", late)

    def _take(self, number: int) -> None:
        for _ in range(number):
            self._bytes -= self._waiting.popleft().size
        self._show()

    def _show(self) -> None:
        self._metrics.queue_depth.labels(queue="forward").set(len(self._waiting))

    def _drop(self, reason: DropReason, number: int) -> None:
        if number:
            self._metrics.dropped_total.labels(queue="forward", reason=reason).inc(number)

    def _count(self, result: Delivered) -> None:
        self._metrics.forward_attempts_total.labels(outcome="delivered").inc()
        counts = {"accepted": result.accepted, "duplicate": result.duplicates}
        for reason, number in result.dropped.items():
            name = reason if reason in _OUTCOMES else "other"
            counts[name] = counts.get(name, 0) + number
        for outcome, number in counts.items():
            if number:
                self._metrics.forwarded_exchanges_total.labels(outcome=outcome).inc(number)

    def _say(self, trouble: str, status: int | None = None) -> None:
        """Once when it begins or changes, and once when it is over."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            _log.warning("monitor_not_reached", reason=trouble, status=status, waiting=len(self._waiting))
        else:
            _log.info("monitor_reached")


def _size(observation: Observation) -> int:
    transcript = observation.transcript
    texts = [message.text for message in transcript.messages]
    if transcript.reply is not None:
        texts.append(transcript.reply.text)
    return _FIXED_BYTES + sum(len(text.encode("utf-8", "replace")) for text in texts)

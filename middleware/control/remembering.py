"""Keeps the places of conversations, so that a restart does not make new conversations of those that go on.

Only of conversations that are sampled, only salted hashes, and only for a while. What is found in a second is written
at once; a kill loses that second, and its conversations get a new id as they would without all this.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import structlog

from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.records.place import Place
from middleware.store import Store

__all__ = ["Remembering"]

_log = structlog.get_logger(__name__)
_WRITE_SECONDS = 1.0
_FORGET_SECONDS = 3600.0
_MOST_KEPT = 20_000
_MOST_WAITING = 10_000


class Remembering:
    """Owns what waits to be written. retention: seconds that a place is kept. clock: Unix seconds."""

    def __init__(self, store: Store, *, retention: float, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._store = store
        self._retention = retention
        self._metrics = metrics
        self._clock = clock
        # Appended to by the threads of the intake: appending and taking from a deque are atomic.
        self._waiting: deque[Place] = deque(maxlen=_MOST_WAITING)
        self._added = asyncio.Event()
        self._asleep: asyncio.AbstractEventLoop | None = None

    def take(self, place: Place) -> None:
        """Keep a place soon; callable from any thread, never waits. With too many the oldest go."""
        self._waiting.append(place)
        loop, self._asleep = self._asleep, None
        if loop is not None:
            loop.call_soon_threadsafe(self._added.set)

    def restored(self) -> list[Place]:
        """What is kept from before, oldest first. Blocks."""
        self._forget()
        return self._store.places(self._clock() - self._retention, _MOST_KEPT)

    async def run(self) -> None:
        """Write until cancelled; while the store is away what comes in waits."""
        loop = asyncio.get_running_loop()
        forget_at = loop.time() + _FORGET_SECONDS
        while True:
            await self._something(until=forget_at)
            await asyncio.sleep(_WRITE_SECONDS)
            await self.flush()
            if loop.time() > forget_at:
                forget_at = loop.time() + _FORGET_SECONDS
                await self._attempt(self._forget)

    async def flush(self) -> None:
        """Write what waits."""
        found = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if found and not await self._attempt(lambda: self._store.save_places(found)):
            self._waiting.extendleft(reversed(found[-_MOST_WAITING:]))

    async def _something(self, until: float) -> None:
        """Until a place waits, or until that time of the loop."""
        self._added.clear()
        self._asleep = asyncio.get_running_loop()  # before the look: what comes after it wakes
        if not self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._added.wait()
        self._asleep = None

    def _forget(self) -> None:
        self._store.forget_places(self._clock() - self._retention, _MOST_KEPT)

    async def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(work)
        except StoreUnavailable as error:
            self._metrics.store_errors_total.labels(reason=error.reason).inc()
            _log.warning("places_wait_for_store", reason=error.reason, waiting=len(self._waiting))
            return False
        return True

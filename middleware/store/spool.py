"""Writes that wait, in order, while the store is unavailable: a bounded queue in memory with one writer.

A kill loses what waits here; none of it was acknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from middleware.errors import StoreUnavailable

__all__ = ["Spool"]

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Write:
    """What is to be written, and what follows from it."""

    write: Callable[[], object]
    then: Callable[[], object]


class Spool:
    """Owns the waiting writes. One event loop uses it; each write runs in a thread.

    capacity: writes that may wait; with more, the oldest is dropped. on_drop gets ``full`` or ``rejected``, on_error
    the reason of a StoreUnavailable, on_depth how many wait.
    """

    def __init__(
        self,
        capacity: int,
        *,
        on_drop: Callable[[str], object],
        on_error: Callable[[str], object],
        on_depth: Callable[[int], object] = lambda _: None,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is at least 1, not {capacity}")
        self._capacity = capacity
        self._on_drop = on_drop
        self._on_error = on_error
        self._on_depth = on_depth
        self._first_pause = first_pause_seconds
        self._waiting: deque[_Write] = deque()
        self._writing = False  # one more, which was taken out: it can't be dropped and saved
        self._written = asyncio.Condition()
        self._added = asyncio.Event()
        self._failing = ""

    @property
    def depth(self) -> int:
        """Writes that wait now, with the one that is under way."""
        return len(self._waiting) + self._writing

    @property
    def failing(self) -> str:
        """Why the store was unavailable at the last attempt, or empty."""
        return self._failing

    def put(self, write: Callable[[], object], then: Callable[[], object] = lambda: None) -> None:
        """Take a write; never blocks and never raises. then: called on the loop once it is written."""
        self._waiting.append(_Write(write, then))
        self._keep_within()
        self._on_depth(self.depth)
        self._added.set()

    async def run(self) -> None:
        """Write in order until cancelled; pauses grow while the store fails, and what waits is then caught up."""
        pause = self._first_pause
        while True:
            if not self._waiting:
                self._added.clear()
                await self._added.wait()
            if await self._write_first():
                pause = self._first_pause
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def drained(self, timeout_seconds: float) -> bool:
        """Wait until nothing waits while `run` runs; False if it took too long."""
        try:
            async with asyncio.timeout(timeout_seconds), self._written:
                await self._written.wait_for(lambda: not self.depth)
        except TimeoutError:
            return False
        return True

    async def _write_first(self) -> bool:
        write, self._writing = self._waiting.popleft(), True
        written = saved = False
        try:
            await asyncio.to_thread(write.write)
            self._failing = ""
            written = saved = True
        except StoreUnavailable as error:
            if not self._failing:
                _log.warning("store_unavailable", reason=error.reason, waiting=self.depth)
            self._failing = error.reason
            self._on_error(error.reason)
            return False
        except Exception as error:  # noqa: BLE001  one bad write must not hold up all others
            _log.error("write_rejected", error=type(error).__name__)  # its text may quote values
            self._on_drop("rejected")
            written = True
        finally:
            self._writing = False
            if not written:
                self._waiting.appendleft(write)
                self._keep_within()
        if saved:
            write.then()
        self._on_depth(self.depth)
        async with self._written:
            self._written.notify_all()
        return True

    def _keep_within(self) -> None:
        while len(self._waiting) > self._capacity:
            # The oldest, which is the next: the order of the others stays.
            self._waiting.popleft()
            self._on_drop("full")

"""Writes that wait, in order, while the store is unavailable: a bounded queue in memory with one writer.

A kill loses what waits here; none of it was acknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from middleware.errors import StoreUnavailable

__all__ = ["Spool"]

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0


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
        self._waiting: deque[Callable[[], object]] = deque()
        self._written = asyncio.Condition()
        self._added = asyncio.Event()
        self._failing = ""

    @property
    def depth(self) -> int:
        """Writes that wait now."""
        return len(self._waiting)

    @property
    def failing(self) -> str:
        """Why the store was unavailable at the last attempt, or empty."""
        return self._failing

    def put(self, write: Callable[[], object]) -> None:
        """Take a write; never blocks and never raises."""
        if len(self._waiting) >= self._capacity:
            # While it fails nobody writes the first one: dropping it keeps the order of the others.
            self._waiting.popleft()
            self._on_drop("full")
        self._waiting.append(write)
        self._on_depth(len(self._waiting))
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
                await self._written.wait_for(lambda: not self._waiting)
        except TimeoutError:
            return False
        return True

    async def _write_first(self) -> bool:
        write = self._waiting[0]
        try:
            await asyncio.to_thread(write)
            self._failing = ""
        except StoreUnavailable as error:
            if not self._failing:
                _log.warning("store_unavailable", reason=error.reason, waiting=len(self._waiting))
            self._failing = error.reason
            self._on_error(error.reason)
            return False
        except Exception as error:  # noqa: BLE001  one bad write must not hold up all others
            _log.error("write_rejected", error=type(error).__name__)  # its text may quote values
            self._on_drop("rejected")
        if self._waiting and self._waiting[0] is write:
            self._waiting.popleft()
        self._on_depth(len(self._waiting))
        async with self._written:
            self._written.notify_all()
        return True

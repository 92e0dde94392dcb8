"""The kill switch over every call of the sidecar's own: benchmark, probes, judges, `run` and `gate`. Traffic passes."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from middleware.errors import CallRefused
from middleware.records.event import Event
from middleware.store import Store

__all__ = ["CallSwitch"]

_STATE = "calls"


class CallSwitch:
    """Owns whether own calls are stopped. By the settings they are for good, by the API until somebody resumes them.

    The state is in the store: it survives restarts and holds for every process that shares the store. clock: monotonic
    seconds.
    """

    def __init__(self, store: Store, *, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._enabled = enabled
        self._paused = False
        self._clock = clock
        self._loaded_at = -math.inf
        self._loading = asyncio.Lock()
        # Held from the store's answer until it is known here: what was read before a change never undoes it.
        self._knowing = threading.Lock()

    @property
    def paused(self) -> bool:
        """Whether no call may be made."""
        return self._paused or not self._enabled

    @property
    def reasons(self) -> dict[str, bool]:
        """Who could stop calls, and whether they do."""
        return {"settings": not self._enabled, "operator": self._paused}

    def require_running(self) -> None:
        """Raise CallRefused while calls are stopped."""
        if not self._enabled:
            raise CallRefused("paused", "own calls are switched off by the setting upstream.own_calls")
        if self._paused:
            raise CallRefused("paused", "own calls are paused: resume them with POST /api/v1/calls/resume")

    def load(self) -> None:
        """Read what the store says; raises StoreUnavailable. Synchronous: call it in a thread."""
        self._loaded_at = self._clock()  # also where it fails: nobody asks again and again
        with self._knowing:
            saved = self._store.load_state(_STATE)
            self._paused = bool(saved and saved["paused"])

    async def renew(self, seconds: float) -> None:
        """Read what the store says where that was not done within the last seconds; raises StoreUnavailable."""
        async with self._loading:
            if self._clock() - self._loaded_at > seconds:
                await asyncio.to_thread(self.load)

    async def set_paused(self, paused: bool, *, at: float) -> Event | None:
        """Stop or go on, at once, and for calls of other processes within seconds. The event that was saved with it, or
        None where nothing changed. at: Unix seconds."""
        return await asyncio.to_thread(self._save, paused, at)

    def _save(self, paused: bool, at: float) -> Event | None:
        with self._knowing:
            event = Event("calls_paused" if paused else "calls_resumed", "", at)
            ids = self._store.save_state(_STATE, {"paused": paused}, (event,) if paused != self._paused else ())
            self._paused = paused
            return replace(event, id=ids[0]) if ids else None

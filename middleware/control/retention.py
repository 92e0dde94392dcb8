"""Removes what is older than the operator wants it to be, looks whether it is gone, and says so."""

import asyncio
from collections.abc import Callable

import structlog

from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.settings.store import StoreSettings
from middleware.store import Store

__all__ = ["Retention"]

_log = structlog.get_logger(__name__)
_EVERY_SECONDS = 3600.0
_AGAIN_SECONDS = 30.0
_DAY = 86_400.0


class Retention:
    """A worker. clock: Unix seconds, UTC. Content is removed on time even after keeping it was switched off."""

    def __init__(
        self,
        settings: StoreSettings,
        *,
        store: Store,
        metrics: Metrics,
        clock: Callable[[], float],
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._every = every_seconds

    async def run(self) -> None:
        """Until cancelled: at the start, then every hour; sooner again where the store was away."""
        while True:
            done = await asyncio.to_thread(self.purge)
            await asyncio.sleep(self._every if done else min(_AGAIN_SECONDS, self._every))

    def purge(self) -> bool:
        """Remove and verify, once; False where that could not be done. Blocks."""
        now = self._clock()
        content = now - self._settings.content_days * _DAY
        scores = now - self._settings.scores_days * _DAY if self._settings.scores_days is not None else None
        try:
            removed = self._store.purge(content_before=content, scores_before=scores)
            oldest_content, oldest_scores = self._store.oldest()
        except StoreUnavailable as error:
            self._metrics.store_errors_total.labels(reason=error.reason).inc()
            _log.warning("retention_waits_for_store", reason=error.reason)
            return False
        self._metrics.retention_removed_total.labels(kind="content").inc(removed.content)
        self._metrics.retention_removed_total.labels(kind="scores").inc(removed.scores)
        left = [oldest_content is not None and oldest_content < content]
        left.append(scores is not None and oldest_scores is not None and oldest_scores < scores)
        if any(left):
            _log.error("retention_not_met", content=left[0], scores=left[1])
            return False
        self._metrics.retention_verified_timestamp_seconds.labels(kind="content").set(now)
        if scores is not None:
            self._metrics.retention_verified_timestamp_seconds.labels(kind="scores").set(now)
        return True

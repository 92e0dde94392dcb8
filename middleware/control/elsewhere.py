"""Tells the subscribers of the events feed what other processes saved: the command line, other replicas. A worker.

The store is looked at while somebody is subscribed and not otherwise.
"""

import asyncio

import structlog

from middleware.admin.feed import EventFeed
from middleware.errors import StoreUnavailable
from middleware.store import Store

__all__ = ["Elsewhere"]

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 2.0
# Of two transactions the one that got the lower id may end later: a few ids are looked at again.
_AGAIN = 50
_PAGE = 500


class Elsewhere:
    """Owns how far it has read. What the feed has told already it does not tell twice."""

    def __init__(self, store: Store, feed: EventFeed, *, interval_seconds: float = _LOOK_SECONDS) -> None:
        self._store = store
        self._feed = feed
        self._interval = interval_seconds
        feed.followed.clear()
        self._begin = 0
        self._cursor: int | None = None

    async def run(self) -> None:
        """Look until cancelled; a store that is away is looked at again later."""
        while True:
            if not self._feed.wanted.is_set():
                self._cursor = None
                self._feed.followed.clear()
                await self._feed.wanted.wait()
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.warning("events_not_read", reason=error.reason)
            self._feed.followed.set()  # also where the store is away: nobody waits for it
            await asyncio.sleep(self._interval)

    async def look(self) -> None:
        """One look. The first one only learns where the present begins: what was before is replayed on request."""
        if self._cursor is None:
            self._begin = self._cursor = await asyncio.to_thread(self._store.latest_event_id)
            return
        since = max(self._begin, self._cursor - _AGAIN)
        while page := await asyncio.to_thread(self._store.events, since, _PAGE):
            for event in page:
                self._feed.publish(event)
            since = page[-1].id
        self._cursor = max(self._cursor, since)

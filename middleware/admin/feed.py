"""Hands events to the subscribers of /api/v1/events. A slow subscriber loses events, counted; nobody waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from middleware.records.event import Event

__all__ = ["EventFeed", "Subscription", "TooManySubscribers"]

# Ids that are known to be told: more than a look at the store reads again.
_REMEMBERED = 256


class TooManySubscribers(Exception):
    """The feed serves as many subscribers as it may."""


class Subscription:
    """One subscriber's bounded queue. lost: events dropped since it was last asked."""

    def __init__(self, capacity: int) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(capacity + 1)
        self._capacity = capacity
        self._lost = 0

    def offer(self, event: Event) -> bool:
        """Queue the event; False where there is no room."""
        if self._queue.qsize() >= self._capacity:
            self._lost += 1
            return False
        self._queue.put_nowait(event)
        return True

    def end(self) -> None:
        """After what is queued, `next` returns None."""
        if not self._queue.full():
            self._queue.put_nowait(None)

    async def next(self) -> Event | None:
        """Wait for the next event; None at the end of the feed."""
        return await self._queue.get()

    def take_lost(self) -> int:
        """How many events were lost since the last call."""
        lost, self._lost = self._lost, 0
        return lost


class EventFeed:
    """Owns the set of subscriptions. Lives on one event loop: publish from that loop only.

    count_drop: called once per event and subscriber that lost it. wanted: set while somebody is subscribed.
    """

    def __init__(self, *, count_drop: Callable[[], None], capacity: int = 256, subscribers: int = 64) -> None:
        self._count_drop = count_drop
        self._capacity = capacity
        self._most = subscribers
        self._subscriptions: set[Subscription] = set()
        self._closed = False
        self._told: deque[int] = deque(maxlen=_REMEMBERED)
        self.wanted = asyncio.Event()

    def publish(self, event: Event) -> None:
        """Offer the event to every subscriber, without waiting; one that was told already is not told again."""
        if event.id:
            if event.id in self._told:
                return
            self._told.append(event.id)
        for subscription in self._subscriptions:
            if not subscription.offer(event):
                self._count_drop()

    def close(self) -> None:
        """End all streams, so that the listener can stop; later subscribers end at once."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """A subscription for the length of the block; raises TooManySubscribers."""
        if len(self._subscriptions) >= self._most:
            raise TooManySubscribers
        subscription = Subscription(self._capacity)
        self._subscriptions.add(subscription)
        self.wanted.set()
        if self._closed:
            subscription.end()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self.wanted.clear()

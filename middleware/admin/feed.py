"""Hands events and estimates to the subscribers of /api/v1/events. A slow one is cut, counted; nobody waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from middleware.awareness.recent import Told
from middleware.records.event import Event

__all__ = ["EventFeed", "News", "Subscription", "TooManySubscribers"]

# Ids that are known to be told: more than a look at the store reads again.
_REMEMBERED = 256

News: TypeAlias = Event | Told


class TooManySubscribers(Exception):
    """The feed serves as many subscribers as it may."""


class Subscription:
    """One subscriber's bounded queue. wants: what gets in. cut: it was too slow; what is queued is its last."""

    def __init__(self, capacity: int, wants: Callable[[News], bool] = lambda _: True) -> None:
        self._queue: asyncio.Queue[News | None] = asyncio.Queue(capacity + 1)
        self._capacity = capacity
        self.wants = wants
        self.cut = False

    def offer(self, news: News) -> bool:
        """Queue it, where it is wanted; False where there is no room, and then nothing follows any more."""
        if self.cut or not self.wants(news):
            return True
        if self._queue.qsize() >= self._capacity:
            self.cut = True
            self.end()
            return False
        self._queue.put_nowait(news)
        return True

    def end(self) -> None:
        """After what is queued, `next` returns None."""
        if not self._queue.full():
            self._queue.put_nowait(None)

    async def next(self) -> News | None:
        """Wait for the next event; None at the end of the feed."""
        return await self._queue.get()


class EventFeed:
    """Owns the set of subscriptions. Lives on one event loop: publish from that loop only.

    count_drop: called once for each subscriber that is cut. wanted: set while somebody is subscribed. followed: set
    while what other processes save will be told; whoever looks for that clears and sets it.
    """

    def __init__(self, *, count_drop: Callable[[], None], capacity: int = 256, subscribers: int = 64) -> None:
        self.count_drop = count_drop
        self._capacity = capacity
        self._most = subscribers
        self._subscriptions: set[Subscription] = set()
        self._closed = False
        self._told: deque[int] = deque(maxlen=_REMEMBERED)
        self.wanted = asyncio.Event()
        self.followed = asyncio.Event()
        self.followed.set()

    def publish(self, event: Event) -> None:
        """Offer the event to every subscriber, without waiting; one that was told already is not told again."""
        if event.id:
            if event.id in self._told:
                return
            self._told.append(event.id)
        self._offer(event)

    def tell(self, told: Told) -> None:
        """Offer a new estimate to every subscriber, without waiting."""
        self._offer(told)

    def _offer(self, news: News) -> None:
        for subscription in self._subscriptions:
            if not subscription.offer(news):
                self.count_drop()

    def close(self) -> None:
        """End all streams, so that the listener can stop; later subscribers end at once."""
        self._closed = True
        self.followed.set()
        for subscription in self._subscriptions:
            subscription.end()

    @contextmanager
    def subscribe(self, wants: Callable[[News], bool] = lambda _: True) -> Iterator[Subscription]:
        """A subscription for the length of the block; raises TooManySubscribers."""
        if len(self._subscriptions) >= self._most:
            raise TooManySubscribers
        subscription = Subscription(self._capacity, wants)
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

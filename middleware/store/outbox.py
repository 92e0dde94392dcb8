"""The store's part in telling others: messages to webhooks, and what follows from an estimate. One transaction each."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from sqlalchemy import Connection

from middleware.records.conversation import ProbeResult
from middleware.records.delivery import Delivery, DeliveryReason, DeliveryStatus
from middleware.records.event import Event
from middleware.records.informed import Call
from middleware.store import calls, deliveries, journal, probes

__all__ = ["Outbox"]

_CURSOR = "webhooks"
_PAGE = 500
# Of two transactions the one that got the lower id may end later: a few ids are looked at again, for a while.
_AGAIN, _AGAIN_SECONDS = 50, 600.0

Addressed = Callable[[Event], Iterable[tuple[str, str]]]
"""Webhook and message id of each message that an event makes."""


class Outbox:
    """A part of `Store`, which has the transactions."""

    _clock: Callable[[], float] = time.time
    _reading: Callable[[], AbstractContextManager[Connection]]
    _writing: Callable[[], AbstractContextManager[Connection]]
    _naming: Callable[[str, float], AbstractContextManager[Connection | None]]

    def save_estimate(
        self, result: ProbeResult, follow: Callable[[Sequence[ProbeResult]], Iterable[Event]]
    ) -> list[Event] | None:
        """Write a result together with the events that follow from it; None if it was there already, or was erased.

        follow: is shown every result of the conversation, by turn, this one included.
        """
        with self._naming(result.conversation, result.ended_at) as connection:
            if connection is None or not probes.save_probe(connection, result):
                return None
            found = follow(probes.emotions_of(connection, result.conversation))
            return [replace(event, id=journal.save_event(connection, event)) for event in found]

    def save_call(self, call: Call) -> None:
        """Write a call of the application; one of this turn that is there already stays. Of erased ones nothing is."""
        with self._naming(call.conversation, call.at) as connection:
            if connection is not None:
                calls.save_call(connection, call)

    def calls(self, deployment: str, limit: int = 1000) -> list[Call]:
        """The newest calls of a deployment, newest first."""
        with self._reading() as connection:
            return calls.calls_of(connection, deployment, limit)

    def queue_messages(self, addressed: Addressed) -> int:
        """Make the messages of every event since the last call; how many. The first call only marks the present."""
        now = self._clock()
        with self._writing() as connection:
            saved = journal.load_state(connection, _CURSOR)
            if saved is None:
                present = journal.latest_event_id(connection)
                journal.save_state(connection, _CURSOR, {"event": present, "begin": present}, now)
                return 0
            queued, newest = self._queue(connection, saved["event"], saved["begin"], addressed, now)
            if newest != saved["event"]:
                journal.save_state(connection, _CURSOR, {**saved, "event": newest}, now)
            return queued

    @staticmethod
    def _queue(connection: Connection, cursor: int, begin: int, addressed: Addressed, now: float) -> tuple[int, int]:
        queued, since, newest = 0, max(begin, cursor - _AGAIN), cursor
        while page := journal.events_since(connection, since, _PAGE):
            for event in page:
                if event.id <= cursor and event.at < now - _AGAIN_SECONDS:
                    continue
                for webhook, identity in addressed(event):
                    queued += deliveries.add(connection, webhook, identity, event.id, now)
            since = page[-1].id
            newest = max(newest, since)
        return queued, newest

    def claim_messages(self, webhook: str, *, lease_seconds: float, limit: int) -> list[tuple[Delivery, Event | None]]:
        """Take due messages of a webhook; nobody else sends them before the lease is over."""
        with self._writing() as connection:
            taken = deliveries.claim(connection, webhook, self._clock(), lease_seconds, limit)
            return [(delivery, deliveries.event_of(connection, delivery.event)) for delivery in taken]

    def postpone_message(
        self, claimed: Delivery, next_at: float, reason: DeliveryReason, http_status: int | None = None
    ) -> bool:
        """Send it again then; False where somebody else has gone on with it."""
        with self._writing() as connection:
            return deliveries.postpone(connection, claimed, next_at, reason, http_status)

    def finish_message(
        self, claimed: Delivery, status: DeliveryStatus, reason: DeliveryReason = "", http_status: int | None = None
    ) -> bool:
        """It was taken, or is given up; False where somebody else has gone on with it."""
        with self._writing() as connection:
            return deliveries.finish(connection, claimed, status, self._clock(), reason, http_status)

    def resend_message(self, identity: str) -> bool:
        """Make a dead letter due again; False where none has this id."""
        with self._writing() as connection:
            return deliveries.resend(connection, identity, self._clock())

    def messages(
        self, status: DeliveryStatus | None = None, webhook: str | None = None, limit: int = 100
    ) -> list[tuple[Delivery, Event | None]]:
        """Messages with what they tell, newest first."""
        with self._reading() as connection:
            return deliveries.newest(connection, status, webhook, limit)

    def next_message_at(self, webhooks: Iterable[str]) -> float | None:
        """When the next message of these webhooks is due; None where none waits."""
        with self._reading() as connection:
            return deliveries.next_due(connection, webhooks)

    def count_messages(self, webhook: str) -> dict[DeliveryStatus, int]:
        """How many messages of a webhook are in each state, all at the same moment; a state of none is left out."""
        with self._reading() as connection:
            return deliveries.count(connection, webhook)

    def prune_messages(self, *, delivered_before: float, dead_before: float, dead_kept: int) -> None:
        """Remove what was delivered long ago, and dead letters that are old or more than are kept."""
        with self._writing() as connection:
            deliveries.prune(
                connection, delivered_before=delivered_before, dead_before=dead_before, dead_kept=dead_kept
            )

"""The worker that sends: makes messages of events, sends what is due, waits longer after each failure, gives up.

What is due is in the store, so nothing is lost with the process; a message may come twice, and then has the same id.
Each webhook is served on its own: one that hangs delays nobody. What became of a message is counted and logged once it
is saved, so that who reads a count finds the message as it says; where another process went on with it, that one
counts.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.records.delivery import Delivery, DeliveryReason
from middleware.records.event import Event
from middleware.store import Store
from middleware.webhooks.messages import Context, slack_body, standard_body
from middleware.webhooks.receiver import Answer, Receiver
from middleware.webhooks.signing import message_id, signed
from middleware.webhooks.words import GROUPS

__all__ = ["Sender", "Webhook"]

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_BATCH = 8
_LONGEST_PAUSE_SECONDS = 7200.0
_PAUSE_FACTOR = 4.0
_LEASE_SLACK_SECONDS = 30.0
_DAY = 86_400.0
_DELIVERED_KEPT_SECONDS, _DEAD_KEPT_SECONDS, _DEAD_KEPT = 7 * _DAY, 30 * _DAY, 10_000
_FINAL: frozenset[DeliveryReason] = frozenset({"gone"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver as configured. key: empty where messages are not signed. groups: what it is told.

    stale_after: age in seconds of an emotion after which its message is given up.
    """

    name: str
    receiver: Receiver
    key: bytes
    groups: frozenset[str]
    deployments: frozenset[str] = frozenset()
    slack: bool = False
    timeout_seconds: float = 10.0
    attempts: int = 8
    first_retry_seconds: float = 5.0
    stale_after: float = 3600.0

    def wants(self, event: Event) -> bool:
        """Whether it is told of this event."""
        if GROUPS.get(event.kind) not in self.groups:
            return False
        return not self.deployments or event.deployment in self.deployments

    def pause(self, attempts: int) -> float:
        """Seconds to wait after so many attempts: four times as long each time, with jitter, two hours at most."""
        wait = wait_exponential_jitter(
            multiplier=self.first_retry_seconds,
            exp_base=_PAUSE_FACTOR,
            max=_LONGEST_PAUSE_SECONDS,
            jitter=self.first_retry_seconds / 2.0,
        )
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = attempts
        return wait(state)


class Sender:
    """Owns when to look next. told: called with event, webhook's name and time after a message was taken."""

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        *,
        store: Store,
        metrics: Metrics,
        context: Context,
        clock: Callable[[], float] = time.time,
        told: Callable[[Event, float], object] = lambda *_: None,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._webhooks = {webhook.name: webhook for webhook in webhooks}
        self._store = store
        self._metrics = metrics
        self._context = context
        self._clock = clock
        self._told = told
        self._look_seconds = look_seconds
        self._wake = {name: asyncio.Event() for name in self._webhooks}
        self._look = asyncio.Event()
        self._pruned_at = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Of the configured webhooks."""
        return tuple(self._webhooks)

    def wake(self) -> None:
        """Something was saved that may be due now. On the event loop; never blocks."""
        self._look.set()

    def resent(self) -> None:
        """A message that is there already became due. On the event loop; never blocks."""
        for wake in self._wake.values():
            wake.set()

    async def begin(self) -> None:
        """In a new store, mark the present: every event that is saved after this is told, however soon it comes."""
        with self._waiting_for_store():
            await asyncio.to_thread(self._store.queue_messages, self._addressed)

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="webhook-events")
            for webhook in self._webhooks.values():
                group.create_task(self._serve(webhook), name=f"webhook-{webhook.name}")

    async def _follow(self) -> None:
        """Make messages of new events, those of other processes included."""
        while True:
            self._look.clear()
            with self._waiting_for_store():
                if await asyncio.to_thread(self._store.queue_messages, self._addressed):
                    for event in self._wake.values():
                        event.set()
                await self._prune()
            await _woken(self._look, self._look_seconds)

    def _addressed(self, event: Event) -> Iterator[tuple[str, str]]:
        for webhook in self._webhooks.values():
            if webhook.wants(event):
                yield webhook.name, message_id(webhook.name, event)

    async def _prune(self) -> None:
        now = self._clock()
        if now - self._pruned_at > _DAY / 24:
            self._pruned_at = now
            await asyncio.to_thread(
                self._store.prune_messages,
                delivered_before=now - _DELIVERED_KEPT_SECONDS,
                dead_before=now - _DEAD_KEPT_SECONDS,
                dead_kept=_DEAD_KEPT,
            )

    async def _serve(self, webhook: Webhook) -> None:
        while True:
            self._wake[webhook.name].clear()
            pause = self._look_seconds
            with self._waiting_for_store():
                while await self._send_due(webhook):
                    pass
                due = await asyncio.to_thread(self._store.next_message_at, [webhook.name])
                pause = _IDLE_SECONDS if due is None else min(_IDLE_SECONDS, max(0.01, due - self._clock()))
            await _woken(self._wake[webhook.name], pause)

    async def _send_due(self, webhook: Webhook) -> int:
        lease = webhook.timeout_seconds + _LEASE_SLACK_SECONDS
        claimed = await asyncio.to_thread(self._store.claim_messages, webhook.name, lease_seconds=lease, limit=_BATCH)
        # Each to its end: where the store is away for one of them, another may have been taken, saved and not counted.
        sent = await asyncio.gather(
            *(self._send(webhook, delivery, event) for delivery, event in claimed), return_exceptions=True
        )
        if errors := [one for one in sent if isinstance(one, Exception)]:
            raise ExceptionGroup("not all could be sent", errors)
        return len(claimed)

    async def _send(self, webhook: Webhook, delivery: Delivery, event: Event | None) -> None:
        now = self._clock()
        if event is None:
            await self._give_up(delivery, Answer("event_gone"))
            return
        ended = event.details.get("turn_ended_at")
        if isinstance(ended, int | float) and now - ended > webhook.stale_after:
            await self._give_up(delivery, Answer("stale"))
            return
        body = slack_body(event, self._context) if webhook.slack else standard_body(event, self._context, now=now)
        headers = signed(webhook.key, delivery.id, int(now), body) if webhook.key else {}
        answer = await webhook.receiver.post(headers, body)
        if not answer.reason:
            if await asyncio.to_thread(self._store.finish_message, delivery, "delivered", "", answer.status):
                self._count("delivered")
                self._told(event, now)
        elif answer.reason in _FINAL or delivery.attempts >= webhook.attempts:
            await self._give_up(delivery, answer)
        else:
            pause = max(webhook.pause(delivery.attempts), answer.wait_seconds or 0.0)
            if await asyncio.to_thread(
                self._store.postpone_message, delivery, self._clock() + pause, answer.reason, answer.status
            ):
                self._count("failed")

    async def _give_up(self, delivery: Delivery, answer: Answer) -> None:
        if not await asyncio.to_thread(self._store.finish_message, delivery, "dead", answer.reason, answer.status):
            return
        self._count("dead")
        _log.warning(
            "webhook_dead_letter",
            webhook=delivery.webhook,
            message=delivery.id,
            attempts=delivery.attempts,
            reason=answer.reason,
            status=answer.status,
        )

    def _count(self, outcome: str) -> None:
        self._metrics.webhook_deliveries_total.labels(outcome=outcome).inc()

    @contextlib.contextmanager
    def _waiting_for_store(self) -> Iterator[None]:
        """A store that is away is asked again at the next look; what it has is not lost."""
        try:
            yield
        except* StoreUnavailable as errors:
            reason = next(_leaves(errors)).reason
            self._metrics.store_errors_total.labels(reason=reason).inc()
            _log.warning("webhooks_wait_for_store", reason=reason)


async def _woken(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, so long at most. Not by wait_for, which may lose a cancellation (bpo-37658)."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _leaves(errors: BaseExceptionGroup[StoreUnavailable]) -> Iterator[StoreUnavailable]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error

"""Telling the application and its operators: estimates with what follows from them, and the sender of webhooks."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from middleware.awareness.adoption import Adoption, Read
from middleware.awareness.thresholds import crossings, is_estimate
from middleware.errors import ConfigurationError
from middleware.metrics import Metrics
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.records.informed import Call
from middleware.settings import Settings
from middleware.settings.webhooks import WebhookSettings, webhook_secrets
from middleware.store import Store
from middleware.store.spool import Spool
from middleware.webhooks.addresses import networks
from middleware.webhooks.messages import Context
from middleware.webhooks.receiver import Receiver
from middleware.webhooks.sender import Sender, Webhook

__all__ = ["Estimates", "make_adoption", "make_sender"]


class Estimates:
    """Writes results together with the thresholds that they cross. Made on the event loop, used by the spool's thread.

    publish: called on the loop with each event that was saved.
    """

    def __init__(
        self, settings: Settings, *, store: Store, publish: Callable[[Event], object], clock: Callable[[], float]
    ) -> None:
        self._thresholds = {d.name: d.threshold_rules for d in settings.deployments if d.thresholds}
        self._store = store
        self._publish = publish
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    def write(self, result: ProbeResult) -> None:
        """Save a result; raises StoreUnavailable, and then nothing of it is saved."""
        thresholds = self._thresholds.get(result.deployment)
        if thresholds is None or not is_estimate(result):
            self._store.save_probe(result)
            return

        def follow(results: Sequence[ProbeResult]) -> list[Event]:
            return list(crossings(results, result, thresholds, now=self._clock()))

        for event in self._store.save_estimate(result, follow) or ():
            self._loop.call_soon_threadsafe(self._publish, event)


def make_adoption(*, store: Store, spool: Spool, metrics: Metrics, called: Callable[[Call], object]) -> Adoption:
    """What counts reads, and calls with and without one. called: told of each call that an estimate was there for."""

    def on_read(read: Read) -> None:
        metrics.awareness_age_seconds.labels(deployment=read.deployment).observe(read.age_seconds)
        if read.channel in ("webhook", "header"):
            metrics.awareness_reads_total.labels(channel=read.channel, outcome="found").inc()

    def on_call(deployment: str, call: Call | None) -> None:
        outcome = "no_estimate" if call is None else "informed" if call.informed else "uninformed"
        metrics.awareness_calls_total.labels(deployment=deployment, outcome=outcome).inc()
        if call is not None:
            spool.put(partial(store.save_call, call))
            called(call)

    return Adoption(on_read=on_read, on_call=on_call)


def read_by_webhook(event: Event, at: float) -> Read | None:
    """What a receiver got with this event; None where it is about no conversation."""
    conversation, ended = event.details.get("conversation"), event.details.get("turn_ended_at")
    if not isinstance(conversation, str) or not isinstance(ended, int | float):
        return None
    return Read("webhook", event.deployment, conversation, at, ended)


def make_sender(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    store: Store,
    metrics: Metrics,
    clock: Callable[[], float],
    read: Callable[[Read], object] = lambda _: None,
) -> Sender | None:
    """The sender of all configured webhooks, or None; raises ConfigurationError where a file can't be read."""
    if not settings.webhooks:
        return None
    webhooks = []
    for configured in settings.webhooks:
        webhook = _webhook(configured)
        stack.push_async_callback(webhook.receiver.aclose)
        webhooks.append(webhook)
    context = Context(settings.admin.public_url or "", settings.detection.false_alarms_per_year)

    def told(event: Event, at: float) -> None:
        if (found := read_by_webhook(event, at)) is not None:
            read(found)

    return Sender(webhooks, store=store, metrics=metrics, context=context, clock=clock, told=told)


def _webhook(configured: WebhookSettings) -> Webhook:
    url, key = webhook_secrets(configured)
    try:
        receiver = Receiver(
            url,
            allowed=networks(configured.allow_networks),
            timeout_seconds=configured.timeout_seconds,
            ca_file=configured.ca_file,
        )
    except OSError as error:
        raise ConfigurationError(
            f"webhook {configured.name!r}: ca_file {configured.ca_file!r} can't be used ({error}): correct it"
        ) from None
    return Webhook(
        configured.name,
        receiver,
        key,
        frozenset(configured.groups),
        frozenset(configured.deployments),
        slack=configured.format == "slack",
        timeout_seconds=configured.timeout_seconds,
        attempts=configured.attempts,
        first_retry_seconds=configured.first_retry.total_seconds(),
        stale_after=configured.stale_after.total_seconds(),
    )

"""Composition root of the control process: makes every part from the settings and wires them; holds no logic."""

import asyncio
import gc
import os
import platform
import random
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry

from middleware.admin.app import create_app
from middleware.admin.feed import EventFeed
from middleware.awareness.recent import Recent
from middleware.control.admin_server import AdminServer
from middleware.control.admin_view import admin_state
from middleware.control.arrivals import Arrivals
from middleware.control.benchmarking import Benchmarking, Schedule
from middleware.control.budget import Budget
from middleware.control.elsewhere import Elsewhere
from middleware.control.emotions import Emotions, emotion_rules
from middleware.control.exporting import BenchmarkExport
from middleware.control.headers import EmotionsHeader
from middleware.control.judges import Judges, make_judges
from middleware.control.lifetime import until_stopped
from middleware.control.link import RelayLink
from middleware.control.plans import benchmark_configured, benchmark_plans, missing_settings
from middleware.control.prices import caps_of, deployment_caps, prices_of
from middleware.control.probing import Probing
from middleware.control.remembering import Remembering
from middleware.control.retention import Retention
from middleware.control.supervision import Supervisor, Worker
from middleware.control.switch import CallSwitch
from middleware.control.telling import Estimates, make_adoption, make_sender
from middleware.control.tracing import traced
from middleware.control.watching import Watches
from middleware.control.yielding import Yielding
from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics, RelayCollector
from middleware.probe.keeping import ContentCipher, Keeper, content_cipher
from middleware.probe.redaction import redacted
from middleware.records.event import Event
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation
from middleware.settings import Settings
from middleware.settings.secrets import conversation_salt, revealed
from middleware.store import Store
from middleware.store.spool import Spool
from middleware.tracing import Tracing
from middleware.traffic.selecting import Picking
from middleware.upstream import UpstreamClient, http_client

__all__ = ["serve"]

_log = structlog.get_logger(__name__)
_BENCHMARK_CONNECTIONS = 64
_SPOOLED_WRITES = 10_000
# One request may bring hundreds at once, which are given their places within milliseconds.
_ARRIVALS = 1024
_DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Shared:
    """The handles that several parts use. on_event: called with each event that was saved; must not block."""

    settings: Settings
    store: Store
    spool: Spool
    registry: CollectorRegistry
    metrics: Metrics
    feed: EventFeed
    budget: Budget
    switch: CallSwitch
    clock: Callable[[], float]
    tracing: Tracing
    on_event: list[Callable[[Event], object]] = field(default_factory=list)

    async def record(self, event: Event) -> int:
        """Keep an event and tell the subscribers."""
        identity = await asyncio.to_thread(self.store.save_event, event)
        self.publish(Event(event.kind, event.deployment, event.at, event.details, identity))
        return identity

    def publish(self, event: Event) -> None:
        """Tell the subscribers of an event that is saved."""
        self.feed.publish(event)
        for tell in self.on_event:
            tell(event)


async def serve(settings: Settings, relay: socket.socket | None) -> int:
    """Run until the relay closes its end or a signal arrives; the exit code. relay: None in `eqwatch monitor`."""
    async with AsyncExitStack() as stack:
        shared = await _shared(settings, stack)
        queue: asyncio.Queue[Exchange] = asyncio.Queue(settings.probe.queue)
        link = _relay_link(shared, relay, queue)
        benchmarking = await _benchmarking(shared, stack)
        judges = await asyncio.to_thread(
            make_judges,
            settings,
            stack,
            shared.budget,
            verify=True if settings.judge.url else _trust(settings),
            busy=lambda: link is not None and link.busy,
            tracing=shared.tracing,
        )
        observations: asyncio.Queue[Observation] = asyncio.Queue(max(_ARRIVALS, settings.probe.queue))
        remembering = Remembering(
            shared.store,
            retention=settings.probe.conversations_kept_for.total_seconds(),
            metrics=shared.metrics,
            clock=shared.clock,
        )
        cipher = content_cipher(settings)
        probing = await _probing(shared, stack, queue, observations, judges, remembering, cipher)
        arrivals = _arrivals(shared, probing, observations)
        await _known_again(remembering, probing, arrivals)
        emotions = _emotions(shared, judges, benchmarking)
        probing.on_saved.append(emotions.take)
        recent = Recent(emotions.repeatability)
        recent.listeners.append(shared.feed.tell)
        adoption = make_adoption(store=shared.store, spool=shared.spool, metrics=shared.metrics, called=emotions.called)
        recent.listeners.append(adoption.estimated)
        forgetting = [emotions.forget, recent.forget, adoption.forget]
        probing.on_turn.append(adoption.called)
        probing.on_saved.append(recent.take)
        workers = [Worker("writer", shared.spool.run), Worker("probe", probing.run)]
        workers.append(Worker("places", remembering.run))
        retention = Retention(settings.store, store=shared.store, metrics=shared.metrics, clock=shared.clock)
        workers.append(Worker("retention", retention.run))
        workers.append(Worker("budget", shared.budget.run))
        workers.append(Worker("events", Elsewhere(shared.store, shared.feed).run))
        workers.append(Worker("emotions", emotions.run))
        if benchmarking is not None:
            await benchmarking.restore()
            workers.append(Worker("benchmark", benchmarking.run))
        if link is not None and settings.relay.emotions_header:
            header = EmotionsHeader(probing.salt, tell=link.tell)
            link.on_exchange.append(header.note)
            header.said.append(adoption.in_header)
            forgetting.append(header.forget)
            recent.listeners.append(header.take)
        sender = make_sender(
            settings, stack, store=shared.store, metrics=shared.metrics, clock=shared.clock, read=adoption.read
        )
        if sender is not None:
            await sender.begin()
            shared.on_event.append(lambda _event: sender.wake())
            workers.append(Worker("webhooks", sender.run))
        limiters = [probing.limiter, *([benchmarking.limiter] if benchmarking is not None else [])]
        limiters += [judges.limiter] if judges.limiter is not None else []
        if link is not None:
            yielding = Yielding(link, limiters, yield_from=settings.benchmark.yield_from_requests)
            workers.append(Worker("yielding", yielding.run))

        def restarted(worker: str) -> None:
            shared.metrics.worker_restarts_total.labels(worker=worker).inc()

        supervised: list[Supervisor] = []
        state = admin_state(
            settings,
            shared.store,
            shared.spool,
            shared.metrics,
            shared.registry,
            shared.feed,
            clock=shared.clock,
            link=link,
            ingest=arrivals,
            benchmarking=benchmarking,
            probing=probing,
            emotions=emotions.report,
            record=shared.record,
            publish=shared.publish,
            switch=shared.switch,
            workers=lambda: supervised[0].states,
            failures=lambda: supervised[0].failures,
            open_content=cipher.open if cipher is not None else None,
            forget=lambda conversations: [forget(conversations) for forget in forgetting],
            on_read=adoption.read,
            wake_webhooks=sender.resent if sender is not None else lambda: None,
        )
        admin = AdminServer(create_app(state), settings.admin, closing=shared.feed.close)
        gc.collect()
        gc.freeze()  # modules and parts live as long as the process: no scrape waits until they are looked at again
        workers.append(Worker("admin", admin.run))
        supervised.append(Supervisor(workers, count_restart=restarted, rng=random.Random()))  # noqa: S311 - jitter
        return await until_stopped(
            link.serve if link is not None else None, supervised[0].run, lambda: _drained(shared.spool, remembering)
        )


def _relay_link(shared: Shared, relay: socket.socket | None, queue: asyncio.Queue[Exchange]) -> RelayLink | None:
    if relay is None:
        return None
    link = RelayLink(relay, queue=queue, exchanges_per_second=shared.settings.probe.exchanges_per_second)
    shared.registry.register(RelayCollector(lambda: link.snapshot))
    return link


def _arrivals(shared: Shared, probing: Probing, queue: asyncio.Queue[Observation]) -> Arrivals:
    """Exchanges from the network, in every form but a pod's."""
    picking = Picking(probing.selection, clean=redacted, characters=shared.settings.probe.context_characters)
    return Arrivals(picking, queue, metrics=shared.metrics, clock=shared.clock)


async def _known_again(remembering: Remembering, probing: Probing, arrivals: Arrivals) -> None:
    """Conversations and exchanges that an earlier process knew."""
    places = await asyncio.to_thread(remembering.restored)
    probing.restore(places)
    for place in places:
        arrivals.known(place.exchange)


async def _drained(spool: Spool, remembering: Remembering) -> None:
    await remembering.flush()
    if not await spool.drained(_DRAIN_SECONDS):
        _log.error("results_not_saved", waiting=spool.depth, store=spool.failing)


async def _flushed(budget: Budget) -> None:
    """Give back what was set aside; a store that is away then keeps it as spent."""
    try:
        await budget.flush()
    except StoreUnavailable as error:
        _log.error("budget_not_saved", reason=error.reason)


async def _shared(settings: Settings, stack: AsyncExitStack) -> Shared:
    def lost(spans: int) -> None:
        metrics.dropped_total.labels(queue="traces", reason="collector").inc(spans)

    tracing = stack.enter_context(traced(settings.tracing, lost))  # closed last: it may take some seconds
    store = Store(settings.store_url)
    report = await asyncio.to_thread(store.open)
    stack.callback(store.close)
    if report.set_aside is not None:
        _log.error("store_was_corrupt", set_aside=str(report.set_aside))
    registry = CollectorRegistry()
    models = {settings.benchmark.model or "", settings.judge.model or ""}
    models |= {deployment.model or "" for deployment in settings.deployments}
    metrics = Metrics(registry, models=models - {""})
    spool = Spool(
        _SPOOLED_WRITES,
        on_drop=lambda reason: metrics.dropped_total.labels(queue="store", reason=reason).inc(),
        on_error=lambda reason: metrics.store_errors_total.labels(reason=reason).inc(),
        on_depth=metrics.queue_depth.labels(queue="store").set,
    )
    switch = CallSwitch(store, enabled=settings.upstream.own_calls)
    await asyncio.to_thread(switch.load)
    day, run = caps_of(settings.budget)
    prices = prices_of(settings.budget)
    budget = Budget(
        store,
        switch=switch,
        day=day,
        run=run,
        deployments=deployment_caps(settings.deployments),
        prices=prices,
        metrics=metrics,
        clock=time.time,
    )
    stack.push_async_callback(_flushed, budget)
    dropped = metrics.dropped_total.labels(queue="events", reason="slow_subscriber")
    feed = EventFeed(count_drop=dropped.inc)
    return Shared(settings, store, spool, registry, metrics, feed, budget, switch, time.time, tracing)


async def _benchmarking(shared: Shared, stack: AsyncExitStack) -> Benchmarking | None:
    """None where it is switched off, or not configured: model and operator key are never guessed."""
    benchmark = shared.settings.benchmark
    if not benchmark_configured(shared.settings):
        _log.info("benchmark_not_configured", enabled=benchmark.enabled, missing=missing_settings(shared.settings))
        return None
    client = await _client(shared, stack, timeout_seconds=benchmark.timeout_seconds)
    interval = benchmark.interval.total_seconds()
    export = BenchmarkExport(shared.metrics, interval_seconds=interval, trace_id=shared.tracing.trace_id)
    plans = await asyncio.to_thread(benchmark_plans, shared.settings)
    suspected = benchmark.interval_when_suspected.total_seconds()
    return Benchmarking(
        Watches(plans, store=shared.store, export=export, publish=shared.publish, clock=shared.clock),
        schedule=Schedule(interval, suspected, benchmark.concurrency, owner=f"{platform.node()}:{os.getpid()}"),
        client=client,
        store=shared.store,
        budget=shared.budget,
        export=export,
        publish=shared.publish,
        clock=shared.clock,
    )


def _emotions(shared: Shared, judges: Judges, benchmarking: Benchmarking | None) -> Emotions:
    def model_points(deployment: str) -> float | None:
        standings = benchmarking.standings if benchmarking is not None else []
        own = [s for s in standings if s.deployment == deployment] or [
            s for s in standings if s.deployment == "default"
        ]
        return own[0].score_points if own else None

    settings = shared.settings
    versions = {d.name: {judge.name: judge.version for judge in judges.of(d)} for d in settings.deployments}
    return Emotions(
        emotion_rules(settings, versions),
        store=shared.store,
        metrics=shared.metrics,
        publish=shared.publish,
        clock=shared.clock,
        interval_seconds=settings.emotions.update_interval.total_seconds(),
        model_points=model_points,
    )


async def _probing(
    shared: Shared,
    stack: AsyncExitStack,
    queue: asyncio.Queue[Exchange],
    observations: asyncio.Queue[Observation],
    judges: Judges,
    remembering: Remembering,
    cipher: ContentCipher | None,
) -> Probing:
    keeper = Keeper(cipher, put=shared.spool.put, save=shared.store.save_content) if cipher is not None else None
    probe = shared.settings.probe
    return Probing(
        shared.settings,
        queue=queue,
        observations=observations,
        client=(await _client(shared, stack, timeout_seconds=probe.timeout_seconds)).metered(
            shared.budget.meter("probe")
        ),
        store=shared.store,
        spool=shared.spool,
        metrics=shared.metrics,
        budget=shared.budget,
        salt=await asyncio.to_thread(conversation_salt, shared.settings),
        clock=shared.clock,
        judges=judges,
        remember=remembering.take,
        keep=keeper.keep if keeper is not None and shared.settings.store.keep_content else lambda _turn: None,
        write=Estimates(shared.settings, store=shared.store, publish=shared.publish, clock=shared.clock).write,
    )


async def _client(shared: Shared, stack: AsyncExitStack, *, timeout_seconds: float) -> UpstreamClient:
    """A client of its own for each purpose: own connections, the operator's key."""
    settings = shared.settings
    upstream = settings.upstream
    http = http_client(connections=_BENCHMARK_CONNECTIONS, timeout_seconds=timeout_seconds, verify=_trust(settings))
    stack.push_async_callback(http.aclose)
    return UpstreamClient(
        base_url=upstream.url or "",
        api_key=revealed(upstream.api_key) or None,
        dialect=upstream.dialect,
        timeout_seconds=timeout_seconds,
        allowance_field=upstream.token_limit_field,
        http=http,
        tracing=shared.tracing,
    )


def _trust(settings: Settings) -> ssl.SSLContext | bool:
    upstream = settings.upstream
    if not (upstream.ca_file or upstream.client_certificate):
        return True
    context = ssl.create_default_context(cafile=upstream.ca_file or None)
    if upstream.client_certificate:
        context.load_cert_chain(upstream.client_certificate, upstream.client_key or None)
    return context

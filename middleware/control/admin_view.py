"""What the admin app is given: the other parts' handles and callables, in the shape that it asks for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from middleware.admin.access import Access
from middleware.admin.feed import EventFeed
from middleware.admin.ingest import Ingest
from middleware.admin.state import AdminState, BenchmarkInfo, DeploymentInfo, Upgrade, WebhookInfo
from middleware.awareness.adoption import Read
from middleware.control.benchmarking import Benchmarking
from middleware.control.link import RelayLink
from middleware.control.plans import DEFAULT_DEPLOYMENT, missing_settings, subjects
from middleware.control.prices import prices_of
from middleware.control.probing import Probing
from middleware.control.shown_items import ShownItems
from middleware.control.switch import CallSwitch
from middleware.metrics import Metrics
from middleware.records.content import Content, SealedContent
from middleware.records.emotion_report import EmotionReport
from middleware.records.event import Event
from middleware.records.standing import Standing
from middleware.records.worker import WorkerFailures
from middleware.settings import Settings
from middleware.settings.secrets import revealed
from middleware.store import Store
from middleware.store.spool import Spool

__all__ = ["admin_state"]

_REFRESH_SECONDS = 0.25


def admin_state(
    settings: Settings,
    store: Store,
    spool: Spool,
    metrics: Metrics,
    registry: CollectorRegistry,
    feed: EventFeed,
    *,
    clock: Callable[[], float],
    link: RelayLink | None,
    ingest: Ingest,
    benchmarking: Benchmarking | None,
    probing: Probing,
    emotions: Callable[[str], EmotionReport | None],
    record: Callable[[Event], Awaitable[int]],
    publish: Callable[[Event], None],
    switch: CallSwitch,
    workers: Callable[[], Mapping[str, str]],
    failures: Callable[[], Mapping[str, WorkerFailures]],
    wake_webhooks: Callable[[], None],
    on_read: Callable[[Read], object],
    open_content: Callable[[SealedContent], Content] | None = None,
    forget: Callable[[Sequence[str]], object] = lambda _: None,
) -> AdminState:
    """Everything wired. link: None in a monitor, which has no relay.

    Without a benchmark, pausing answers and changes nothing, and the page says what is missing.
    """

    async def pause(paused: bool) -> None:
        if benchmarking is not None:
            await benchmarking.set_paused(paused)

    async def pause_calls(paused: bool) -> None:
        if (event := await switch.set_paused(paused, at=clock())) is not None:
            publish(event)

    async def acknowledge(incident: int, accept_baseline: bool) -> bool:
        return benchmarking is not None and await benchmarking.acknowledge(incident, accept_baseline)

    async def declare(upgrade: Upgrade) -> int:
        if benchmarking is not None:
            return await benchmarking.declare(upgrade.deployment, upgrade.from_model, upgrade.to_model, upgrade.note)
        details: dict[str, Any] = {"from_model": upgrade.from_model, "to_model": upgrade.to_model, "note": upgrade.note}
        return await record(Event("upgrade_declared", upgrade.deployment, clock(), details))

    return AdminState(
        store=store,
        metrics=metrics,
        registry=registry,
        access=Access.for_listener(
            settings.admin.listen,
            read_token=revealed(settings.admin.token),
            operate_token=revealed(settings.admin.operate_token),
            ingest_token=revealed(settings.admin.ingest_token),
        ),
        feed=feed,
        clock=clock,
        readiness=lambda: _readiness(link, store, spool),
        workers=workers,
        failures=failures,
        queues=lambda: _depths(metrics),
        deployments=_deployments(settings),
        benchmark=_benchmark(settings),
        tokens_per_day=settings.budget.tokens_per_day,
        money_per_day=settings.budget.money_per_day,
        currency=settings.budget.currency,
        cost=prices_of(settings.budget).cost,
        items=ShownItems(settings.data_dir, [name for _, _, sets in subjects(settings) for name in sets]).named,
        standings=lambda: benchmarking.standings if benchmarking is not None else [_not_configured(settings)],
        paused=lambda: benchmarking is None or benchmarking.paused,
        pause=lambda: pause(True),
        resume=lambda: pause(False),
        calls_stopped_by=lambda: [reason for reason, stopped in switch.reasons.items() if stopped],
        pause_calls=lambda: pause_calls(True),
        resume_calls=lambda: pause_calls(False),
        declare=declare,
        acknowledge=acknowledge,
        conversation_keys=probing.conversation_keys,
        lookup=probing.lookup,
        emotions=emotions,
        refresh_relay=lambda: _refreshed(link),
        ingest=ingest,
        webhooks=tuple(WebhookInfo(w.name, w.format, w.groups, w.deployments) for w in settings.webhooks),
        wake_webhooks=wake_webhooks,
        open_content=open_content,
        forget=forget,
        on_read=on_read,
    )


def _readiness(link: RelayLink | None, store: Store, spool: Spool) -> dict[str, bool | str]:
    relay: dict[str, bool | str] = {} if link is None else {"relay": link.connected or "not connected"}
    return relay | {"store": spool.failing or store.failing or True}


async def _refreshed(link: RelayLink | None) -> None:
    if link is not None:
        await link.refresh(_REFRESH_SECONDS)


def _depths(metrics: Metrics) -> dict[str, int]:
    """What waits in each bounded queue."""
    samples = (sample for family in metrics.queue_depth.collect() for sample in family.samples)
    return {sample.labels["queue"]: int(sample.value) for sample in samples}


def _benchmark(settings: Settings) -> BenchmarkInfo:
    benchmark = settings.benchmark
    return BenchmarkInfo(
        enabled=benchmark.enabled,
        model=benchmark.model,
        items=benchmark.items,
        batch=benchmark.batch,
        interval=benchmark.interval,
        missing=missing_settings(settings),
    )


def _not_configured(settings: Settings) -> Standing:
    missing = missing_settings(settings)
    detail = f"Not configured: set {' and '.join(missing)}." if missing else "Switched off: set [benchmark] enabled."
    return Standing(
        deployment=DEFAULT_DEPLOYMENT,
        item_set=settings.benchmark.items[0] if settings.benchmark.items else "",
        state="not_measured",
        model=settings.benchmark.model or "",
        detail=detail,
    )


def _deployments(settings: Settings) -> tuple[DeploymentInfo, ...]:
    """Those of the configuration, and the one that everything else counts as."""
    configured = tuple(
        DeploymentInfo(
            name=deployment.name,
            kind=deployment.kind,
            model=deployment.model,
            emotions=deployment.emotions,
            sample_rate=deployment.sample_rate,
            sampled=deployment.sampled,
        )
        for deployment in settings.deployments
    )
    if any(info.name == DEFAULT_DEPLOYMENT for info in configured):
        return configured
    return (*configured, DeploymentInfo(DEFAULT_DEPLOYMENT, model=settings.benchmark.model))

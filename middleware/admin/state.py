"""What the composition root gives to the admin app: handles, and callables for everything that is not its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prometheus_client.registry import Collector

from middleware.admin.access import Access
from middleware.admin.feed import EventFeed
from middleware.awareness.adoption import Read
from middleware.metrics import Metrics
from middleware.records.content import Content, SealedContent
from middleware.records.emotion_report import EmotionReport
from middleware.records.standing import Standing
from middleware.records.worker import WorkerFailures
from middleware.store import Store
from scorer.items import ItemSet

if TYPE_CHECKING:
    from middleware.admin.ingest import Ingest

__all__ = ["AdminState", "BenchmarkInfo", "DeploymentInfo", "Upgrade", "WebhookInfo"]


@dataclass(frozen=True, slots=True)
class DeploymentInfo:
    """A deployment as configured. sampled: a purpose is configured and the rate is above 0."""

    name: str
    kind: str | None = None
    model: str | None = None
    emotions: tuple[str, ...] = ()
    sample_rate: float = 0.0
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class BenchmarkInfo:
    """The scheduled benchmark as configured. missing: what has to be set before it can run, empty if it can."""

    enabled: bool = True
    model: str | None = None
    items: tuple[str, ...] = ()
    batch: int = 12
    interval: timedelta = timedelta(hours=1)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookInfo:
    """A webhook as configured, without URL and key. send: what it is told."""

    name: str
    format: str
    send: tuple[str, ...]
    deployments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A change of model that somebody declares."""

    deployment: str
    from_model: str
    to_model: str
    note: str = ""


def _nobody(_messages: list[dict[str, Any]]) -> str | None:
    return None


def _unknown(_deployment: str) -> EmotionReport | None:
    return None


def _no_price(_prompt: int, _completion: int) -> float | None:
    return None


def _no_items(_name: str) -> ItemSet | None:
    return None


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class AdminState:
    """Handles and callables. Callables are called on the event loop and must not block; the store is used in threads.

    readiness: component -> True, "running" or "ok" where it works, else False or a reason. workers: the same, for
    supervised workers; failures: how often each had to be started again, and why; queues: how many pieces wait.
    cost: of prompt and completion tokens in the currency's unit, None without prices. items: the item set of that name,
    None where it is unknown or not here; it may read files, in threads only. conversation_keys: what the store may call
    a conversation that the application calls so.
    calls_stopped_by: who stops all own calls, `settings` or `operator`; empty where nobody does.
    lookup: the id of the conversation that these chat messages belong to, or None. acknowledge: False for an unknown
    alarm. emotions: what is known of a deployment's users over time. refresh_relay: fetches the relay's numbers within
    a short limit of its own. ingest: takes exchanges from the network; None where nobody does. wake_webhooks: a message
    became due. open_content: reads kept content; None without a key. forget: these conversations (salted ids) were
    erased, also from memory. on_read: the application got an estimate. clock: Unix seconds.
    """

    store: Store
    metrics: Metrics
    registry: Collector
    access: Access
    feed: EventFeed
    clock: Callable[[], float]
    readiness: Callable[[], Mapping[str, bool | str]]
    workers: Callable[[], Mapping[str, str]] = dict
    deployments: tuple[DeploymentInfo, ...] = ()
    benchmark: BenchmarkInfo = field(default_factory=BenchmarkInfo)
    tokens_per_day: int | None = None
    money_per_day: float | None = None
    currency: str = ""
    cost: Callable[[int, int], float | None] = _no_price
    items: Callable[[str], ItemSet | None] = _no_items
    failures: Callable[[], Mapping[str, WorkerFailures]] = dict
    queues: Callable[[], Mapping[str, int]] = dict
    standings: Callable[[], Sequence[Standing]] = tuple
    paused: Callable[[], bool] = bool
    pause: Callable[[], Awaitable[None]] = _nothing
    resume: Callable[[], Awaitable[None]] = _nothing
    calls_stopped_by: Callable[[], Sequence[str]] = tuple
    pause_calls: Callable[[], Awaitable[None]] = _nothing
    resume_calls: Callable[[], Awaitable[None]] = _nothing
    declare: Callable[[Upgrade], Awaitable[int]] | None = None
    acknowledge: Callable[[int, bool], Awaitable[bool]] | None = None
    conversation_keys: Callable[[str], Sequence[str]] = lambda given: (given,)
    lookup: Callable[[list[dict[str, Any]]], str | None] = _nobody
    emotions: Callable[[str], EmotionReport | None] = _unknown
    refresh_relay: Callable[[], Awaitable[object]] = _nothing
    ingest: Ingest | None = None
    webhooks: tuple[WebhookInfo, ...] = ()
    wake_webhooks: Callable[[], None] = lambda: None
    open_content: Callable[[SealedContent], Content] | None = None
    forget: Callable[[Sequence[str]], object] = lambda _: None
    on_read: Callable[[Read], object] = lambda _: None

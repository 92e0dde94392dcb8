"""Composition root of a pod's control process: an observer that reports to the monitor, and nothing else.

It owns no schedule, baseline, store or probe, and makes no call to any model.
"""

import asyncio
import random
import socket
import time
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from middleware.admin.access import Access
from middleware.admin.observer_app import ObserverState, create_observer_app
from middleware.control.admin_server import AdminServer
from middleware.control.lifetime import until_stopped
from middleware.control.link import RelayLink
from middleware.control.selections import selection_of
from middleware.control.supervision import Supervisor, Worker
from middleware.fleet.delivery import Delivery, monitor_client
from middleware.fleet.forwarder import Forwarder, ForwardRule
from middleware.fleet.observer import Observer
from middleware.metrics import Metrics, RelayCollector
from middleware.probe.redaction import redacted
from middleware.records.exchange import Exchange
from middleware.settings import Settings
from middleware.settings.monitor import monitor_target
from middleware.settings.secrets import revealed, shared_salt
from middleware.traffic.hashing import salt_fingerprint
from middleware.traffic.selecting import Picking

__all__ = ["observe"]

_log = structlog.get_logger(__name__)
# Together within what the relay gives its control to end; each longer than a machine may stand still.
_DRAIN_SECONDS = 3.5
_FLUSH_SECONDS = 3.5
_REFRESH_SECONDS = 0.25


async def observe(settings: Settings, relay: socket.socket) -> int:
    """Run until the relay closes its end or a signal arrives; the exit code."""
    async with AsyncExitStack() as stack:
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        queue: asyncio.Queue[Exchange] = asyncio.Queue(settings.probe.queue)
        link = RelayLink(relay, queue=queue, exchanges_per_second=settings.probe.exchanges_per_second)
        registry.register(RelayCollector(lambda: link.snapshot))
        salt = shared_salt(settings, "eqwatch serve --monitor")
        forwarder = await _forwarder(settings, stack, metrics, salt_fingerprint(salt))
        picking = Picking(
            selection_of(settings, salt, probed=True), clean=redacted, characters=settings.probe.context_characters
        )
        observer = Observer(queue, pick=picking.pick_exchange, forward=forwarder.put, metrics=metrics)
        supervised: list[Supervisor] = []
        state = ObserverState(
            registry=registry,
            access=Access.for_listener(
                settings.admin.listen,
                read_token=revealed(settings.admin.token),
                operate_token=revealed(settings.admin.operate_token),
            ),
            readiness=lambda: {
                "relay": link.connected or "not connected",
                "monitor": f"not reached: {forwarder.trouble}" if forwarder.trouble else True,
            },
            workers=lambda: supervised[0].states,
            refresh_relay=lambda: link.refresh(_REFRESH_SECONDS),
        )
        admin = AdminServer(create_observer_app(state), settings.admin, closing=lambda: None)
        workers = [
            Worker("observer", observer.run),
            Worker("forward", forwarder.run),
            Worker("admin", admin.run),
        ]

        def restarted(worker: str) -> None:
            metrics.worker_restarts_total.labels(worker=worker).inc()

        supervised.append(Supervisor(workers, count_restart=restarted, rng=random.Random()))  # noqa: S311 - jitter
        code = await until_stopped(link.serve, supervised[0].run, lambda: observer.drained(_DRAIN_SECONDS))
        await forwarder.flush(_FLUSH_SECONDS)
        return code


async def _forwarder(settings: Settings, stack: AsyncExitStack, metrics: Metrics, salt: str) -> Forwarder:
    monitor, target = settings.monitor, monitor_target(settings)
    client = monitor_client(timeout_seconds=monitor.timeout_seconds, verify=target.verify)
    stack.push_async_callback(client.aclose)
    rule = ForwardRule(
        queue=monitor.queue,
        queue_bytes=monitor.queue_bytes,
        batch=monitor.batch,
        linger_seconds=monitor.linger_seconds,
        retry_seconds=monitor.retry_seconds,
    )
    delivery = Delivery(client, url=target.url, token=target.token, salt=salt)
    return Forwarder(delivery.deliver, rule=rule, metrics=metrics, rng=random.Random(), clock=time.monotonic)  # noqa: S311 - jitter

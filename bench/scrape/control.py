"""The control process of this bench: the real registry, link and metrics route, fed as after weeks of work.

Schedule, probes and store are left out: their own cost is not the scrape's, and a scrape asks none of them.

    python -P -m bench.scrape.control ADMIN_PORT DEPLOYMENTS EMOTIONS ITEM_SETS    (started by the relay)
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.registry import Collector

from middleware.admin import health
from middleware.control.link import RelayClosedError, RelayLink
from middleware.metrics import CATALOGUE, Family, Metrics, RelayCollector
from middleware.records.exchange import Exchange

__all__ = ["filled", "main"]

_REFRESH_SECONDS = 0.25
_EMOTIONS = tuple(f"Emotion{chr(ord('A') + n)}" for n in range(10))
_ITEM_SETS = ("bundled", "eqbench-v2")
_OUTCOMES = ("scored", "unparseable", "refused", "truncated", "api_error", "timeout", "not_sampled", "queue_full")
# Values of each label, as the configuration of a large installation makes them; of all others there is one value.
_VALUES: Mapping[str, tuple[str, ...]] = {
    "branch": ("perception", "use", "understanding", "management"),
    "kind": ("regression", "change"),
    "outcome": _OUTCOMES,
    "purpose": ("benchmark", "probe", "judge", "run", "gate"),
    "queue": ("exchanges", "probe", "store", "events"),
    "reason": ("full", "slow_subscriber", "locked", "timeout"),
    "reference": ("reference", "anchor"),
    "type": ("prompt", "completion"),
    "verdict": ("pass", "regressed", "undecided"),
    "window": ("reference", "current"),
    "worker": ("writer", "probe", "budget", "events", "emotions", "benchmark"),
}


def filled(deployments: int, *, emotions: int, item_sets: int) -> CollectorRegistry:
    """A registry in which every family of control has every series that so many deployments make."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    names = {
        **_VALUES,
        "deployment": tuple(f"deployment-{number}" for number in range(deployments)),
        "emotion": _EMOTIONS[:emotions],
        "item_set": _ITEM_SETS[:item_sets],
    }
    for entry in CATALOGUE:
        if entry.source == "relay":
            continue
        made = getattr(metrics, entry.name)
        for values in product(*(names.get(label, ("one",)) for label in entry.labels)):
            _give(made.labels(*values) if entry.labels else made, entry)
    return registry


def _give(child: Counter | Gauge | Histogram | Info, entry: Family) -> None:
    match child:
        case Counter():
            child.inc(12_345.0)
        case Gauge():
            child.set(-1.234_567_8)
        case Histogram():
            child.observe(4.2)
        case Info():
            child.info(dict.fromkeys(entry.info, "some-value"))


@dataclass(frozen=True, slots=True)
class _State:
    """What the route looks at."""

    registry: Collector
    refresh_relay: Callable[[], Awaitable[None]]
    readiness: Callable[[], Mapping[str, bool | str]] = dict
    workers: Callable[[], Mapping[str, str]] = dict


async def serve(relay: socket.socket, admin_port: int, registry: CollectorRegistry) -> None:
    """Until the relay closes its end."""
    queue: asyncio.Queue[Exchange] = asyncio.Queue(256)
    link = RelayLink(relay, queue=queue, exchanges_per_second=100)
    registry.register(RelayCollector(lambda: link.snapshot))
    app = FastAPI(openapi_url=None)
    app.include_router(health.router(_State(registry, lambda: link.refresh(_REFRESH_SECONDS))))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=admin_port, log_level="error", lifespan="off"))

    async def take() -> None:
        while True:
            await queue.get()

    await asyncio.gather(server.serve(), take(), link.serve())


def main(admin_port: int, deployments: int, emotions: int, item_sets: int) -> int:
    """The exit code."""
    registry = filled(deployments, emotions=emotions, item_sets=item_sets)
    gc.collect()
    gc.freeze()  # as control does it
    relay = socket.socket(fileno=int(os.environ["EQWATCH_RELAY_FD"]))
    relay.setblocking(False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, suppress(RelayClosedError):
        runner.run(serve(relay, admin_port, registry))
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:5])))

"""The observer takes every exchange, whatever happens to one of them."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from middleware.fleet.observer import Observer
from middleware.metrics import Metrics
from middleware.records.conversation import Message, Skipped, Transcript
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation, Trace

SECRET = "heliotrope"


def exchange(deployment: str) -> Exchange:
    return Exchange(
        deployment, "openai_chat", b"POST", b"/v1", [], b"", False, 200, [], b"", False, True, "", "", 1, 1, 1
    )


def pick(given: Exchange) -> Observation | Skipped:
    if given.deployment == "broken":
        raise ValueError(SECRET)
    if given.deployment == "odd":
        return Skipped("odd", "undecodable", "not_json")
    transcript = Transcript("openai_chat", "m", (Message("user", "hi"),), None, False)
    return Observation(given.deployment, transcript, Trace())


def test_each_exchange_is_forwarded_or_counted_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure is logged without its text, and the next exchange is taken; each observation has an id of its own."""
    metrics, got = Metrics(CollectorRegistry()), []
    queue: asyncio.Queue[Exchange] = asyncio.Queue()
    for deployment in ("odd", "broken", "tutor", "tutor"):
        queue.put_nowait(exchange(deployment))

    async def work() -> None:
        task = asyncio.ensure_future(Observer(queue, pick=pick, forward=got.append, metrics=metrics).run())
        async with asyncio.timeout(60):
            await queue.join()
        task.cancel()

    asyncio.run(work())

    def count(**labels: Any) -> float:
        return float(metrics.observed_exchanges_total.labels(**labels)._value.get())

    assert count(deployment="odd", outcome="undecodable") == 1
    assert count(deployment="broken", outcome="error") == 1
    assert count(deployment="tutor", outcome="chosen") == 2
    assert len({one.id for one in got}) == 2
    assert "" not in {one.id for one in got}
    logged = "".join(capsys.readouterr())
    assert "exchange_not_observed" in logged
    assert SECRET not in logged


def test_an_observer_carries_nothing_that_only_a_monitor_needs() -> None:
    """It is in every pod: no store, no numbers, no benchmark, no page."""
    code = "import sys, middleware.control.observing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=150, check=True)
    loaded = set(done.stdout.split())
    assert "middleware.fleet.forwarder" in loaded
    for heavy in (
        "sqlalchemy",
        "alembic",
        "numpy",
        "pygal",
        "jinja2",
        "scorer",
        "middleware.store",
        "middleware.benchmark",
    ):
        assert heavy not in loaded, heavy

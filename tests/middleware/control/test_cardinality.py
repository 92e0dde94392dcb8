"""The number of series follows from the configuration: traffic can't make more, whatever names it brings."""

import asyncio
import shutil
import subprocess
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.metrics import Metrics, RelayCollector, render
from middleware.probe.judging import Rating
from middleware.probe.pipeline import Pipeline
from middleware.probe.worker import ProbeConfig, ProbeRule, ProbeWorker
from middleware.proxy.counters import Counters
from middleware.proxy.deployments import Deployments, dialect_of
from middleware.proxy.heads import RequestHead
from middleware.records.exchange import Exchange
from middleware.records.relay import DeploymentMatch
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.intake import Intake
from middleware.traffic.selecting import Selection, SelectionRule
from middleware.upstream import UpstreamClient
from tests.exchanges import chat_exchange

SALT = b"a salt of at least sixteen bytes"
NAMES = 10_000
EMOTIONS = ("Confusion", "Boredom", "Frustration", "Curiosity")
CONFIGURED = {"tutor", "shop", "default"}


class Anchor:
    """A local judge: no call, so that ten thousand turns are quick."""

    name, version, repeats = "anchor", "fake-1", True

    async def rate(self, _messages: Any, emotions: tuple[str, ...]) -> Rating:
        return Rating("scored", dict.fromkeys(emotions, 4.0))


class Purse:
    """Allows everything."""

    async def allows(self, _calls: int) -> bool:
        return True


def exchange(number: int) -> Exchange:
    """Of a conversation, a model and a client of its own."""
    request = {"model": f"model-{number}", "messages": [{"role": "user", "content": f"I am lost, {number}."}]}
    answer = {"choices": [{"index": 0, "message": {"content": "Let us see."}, "finish_reason": "stop"}]}
    return chat_exchange(
        request,
        answer | {"model": f"model-{number}"},
        deployment=("tutor", "shop", "default")[number % 3],
        conversation=f"conversation-{number}",
        key_id=f"{number:016x}",
        started_at=1_800_000_000.0,
        first_byte_seconds=0.1,
        duration_seconds=1.5,
    )


def head(number: int) -> RequestHead:
    """Of a request that names a deployment, a path and a credential nobody configured."""
    plain = msgspec.convert(
        {
            "method": b"POST",
            "target": b"/v1/chat/completions",
            "http10": False,
            "length": 0,
            "keep_alive": True,
            "upgrade": False,
            "forwarded": b"",
            "content_type": b"application/json",
            "deployment": b"",
            "conversation": b"",
            "opt_out": False,
            "credential": b"",
        },
        RequestHead,
        strict=False,
    )
    return msgspec.structs.replace(
        plain,
        target=f"/t{number}/v1/chat/completions".encode(),
        deployment=f"deployment-{number}".encode(),
        credential=f"Bearer sk-{number}".encode(),
    )


async def probe_all(metrics: Metrics, numbers: range) -> None:
    """Every exchange through the real intake, pipeline and worker."""
    rules = [SelectionRule("tutor", 1.0), SelectionRule("shop", 1.0, models=("shop-model",))]
    client = UpstreamClient(base_url="http://127.0.0.1:1", api_key="operator", timeout_seconds=1)
    saved: list[Any] = []
    worker = ProbeWorker(
        client,
        {name: ProbeRule(EMOTIONS, local=Anchor()) for name in ("tutor", "shop")},
        config=ProbeConfig(),
        save=saved.append,
        limiter=Limiter(ConcurrencyRule(4)),
        budget=Purse(),
        metrics=metrics,
    )
    queue: asyncio.Queue[Exchange] = asyncio.Queue()
    intake = Intake(Selection(rules, SALT), ConversationTracker(SALT))
    pipeline = Pipeline(queue, intake=intake.take, probe=worker.probe, metrics=metrics, waiting=len(numbers))
    for number in numbers:
        queue.put_nowait(exchange(number))
    async with client, asyncio.TaskGroup() as group:
        running = group.create_task(pipeline.run())
        await pipeline.drained()
        running.cancel()
    assert len(saved) >= len(numbers) // 3


def relay_all(counters: Counters, numbers: range) -> None:
    """Every request counted as the relay does it."""
    deployments = Deployments((DeploymentMatch("tutor"), DeploymentMatch("shop")), SALT, identify_clients=True)
    for number in numbers:
        asked = head(number)
        found, _ = deployments.find(asked)
        cell = counters.cell(found.name, dialect_of(asked.target, asked.content_type))
        counters.count(cell.codes, 200)
        cell.duration.observe(number / 1000)


@pytest.fixture(scope="module")
def scrape() -> tuple[set[str], str]:
    """Series after ten names of everything, and the whole scrape after ten thousand."""
    registry = CollectorRegistry()
    metrics, counters = Metrics(registry, models=("one", "two")), Counters(1.0)
    registry.register(RelayCollector(counters.snapshot))

    def feed(numbers: range) -> str:
        relay_all(counters, numbers)
        asyncio.run(probe_all(metrics, numbers))
        for number in numbers:
            metrics.set_target("tutor", model=f"model-{number}", temperature=0.01, prompt_hash="abc", seen_at=number)
        return render(registry, "")[0].decode()

    return series_of(feed(range(10))), feed(range(10, NAMES))


def series_of(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def test_ten_thousand_names_make_as_many_series_as_ten(scrape: tuple[set[str], str]) -> None:
    """10,000 models, conversations, paths, credentials and deployment names that nobody configured add no series."""
    few, text = scrape
    assert series_of(text) == few
    assert f'outcome="scored"}} {NAMES // 3 + 1}' in text
    assert "-9999" not in text
    assert "conversation-" not in text
    assert "sk-" not in text


def test_promtool_accepts_that_scrape(scrape: tuple[set[str], str]) -> None:
    """`promtool check metrics` is silent about it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrape[1].encode(), capture_output=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")

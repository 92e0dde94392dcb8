"""From exchanges to stored scores, and what happens to everything that is not probed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.metrics import Metrics
from middleware.probe.pipeline import Pipeline
from middleware.probe.worker import ProbeConfig, ProbeRule, ProbeWorker
from middleware.records.conversation import Skipped, Turn
from middleware.records.exchange import Exchange
from middleware.store import Store
from middleware.store.spool import Spool
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.hashing import conversation_id
from middleware.traffic.intake import Intake
from middleware.traffic.selecting import Selection, SelectionRule
from middleware.upstream import UpstreamClient
from tests.exchanges import chat_exchange

SALT = b"a salt of at least sixteen bytes"
EMOTIONS = ("Confusion", "Boredom")


def exchange(*said: str, reply: str = "Sure.", **changes: Any) -> Exchange:
    """said: user and assistant in turn; the last is the user's."""
    roles = ["user", "assistant"]
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    body = {"choices": [{"index": 0, "message": {"content": reply}, "finish_reason": "stop"}]}
    times = {"started_at": 1_800_000_000.0, "first_byte_seconds": 0.1, "duration_seconds": 1.5}
    return chat_exchange({"model": "small", "messages": messages}, body, **times | changes)


def intake(rate: float = 1.0) -> Intake:
    rules = [
        SelectionRule("tutor", rate),
        SelectionRule("shop", rate, models=("shop-model",)),
        SelectionRule("off", 0.0),
    ]
    return Intake(Selection(rules, SALT), ConversationTracker(SALT))


def skips(metrics: Metrics) -> dict[tuple[str, str], float]:
    (family,) = metrics.probe_conversations_total.collect()
    return {
        (sample.labels["deployment"], sample.labels["outcome"]): sample.value
        for sample in family.samples
        if sample.name.endswith("_total")
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (exchange("hi", deployment="off"), Skipped("off", "not_configured")),
        (exchange("hi", deployment="default"), Skipped("default", "not_configured")),
        (exchange("hi", status=500), Skipped("tutor", "undecodable", "failed")),
        (exchange("hi", request_truncated=True), Skipped("tutor", "undecodable", "request_cut")),
    ],
)
def test_what_is_not_wanted_or_not_readable_is_skipped_by_reason(given: Exchange, expected: Skipped) -> None:
    """Before any conversation is tracked."""
    assert intake().take(given) == expected


def test_a_model_name_finds_the_deployment_that_nothing_else_named() -> None:
    """Only where the relay knew none."""
    body = json.dumps({"model": "shop-model", "messages": [{"role": "user", "content": "hi"}]}).encode()
    unnamed = intake().take(exchange(deployment="default", request_body=body))
    named = intake().take(exchange(deployment="tutor", request_body=body))
    assert isinstance(unnamed, Turn)
    assert isinstance(named, Turn)
    assert (unnamed.deployment, named.deployment) == ("shop", "tutor")


def test_sampling_takes_all_turns_of_a_conversation_or_none() -> None:
    """A share of conversations near the rate, not of turns."""
    taker = intake(rate=0.5)
    decisions = []
    for number in range(200):
        said = [f"hello {number}", "Sure.", "go on", "Sure.", "and then"]
        turns = [taker.take(exchange(*said[:length], key_id=str(number))) for length in (1, 3, 5)]
        decisions.append({isinstance(turn, Turn) for turn in turns})
    assert all(len(decision) == 1 for decision in decisions)
    chosen = sum(decision == {True} for decision in decisions)
    assert 70 < chosen < 130


def test_exchanges_become_stored_scores(judge: Any, metrics: Metrics, kit: Any, tmp_path: Path) -> None:
    """Real decoding, client, spool and store: two turns of a named conversation, and a count for all else."""
    judge.answer = lambda _: kit.completion('{"Confusion": 7, "Boredom": 1.5}')

    async def scenario() -> None:
        store = Store(f"sqlite:///{tmp_path / 'eq.db'}")
        await asyncio.to_thread(store.open)
        spool = Spool(10, on_drop=print, on_error=print)
        exchanges: asyncio.Queue[Exchange] = asyncio.Queue(10)
        async with UpstreamClient(base_url=judge.url, api_key="k", timeout_seconds=10) as client:
            worker = ProbeWorker(
                client,
                {"tutor": ProbeRule(EMOTIONS)},
                config=ProbeConfig(),
                save=lambda result: spool.put(lambda: store.save_probe(result)),
                limiter=Limiter(ConcurrencyRule(2)),
                budget=kit.Purse(),
                metrics=metrics,
            )
            pipeline = Pipeline(exchanges, intake=intake().take, probe=worker.probe, metrics=metrics)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pipeline.run()), group.create_task(spool.run())]
                exchanges.put_nowait(exchange("hi", conversation="lesson-7"))
                exchanges.put_nowait(exchange("hi", "Sure.", "but why?", conversation="lesson-7"))
                exchanges.put_nowait(exchange("hi", deployment="off"))
                exchanges.put_nowait(exchange("hi", dialect="other"))
                await pipeline.drained()
                assert await spool.drained(60)
                for task in tasks:
                    task.cancel()
        results = store.emotions_of(conversation_id(SALT, "lesson-7"))
        store.close()
        assert [(result.turn, result.kind) for result in results] == [
            (1, "anticipation"),
            (1, "perception"),
            (2, "anticipation"),
            (2, "perception"),
        ]
        assert all(result.emotions == {"Confusion": 7.0, "Boredom": 1.5} for result in results)
        assert results[0].turn_ended_at == 1_800_000_001.5

    asyncio.run(scenario())
    assert skips(metrics) == {("tutor", "scored"): 2, ("off", "not_configured"): 1, ("tutor", "undecodable"): 1}
    assert metrics.dropped_total.labels(queue="decode", reason="not_chat")._value.get() == 1
    assert b"but why" not in (tmp_path / "eq.db").read_bytes()


def run(pipeline: Pipeline, scenario: Callable[[], Any]) -> None:
    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(pipeline.run())
            await scenario()
            task.cancel()

    asyncio.run(both())


def test_turns_that_find_no_place_are_counted(metrics: Metrics, kit: Any) -> None:
    """While the judge is busy one turn waits, and the rest are dropped, not queued without end."""
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue(100)
    busy, release = asyncio.Event(), asyncio.Event()

    async def probe(turn: Turn) -> list[Any]:
        busy.set()
        await release.wait()
        return []

    pipeline = Pipeline(exchanges, intake=lambda _: kit.turn(), probe=probe, metrics=metrics, concurrency=1, waiting=1)

    async def scenario() -> None:
        exchanges.put_nowait(exchange("hi"))
        await busy.wait()
        for _ in range(10):
            exchanges.put_nowait(exchange("hi"))
        await exchanges.join()
        release.set()
        await pipeline.drained()

    run(pipeline, scenario)
    assert skips(metrics) == {("tutor", "queue_full"): 9}
    assert metrics.dropped_total.labels(queue="probe", reason="full")._value.get() == 9


def test_a_defect_in_one_turn_harms_no_other_and_its_text_is_not_logged(metrics: Metrics, kit: Any) -> None:
    """Whether intake or probe fails; the log names type and place only."""
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue(10)
    probed: list[int] = []

    def take(given: Exchange) -> Turn:
        if given.key_id == "bad":
            raise ValueError("heliotrope")
        return kit.turn(number=int(given.key_id))  # type: ignore[no-any-return]

    async def probe(turn: Turn) -> list[Any]:
        probed.append(turn.index)
        if turn.index == 2:
            raise KeyError("heliotrope")
        return []

    pipeline = Pipeline(exchanges, intake=take, probe=probe, metrics=metrics)

    async def scenario() -> None:
        for key in ("1", "bad", "2", "3"):
            exchanges.put_nowait(exchange("hi", key_id=key))
        await pipeline.drained()

    with capture_logs() as logs:
        run(pipeline, scenario)
    assert sorted(probed) == [1, 2, 3]
    assert skips(metrics) == {("tutor", "error"): 2}
    assert {entry["error"] for entry in logs} == {"ValueError", "KeyError"}
    assert "heliotrope" not in repr(logs)
    assert all("test_pipeline.py:" in entry["where"] for entry in logs)


def test_a_skip_of_the_probe_is_counted(metrics: Metrics, kit: Any) -> None:
    """Such as an empty budget."""
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue(10)

    async def probe(turn: Turn) -> Skipped:
        return Skipped(turn.deployment, "budget")

    pipeline = Pipeline(exchanges, intake=lambda _: kit.turn(), probe=probe, metrics=metrics)

    async def scenario() -> None:
        exchanges.put_nowait(exchange("hi"))
        await pipeline.drained()

    run(pipeline, scenario)
    assert skips(metrics) == {("tutor", "budget"): 1}

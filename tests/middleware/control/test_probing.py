"""The worker that probes, over a real store and a scripted upstream."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from middleware.benchmark.fake_upstream import FakeUpstream
from middleware.control.budget import Budget
from middleware.control.probing import Probing
from middleware.control.switch import CallSwitch
from middleware.metrics import Metrics
from middleware.records.conversation import ProbeResult
from middleware.records.exchange import Exchange
from middleware.settings import Settings
from middleware.store import Store
from middleware.store.spool import Spool
from middleware.upstream import UpstreamClient
from tests.exchanges import chat_exchange

SALT = b"a salt of at least sixteen bytes"
SETTINGS = {
    "upstream": {"api_key": "operator"},
    "deployments": [
        {
            "name": "tutor",
            "purpose": "a test of probes",
            "emotions": ["Confusion", "Curiosity"],
            "sample_rate": 1.0,
            "model": "m",
        }
    ],
}


def exchange(now: float) -> Exchange:
    """A turn of a named conversation that ends now."""
    answer = {"choices": [{"index": 0, "message": {"content": "Sure."}, "finish_reason": "stop"}]}
    asked = {"model": "m", "messages": [{"role": "user", "content": "I don't get it."}]}
    times = {"started_at": now - 0.2, "first_byte_seconds": 0.1, "duration_seconds": 0.2}
    return chat_exchange(asked, answer, conversation="lesson-7", **times)


def test_nobody_is_told_of_a_result_before_it_is_saved(
    serve_fake: Callable[[FakeUpstream], str], fake: FakeUpstream, store: Store, clock: Any
) -> None:
    """However slowly the store writes; and of one whose conversation is erased while it is written, nobody is told."""
    begun, goes_on = threading.Semaphore(0), threading.Semaphore(0)
    told: list[tuple[str, bool]] = []

    def slowly(result: ProbeResult) -> None:
        begun.release()
        assert goes_on.acquire(timeout=60)
        store.save_probe(result)

    def hear(result: ProbeResult) -> None:
        there = [one.kind for one in store.emotions_of(result.conversation)]
        told.append((result.kind, result.kind in there))

    async def scenario(url: str) -> None:
        metrics = Metrics(CollectorRegistry())
        spool = Spool(10, on_drop=print, on_error=print)
        queue: asyncio.Queue[Exchange] = asyncio.Queue(10)
        async with UpstreamClient(base_url=url, api_key="k") as client, asyncio.TaskGroup() as group:
            probing = Probing(
                Settings.model_validate(SETTINGS),
                queue=queue,
                observations=asyncio.Queue(10),
                client=client,
                store=store,
                spool=spool,
                metrics=metrics,
                budget=Budget(store, switch=CallSwitch(store), clock=clock),
                salt=SALT,
                clock=clock,
                write=slowly,
            )
            probing.on_saved.append(hear)
            tasks = [group.create_task(probing.run()), group.create_task(spool.run())]
            queue.put_nowait(exchange(clock()))
            assert await asyncio.to_thread(begun.acquire, timeout=60)
            while spool.depth < 2:  # perception is being written, anticipation waits
                await asyncio.sleep(0.01)
            assert told == []
            goes_on.release()
            assert await asyncio.to_thread(begun.acquire, timeout=60)
            assert told == [("perception", True)]
            await asyncio.to_thread(store.erase, probing.conversation_keys("lesson-7"))
            goes_on.release()
            assert await spool.drained(60)
            for task in tasks:
                task.cancel()

    asyncio.run(scenario(serve_fake(fake)))
    assert told == [("perception", True)]

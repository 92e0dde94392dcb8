"""Metrics, liveness and readiness over a real socket."""

import asyncio
import threading

from prometheus_client.parser import text_string_to_metric_families

from middleware.metrics import RelayCollector
from middleware.records.exchange import RelayCounters, RelaySnapshot


def test_metrics_in_both_formats(admin):
    """The scrape is negotiated, holds the relay's numbers, and says its format."""
    counters = [RelayCounters("inflight_requests", [], [([], 3.0)])]
    admin.registry.register(RelayCollector(lambda: RelaySnapshot(1.0, counters, [])))
    with admin.client() as client:
        plain = client.get("/metrics")
        opened = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    names = {family.name for family in text_string_to_metric_families(plain.text)}
    assert {"eqwatch_inflight_requests", "eqwatch_build_info"} <= names
    assert plain.headers["content-type"].startswith("text/plain")
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")


def test_what_is_told_in_one_step_is_scraped_whole(admin):
    """A scrape reads on the loop on which metrics are told: it never has one half of a verdict without the other."""
    loops = []

    class Seen:
        def collect(self):
            loops.append(asyncio.get_running_loop())
            return []

    admin.registry.register(Seen())
    loops.clear()
    with admin.client() as client:
        assert client.get("/metrics").status_code == 200
    assert len(loops) == 1


def test_the_relay_is_asked_before_the_scrape(serve):
    """Numbers are refreshed first, so that a scrape is not one scrape late."""
    asked = []

    async def refresh():
        asked.append(1)

    with serve(refresh_relay=refresh).client() as client:
        assert client.get("/metrics").status_code == 200
    assert asked == [1]


def test_healthy_while_a_component_fails(admin):
    """Liveness is about the process alone; readiness names what fails and answers 503."""
    with admin.client() as client:
        assert client.get("/-/ready").json() == {
            "ready": True,
            "components": {
                "store": {"ok": True, "detail": "ok"},
                "relay": {"ok": True, "detail": "ok"},
                "worker:probe": {"ok": True, "detail": "running"},
                "worker:benchmark": {"ok": True, "detail": "running"},
            },
        }
        admin.control.readiness["store"] = "disk full"
        admin.control.readiness["relay"] = False
        admin.control.workers["probe"] = "restarting: OSError"
        answer = client.get("/-/ready")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        failing = {name: part["detail"] for name, part in answer.json()["components"].items() if not part["ok"]}
        assert failing == {"store": "disk full", "relay": "failed", "worker:probe": "restarting: OSError"}
        assert client.get("/-/healthy").json() == {"status": "ok"}


def test_a_scrape_is_answered_while_the_store_hangs(admin, monkeypatch):
    """All threads that wait for the store hang, and more wait for a thread: a scrape needs none of them."""
    entered, released = threading.Semaphore(0), threading.Event()

    def hanging(*_args, **_options):
        entered.release()
        assert released.wait(60)
        return []

    monkeypatch.setattr(admin.store, "runs", hanging)

    async def ask_the_store():
        await asyncio.gather(*(asyncio.to_thread(admin.store.runs) for _ in range(64)))

    waiting = asyncio.run_coroutine_threadsafe(ask_the_store(), admin.loop)
    try:
        assert entered.acquire(timeout=30), "the store is being asked"
        with admin.client() as client:
            for _ in range(3):
                answer = client.get("/metrics")
                assert answer.status_code == 200
                assert "eqwatch_build_info" in answer.text
            assert client.get("/-/healthy").status_code == 200
        assert not waiting.done()
    finally:
        released.set()
    waiting.result(timeout=60)

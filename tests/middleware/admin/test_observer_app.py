"""A pod's own admin listener tells metrics and health, behind the same gate, and nothing that a monitor knows."""

import asyncio
from collections.abc import Mapping

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry

from middleware.admin import Access
from middleware.admin.observer_app import ObserverState, create_observer_app
from middleware.metrics import Metrics

READ = "read-token-0123456789"


def state(readiness: Mapping[str, bool | str], access: Access) -> ObserverState:
    registry = CollectorRegistry()
    Metrics(registry).observed_exchanges_total.labels(deployment="tutor", outcome="chosen").inc()

    async def refresh() -> None:
        return None

    return ObserverState(registry, access, lambda: readiness, lambda: {"forward": "running"}, refresh)


def get(path: str, observer: ObserverState, **headers: str) -> httpx2.Response:
    async def once() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=create_observer_app(observer))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(once())


def test_metrics_and_health_are_all_there_is() -> None:
    """No API, no page, no schema."""
    observer = state({"relay": True}, Access.for_listener("127.0.0.1:0"))
    routes = {context.path for context in iter_route_contexts(create_observer_app(observer).routes)}
    assert routes == {"/metrics", "/-/healthy", "/-/ready"}
    scrape = get("/metrics", observer).text
    assert 'eqwatch_observed_exchanges_total{deployment="tutor",outcome="chosen"} 1.0' in scrape
    assert "eqwatch_bench" not in scrape
    assert get("/", observer).status_code == get("/api/v1/verdicts", observer).status_code == 404


@pytest.mark.parametrize(("monitor", "status"), [(True, 200), ("not reached: timeout", 503)])
def test_readiness_tells_of_the_monitor(monitor: bool | str, status: int) -> None:
    """For people and alerts; orchestrators ask the relay."""
    answer = get("/-/ready", state({"relay": True, "monitor": monitor}, Access.for_listener("127.0.0.1:0")))
    assert answer.status_code == status
    assert answer.json()["components"]["monitor"]["ok"] is (monitor is True)


def test_every_route_needs_the_token() -> None:
    """Where there is one."""
    observer = state({}, Access.for_listener("0.0.0.0:8081", read_token=READ))
    for path in ("/metrics", "/-/healthy", "/-/ready", "/nowhere"):
        assert get(path, observer).status_code == 401
        assert get(path, observer, authorization=f"Bearer {READ}").status_code != 401

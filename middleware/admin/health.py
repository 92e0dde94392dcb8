"""Metrics, liveness and readiness."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.registry import Collector

from middleware.metrics import encoded, merged

__all__ = ["component_states", "router"]

_WELL = frozenset({"running", "ok"})


class Observed(Protocol):
    """The parts of a process's state that are looked at here."""

    @property
    def registry(self) -> Collector: ...

    @property
    def readiness(self) -> Callable[[], Mapping[str, bool | str]]: ...

    @property
    def workers(self) -> Callable[[], Mapping[str, str]]: ...

    @property
    def refresh_relay(self) -> Callable[[], Awaitable[object]]: ...


def component_states(state: Observed) -> dict[str, dict[str, bool | str]]:
    """Component -> ``{"ok", "detail"}``, readiness first, then each worker as ``worker:NAME``."""
    found = dict(state.readiness()) | {f"worker:{name}": value for name, value in state.workers().items()}
    return {
        name: {
            "ok": value is True or (isinstance(value, str) and value in _WELL),
            "detail": value if isinstance(value, str) else ("ok" if value else "failed"),
        }
        for name, value in found.items()
    }


def router(state: Observed) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(tags=["health"])
    # A thread of its own: the loop's other threads may all be waiting for a store that hangs.
    scraping = ThreadPoolExecutor(1, thread_name_prefix="scrape")

    @routes.get("/metrics", response_class=Response, summary="Prometheus metrics, from memory")
    async def metrics(request: Request) -> Response:
        await state.refresh_relay()
        # Read on the loop, where metrics are told: what is told in one step is seen whole. Most of a large scrape's
        # tens of milliseconds is the text: not on the loop that serves probes and events.
        families, accept = merged(state.registry), request.headers.get("accept", "")
        body, content_type = await asyncio.get_running_loop().run_in_executor(scraping, encoded, families, accept)
        return Response(body, headers={"content-type": content_type})

    @routes.get("/-/healthy", summary="The control process is alive")
    async def healthy() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/-/ready", summary="Each component's state; 503 where one does not work")
    async def ready() -> JSONResponse:
        components = component_states(state)
        well = all(component["ok"] for component in components.values())
        return JSONResponse({"ready": well, "components": components}, 200 if well else 503)

    return routes

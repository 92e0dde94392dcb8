"""The admin listener of a pod that reports to a monitor: metrics and health, nothing else."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import metadata

from fastapi import FastAPI
from prometheus_client.registry import Collector

from middleware.admin import errors, health
from middleware.admin.access import Access
from middleware.admin.gate import Gate

__all__ = ["ObserverState", "create_observer_app"]


@dataclass(frozen=True, slots=True)
class ObserverState:
    """What `health` needs, as in `AdminState`."""

    registry: Collector
    access: Access
    readiness: Callable[[], Mapping[str, bool | str]]
    workers: Callable[[], Mapping[str, str]]
    refresh_relay: Callable[[], Awaitable[object]]


def create_observer_app(state: ObserverState) -> FastAPI:
    """The app behind the gate. What a monitor answers is a 404 here, and says where to ask."""
    app = FastAPI(
        title="eqwatch observer",
        summary="A sidecar that reports to a monitor.",
        version=metadata.version("eqwatch"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    errors.install(app)
    app.include_router(health.router(state))
    app.add_middleware(Gate, access=state.access)
    return app

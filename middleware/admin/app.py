"""Puts the admin app together. Nothing is served that is not behind the gate."""

from importlib import metadata

from fastapi import FastAPI

from middleware.admin import (
    api,
    calls,
    conversations,
    emotions,
    erasing,
    errors,
    health,
    ingest,
    item_page,
    operate,
    page,
    stream,
    traces,
    webhooks,
)
from middleware.admin.gate import Gate
from middleware.admin.state import AdminState

__all__ = ["create_app"]


def create_app(state: AdminState) -> FastAPI:
    """The app over the given handles; it owns none of them. Every route needs the scope that `Access` says."""
    app = FastAPI(
        title="eqwatch",
        summary="What the sidecar knows about a chat model's emotional intelligence.",
        version=metadata.version("eqwatch"),
        # The interactive pages load scripts from elsewhere; the schema is enough, and stands behind the gate as well.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        # FastAPI's own would record exceptions with their messages; the sidecar decides what leaves the process.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    errors.install(app)
    apis = (api, conversations, erasing, emotions, stream, operate, calls, ingest, traces, webhooks)
    for module in (health, *apis, page, item_page):
        app.include_router(module.router(state))
    app.add_middleware(stream.SlowReaders, feed=state.feed)
    app.add_middleware(Gate, access=state.access)
    return app

"""POST /v1/traces: OTLP over HTTP, so that any OpenTelemetry exporter can hand in GenAI spans.

Needs the scope ``ingest``. What is no chat is ignored and counted; what had no room is told as a partial success, which
exporters do not repeat (https://opentelemetry.io/docs/specs/otlp/#partial-success).
"""

import importlib
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from middleware.admin.errors import ApiError
from middleware.admin.state import AdminState
from middleware.records.report import Arrived

__all__ = ["router"]

_PROTOBUF = "application/x-protobuf"
_FULL = "queue_full"


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(tags=["ingest"])

    @routes.post("/v1/traces", response_class=Response, summary="OpenTelemetry GenAI spans, OTLP as JSON or protobuf")
    async def traces(request: Request) -> Response:
        if state.ingest is None:
            raise ApiError(501, "not_available", "This process takes no exchanges; hand them to the monitor.")
        media_type = request.headers.get("content-type", "")
        encoding = request.headers.get("content-encoding", "")
        arrived = await state.ingest.traces(await request.body(), media_type, encoding)
        return _protobuf(arrived) if media_type.lower().startswith(_PROTOBUF) else JSONResponse(_told(arrived))

    return routes


def _told(arrived: Arrived) -> dict[str, Any]:
    """Nothing where all is well, as OTLP wants it."""
    full = arrived.dropped.get(_FULL, 0)
    message = "The monitor's queue is full."
    return {"partialSuccess": {"rejectedSpans": str(full), "errorMessage": message}} if full else {}


def _protobuf(arrived: Arrived) -> Response:
    """Its module is there: the request was read with it."""
    messages = importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    json_format = importlib.import_module("google.protobuf.json_format")
    answer = json_format.ParseDict(_told(arrived), messages.ExportTraceServiceResponse())
    return Response(answer.SerializeToString(), media_type=_PROTOBUF)

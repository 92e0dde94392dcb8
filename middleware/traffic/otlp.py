"""The body of an OTLP/HTTP trace request, JSON or protobuf, compressed or not, in its JSON form."""

import importlib
from typing import Any

from middleware.traffic.content import decoded_body
from middleware.traffic.reading import parse_object
from middleware.traffic.undecodable import Undecodable

__all__ = ["JSON", "PROTOBUF", "OtlpError", "trace_request"]

JSON, PROTOBUF = "application/json", "application/x-protobuf"
_MODULE = "opentelemetry.proto.collector.trace.v1.trace_service_pb2"


class OtlpError(Exception):
    """A body that can't be read. status: of the answer; its text quotes nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def trace_request(body: bytes, media_type: str, encoding: str = "") -> dict[str, Any]:
    """Raises OtlpError. Protobuf needs the extra ``otel``."""
    decoded = decoded_body([(b"content-encoding", encoding.encode("latin-1", "replace"))], body)
    if isinstance(decoded, Undecodable) or not decoded.complete:
        raise OtlpError(400, "The body's content encoding can't be read: send gzip, or none.")
    kind = media_type.partition(";")[0].strip().lower()
    if kind == JSON:
        parsed = parse_object(decoded.data)
        if parsed is None:
            raise OtlpError(400, "The body is no JSON object.")
        return parsed
    if kind == PROTOBUF:
        return _from_protobuf(decoded.data)
    raise OtlpError(415, f"Send {JSON} or {PROTOBUF}.")


def _from_protobuf(data: bytes) -> dict[str, Any]:
    try:
        messages = importlib.import_module(_MODULE)
        json_format = importlib.import_module("google.protobuf.json_format")
        errors = importlib.import_module("google.protobuf.message")
    except ModuleNotFoundError:
        raise OtlpError(
            415, f"Protobuf needs the extra `otel` here: install it, or let the exporter send {JSON}."
        ) from None
    try:
        found: dict[str, Any] = json_format.MessageToDict(messages.ExportTraceServiceRequest.FromString(data))
    except (errors.DecodeError, json_format.Error, RecursionError):
        raise OtlpError(400, "The body is no ExportTraceServiceRequest.") from None
    return found

"""Exports spans as OTLP over HTTP, with OpenTelemetry's SDK (the extra ``otel``). A collector that fails hurts nobody.

The SDK reads the standard environment (OTEL_EXPORTER_OTLP_*, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER ...).
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from middleware.tracing.spans import Attributes, Span

__all__ = ["OtelTracing"]

_log = structlog.get_logger(__name__)
_WAITING_SPANS = 2048
_EXPORT_SECONDS = 5.0
_CLOSE_SECONDS = 3.0
_PATH = "/v1/traces"


class OtelTracing:
    """Owns the provider and its one thread. endpoint: base URL of the collector; None: as the environment says.

    count_lost: called with the number of spans that the collector did not take.
    """

    def __init__(self, endpoint: str | None, *, count_lost: Callable[[int], None]) -> None:
        # The SDK's own complaints, one for each batch, would drown everything else while a collector is away.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        given: dict[str, Any] = {} if endpoint is None else {"endpoint": endpoint.rstrip("/") + _PATH}
        if not any(name in os.environ for name in ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")):
            given["timeout"] = _EXPORT_SECONDS
        resource = Resource.create({"service.version": version("eqwatch")})
        if _unnamed(resource):
            resource = resource.merge(Resource({"service.name": "eqwatch"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = _Counted(OTLPSpanExporter(**given), count_lost)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_WAITING_SPANS))
        self._tracer = self._provider.get_tracer("eqwatch", version("eqwatch"))

    @contextmanager
    def span(self, name: str, attributes: Attributes, *, client: bool = False) -> Iterator[Span]:
        """A span that is current within the block. An error that leaves the block marks it with the error's type."""
        kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as made:
            span = _OtelSpan(made)
            try:
                yield span
            except BaseException as error:
                # Not the error's text: it may quote what somebody wrote.
                span.failed(getattr(error, "reason", "") or type(error).__name__)
                raise

    def trace_id(self) -> str:
        """Of the current span, where it is sampled."""
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid and context.trace_flags.sampled else ""

    def close(self) -> None:
        """Send what waits, for a few seconds at most; what is left then is lost."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-closing", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


def _unnamed(resource: Resource) -> bool:
    """Whether the environment gave no name: the SDK then says unknown_service."""
    return str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service")


class _OtelSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, attributes: Attributes) -> None:
        """As they are."""
        self._span.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes) -> None:
        """At this moment."""
        self._span.add_event(name, attributes)

    def failed(self, kind: str) -> None:
        """The span's status, and the attribute that the conventions have for it."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.Status(trace.StatusCode.ERROR))


class _Counted(SpanExporter):
    """Counts spans that are lost, and says so once for each time that the collector goes away."""

    def __init__(self, inner: SpanExporter, count_lost: Callable[[int], None]) -> None:
        self._inner = inner
        self._count_lost = count_lost
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """On the processor's thread; never raises."""
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - an observer of the observer
            _log.warning("traces_failed", error=type(error).__name__)
            result = SpanExportResult.FAILURE
        lost = result is not SpanExportResult.SUCCESS
        if lost:
            self._count_lost(len(spans))
            if not self._away:
                _log.warning("traces_not_taken", spans=len(spans), then="counted in dropped_total, told once")
        self._away = lost
        return result

    def shutdown(self) -> None:
        """Of the inner one."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Of the inner one."""
        return self._inner.force_flush(timeout_millis)

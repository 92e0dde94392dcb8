"""The real OpenTelemetry SDK hands spans in, over HTTP, as any application does that has tracing already."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from middleware.admin import Access
from middleware.control.arrivals import Arrivals
from middleware.metrics import Metrics
from middleware.probe.redaction import redacted
from middleware.records.observation import Observation
from middleware.traffic.hashing import conversation_id
from middleware.traffic.selecting import Picking, Selection, SelectionRule

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is not installed")
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

SALT = b"a salt of at least sixteen bytes"
INGEST, READ = "ingest-token-0123456789", "read-token-0123456789"
MAIL = "mara.lind@example.org"


class Door:
    """Arrivals with room for three."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Observation] = asyncio.Queue(3)
        self.metrics = Metrics(CollectorRegistry())
        rules = [SelectionRule("tutor", 1.0, models=("tutor-model",))]
        picking = Picking(Selection(rules, SALT), clean=redacted, characters=1000)
        self.arrivals = Arrivals(picking, self.queue, metrics=self.metrics)

    def count(self, outcome: str) -> float:
        return float(self.metrics.arrived_exchanges_total.labels(source="otel", outcome=outcome)._value.get())


def exporter(url: str, token: str = INGEST, **more: Any) -> OTLPSpanExporter:
    return OTLPSpanExporter(f"{url}/v1/traces", headers={"authorization": f"Bearer {token}"}, timeout=20, **more)


def chat(text: str, **more: str) -> dict[str, str]:
    messages = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "Sure."}], "finish_reason": "stop"}]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tutor-model",
        "gen_ai.input.messages": json.dumps(messages),
        "gen_ai.output.messages": json.dumps(answer),
        **more,
    }


def spans(*attributes: dict[str, str]) -> Sequence[ReadableSpan]:
    provider = TracerProvider(resource=Resource.create({"service.name": "lesson"}))
    tracer, made = provider.get_tracer("test"), []
    for one in attributes:
        span = tracer.start_span("chat tutor-model", attributes=one)
        span.end()
        made.append(span)
    provider.shutdown()
    return made


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def url(serve: Any, door: Door) -> str:
    access = Access.for_listener("0.0.0.0:8081", read_token=READ, ingest_token=INGEST)
    return str(serve(access=access, ingest=door.arrivals).url)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_of_the_sdk_become_exchanges(url: str, door: Door, compression: Compression) -> None:
    """Chats with content are taken, redacted, under their conversation's name; everything else is counted."""
    given = spans(
        chat(f"write to {MAIL}", **{"gen_ai.conversation.id": "lesson-7"}),
        {"http.request.method": "GET"},
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "tutor-model"},
        chat("for another", **{"gen_ai.request.model": "another-model"}),
        chat("not me", **{"eqwatch.opt_out": "true"}),
    )
    sender = exporter(url, compression=compression)
    assert sender.export(given) is SpanExportResult.SUCCESS
    assert sender.export(given) is SpanExportResult.SUCCESS, "an export that is repeated"
    sender.shutdown()
    heard = door.queue.get_nowait()
    assert door.queue.empty()
    assert heard.conversation == conversation_id(SALT, "lesson-7")
    assert [message.text for message in heard.transcript.messages] == ["write to [email]"]
    assert heard.transcript.reply is not None
    assert heard.transcript.reply.text == "Sure."
    outcomes = ("accepted", "duplicate", "ignored", "undecodable", "not_configured", "opted_out")
    assert [door.count(outcome) for outcome in outcomes] == [1, 1, 2, 2, 2, 2]


def test_a_provider_exports_by_itself(url: str, door: Door) -> None:
    """The usual set-up, a span processor with the exporter, needs nothing else."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter(url)))
    with provider.get_tracer("test").start_as_current_span("chat", attributes=chat("hello")):
        pass
    provider.shutdown()
    assert door.queue.get_nowait().transcript.model == "tutor-model"


def test_what_has_no_room_is_a_partial_success(url: str, door: Door, serve: Any) -> None:
    """Exporters do not repeat it, and are told how many were lost; in JSON as in protobuf."""
    given = spans(*(chat(f"hello {number}") for number in range(5)))
    sender = exporter(url)
    assert sender.export(given) is SpanExportResult.SUCCESS
    sender.shutdown()
    assert (door.count("accepted"), door.count("queue_full")) == (3, 2)
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [as_json(chat("one more"))]}]}]}
    with serve(ingest=door.arrivals).client() as client:
        answer = client.post("/v1/traces", json=body)
        assert (answer.status_code, answer.json()["partialSuccess"]["rejectedSpans"]) == (200, "1")
        assert client.post("/v1/traces", json={}).json() == {}
        refused = client.post("/v1/traces", content=b"heliotrope", headers={"content-type": "application/json"})
        assert refused.status_code == 400
        assert "heliotrope" not in refused.text
        assert client.post("/v1/traces", content=b"x", headers={"content-type": "text/plain"}).status_code == 415


def as_json(attributes: dict[str, str]) -> dict[str, Any]:
    return {"attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]}


def test_a_wrong_token_is_refused(url: str, door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """The exporter fails at once, and nothing is taken."""
    for token in (READ, "wrong"):
        sender = exporter(url, token)
        assert sender.export(spans(chat("hello"))) is SpanExportResult.FAILURE
        sender.shutdown()
    assert door.queue.empty()

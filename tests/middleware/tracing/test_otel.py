"""Spans of the sidecar's own calls, as a real OTLP/HTTP collector on loopback receives and decodes them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from middleware.benchmark.fake_upstream import FakeUpstream
from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.protocol import make_protocol
from middleware.benchmark.runner import run_benchmark
from middleware.control.tracing import require_tracing, traced
from middleware.errors import ConfigurationError, UpstreamError
from middleware.records.benchmark import Run
from middleware.settings.schema import TracingSettings
from middleware.store import Store
from middleware.tracing import BATCH, ITEM, NO_TRACING, Tracing, evaluated
from middleware.upstream import UpstreamClient
from scorer.items import ItemSet

KEY = "sk-operator-secret"


class Collector:
    """Keeps what it is sent. status: what it answers; 200 takes it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, body, dict(self.headers))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        assert path == "/v1/traces"
        self.headers.append({name.lower(): value for name, value in headers.items()})
        self.raw.append(body)
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for group in request.resource_spans:
            self.resource |= attributes(group.resource)
            for scope in group.scope_spans:
                self.spans += scope.spans

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def attributes(part: Any) -> dict[str, Any]:
    found = {}
    for pair in part.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [one.string_value for one in value.values] if kind == "array_value" else value
    return found


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing waits until the collector has everything, however slow the machine."""
    monkeypatch.setattr("middleware.tracing.otel._CLOSE_SECONDS", 120.0)
    monkeypatch.setattr("middleware.tracing.otel._EXPORT_SECONDS", 60.0)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


def enabled(collector: Collector | str) -> TracingSettings:
    return TracingSettings(enabled=True, endpoint=collector if isinstance(collector, str) else collector.url)


async def batch(tracing: Tracing, url: str, items: ItemSet, folder: Path) -> None:
    """Two items of the small set, asked of the fake upstream."""
    run = Run(
        id="batch-1",
        deployment="tutor",
        purpose="batch",
        protocol=make_protocol(items),
        model="m",
        upstream=url,
        item_ids=tuple(item.id for item in items.items[:2]),
        passes=1,
        started_at=0.0,
    )
    with Store(f"sqlite:///{folder / 'eqwatch.db'}") as store:
        async with UpstreamClient(base_url=url, api_key=KEY, tracing=tracing) as client:
            await run_benchmark(run, items, client=client, store=store, limiter=Limiter(ConcurrencyRule(2)))


def test_a_batch_its_items_and_their_calls_are_one_trace(
    collector: Collector,
    fake: FakeUpstream,
    serve_fake: Callable[[FakeUpstream], str],
    small_set: ItemSet,
    tmp_path: Path,
) -> None:
    """Each call has the names of the GenAI conventions, each scored item an evaluation event with its points."""
    url = serve_fake(fake)
    with traced(enabled(collector)) as tracing:
        asyncio.run(batch(tracing, url, small_set, tmp_path))
    (whole,) = collector.named(BATCH)
    items, calls = collector.named(ITEM), collector.named("chat m")
    assert len(items) == len(calls) == 2
    assert {span.trace_id for span in collector.spans} == {whole.trace_id}
    assert {item.parent_span_id for item in items} == {whole.span_id}
    assert {call.parent_span_id for call in calls} == {item.span_id for item in items}
    told = attributes(calls[0])
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == told["gen_ai.response.model"] == "m"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] > 0
    assert told["server.address"] == "127.0.0.1"
    assert calls[0].kind == Span.SPAN_KIND_CLIENT
    for item in items:
        (event,) = item.events
        assert event.name == "gen_ai.evaluation.result"
        result = attributes(event)
        assert result["gen_ai.evaluation.name"] == "eq_bench.item"
        assert result["gen_ai.evaluation.score.label"] == "scored"
        assert result["gen_ai.evaluation.score.value"] == pytest.approx(100.0)
        assert result["eqwatch.item"] in {"i0", "i1"}
    assert attributes(whole)["eqwatch.deployment"] == "tutor"
    assert collector.resource["service.name"] == "eqwatch"


def test_neither_text_nor_key_is_in_what_is_sent(
    collector: Collector,
    fake: FakeUpstream,
    serve_fake: Callable[[FakeUpstream], str],
    small_set: ItemSet,
    tmp_path: Path,
) -> None:
    """No dialogue of an item, no answer, no key, in no byte of the export."""
    url = serve_fake(fake)
    with traced(enabled(collector)) as tracing:
        asyncio.run(batch(tracing, url, small_set, tmp_path))
    sent = b"".join(collector.raw)
    assert b"eq_bench.item" in sent
    for said in ("Is it done?", "bridge holds", "Joy: 7", "Pride", KEY):
        assert said.encode() not in sent


def test_a_call_that_fails_says_how_and_not_in_whose_words(collector: Collector) -> None:
    """The reason from a closed set; an error's text may quote what somebody wrote."""

    async def call(tracing: Tracing) -> None:
        async with UpstreamClient(base_url="http://127.0.0.1:9", api_key=KEY, tracing=tracing) as client:
            await client.complete([{"role": "user", "content": "secret"}], model="m", temperature=0.0, max_tokens=5)

    with traced(enabled(collector)) as tracing, pytest.raises(UpstreamError):
        asyncio.run(call(tracing))
    (span,) = collector.named("chat m")
    assert attributes(span)["error.type"] == "connect"
    assert span.status.code == 2
    assert span.status.message == ""
    assert not span.events
    assert b"secret" not in b"".join(collector.raw)


def test_what_could_not_be_scored_has_a_label_and_no_value(collector: Collector) -> None:
    """Missing is never zero."""
    with traced(enabled(collector)) as tracing, tracing.span("probe", {}) as span:
        evaluated(span, "perception", "unparseable", None)
        evaluated(span, "perception", "timeout", None, emotion="Joy")
    first, second = (attributes(event) for event in collector.named("probe")[0].events)
    assert first == {"gen_ai.evaluation.name": "perception", "gen_ai.evaluation.score.label": "unparseable"}
    assert second["error.type"] == "timeout"
    assert second["eqwatch.emotion"] == "Joy"


def test_the_standard_environment_is_heard(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, headers and resource of OTEL_*, where the settings name no endpoint."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "eq-of-the-tutor")
    with traced(TracingSettings(enabled=True)) as tracing, tracing.span("work", {}):
        pass
    assert len(collector.spans) == 1
    assert collector.headers[0]["x-tenant"] == "blue"
    assert collector.resource["service.name"] == "eq-of-the-tutor"


def test_a_sampler_that_drops_a_trace_gives_no_exemplar(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace id is only told where the trace can be found."""
    with traced(enabled(collector)) as tracing:
        assert tracing.trace_id() == ""
        with tracing.span("work", {}):
            known = tracing.trace_id()
    assert known == collector.spans[0].trace_id.hex()
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with traced(enabled(collector)) as tracing, tracing.span("work", {}):
        assert tracing.trace_id() == ""


def test_a_collector_that_is_away_or_refuses_hurts_nobody(
    collector: Collector,
    fake: FakeUpstream,
    serve_fake: Callable[[FakeUpstream], str],
    small_set: ItemSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The batch is measured all the same; spans that nobody took are counted."""
    url = serve_fake(fake)
    collector.status = 400
    monkeypatch.setattr("middleware.tracing.otel._EXPORT_SECONDS", 1.0)
    for number, where in enumerate((collector.url, "http://127.0.0.1:9")):
        lost: list[int] = []
        folder = tmp_path / str(number)
        folder.mkdir()
        with traced(enabled(where), lost.append) as tracing:
            asyncio.run(batch(tracing, url, small_set, folder))
        with Store(f"sqlite:///{folder / 'eqwatch.db'}") as store:
            assert store.run("batch-1") is not None
        assert sum(lost) == 5


def test_off_by_default_and_without_the_extra_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of OpenTelemetry is needed until somebody wants it."""
    assert not TracingSettings().enabled
    with traced(TracingSettings()) as tracing:
        assert tracing is NO_TRACING
        with tracing.span("work", {}) as span:
            span.set({"a": 1})
            span.event("b", {})
            span.failed("c")
        assert tracing.trace_id() == ""
    monkeypatch.setattr("middleware.control.tracing.find_spec", lambda _name: None)
    require_tracing(TracingSettings())
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[otel\]'"):
        require_tracing(TracingSettings(enabled=True))

"""Tracing, end to end: clients' trace context passes untouched; own probes are told to a real collector."""

import json
import re
import threading
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

pytestmark = pytest.mark.timeout(400)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
SAID = "My cat has died and nobody at work noticed."
DEPLOYMENT = """
[[deployments]]
name = "companion"
kind = "companion"
purpose = "notice distress early"
sample_rate = 1.0
"""


class Recorder:
    """A server that keeps the heads and bodies of what it is sent, and answers 200 with the given body."""

    def __init__(self, answer: bytes = b"{}") -> None:
        self.heads: list[list[tuple[str, str]]] = []
        self.bodies: list[bytes] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                recorder.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                recorder.heads.append(list(self.headers.items()))
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self._running = True

    def stop(self) -> None:
        if self._running:
            self._running = False
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    @property
    def spans(self) -> list[Span]:
        found: list[Span] = []
        for body in list(self.bodies):
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            found += [s for group in request.resource_spans for scope in group.scope_spans for s in scope.spans]
        return found


@pytest.fixture
def recorder(stack: ExitStack) -> Callable[..., Recorder]:
    def start(answer: bytes = b"") -> Recorder:
        made = Recorder(answer)
        stack.callback(made.stop)
        return made

    return start


def post(url: str, **headers: str) -> int:
    body = {"model": "small", "messages": [{"role": "user", "content": SAID}]}
    given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), given)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
        return int(answer.status)


@pytest.mark.parametrize("tracing", ["true", "false"])
def test_trace_context_of_clients_passes_untouched(
    tracing: str, start_sidecar: Callable[..., Any], recorder: Callable[..., Recorder]
) -> None:
    """traceparent and tracestate reach the upstream as they were sent, once each, whether or not the sidecar traces
    its own work; where a client sends none, none is added."""
    upstream, collector = recorder(b"{}"), recorder()
    sidecar = start_sidecar(
        upstream.url, wait=False, EQWATCH_TRACING_ENABLED=tracing, EQWATCH_TRACING_ENDPOINT=collector.url
    )
    assert post(sidecar.data, traceparent=PARENT, tracestate=STATE) == 200
    assert post(sidecar.data) == 200
    first, second = ([(k.lower(), v) for k, v in head if k.lower().startswith("trace")] for head in upstream.heads)
    assert sorted(first) == [("traceparent", PARENT), ("tracestate", STATE)]
    assert second == []


def test_probes_are_told_to_the_collector_and_its_death_hurts_nobody(
    start_sidecar: Callable[..., Any],
    start_fake_upstream: Callable[..., str],
    recorder: Callable[..., Recorder],
    eventually: Callable[..., Any],
) -> None:
    """An evaluation event for each emotion, within the trace of the calls; the histogram's exemplar is that trace's id
    and nothing else; no conversation, no key in any byte. Without the collector traffic and probes go on, and what it
    missed is counted."""
    collector = recorder()
    sidecar = start_sidecar(
        start_fake_upstream(),
        DEPLOYMENT,
        EQWATCH_UPSTREAM_API_KEY="sk-operator-secret",
        EQWATCH_TRACING_ENABLED="true",
        EQWATCH_TRACING_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="200",
    )

    def told() -> list[Span]:
        assert post(sidecar.data, x_eqwatch_deployment="companion", authorization="Bearer sk-of-the-client") == 200
        return [span for span in collector.spans if span.name == "eqwatch.probe" and span.events]

    probes = eventually(told, seconds=90, what="a probe reached the collector")
    events = [event for event in probes[0].events if event.name == "gen_ai.evaluation.result"]
    values = [{pair.key: pair.value for pair in event.attributes} for event in events]
    emotions = {
        v["eqwatch.emotion"].string_value for v in values if v["gen_ai.evaluation.name"].string_value == "perception"
    }
    assert emotions == {"Loneliness", "Distress", "Calm", "Joy"}
    assert all(0.0 <= v["gen_ai.evaluation.score.value"].double_value <= 10.0 for v in values)
    calls = [s for s in collector.spans if s.name.startswith("chat ") and s.trace_id == probes[0].trace_id]
    assert {call.parent_span_id for call in calls} == {probes[0].span_id}

    request = urllib.request.Request(
        f"{sidecar.admin}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    exemplars = re.findall(r"# (\{.*?\}) ", "\n".join(x for x in text.splitlines() if x.startswith("eqwatch_probe_i")))
    assert exemplars
    assert all(re.fullmatch(r'\{trace_id="[0-9a-f]{32}"\}', one) for one in exemplars)
    everything = b"".join(collector.bodies) + text.encode()
    for secret in (SAID, "cat has died", "sk-operator-secret", "sk-of-the-client"):
        assert secret.encode() not in everything

    collector.stop()
    before = sidecar.sum_of("eqwatch_probe_conversations_total")

    def lost() -> bool:
        assert post(sidecar.data, x_eqwatch_deployment="companion") == 200
        more = sidecar.sum_of("eqwatch_probe_conversations_total") > before
        return more and sidecar.metrics().get('eqwatch_dropped_total{queue="traces",reason="collector"}', 0) > 0

    eventually(lost, seconds=120, what="probes go on and lost spans are counted")

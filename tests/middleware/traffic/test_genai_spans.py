"""Spans become exchanges only where they are a chat with content; nothing in them can raise."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.records.report import Report
from middleware.traffic.genai_spans import NO_CHAT, NO_CONTENT, reports_of
from middleware.traffic.otlp import JSON, PROTOBUF, OtlpError, trace_request

INPUT = [
    {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}],
    },
    {"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]},
    {
        "role": "user",
        "parts": [{"type": "blob", "modality": "image", "content": "xx"}, {"type": "text", "content": "And here?"}],
    },
]
OUTPUT = [
    {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Rain."}]}
]


def attribute(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": any_value(value)}


def any_value(value: Any) -> dict[str, Any]:
    """As OTLP writes it in JSON."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [any_value(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": [{"key": k, "value": any_value(v)} for k, v in value.items()]}}
    raise AssertionError(value)


def request(*spans: dict[str, Any], **resource: Any) -> dict[str, Any]:
    of_resource = {"attributes": [attribute(key.replace("_", "."), value) for key, value in resource.items()]}
    return {"resourceSpans": [{"resource": of_resource, "scopeSpans": [{"spans": list(spans)}]}]}


def span(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "traceId": "aa" * 16,
        "spanId": "bb" * 8,
        "endTimeUnixNano": "1800000000500000000",
        "attributes": [attribute(key, value) for key, value in attributes.items()],
    }


def chat(**more: Any) -> dict[str, Any]:
    found = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.input.messages": json.dumps(INPUT)}
    return found | {key.replace("__", "."): value for key, value in more.items()}


@pytest.mark.parametrize("structured", [False, True], ids=["as a JSON string", "structured"])
def test_a_chat_span_is_an_exchange(structured: bool) -> None:
    """Messages with their parts, reply, model, conversation, time and an id that is the span's own."""
    given_, answers = (INPUT, OUTPUT) if structured else (json.dumps(INPUT), json.dumps(OUTPUT))
    attributes = chat() | {
        "gen_ai.input.messages": given_,
        "gen_ai.output.messages": answers,
        "gen_ai.conversation.id": "lesson-7",
        "gen_ai.response.id": "resp-1",
        "gen_ai.system_instructions": [{"type": "text", "content": "You teach."}],
    }
    (found,) = reports_of(request(span(attributes), eqwatch_deployment="tutor"))
    assert isinstance(found, Report)
    assert (found.model, found.conversation, found.response_id, found.system) == (
        "m",
        "lesson-7",
        "resp-1",
        "You teach.",
    )
    assert (found.id, found.at, found.deployment) == (f"{'aa' * 16}:{'bb' * 8}", 1_800_000_000.5, "tutor")
    assert [message["role"] for message in found.messages] == ["user", "assistant", "tool", "user"]
    assert found.messages[0]["content"] == [{"type": "text", "text": "Weather in Paris?"}]
    assert found.messages[3]["content"] == [{"type": "image"}, {"type": "text", "text": "And here?"}]
    assert found.reply == {"role": "assistant", "content": [{"type": "reasoning"}, {"type": "text", "text": "Rain."}]}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, NO_CHAT),
        ({"gen_ai.operation.name": "embeddings"}, NO_CHAT),
        ({"gen_ai.operation.name": "execute_tool"}, NO_CHAT),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": json.dumps(INPUT)}, NO_CHAT),
        ({"gen_ai.operation.name": "chat"}, NO_CONTENT),
        ({"gen_ai.operation.name": "chat", "gen_ai.input.messages": "no JSON"}, NO_CONTENT),
        ({"gen_ai.operation.name": "chat", "gen_ai.input.messages": "[]"}, NO_CONTENT),
    ],
)
def test_everything_else_is_told_apart(attributes: dict[str, Any], expected: str) -> None:
    """What is no chat is ignored; a chat without its content can't be decoded, which says that capture is off."""
    assert list(reports_of(request(span(attributes)))) == [expected]


@pytest.mark.parametrize("value", [True, "1", "true"])
def test_a_span_or_its_resource_can_opt_out(value: Any) -> None:
    """As the header does in traffic."""
    (by_span,) = reports_of(request(span(chat(eqwatch__opt_out=value))))
    (neither,) = reports_of(request(span(chat(eqwatch__opt_out="0"))))
    assert isinstance(by_span, Report)
    assert isinstance(neither, Report)
    assert (by_span.opt_out, neither.opt_out) == (True, False)


_JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "value", "spans", "attributes", "stringValue", "parts", "role", "scopeSpans"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(odd=_JSON_VALUES, attributes=_JSON_VALUES)
def test_odd_requests_raise_nothing(odd: Any, attributes: Any) -> None:
    """Any shape at any level is read or ignored."""
    list(reports_of({"resourceSpans": odd}))
    list(
        reports_of({"resourceSpans": [{"resource": odd, "scopeSpans": [{"spans": [{"attributes": attributes}, odd]}]}]})
    )
    list(
        reports_of(
            request(
                span(chat(gen_ai__input__messages=json.dumps(odd), gen_ai__output__messages=json.dumps(attributes)))
            )
        )
    )


def test_a_body_is_read_whatever_its_encoding() -> None:
    """Plain or gzip; what can't be read says why, with the status that OTLP wants."""
    body = json.dumps(request()).encode()
    assert trace_request(body, f"{JSON}; charset=utf-8") == request()
    assert trace_request(gzip.compress(body), JSON, "gzip") == request()
    for data, kind, encoding, status in [
        (body, "text/plain", "", 415),
        (b"no json", JSON, "", 400),
        (b"[]", JSON, "", 400),
        (body, JSON, "gzip", 400),
        (body, JSON, "lzma", 400),
        (gzip.compress(b" " * 20_000_000), JSON, "gzip", 400),
        (b"\xff\xff\xff", PROTOBUF, "", 400),
    ]:
        with pytest.raises(OtlpError) as refused:
            trace_request(data, kind, encoding)
        assert refused.value.status == status, kind


def test_without_the_extra_protobuf_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON goes on working."""
    monkeypatch.setattr("middleware.traffic.otlp._MODULE", "opentelemetry.proto.no_such_module")
    with pytest.raises(OtlpError, match="extra `otel`"):
        trace_request(b"", PROTOBUF)

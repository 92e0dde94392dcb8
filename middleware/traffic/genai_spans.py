"""OpenTelemetry GenAI spans as reports: what a tracer recorded of a call to a chat model. Pure.

By the semantic conventions for generative AI as of 1.38 (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/,
in development there): ``gen_ai.input.messages`` and ``gen_ai.output.messages`` in their JSON form, as a string or as
structured values. Spans without them, and spans of anything but a chat, are no exchange.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from middleware.records.report import Report
from middleware.traffic.reading import listed, mapped, text

__all__ = ["NO_CHAT", "NO_CONTENT", "reports_of"]

NO_CHAT, NO_CONTENT = "ignored", "undecodable"
_CHATS = frozenset({"chat", "generate_content"})
_NANOSECONDS = 1e9
_MODALITIES = {"image": "image", "audio": "input_audio"}
_MOST_DEEP = 16


def reports_of(request: Mapping[str, Any]) -> Iterator[Report | str]:
    """A report for each chat span of an OTLP trace request in its JSON form; `NO_CHAT` or `NO_CONTENT` for others."""
    for of_resource in map(mapped, listed(request.get("resourceSpans"))):
        resource = _attributes(mapped(of_resource.get("resource")))
        for of_scope in map(mapped, listed(of_resource.get("scopeSpans"))):
            for span in map(mapped, listed(of_scope.get("spans"))):
                yield _report(span, resource)


def _report(span: Mapping[str, Any], resource: Mapping[str, Any]) -> Report | str:
    found = _attributes(span)
    if text(found.get("gen_ai.operation.name")) not in _CHATS:
        return NO_CHAT
    messages = [_message(mapped(one)) for one in listed(_structured(found.get("gen_ai.input.messages")))]
    if not messages:
        return NO_CONTENT
    answers = [mapped(one) for one in listed(_structured(found.get("gen_ai.output.messages")))]
    return Report(
        messages=messages,
        reply=_message(answers[0]) if answers else None,
        model=text(found.get("gen_ai.request.model")),
        system=_system(found.get("gen_ai.system_instructions")),
        deployment=text(found.get("eqwatch.deployment") or resource.get("eqwatch.deployment")),
        conversation=text(found.get("gen_ai.conversation.id")),
        id=f"{text(span.get('traceId'))}:{text(span.get('spanId'))}",
        opt_out=_is_true(found.get("eqwatch.opt_out")) or _is_true(resource.get("eqwatch.opt_out")),
        at=_seconds(span.get("endTimeUnixNano")),
        response_id=text(found.get("gen_ai.response.id")),
    )


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """As OpenAI's chat API writes it."""
    parts = [mapped(part) for part in listed(message.get("parts"))]
    role = text(message.get("role"))
    if role != "tool" and any(part.get("type") == "tool_call_response" for part in parts):
        role = "tool"
    return {"role": role, "content": [_part(part) for part in parts]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = text(part.get("type"))
    if kind == "text":
        return {"type": "text", "text": text(part.get("content"))}
    if kind in {"tool_call", "tool_call_response"}:
        return {"type": "tool_use"}
    if kind == "reasoning":
        return {"type": "reasoning"}
    if kind in {"blob", "uri", "file"}:
        return {"type": _MODALITIES.get(text(part.get("modality")), "file")}
    return {"type": kind or "unknown"}


def _system(value: object) -> str:
    parts = [mapped(part) for part in listed(_structured(value))]
    return "\n".join(text(part.get("content")) for part in parts if part.get("type") == "text")


def _structured(value: object) -> object:
    """On spans the messages may be a JSON string; anything else is as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _attributes(owner: Mapping[str, Any]) -> dict[str, Any]:
    return {text(one.get("key")): _value(one.get("value"), 0) for one in map(mapped, listed(owner.get("attributes")))}


def _value(value: object, depth: int) -> Any:
    """An OTLP AnyValue as plain JSON."""
    given = mapped(value)
    if depth > _MOST_DEEP:
        return None
    for kind in ("stringValue", "boolValue", "doubleValue", "intValue"):
        if kind in given:
            return given[kind]
    if "arrayValue" in given:
        return [_value(one, depth + 1) for one in listed(mapped(given["arrayValue"]).get("values"))]
    if "kvlistValue" in given:
        pairs = map(mapped, listed(mapped(given["kvlistValue"]).get("values")))
        return {text(pair.get("key")): _value(pair.get("value"), depth + 1) for pair in pairs}
    return None


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in {"1", "true"})


def _seconds(nanoseconds: object) -> float | None:
    try:
        return int(str(nanoseconds)) / _NANOSECONDS or None
    except ValueError:
        return None

"""The three chat dialects, sans-IO: a question to path and body, a response body to a reply.

Only what the sidecar's own calls need; user traffic is decoded elsewhere. Sources: the request and response types of
the official OpenAI and Anthropic SDKs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from middleware.upstream.completion import Dialect, FinishReason, Question, Reply

__all__ = ["DIALECTS", "Codec"]

_SCHEMA_NAME = "answer"
_LABEL_CHARACTERS = 200

# Every spelling that a server of the dialect may use; what is not in here is "other".
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
}


@dataclass(frozen=True, slots=True)
class Codec:
    """One dialect. decode raises ValueError, KeyError or TypeError where the body is not an answer of the dialect."""

    path: str
    encode: Callable[[Question], dict[str, Any]]
    decode: Callable[[Mapping[str, Any]], Reply]
    credentials: Callable[[str], list[tuple[str, str]]]
    headers: tuple[tuple[str, str], ...] = ()


def _finish(value: object) -> FinishReason:
    if value is None or value == "":
        return ""
    return _FINISH.get(str(value).lower(), "other")


def _count(usage: object, name: str) -> int | None:
    """A token count, or None: a missing count is not zero."""
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _reasoning(usage: object, details: str) -> int | None:
    """Reasoning tokens from the details of a usage object; the other dialects do not tell."""
    return _count(usage.get(details), "reasoning_tokens") if isinstance(usage, Mapping) else None


def _label(value: object) -> str:
    """A model's name or fingerprint: it is stored with each answer, so a server does not choose how long it is."""
    return str(value or "")[:_LABEL_CHARACTERS]


def _text(content: object) -> str:
    """The text of a message's content: a string, or a list of typed parts of which only text counts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = cast(list[Mapping[str, Any]], content)
    return "".join(str(part["text"]) for part in parts if part.get("type") in {"text", "output_text"})


def _bearer(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


def _encode_chat(question: Question) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [dict(message) for message in question.messages],
        "temperature": question.temperature,
        question.allowance_field: question.max_tokens,
    }
    if question.seed is not None:
        body["seed"] = question.seed
    if question.schema is not None:
        schema = {"name": _SCHEMA_NAME, "schema": dict(question.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _decode_chat(body: Mapping[str, Any]) -> Reply:
    choice = body["choices"][0]
    message = choice["message"]
    text = _text(message.get("content"))
    refusal = message.get("refusal")
    usage = body.get("usage")
    return Reply(
        text=text or str(refusal or ""),
        finish_reason="content_filter" if refusal else _finish(choice.get("finish_reason")),
        model=_label(body.get("model")),
        system_fingerprint=_label(body.get("system_fingerprint")),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        reasoning_tokens=_reasoning(usage, "completion_tokens_details"),
    )


def _encode_responses(question: Question) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": question.model,
        "input": [dict(message) for message in question.messages],
        "temperature": question.temperature,
        "max_output_tokens": question.max_tokens,
        "store": False,  # the provider must not keep what the sidecar asks
    }
    if question.schema is not None:
        form = {"type": "json_schema", "name": _SCHEMA_NAME, "schema": dict(question.schema), "strict": True}
        body["text"] = {"format": form}
    return body


def _decode_responses(body: Mapping[str, Any]) -> Reply:
    parts = [part for item in body["output"] if item.get("type") == "message" for part in item.get("content") or ()]
    refusals = [str(part.get("refusal") or "") for part in parts if part.get("type") == "refusal"]
    status = body.get("status")
    reason = (body.get("incomplete_details") or {}).get("reason") if status == "incomplete" else status
    usage = body.get("usage")
    return Reply(
        text=_text(parts) or "".join(refusals),
        finish_reason="content_filter" if refusals else _finish(reason),
        model=_label(body.get("model")),
        prompt_tokens=_count(usage, "input_tokens"),
        completion_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_reasoning(usage, "output_tokens_details"),
    )


def _encode_anthropic(question: Question) -> dict[str, Any]:
    """The dialect has no seed; system messages move to a field of their own."""
    system = "\n\n".join(message["content"] for message in question.messages if message["role"] == "system")
    body: dict[str, Any] = {
        "model": question.model,
        "messages": [dict(message) for message in question.messages if message["role"] != "system"],
        "temperature": question.temperature,
        "max_tokens": question.max_tokens,
    }
    if system:
        body["system"] = system
    if question.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(question.schema)}}
    return body


def _decode_anthropic(body: Mapping[str, Any]) -> Reply:
    usage = body.get("usage")
    return Reply(
        text=_text(body["content"]),
        finish_reason=_finish(body.get("stop_reason")),
        model=_label(body.get("model")),
        prompt_tokens=_count(usage, "input_tokens"),
        completion_tokens=_count(usage, "output_tokens"),
    )


DIALECTS: dict[Dialect, Codec] = {
    "openai_chat": Codec("/v1/chat/completions", _encode_chat, _decode_chat, _bearer),
    "openai_responses": Codec("/v1/responses", _encode_responses, _decode_responses, _bearer),
    "anthropic_messages": Codec(
        "/v1/messages",
        _encode_anthropic,
        _decode_anthropic,
        lambda key: [("x-api-key", key)],
        headers=(("anthropic-version", "2023-06-01"),),
    ),
}

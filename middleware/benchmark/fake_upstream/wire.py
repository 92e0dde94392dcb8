"""Requests and answers in the shape of the OpenAI chat API. Source: the types of the official SDK."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["Answer", "ChatRequest", "chunks", "completion", "error_body", "tokens"]


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ContentPart(_Lenient):
    """One part of a message; only text counts."""

    type: str
    text: str = ""


class ChatMessage(_Lenient):
    """A message of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """The content as text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class JsonSchema(_Lenient):
    """The named schema of a structured answer."""

    name: str
    schema_: dict[str, Any] | None = None

    model_config = ConfigDict(extra="ignore", alias_generator=lambda name: name.rstrip("_"))


class ResponseFormat(_Lenient):
    """``text``, ``json_object`` or ``json_schema``."""

    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(_Lenient):
    """Whether a last chunk tells the usage."""

    include_usage: bool = False


class ChatRequest(_Lenient):
    """The body of POST /v1/chat/completions, as far as it matters here."""

    model: str
    messages: list[ChatMessage]
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None

    @property
    def schema_(self) -> dict[str, Any] | None:
        """The JSON schema that the answer must follow, or None for text."""
        form = self.response_format
        return (form.json_schema.schema_ or {}) if form is not None and form.json_schema is not None else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says, before it is put on the wire."""

    text: str
    model: str
    fingerprint: str
    prompt_tokens: int
    finish_reason: str = "stop"

    @property
    def usage(self) -> dict[str, int]:
        """Token counts in the API's names."""
        spent = tokens(self.text)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": spent,
            "total_tokens": self.prompt_tokens + spent,
        }


def tokens(text: str) -> int:
    """About as many tokens as a model would count: four characters each, at least one."""
    return max(1, -(-len(text) // 4))


def completion(answer: Answer, *, number: int, created: int) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    return {
        **_head(answer, "chat.completion", number, created),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}],
        "usage": answer.usage,
    }


def chunks(answer: Answer, *, number: int, created: int, include_usage: bool) -> Iterator[bytes]:
    """The server-sent events of a streamed answer, a word each, ``[DONE]`` last."""
    head = _head(answer, "chat.completion.chunk", number, created)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in re.findall(r"\s*\S+\s*?(?=\s|$)|\s+", answer.text)]
    for delta in deltas:
        yield _event({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]})
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": answer.finish_reason}
    yield _event({**head, "choices": [last]})
    if include_usage:
        yield _event({**head, "choices": [], "usage": answer.usage})
    yield b"data: [DONE]\n\n"


def error_body(message: str, *, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error in the API's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _head(answer: Answer, kind: str, number: int, created: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number:08d}",
        "object": kind,
        "created": created,
        "model": answer.model,
        "system_fingerprint": answer.fingerprint,
    }


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"

"""What one of the sidecar's own calls asks and gets, whatever the dialect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["AllowanceField", "Completion", "Dialect", "FinishReason", "Messages", "Question", "Reply"]

Dialect: TypeAlias = Literal["openai_chat", "openai_responses", "anthropic_messages"]
FinishReason: TypeAlias = Literal["stop", "length", "content_filter", "tool_calls", "other", ""]
AllowanceField: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
Messages: TypeAlias = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """One call. messages: ``{"role": system|user|assistant, "content": text}``; schema: JSON schema of the answer.

    max_tokens: reasoning included. allowance_field: what openai_chat calls that.
    """

    messages: Messages
    model: str
    temperature: float
    max_tokens: int
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    allowance_field: AllowanceField = "max_tokens"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a response body says. Token counts are None where the server does not report them.

    finish_reason: ``stop``, ``length``, ``content_filter`` (refusals too), ``tool_calls``, ``other``, or empty where
    the server gives none. text: without reasoning, whether it came in a field of its own or in marks in the text.
    reasoning_tokens: those of completion_tokens that were not part of the answer, where the server tells.
    """

    text: str
    finish_reason: FinishReason
    model: str
    system_fingerprint: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Completion(Reply):
    """A reply and how long the call took, in seconds from the first byte sent to the last byte read."""

    latency_seconds: float = 0.0

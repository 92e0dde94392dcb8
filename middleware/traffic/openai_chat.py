"""OpenAI chat completions, streamed and not. The answer is the first choice."""

from collections.abc import Iterable
from typing import Any

from middleware.records.conversation import Message
from middleware.traffic.reading import Answered, Asked, content, count, listed, mapped, parse_object, text

__all__ = ["read_answer", "read_events", "read_request"]

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_FINISH_FLAGS = {"length": "truncated", "content_filter": "filtered", "tool_calls": "tool", "function_call": "tool"}


def read_request(body: dict[str, Any]) -> Asked | None:
    """The messages, or None where the body has none."""
    messages: list[Message] = []
    flags: set[str] = set()
    for entry in map(mapped, listed(body.get("messages"))):
        role = _ROLES.get(text(entry.get("role")))
        if role is None:
            flags.add("unknown_role")
            continue
        read = content(entry.get("content"))
        flags |= read.flags
        if entry.get("tool_calls") or entry.get("function_call") or role == "tool":
            flags.add("tool")
        messages.append(Message(role, read.text))
    return Asked(text(body.get("model")), tuple(messages), frozenset(flags)) if messages else None


def read_answer(body: dict[str, Any]) -> Answered:
    """A whole completion."""
    choices = [mapped(choice) for choice in listed(body.get("choices"))]
    first = min(choices, key=lambda choice: count(choice.get("index")) or 0, default={})
    message = mapped(first.get("message"))
    read = content(message.get("content"))
    refusal = text(message.get("refusal"))
    flags = set(read.flags) | _choice_flags(message, first.get("finish_reason"), several=len(choices) > 1)
    return _answered(body, read.text + refusal, ended=bool(choices), flags=flags)


def read_events(events: Iterable[str]) -> Answered:
    """The chunks of a streamed completion, as far as they came."""
    texts: list[str] = []
    flags: set[str] = set()
    last: dict[str, Any] = {}
    ended = False
    for data in events:
        if data.strip() == "[DONE]":
            ended = True
            continue
        chunk = parse_object(data.encode("utf-8", "replace"))
        if chunk is None:
            flags.add("malformed")
            continue
        if chunk.get("error"):
            flags.add("error")
        last |= {name: value for name, value in chunk.items() if value and name != "choices"}
        for choice in map(mapped, listed(chunk.get("choices"))):
            if count(choice.get("index")):
                flags.add("several_choices")
                continue
            delta = mapped(choice.get("delta"))
            texts += [text(delta.get("content")), text(delta.get("refusal"))]
            flags |= _choice_flags(delta, choice.get("finish_reason"), several=False)
            ended = ended or bool(choice.get("finish_reason"))
    return _answered(last, "".join(texts), ended=ended, flags=flags)


def _choice_flags(message: dict[str, Any], finish_reason: object, *, several: bool) -> set[str]:
    flags = {_FINISH_FLAGS[reason] for reason in [text(finish_reason)] if reason in _FINISH_FLAGS}
    if message.get("tool_calls") or message.get("function_call"):
        flags.add("tool")
    if message.get("refusal"):
        flags.add("refusal")
    if several:
        flags.add("several_choices")
    return flags


def _answered(body: dict[str, Any], reply: str, *, ended: bool, flags: set[str]) -> Answered:
    usage = mapped(body.get("usage"))
    return Answered(
        text=reply,
        ended=ended,
        model=text(body.get("model")),
        system_fingerprint=text(body.get("system_fingerprint")),
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
        flags=frozenset(flags),
        response_id=text(body.get("id")),
    )

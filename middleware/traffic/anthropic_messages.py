"""Anthropic messages, streamed and not."""

from collections.abc import Iterable
from typing import Any

from middleware.records.conversation import Message
from middleware.traffic.reading import Answered, Asked, content, count, listed, mapped, parse_object, text

__all__ = ["read_answer", "read_events", "read_request"]

_STOP_FLAGS = {"max_tokens": "truncated", "refusal": "refusal", "tool_use": "tool"}
_INPUT_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def read_request(body: dict[str, Any]) -> Asked | None:
    """System prompt and messages; results of tools become messages of their own. None without messages."""
    system = content(body.get("system")).text
    messages = [Message("system", system)] if system else []
    flags: set[str] = set()
    for entry in map(mapped, listed(body.get("messages"))):
        role = text(entry.get("role"))
        if role not in ("user", "assistant"):
            flags.add("unknown_role")
            continue
        results = [part for part in map(mapped, listed(entry.get("content"))) if part.get("type") == "tool_result"]
        messages += [Message("tool", content(part.get("content")).text) for part in results]
        read = content(entry.get("content"))
        flags |= read.flags
        if read.text or not results:
            messages.append(Message(role, read.text))
    if not any(message.role != "system" for message in messages):
        return None
    return Asked(text(body.get("model")), tuple(messages), frozenset(flags))


def read_answer(body: dict[str, Any]) -> Answered:
    """A whole message."""
    read = content(body.get("content"))
    stop = text(body.get("stop_reason"))
    usage = mapped(body.get("usage"))
    return Answered(
        text=read.text,
        ended=bool(stop),
        model=text(body.get("model")),
        prompt_tokens=_input_tokens(usage),
        completion_tokens=count(usage.get("output_tokens")),
        flags=read.flags | ({_STOP_FLAGS[stop]} if stop in _STOP_FLAGS else frozenset()),
        response_id=text(body.get("id")),
    )


def read_events(events: Iterable[str]) -> Answered:
    """The message that the events build, as far as they came."""
    message: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    flags: set[str] = set()
    ended = False
    for data in events:
        event = parse_object(data.encode("utf-8", "replace"))
        if event is None:
            flags.add("malformed")
            continue
        kind = text(event.get("type"))
        index = count(event.get("index")) or 0
        if kind == "message_start":
            message = dict(mapped(event.get("message")))
            usage = dict(mapped(message.get("usage")))
        elif kind == "content_block_start":
            blocks[index] = dict(mapped(event.get("content_block")))
        elif kind == "content_block_delta":
            block = blocks.setdefault(index, {"type": "text"})
            block["text"] = text(block.get("text")) + text(mapped(event.get("delta")).get("text"))
        elif kind == "message_delta":
            message |= mapped(event.get("delta"))
            usage |= {name: value for name, value in mapped(event.get("usage")).items() if value is not None}
        elif kind == "message_stop":
            ended = True
        elif kind == "error":
            flags.add("error")
    message |= {"content": [blocks[index] for index in sorted(blocks)], "usage": usage}
    answer = read_answer(message)
    return Answered(
        text=answer.text,
        ended=ended or answer.ended,
        model=answer.model,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        flags=answer.flags | flags,
        response_id=answer.response_id,
    )


def _input_tokens(usage: dict[str, Any]) -> int | None:
    counts = [count(usage.get(name)) for name in _INPUT_COUNTS]
    return None if counts[0] is None else sum(number or 0 for number in counts)

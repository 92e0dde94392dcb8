"""OpenAI responses, streamed and not. With ``previous_response_id`` a request holds only what is new."""

from collections.abc import Iterable
from typing import Any

from middleware.records.conversation import Message
from middleware.traffic.reading import Answered, Asked, content, count, listed, mapped, parse_object, text

__all__ = ["read_answer", "read_events", "read_request"]

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_INCOMPLETE_FLAGS = {"max_output_tokens": "truncated", "content_filter": "filtered"}
_FINAL = {"response.completed", "response.incomplete", "response.failed"}


def read_request(body: dict[str, Any]) -> Asked | None:
    """Instructions and input, or None where the body has no input."""
    messages = [Message("system", text(body["instructions"]))] if text(body.get("instructions")) else []
    flags: set[str] = set()
    given = body.get("input")
    if isinstance(given, str):
        messages.append(Message("user", text(given)))
    for item in map(mapped, listed(given)):
        message, noted = _input_item(item)
        flags |= noted
        if message is not None:
            messages.append(message)
    if not any(message.role != "system" for message in messages):
        return None
    previous = text(body.get("previous_response_id"))
    return Asked(text(body.get("model")), tuple(messages), frozenset(flags), previous)


def _input_item(item: dict[str, Any]) -> tuple[Message | None, set[str]]:
    kind = text(item.get("type")) or "message"
    if kind == "message":
        role = _ROLES.get(text(item.get("role")))
        if role is None:
            return None, {"unknown_role"}
        read = content(item.get("content"))
        return Message(role, read.text), set(read.flags)
    if kind.endswith("_call_output"):
        return Message("tool", content(item.get("output")).text), {"tool"}
    if kind.endswith("_call"):
        return None, {"tool"}
    return None, set() if kind in ("reasoning", "item_reference", "compaction") else {"unknown_part"}


def read_answer(body: dict[str, Any]) -> Answered:
    """A whole response object."""
    texts: list[str] = []
    flags: set[str] = set()
    for item in map(mapped, listed(body.get("output"))):
        kind = text(item.get("type"))
        if kind == "message":
            read = content(item.get("content"))
            texts.append(read.text)
            flags |= read.flags
        elif kind.endswith("_call"):
            flags.add("tool")
    incomplete = text(mapped(body.get("incomplete_details")).get("reason"))
    flags |= {_INCOMPLETE_FLAGS[incomplete]} if incomplete in _INCOMPLETE_FLAGS else set()
    if body.get("error"):
        flags.add("error")
    usage = mapped(body.get("usage"))
    return Answered(
        text="\n".join(texts),
        ended=text(body.get("status")) in ("completed", "incomplete"),
        model=text(body.get("model")),
        prompt_tokens=count(usage.get("input_tokens")),
        completion_tokens=count(usage.get("output_tokens")),
        flags=frozenset(flags),
        response_id=text(body.get("id")),
    )


def read_events(events: Iterable[str]) -> Answered:
    """The last event holds the whole response; without it, the deltas as far as they came."""
    parts: dict[tuple[int, int], str] = {}
    flags: set[str] = set()
    begun: dict[str, Any] = {}
    for data in events:
        event = parse_object(data.encode("utf-8", "replace"))
        if event is None:
            flags |= set() if data.strip() == "[DONE]" else {"malformed"}
            continue
        kind = text(event.get("type"))
        begun = mapped(event.get("response")) or begun
        if kind in _FINAL:
            break
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            place = (count(event.get("output_index")) or 0, count(event.get("content_index")) or 0)
            parts[place] = parts.get(place, "") + text(event.get("delta"))
            flags |= {"refusal"} if kind == "response.refusal.delta" else set()
        elif kind == "error":
            flags.add("error")
    answer = read_answer(begun)
    return Answered(
        text=answer.text or "\n".join(parts[place] for place in sorted(parts)),
        ended=answer.ended,
        model=answer.model,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        flags=answer.flags | flags,
        response_id=answer.response_id,
    )

"""Careful access to JSON that strangers wrote: any shape is read, nothing raises, wrong types are missing values."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from middleware.records.conversation import Message

__all__ = ["Answered", "Asked", "Content", "content", "count", "listed", "mapped", "parse_object", "text"]

# How each part of a multi-part content is read, over all dialects; a part that is not in here is flagged.
_TEXT_FIELD = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_NOTED = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "file": "file",
    "input_file": "file",
    "document": "file",
}
_TOOL = {"tool_use", "tool_result", "server_tool_use", "mcp_tool_use", "mcp_tool_result", "web_search_tool_result"}
_REASONING = {"thinking", "redacted_thinking", "reasoning", "reasoning_text", "summary_text"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says: messages oldest first."""

    model: str
    messages: tuple[Message, ...]
    flags: frozenset[str] = frozenset()
    previous_response_id: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer says. ended: the model finished, whatever the reason; tokens are None where not told."""

    text: str = ""
    ended: bool = False
    model: str = ""
    system_fingerprint: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    flags: frozenset[str] = frozenset()
    response_id: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a content, its parts joined by line ends; an image or a file stands in it as ``[image]``."""

    text: str
    flags: frozenset[str]


def parse_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object, or None where the bytes are anything else."""
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text(value: object) -> str:
    """A string without lone surrogates (JSON may carry them, UTF-8 can't); anything else is empty."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def mapped(value: object) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """An array, or an empty one."""
    return value if isinstance(value, list) else []


def count(value: object) -> int | None:
    """A number of tokens, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def content(value: object) -> Content:
    """Text of a string or of an array of parts, in any of the dialects."""
    if isinstance(value, str):
        return Content(text(value), frozenset())
    return _joined(mapped(part) if isinstance(part, dict) else {"type": "text", "text": part} for part in listed(value))


def _joined(parts: Iterable[dict[str, Any]]) -> Content:
    texts: list[str] = []
    flags: set[str] = set()
    for part in parts:
        kind = text(part.get("type"))
        if kind in _TEXT_FIELD:
            texts.append(text(part.get(_TEXT_FIELD[kind])))
            flags |= {"refusal"} if kind == "refusal" else set()
        elif kind in _NOTED:
            texts.append(f"[{_NOTED[kind]}]")
            flags.add(_NOTED[kind])
        elif kind in _TOOL:
            flags.add("tool")
        elif kind not in _REASONING:
            flags.add("unknown_part")
    return Content("\n".join(part for part in texts if part), frozenset(flags))

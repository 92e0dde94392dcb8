"""The body of a message: signed JSON for applications, or text and blocks as Slack takes them. Pure."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from middleware.records.event import Event
from middleware.webhooks.words import said

__all__ = ["Context", "slack_body", "standard_body"]

_MOST_FIELDS = 10  # of a section, https://docs.slack.dev/reference/block-kit/blocks/section-block
_HEADER_CHARACTERS, _TEXT_CHARACTERS, _FIELD_CHARACTERS = 150, 3000, 2000


@dataclass(frozen=True, slots=True)
class Context:
    """What every message of an installation says alike. link: of the status page, empty where it is not public."""

    link: str = ""
    false_alarms_per_year: float = 1.0


def standard_body(event: Event, context: Context, *, now: float) -> bytes:
    """``{"type", "timestamp", "data"}``, as Standard Webhooks names them. now: of this attempt, for the age."""
    words = said(event, false_alarms_per_year=context.false_alarms_per_year)
    data: dict[str, Any] = {"event": event.id, "deployment": event.deployment, **event.details}
    if isinstance(ended := event.details.get("turn_ended_at"), int | float):
        data["age_seconds"] = round(max(0.0, now - ended), 3)
    data["text"] = f"{words.headline}. {words.text}".strip()
    if context.link:
        data["link"] = context.link
    timestamp = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"type": event.kind, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def slack_body(event: Event, context: Context) -> bytes:
    """``{"text", "blocks"}``; the text alone says all of it, for notifications and readers without blocks."""
    words = said(event, false_alarms_per_year=context.false_alarms_per_year)
    where = event.deployment or "this installation"
    figures = [(name, value) for name, value in words.figures if value]
    lines = [f"{words.headline} \N{MIDDLE DOT} {where}", words.text, *(f"{name}: {value}" for name, value in figures)]
    lines.append(context.link)
    blocks: list[dict[str, Any]] = [_block("header", "plain_text", f"{words.headline} \N{MIDDLE DOT} {where}")]
    if words.text:
        blocks.append({"type": "section", "text": _mrkdwn(_escaped(words.text), _TEXT_CHARACTERS)})
    for first in range(0, len(figures), _MOST_FIELDS):
        fields = figures[first : first + _MOST_FIELDS]
        blocks.append(
            {
                "type": "section",
                "fields": [
                    _mrkdwn(f"*{_escaped(name)}*\n{_escaped(value)}", _FIELD_CHARACTERS) for name, value in fields
                ],
            }
        )
    told = f"<!date^{int(event.at)}^{{date_short_pretty}} {{time}}|{_iso(event.at)}>"
    link = f"<{context.link}|Status page> \N{MIDDLE DOT} " if context.link else ""
    blocks.append({"type": "context", "elements": [_mrkdwn(f"{link}eqwatch \N{MIDDLE DOT} {told}", _TEXT_CHARACTERS)]})
    body = {"text": _escaped("\n".join(line for line in lines if line))[:_TEXT_CHARACTERS], "blocks": blocks}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _block(kind: str, style: str, text: str) -> dict[str, Any]:
    return {"type": kind, "text": {"type": style, "text": text[:_HEADER_CHARACTERS], "emoji": False}}


def _mrkdwn(text: str, characters: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text[:characters]}


def _escaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""How the status page writes numbers, times and names: Jinja filters, pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import urlencode

from middleware.admin.verdict import points, span
from middleware.records.event import Event

__all__ = ["FILTERS"]

_DASH = "\N{EN DASH}"
_EVENTS = {
    "upgrade_declared": "Upgrade declared",
    "upgrade_noticed": "Model change noticed",
    "upgrade_verdict": "Upgrade judged",
    "upgrade_withdrawn": "Version before is back",
    "incident_opened": "Incident opened",
    "incident_closed": "Incident closed",
    "reference_margin_crossed": "Fell below the reference of record by the margin",
    "reference_margin_recovered": "Back near the reference of record",
    "benchmark_paused": "Benchmark paused",
    "calls_paused": "All own calls stopped",
    "calls_resumed": "Own calls go on",
    "benchmark_resumed": "Benchmark resumed",
    "baseline_accepted": "Baseline accepted",
    "baseline_created": "Baseline made, not yet accepted",
    "emotion_drift": "Users' emotions drifted",
    "state_set_aside": "State of another version set aside",
    "store_set_aside": "Damaged store set aside",
}
# Their points are a difference to the baseline, not a level.
_CHANGES = frozenset(
    {
        "incident_opened",
        "incident_closed",
        "upgrade_verdict",
        "reference_margin_crossed",
        "reference_margin_recovered",
    }
)
_OUTCOMES = {
    "scored": "scored",
    "unparseable": "not readable",
    "refused": "refused",
    "truncated": "cut off",
    "api_error": "call failed",
    "timeout": "timed out",
}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(at: float) -> str:
    """``12 Nov 2026, 14:05 UTC``."""
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def _day(at: float) -> str:
    """``12 Nov``, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%d %b").lstrip("0")


def _money(value: float) -> str:
    return f"{value:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _score(value: float | None) -> str:
    return _DASH if value is None else points(value, signed=False)


def _percent(share: float | None) -> str:
    return _DASH if share is None else f"{100 * share:.0f}%"


def _whole(value: int) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _tenth(value: float) -> str:
    return f"{value:.1f}"


def _event(kind: str) -> str:
    return _EVENTS.get(kind, kind.replace("_", " ").capitalize())


def _figures(event: Event) -> str:
    """What the event's details say in a line: the models, or the points; empty where they say neither."""
    details = event.details
    words = [str(details["verdict"])] if details.get("verdict") else []
    if details.get("from_model") or details.get("to_model"):
        words.insert(0, f"{details.get('from_model') or '?'} → {details.get('to_model') or '?'}")
    level = details.get("points")
    if isinstance(level, int | float):
        words.append(f"{points(level, signed=event.kind in _CHANGES)} points")
    return ", ".join(words)


def _outcome(name: str) -> str:
    return _OUTCOMES.get(name, name)


def _query(parameters: dict[str, str]) -> str:
    return urlencode(parameters)


FILTERS: MappingProxyType[str, Callable[..., str]] = MappingProxyType(
    {
        "day": _day,
        "event": _event,
        "figures": _figures,
        "iso": _iso,
        "moment": _moment,
        "money": _money,
        "outcome": _outcome,
        "percent": _percent,
        "points": points,
        "query": _query,
        "score": _score,
        "span": span,
        "tenth": _tenth,
        "whole": _whole,
    }
)

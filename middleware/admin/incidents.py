"""Incidents as people read them: what opened, on what evidence, how it ended, and how to acknowledge it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from middleware.admin.verdict import points, span
from middleware.records.event import Event
from middleware.records.standing import Standing

__all__ = ["IncidentView", "incidents_of"]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """opened: the event of its begin. closed: the event of its end, None while it is open. evidence: in a sentence."""

    opened: Event
    closed: Event | None
    evidence: str
    open: bool

    @property
    def kind(self) -> str:
        """``regression`` or ``change``."""
        return str(self.opened.details.get("kind") or "regression")

    @property
    def item_set(self) -> str:
        """Where it was seen; empty where the event does not say."""
        return str(self.opened.details.get("item_set") or "")


def incidents_of(events: Sequence[Event], standings: Iterable[Standing]) -> tuple[IncidentView, ...]:
    """The open ones first, each group newest first."""
    ends = {event.details.get("incident"): event for event in events if event.kind == "incident_closed"}
    open_ids = {standing.incident for standing in standings if standing.incident}
    found = [
        IncidentView(event, ends.get(event.id), _evidence(event), event.id in open_ids)
        for event in events
        if event.kind == "incident_opened"
    ]
    return tuple(sorted(found, key=lambda one: (not one.open, -one.opened.at)))


def _evidence(event: Event) -> str:
    details = event.details
    parts = []
    figures = [details.get(name) for name in ("points", "lower", "upper")]
    if isinstance(figures[0], int | float):
        words = f"{points(figures[0])} points at the alarm"
        if isinstance(figures[1], int | float) and isinstance(figures[2], int | float):
            words += f", 95% interval {points(figures[1])} to {points(figures[2])}"
        parts.append(words)
    items, batches, since = details.get("items"), details.get("batches"), details.get("since")
    if isinstance(items, int) and items:
        words = f"from {items} answers in {batches} {'batch' if batches == 1 else 'batches'}"
        if isinstance(since, int | float) and event.at > since:
            words += f" within {span(event.at - since)}"
        parts.append(words)
    evidence = details.get("evidence_log10" if details.get("kind") != "change" else "change_evidence_log10")
    if isinstance(evidence, int | float) and evidence > 0:
        parts.append(f"evidence {_odds(evidence)} to 1 against no change")
    return "; ".join(parts)


def _odds(log10: float) -> str:
    """Two digits of a large number: more would claim too much."""
    if log10 > 6:
        return "over a million"
    value = 10.0**log10
    scale = 10 ** max(0, math.floor(log10) - 1)
    return f"{round(value / scale) * scale:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")

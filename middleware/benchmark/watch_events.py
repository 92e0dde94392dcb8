"""What a watch tells: the events of incidents, upgrades and baselines, with their figures. Pure; it decides nothing."""

from collections.abc import Mapping
from typing import Any

from middleware.benchmark.plan import Plan
from middleware.benchmark.watch_state import Rise, WatchState
from middleware.records.event import Event
from scorer.baseline import Baseline
from scorer.detection import Incident, IncidentStep, Kind, Reading
from scorer.reference import Difference

__all__ = ["baseline_event", "incident_events", "reference_event", "upgrade_event"]

Details = dict[str, str | float | int | bool | None]
_CONDITIONS: Mapping[Kind, str] = {"regression": "regressed", "change": "changed"}


def incident_events(plan: Plan, state: WatchState, step: IncidentStep, reading: Reading | None) -> list[Event]:
    """One event for each incident that was opened or closed. state: before the step was taken."""
    opened = [_opened(plan, incident, state.rises.get(incident.kind)) for incident in step.opened]
    closed = [_closed(plan, incident, state.incident_ids.get(incident.kind, 0), reading) for incident in step.closed]
    return [*opened, *closed]


def _opened(plan: Plan, incident: Incident, rise: Rise | None) -> Event:
    details: Details = {
        **_subject(plan),
        "kind": incident.kind,
        "condition": _CONDITIONS[incident.kind],
        "points": incident.delta_points,
        "lower": incident.delta_lower,
        "upper": incident.delta_upper,
        # What the evidence rests on: since the statistic left the ground, the alarm's own batch included.
        "since": rise.at if rise is not None else incident.opened_at,
        "batches": rise.batches if rise is not None else 0,
        "items": rise.items if rise is not None else 0,
        "cusum_ratio": incident.cusum_ratio,
        "evidence_log10": incident.e_log10,
        "change_evidence_log10": incident.change_e_log10,
        "answer_change_ratio": incident.answer_change_ratio,
    }
    return Event("incident_opened", plan.deployment, incident.opened_at, details)


def _closed(plan: Plan, incident: Incident, opened_by: int, reading: Reading | None) -> Event:
    at = incident.closed_at if incident.closed_at is not None else incident.opened_at
    details: Details = {
        **_subject(plan),
        "kind": incident.kind,
        "incident": opened_by,
        "cause": incident.cause,
        "since": incident.opened_at,
        "seconds": at - incident.opened_at,
        "points": reading.delta_points if reading is not None else None,
        "lower": reading.delta_lower if reading is not None else None,
        "upper": reading.delta_upper if reading is not None else None,
    }
    return Event("incident_closed", plan.deployment, at, details)


def upgrade_event(kind: str, plan: Plan, from_model: str, to_model: str, at: float, **more: Any) -> Event:
    """`upgrade_noticed` or `upgrade_withdrawn`."""
    details: Details = {"item_set": plan.item_set.name, "from_model": from_model, "to_model": to_model, **more}
    return Event(kind, plan.deployment, at, details)


def baseline_event(kind: str, plan: Plan, baseline: Baseline, days: float, at: float) -> Event:
    """`baseline_accepted`, or `baseline_created` where somebody has to accept it."""
    details: Details = {
        **_subject(plan),
        "points": baseline.points,
        "passes": baseline.passes,
        "days": days,
        "run_sd_points": baseline.run_sd_points,
    }
    return Event(kind, plan.deployment, at, details)


def reference_event(plan: Plan, distance: Difference, at: float, *, below: bool) -> Event:
    """`reference_margin_crossed` where small losses have added up to the margin, `reference_margin_recovered` after."""
    details: Details = {
        **_subject(plan),
        "points": distance.points,
        "lower": distance.lower,
        "upper": distance.upper,
        "margin": plan.margin,
    }
    return Event(f"reference_margin_{'crossed' if below else 'recovered'}", plan.deployment, at, details)


def _subject(plan: Plan) -> Details:
    return {"item_set": plan.item_set.name, "model": plan.model}

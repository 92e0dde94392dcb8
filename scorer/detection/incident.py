"""Incidents: what an alarm begins, and what ends it. A state machine over readings; it notifies nobody.

An alarm opens an incident and asks for its statistics to be restarted, since evidence that goes on growing would
take months to come down. A regression ends when a whole pass after its opening bounds the loss under one point; a
change when a whole pass shows the old answers again. A declared change ends both, an acknowledgement the one it names.
Where the change is noticed to be an upgrade, it is no silent one any more, and that incident ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from scorer.detection.detector import Reading

__all__ = [
    "Cause",
    "Incident",
    "IncidentState",
    "IncidentStep",
    "Kind",
    "acknowledge",
    "declare",
    "end",
    "follow",
    "judge_worse",
    "roll_back",
]

Kind = Literal["regression", "change"]
Cause = Literal["recovered", "rolled_back", "declared", "noticed", "acknowledged"]

KINDS: tuple[Kind, ...] = ("regression", "change")
RECOVERED_LOSS = 1.0
"""Points: a regression is over once the loss is surely smaller."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident with the evidence at its opening. Times are the caller's, Unix seconds; deltas are points."""

    kind: Kind
    opened_at: float
    cusum_ratio: float
    e_log10: float
    change_e_log10: float
    delta_points: float | None
    delta_lower: float | None
    delta_upper: float | None
    answer_change_ratio: float | None
    closed_at: float | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class IncidentState:
    """The open incidents of one detector, at most one of a kind."""

    regression: Incident | None = None
    change: Incident | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "IncidentState":
        """The inverse of to_dict."""
        found = {kind: data.get(kind) for kind in cls.__dataclass_fields__}
        return cls(**{kind: Incident(**values) if values else None for kind, values in found.items()})


@dataclass(frozen=True, slots=True)
class IncidentStep:
    """What happened, and which statistics the caller has to restart (`Detector.restart`)."""

    state: IncidentState
    opened: tuple[Incident, ...] = ()
    closed: tuple[Incident, ...] = ()
    restart: tuple[Kind, ...] = ()


def follow(state: IncidentState, reading: Reading, *, at: float) -> IncidentStep:
    """After a batch: open what alarms, close what is over."""
    step = IncidentStep(state)
    if state.regression is None and reading.regression:
        step = _opened(step, "regression", reading, at)
    elif state.regression is not None and _recovered(reading):
        step = _closed(step, "regression", "recovered", at)
    if state.change is None and reading.change:
        step = _opened(step, "change", reading, at)
    elif state.change is not None and _rolled_back(reading):
        step = _closed(step, "change", "rolled_back", at)
    elif state.change is not None and reading.answers_balanced:
        # The next pass is looked at by itself: what this one added up would outlast the change by months.
        step = replace(step, restart=(*step.restart, "change"))
    return step


def declare(state: IncidentState, *, at: float) -> IncidentStep:
    """The change was announced: both kinds end, and both statistics start anew against what comes next."""
    return end(state, "declared", at=at)


def roll_back(state: IncidentState, *, at: float) -> IncidentStep:
    """The version of the baseline answers again: both kinds end, and both statistics start anew."""
    return end(state, "rolled_back", at=at)


def end(state: IncidentState, cause: Cause, *, at: float, kinds: Sequence[Kind] = KINDS) -> IncidentStep:
    """End what is open of these kinds, for a reason from outside; their statistics start anew, open or not."""
    step = IncidentStep(state, restart=tuple(kinds))
    for kind in kinds:
        step = _closed(step, kind, cause, at)
    return step


def acknowledge(state: IncidentState, kind: Kind, *, at: float) -> IncidentStep:
    """Somebody took it in, with a new baseline or without. Without an open incident of that kind nothing happens."""
    step = IncidentStep(state)
    return step if _of(state, kind) is None else _closed(step, kind, "acknowledged", at)


def _recovered(reading: Reading) -> bool:
    return reading.balanced and reading.delta_lower is not None and -reading.delta_lower < RECOVERED_LOSS


def _rolled_back(reading: Reading) -> bool:
    return reading.answers_balanced and not reading.drifting and not reading.change_suspected


def judge_worse(state: IncidentState, reading: Reading, *, at: float) -> IncidentStep:
    """A comparison decided that the model is worse: a regression is open from now on, if none was."""
    step = IncidentStep(state)
    return step if state.regression is not None else _opened(step, "regression", reading, at)


def _opened(step: IncidentStep, kind: Kind, reading: Reading, at: float) -> IncidentStep:
    incident = Incident(
        kind=kind,
        opened_at=at,
        cusum_ratio=reading.cusum_ratio,
        e_log10=reading.e_log10,
        change_e_log10=reading.change_e_log10,
        delta_points=reading.delta_points,
        delta_lower=reading.delta_lower,
        delta_upper=reading.delta_upper,
        answer_change_ratio=reading.answer_change_ratio,
    )
    return replace(
        step,
        state=_with(step.state, kind, incident),
        opened=(*step.opened, incident),
        restart=(*step.restart, kind),
    )


def _closed(step: IncidentStep, kind: Kind, cause: Cause, at: float) -> IncidentStep:
    incident = _of(step.state, kind)
    if incident is None:
        return step
    restart = step.restart if kind in step.restart else (*step.restart, kind)
    return replace(
        step,
        state=_with(step.state, kind, None),
        closed=(*step.closed, replace(incident, closed_at=at, cause=cause)),
        restart=restart,
    )


def _of(state: IncidentState, kind: Kind) -> Incident | None:
    return state.regression if kind == "regression" else state.change


def _with(state: IncidentState, kind: Kind, incident: Incident | None) -> IncidentState:
    if kind == "regression":
        return replace(state, regression=incident)
    return replace(state, change=incident)

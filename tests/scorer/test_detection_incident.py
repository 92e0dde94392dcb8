"""Incidents: their beginning, their restart, their end."""

import json
from dataclasses import replace

import pytest

from scorer.detection import IncidentState, Reading, acknowledge, declare, follow, judge_worse, roll_back

_CALM = Reading(
    cusum=0.0,
    cusum_limit=10.0,
    cusum_ratio=0.0,
    e_log10=0.1,
    change_e_log10=0.1,
    threshold_log10=3.7,
    delta_points=0.0,
    delta_lower=-0.4,
    delta_upper=0.4,
    answer_change_ratio=0.1,
    suspected=False,
    regression=False,
    change=False,
    change_suspected=False,
    drifting=False,
    balanced=False,
    answers_balanced=False,
    used=12,
    skipped=0,
)
_PAGE = replace(_CALM, regression=True, suspected=True, e_log10=5.0, cusum_ratio=1.4, delta_points=-4.0)
_WARN = replace(_CALM, change=True, change_suspected=True, drifting=True)


def test_an_alarm_opens_one_incident_with_its_evidence_and_a_restart() -> None:
    """The second alarm of the same kind opens nothing."""
    step = follow(IncidentState(), _PAGE, at=100.0)
    assert [(i.kind, i.opened_at, i.e_log10, i.delta_points) for i in step.opened] == [("regression", 100.0, 5.0, -4.0)]
    assert step.restart == ("regression",)
    again = follow(step.state, _PAGE, at=200.0)
    assert (again.opened, again.closed, again.restart) == ((), (), ())
    assert again.state == step.state


def test_a_regression_ends_after_a_whole_pass_that_bounds_the_loss() -> None:
    """Not before every item was seen again, not while a loss of a point is possible."""
    state = follow(IncidentState(), _PAGE, at=100.0).state
    assert follow(state, _CALM, at=200.0).closed == ()
    assert follow(state, replace(_CALM, balanced=True, delta_lower=-1.1), at=200.0).closed == ()
    step = follow(state, replace(_CALM, balanced=True), at=300.0)
    assert [(i.cause, i.closed_at) for i in step.closed] == [("recovered", 300.0)]
    assert step.state == IncidentState()
    assert step.restart == ("regression",)


def test_a_change_ends_when_a_whole_pass_shows_the_old_answers() -> None:
    """Not while answers are still astray, not while evidence is growing."""
    state = follow(IncidentState(), _WARN, at=100.0).state
    back = replace(_CALM, answers_balanced=True)
    for not_yet in (_CALM, replace(back, drifting=True), replace(back, change_suspected=True)):
        assert follow(state, not_yet, at=200.0).closed == ()
    assert [i.cause for i in follow(state, back, at=300.0).closed] == ["rolled_back"]


def test_each_pass_of_an_open_change_is_looked_at_by_itself() -> None:
    """Evidence of a change that lasted would otherwise keep it open long after the rollback."""
    state = follow(IncidentState(), _WARN, at=100.0).state
    assert follow(state, _WARN, at=200.0).restart == ()
    step = follow(state, replace(_WARN, answers_balanced=True), at=200.0)
    assert (step.restart, step.closed, step.state) == (("change",), (), state)


def test_both_kinds_live_side_by_side() -> None:
    """A warning stays open while a page comes and goes."""
    state = follow(IncidentState(), _WARN, at=1.0).state
    state = follow(state, replace(_PAGE, drifting=True), at=2.0).state
    assert state.regression is not None
    step = follow(state, replace(_CALM, balanced=True, drifting=True), at=3.0)
    assert step.state.regression is None
    assert step.state.change is not None


def test_a_declared_change_ends_both_and_restarts_both() -> None:
    """What was announced is no incident; without an open one the statistics start anew all the same."""
    state = follow(follow(IncidentState(), _WARN, at=1.0).state, _PAGE, at=2.0).state
    step = declare(state, at=3.0)
    assert [(i.kind, i.cause) for i in step.closed] == [("regression", "declared"), ("change", "declared")]
    assert set(step.restart) == {"regression", "change"}
    assert declare(IncidentState(), at=4.0).restart == ("regression", "change")


@pytest.mark.parametrize("kind", ["regression", "change"])
def test_an_acknowledgement_ends_the_one_it_names(kind: str) -> None:
    """The other one stays open, and acknowledging nothing does nothing."""
    state = follow(follow(IncidentState(), _WARN, at=1.0).state, _PAGE, at=2.0).state
    step = acknowledge(state, "regression" if kind == "regression" else "change", at=3.0)
    assert [(i.kind, i.cause) for i in step.closed] == [(kind, "acknowledged")]
    assert step.restart == (kind,)
    assert (step.state.regression is None) == (kind == "regression")
    assert (step.state.change is None) == (kind == "change")
    assert acknowledge(IncidentState(), "change", at=4.0).closed == ()


def test_open_incidents_survive_json() -> None:
    """A restart of the process forgets no incident."""
    state = follow(IncidentState(), _PAGE, at=100.0).state
    assert IncidentState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def test_a_rollback_ends_both_and_says_so() -> None:
    """The baseline's own version answers again: nothing is left open, and both statistics start anew."""
    state = follow(follow(IncidentState(), _WARN, at=1.0).state, _PAGE, at=2.0).state
    step = roll_back(state, at=3.0)
    assert [(i.kind, i.cause) for i in step.closed] == [("regression", "rolled_back"), ("change", "rolled_back")]
    assert step.state == IncidentState()


def test_a_comparison_that_says_worse_opens_a_regression_once() -> None:
    """An upgrade that was judged worse is an incident like any other; one that is open already stays the one."""
    step = judge_worse(IncidentState(), _CALM, at=5.0)
    assert [(i.kind, i.opened_at) for i in step.opened] == [("regression", 5.0)]
    assert judge_worse(step.state, _CALM, at=6.0).opened == ()

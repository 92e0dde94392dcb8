"""What is told of each emotion: the newest estimate, its trend, what it is worth; and the header's value."""

from dataclasses import replace
from typing import Any

import pytest

from middleware.awareness.estimates import estimates
from middleware.awareness.header import header_value
from middleware.records.conversation import ProbeResult
from scorer.repeatability import Repeatability

KNOWN = {"Joy": Repeatability(40, 0.9, 0.77, 0.3)}


def result(turn: int, emotions: dict[str, float], **changes: Any) -> ProbeResult:
    """A perception."""
    made = ProbeResult(
        "tutor",
        "eq_1",
        turn,
        "perception",
        "scored",
        emotions,
        judge="small",
        at=10.0 * turn,
        turn_ended_at=10.0 * turn,
    )
    return replace(made, **changes)


def test_the_newest_estimate_with_trend_and_confidence() -> None:
    """By turn and then by time; confidence only where the judge was asked twice often enough."""
    found = estimates(
        [result(2, {"Joy": 5.0, "Calm": 1.0}), result(1, {"Joy": 3.0}), result(3, {}, outcome="refused")],
        "perception",
        KNOWN,
    )
    joy, calm = found["Joy"], found["Calm"]
    assert (joy.intensity, joy.result.turn, joy.readings, joy.retests, joy.confidence) == (5.0, 2, 2, 40, 0.77)
    assert joy.trend is not None
    assert (joy.trend.slope, joy.trend.direction) == (2.0, "rising")
    assert (calm.confidence, calm.retests, calm.trend, calm.readings) == (None, 0, None, 1)
    assert joy.ended_at == 20.0


def test_other_judges_and_steered_turns_are_in_no_trend() -> None:
    """A change of judge looks like a change of the user."""
    found = estimates(
        [
            result(1, {"Joy": 9.0}, judge="other"),
            result(2, {"Joy": 9.0}, flags=("orders",)),
            result(3, {"Joy": 2.0}),
            result(4, {"Joy": 3.0}),
        ],
        "perception",
        {},
    )
    assert found["Joy"].trend is not None
    assert found["Joy"].trend.slope == pytest.approx(1.0)
    assert found["Joy"].readings == 4


def test_the_header_is_a_dictionary_of_structured_fields() -> None:
    """Lower-case keys, decimals, the turn and the judge; emotions of the newest turn only."""
    found = estimates([result(1, {"Joy": 3.0, "Calm": 4.0}), result(2, {"Joy": 5.25})], "perception", KNOWN)
    assert header_value(found) == 'joy=5.2;confidence=0.77;trend=2.2, turn=2, judge="small"'
    assert header_value({}) == ""


def test_the_header_escapes_the_judge_and_says_what_was_steered() -> None:
    """Quotes and backslashes are escaped; a name that no header may carry is left out."""
    odd = estimates([result(1, {"Joy": 3.0}, judge='a"b\\c', flags=("orders",))], "perception", {})
    assert header_value(odd) == 'joy=3.0, turn=1, judge="a\\"b\\\\c", steered'
    other = estimates([result(1, {"Joy": 3.0}, judge="modèle\r\n")], "perception", {})
    assert header_value(other) == "joy=3.0, turn=1"

"""A judge's answer is exactly what was asked for, or an outcome with a reason."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.probe.answers import read_answer
from middleware.probe.prompts import INSTRUCTIONS

EMOTIONS = ("Joy", "Calm")
GOOD = '{"Joy": 3, "Calm": 7.5}'


def outcome(text: str) -> tuple[str, str]:
    found = read_answer(text, EMOTIONS, nonce="c0ffee00c0ffee00")
    return found.outcome, found.reason


@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```", "Joy: 3\nCalm: 7.5", "**Joy**: 3\n- Calm: 7,5"])
def test_an_answer_is_read(text: str) -> None:
    """As JSON, fenced or not, and as lines."""
    assert read_answer(text, EMOTIONS, nonce="c0ffee00c0ffee00").emotions == {"Joy": 3.0, "Calm": 7.5}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"Joy": 3, "Calm": 7, "Rage": 10}', "unknown_emotion"),
        ("Joy: 3\nCalm: 7\nRage: 10", "unknown_emotion"),
        ('{"Joy": 3, "Calm": 7, "Joy": 10}', "contradiction"),
        ("Joy: 3\nCalm: 7\nJoy: 10", "contradiction"),
        ('{"Joy": 3}', "missing_emotion"),
        ('{"Joy": 10.99, "Calm": 1}', "out_of_range"),
        ('{"Joy": -1, "Calm": 1}', "out_of_range"),
        (f"{GOOD} c0ffee00c0ffee00", "prompt_echo"),
        (f"{GOOD} C0FFEE00C0FFEE00", "prompt_echo"),
        *((f"{said}\n{GOOD}", "prompt_echo") for said in INSTRUCTIONS),
    ],
)
def test_what_was_not_asked_for_is_no_reading(text: str, reason: str) -> None:
    """A fifth emotion, two values for one, a number out of range, the code of the call, our own instructions."""
    assert outcome(text) == ("unparseable", reason)


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e308", '"ten"', '"0x0A"', "true", "null", "[7]", "{}"]
)
def test_what_is_no_number_from_0_to_10_is_no_reading(value: str) -> None:
    """Though JSON readers take some of it."""
    found = read_answer(f'{{"Joy": {value}, "Calm": 1}}', EMOTIONS, nonce="n0nce")
    assert found.outcome == "unparseable"
    assert found.emotions == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["Joy", "Calm", "joy", "X"]), children)
    ),
    max_leaves=6,
)


@given(answer=st.text(max_size=200) | JSON.map(lambda value: json.dumps(value)))
def test_whatever_is_answered_readings_are_whole_and_in_range(answer: Any) -> None:
    """Or there are none."""
    found = read_answer(answer, EMOTIONS, nonce="c0ffee00c0ffee00")
    assert found.emotions.keys() == (set(EMOTIONS) if found.outcome == "scored" else set())
    assert all(math.isfinite(value) and 0 <= value <= 10 for value in found.emotions.values())

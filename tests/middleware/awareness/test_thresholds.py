"""Thresholds: how they are written, when they are crossed, and when they stay silent."""

from dataclasses import replace

import pytest

from middleware.awareness.thresholds import crossings
from middleware.records.conversation import ProbeResult
from middleware.records.threshold import Threshold, parse_threshold

EMOTIONS = ("Boredom", "Trust")
BORED = Threshold("Boredom", True, 7.0, 2, 5.0)


def estimate(turn: int, boredom: float, **changes: object) -> ProbeResult:
    """A perception of one turn."""
    found = ProbeResult(
        "tutor",
        "eq_1",
        turn,
        "perception",
        "scored",
        {"Boredom": boredom, "Trust": 5.0},
        judge="small",
        at=100.0 * turn,
        turn_ended_at=100.0 * turn - 1,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def crossed(intensities: list[float], threshold: Threshold = BORED) -> list[int]:
    """The turns at which it is crossed."""
    return [turn for turn in range(1, len(intensities) + 1) if threshold.crossed_by_last(intensities[:turn])]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("boredom >= 7 for 2 turns", Threshold("Boredom", True, 7.0, 2, 5.0)),
        ("Boredom>=7.5", Threshold("Boredom", True, 7.5, 1, 5.5)),
        ("Trust <= 3 for 1 turn, again above 6", Threshold("Trust", False, 3.0, 1, 6.0)),
        ("Boredom >= 7 again below 7", Threshold("Boredom", True, 7.0, 1, 7.0)),
    ],
)
def test_thresholds_are_read_and_written_back(text: str, rule: Threshold) -> None:
    """Without `again`, the silence ends two points from the level; what is written can be read."""
    assert parse_threshold(text, EMOTIONS) == rule
    assert parse_threshold(str(rule), EMOTIONS) == rule


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("boredom > 7", "can't be read"),
        ("Joy >= 7", "use one of Boredom, Trust"),
        ("Boredom >= 11", "can't be reached"),
        ("Boredom >= 7 for 0 turns", "can't be reached"),
        ("Boredom >= 7, again above 8", "again below"),
        ("Boredom >= 7, again below 8", "own silence"),
        ("Boredom >= 2", "second time"),
        ("Trust <= 9", "second time"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_explained(text: str, problem: str) -> None:
    """With the text and the remedy."""
    with pytest.raises(ValueError, match=problem) as caught:
        parse_threshold(text, EMOTIONS)
    assert text in str(caught.value)


def test_a_crossing_takes_turns_in_a_row_and_then_silence() -> None:
    """Told once; again only after an estimate below the lower bound, however often it dips under the level."""
    assert crossed([8, 6, 8, 8, 8, 6, 8, 8, 4, 8, 8]) == [4, 11]
    assert crossed([5, 5, 3, 2, 5, 7, 2], Threshold("Trust", False, 3.0, 1, 6.0)) == [3, 7]
    assert crossed([0, 7, 7]) == [3]
    assert crossed([]) == []


def test_the_event_says_what_was_crossed_by_whom() -> None:
    """Conversation by its salted id, and no text, as there is none."""
    results = [estimate(1, 8.0), estimate(2, 9.0)]
    [event] = crossings(results, results[-1], [BORED], now=500.0)
    assert (event.kind, event.deployment, event.at) == ("emotion_threshold", "tutor", 500.0)
    assert event.details == {
        "conversation": "eq_1",
        "emotion": "Boredom",
        "intensity": 9.0,
        "threshold": "Boredom >= 7 for 2 turns, again below 5",
        "turn": 2,
        "turns": 2,
        "turn_ended_at": 199.0,
        "judge": "small",
        "judge_version": "",
    }


def test_turns_without_an_estimate_neither_count_nor_break_a_row() -> None:
    """Missing is not zero: an unreadable turn, a prediction and another deployment's rating are left out."""
    results = [
        estimate(1, 8.0),
        estimate(2, 0.0, outcome="unparseable", emotions={}),
        estimate(2, 0.0, kind="anticipation"),
        estimate(2, 0.0, deployment="other"),
        estimate(2, 0.0, flags=("scores",)),
        estimate(3, 8.0),
    ]
    assert len(list(crossings(results, results[-1], [BORED], now=1.0))) == 1


def test_a_late_estimate_of_an_earlier_turn_crosses_nothing() -> None:
    """What is known of a later turn is newer."""
    results = [estimate(1, 8.0), estimate(2, 8.0), estimate(3, 1.0)]
    assert list(crossings(results, results[1], [BORED], now=1.0)) == []

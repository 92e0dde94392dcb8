"""Which conversations the relay is told of, and what."""

from typing import Any

from middleware.awareness.recent import Recent
from middleware.control.headers import EmotionsHeader
from middleware.records.conversation import ProbeResult
from middleware.records.exchange import Exchange
from middleware.traffic.hashing import conversation_id

SALT = b"salt of sixteen bytes"


def exchange(conversation: str) -> Exchange:
    """An exchange that names its conversation, or does not."""
    return Exchange(
        "tutor",
        "openai_chat",
        b"POST",
        b"/",
        [],
        b"",
        False,
        200,
        [],
        b"",
        False,
        True,
        conversation,
        "",
        0.0,
        0.0,
        0.0,
    )


def result(name: str, turn: int, **changes: Any) -> ProbeResult:
    """An estimate of a named conversation."""
    values = {"kind": "perception", "outcome": "scored", "emotions": {"Joy": float(turn)}, **changes}
    return ProbeResult("tutor", conversation_id(SALT, name), turn, judge="m", at=9.0, turn_ended_at=8.0, **values)


def header(**changes: Any) -> tuple[EmotionsHeader, list[tuple[str, str, float]]]:
    """A header over a list of what was told."""
    told: list[tuple[str, str, float]] = []
    made = EmotionsHeader(SALT, tell=lambda *said: told.append(said), **changes)
    return made, told


def say(made: EmotionsHeader, *results: ProbeResult) -> None:
    """Results, as judges give them."""
    recent = Recent()
    recent.listeners.append(made.take)
    for one in results:
        recent.take(one)


def test_the_relay_is_told_by_the_name_that_it_knows() -> None:
    """An estimate of a conversation that was named; others have no header."""
    made, told = header()
    made.note(exchange("mine"))
    made.note(exchange(""))
    say(made, result("mine", 1), result("not named", 1), result("mine", 2))
    assert told == [
        ("mine", 'joy=1.0, turn=1, judge="m"', 8.0),
        ("mine", 'joy=2.0;trend=1.0, turn=2, judge="m"', 8.0),
    ]


def test_only_what_a_user_feels_now_is_told() -> None:
    """No prediction, no answer key, nothing unreadable, and no estimate of a turn before the newest."""
    made, told = header()
    made.note(exchange("mine"))
    odd = ({"kind": "anticipation"}, {"kind": "expressed"}, {"outcome": "refused", "emotions": {}})
    say(made, result("mine", 3), *(result("mine", 4, **one) for one in odd), result("mine", 2))
    assert [value for _, value, _ in told] == ['joy=3.0, turn=3, judge="m"']


def test_the_names_are_bounded() -> None:
    """The one that was not heard of for longest goes."""
    made, told = header(capacity=2)
    for name in ("a", "b", "a", "c"):
        made.note(exchange(name))
    assert len(made) == 2
    say(made, *(result(name, 1) for name in ("a", "b", "c")))
    assert [name for name, _, _ in told] == ["a", "c"]


def test_of_an_erased_conversation_nothing_is_said_any_more() -> None:
    """The relay forgets it at once."""
    made, told = header()
    made.note(exchange("mine"))
    say(made, result("mine", 1))
    made.forget([conversation_id(SALT, "mine"), "eq_unknown"])
    say(made, result("mine", 2))
    assert told[1:] == [("mine", "", 0.0)]
    assert len(made) == 0

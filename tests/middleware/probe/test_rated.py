"""Rated turns: what belongs together, what a session is, and what became of each prediction."""

from typing import Any

from middleware.probe.rated import RatingLog, fates, followed
from middleware.records.conversation import ProbeResult

EMOTIONS = ("Confusion", "Boredom")
GAP = 100.0


def result(turn: int, kind: Any, value: float, *, at: float | None = None, **more: Any) -> ProbeResult:
    judge = {"expressed": "reference", "retest": "small"}.get(kind, "small")
    given = {
        "deployment": "tutor",
        "conversation": "c1",
        "outcome": "scored",
        "emotions": dict.fromkeys(EMOTIONS, value),
        "judge": judge,
        "judge_version": "pinned-1" if judge == "reference" else "",
        "at": (turn * 10.0 if at is None else at) + 1.0,
        "turn_ended_at": turn * 10.0 if at is None else at,
    } | more
    return ProbeResult(turn=turn, kind=kind, **given)


def log(*results: ProbeResult, capacity: int = 10) -> RatingLog:
    made = RatingLog(EMOTIONS, {"reference": "pinned-1"}, capacity=capacity)
    for one in results:
        made.add(one)
    return made


def test_results_of_a_turn_come_together_in_any_order() -> None:
    """The first readable one of a kind stays, and a retest belongs to the judge that it names."""
    made = log(
        result(1, "expressed", 5.0),
        result(1, "perception", 4.0),
        result(1, "perception", 9.0),
        result(1, "anticipation", 3.0),
        result(1, "retest", 4.5),
        result(1, "retest", 5.5, judge="reference", judge_version="pinned-1"),
    )
    ((turn,),) = [session.turns for session in made.sessions(GAP)]
    assert turn.perceived == {"Confusion": 4.0, "Boredom": 4.0}
    assert turn.predicted == {"Confusion": 3.0, "Boredom": 3.0}
    assert turn.expressed == {"reference": {"Confusion": 5.0, "Boredom": 5.0}}
    assert turn.again == {"Confusion": 4.5, "Boredom": 4.5}
    assert turn.expressed_again == {"reference": {"Confusion": 5.5, "Boredom": 5.5}}


def test_a_forgotten_conversation_is_gone_and_others_stay() -> None:
    """As if nothing had been rated; one that is not known is no error."""
    made = log(result(1, "perception", 4.0), result(1, "perception", 5.0, conversation="c2"))
    made.forget(["c1", "c9"])
    assert [session.conversation for session in made.sessions(GAP)] == ["c2"]


def test_ratings_of_text_that_tried_to_steer_the_judge_are_left_out() -> None:
    """Nobody moves the windows with such text; a cut alone leaves nothing out."""
    made = log(
        result(1, "perception", 10.0, flags=("scores",)),
        result(1, "expressed", 10.0, flags=("orders", "cut")),
        result(2, "perception", 4.0, flags=("cut", "invisible", "shortened")),
    )
    ((first, second),) = [session.turns for session in made.sessions(GAP)]
    assert (first.perceived, first.expressed) == (None, {})
    assert second.perceived == {"Confusion": 4.0, "Boredom": 4.0}


def test_ratings_of_another_judge_version_or_other_emotions_are_left_out() -> None:
    """They can't be compared; the turn itself is known all the same."""
    made = log(
        result(1, "expressed", 5.0, judge_version="pinned-0"),
        result(1, "perception", 5.0, emotions={"Joy": 5.0}),
        result(1, "anticipation", 5.0, outcome="unparseable", emotions={}),
    )
    ((turn,),) = [session.turns for session in made.sessions(GAP)]
    assert (turn.perceived, turn.predicted, turn.expressed) == (None, None, {})


def test_a_long_rest_ends_a_session() -> None:
    """The same conversation goes on as a new one; exactly the gap is not over it."""
    made = log(*(result(n, "perception", 1.0, at=at) for n, at in ((1, 0.0), (2, 100.0), (3, 200.5))))
    assert [[turn.turn for turn in session.turns] for session in made.sessions(GAP)] == [[1, 2], [3]]


def test_only_the_newest_conversations_are_kept() -> None:
    """Whoever was heard of last stays."""
    made = log(*(result(1, "perception", 1.0, conversation=name) for name in ("a", "b", "a", "c")), capacity=2)
    assert [session.conversation for session in made.sessions(GAP)] == ["a", "c"]


def test_every_prediction_has_a_fate() -> None:
    """followed, unrated (the user went on, nobody could say how), and censored or pending by the clock."""
    made = log(
        *(result(turn, "anticipation", 1.0) for turn in (1, 2, 3, 5)),
        *(result(turn, "expressed", 1.0) for turn in (1, 2, 5)),
        result(3, "expressed", 0.0, outcome="unparseable", emotions={}),
    )
    (session,) = made.sessions(GAP)
    assert [(turn.turn, after.turn) for turn, after in followed(session)] == [(1, 2), (2, 3)]
    known = [(turn.turn, fate) for turn, fate in fates(session, "reference", gap=GAP, now=149.0)]
    assert known == [(1, "followed"), (2, "unrated"), (3, "unrated"), (5, "pending")]
    later = [fate for _, fate in fates(session, "reference", gap=GAP, now=150.0)]
    assert later[-1] == "censored"

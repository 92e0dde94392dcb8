"""What the application reads about a conversation."""

import dataclasses

import pytest

from middleware.awareness.adoption import Read
from middleware.records.conversation import ProbeResult
from middleware.records.emotion_report import EmotionReport
from scorer.repeatability import Repeatability

NOW = 1_794_500_000.0
EMOTIONS = "/api/v1/conversations/{}/emotions"


def probe(turn: int, kind: str = "perception", outcome: str = "scored", **emotions: float) -> ProbeResult:
    """A result about a turn that ended 100 s after the one before; turn 3 ended 10 s ago."""
    ended = NOW - 10 - (3 - turn) * 100
    reason = "" if outcome == "scored" else "no_scores"
    return ProbeResult(
        "tutor",
        "hashed-conv-1",
        turn,
        kind,
        outcome,
        emotions,
        reason,
        "judge-a",
        latency_seconds=0.1,
        at=ended + 2,
        turn_ended_at=ended,
    )


def test_each_emotion_has_its_newest_intensity_and_age(admin):
    """The newest scored value of each emotion counts, with its age in seconds and turns, and its judge."""
    for result in (
        probe(1, Confusion=8.0, Boredom=1.0),
        probe(2, Confusion=5.5),
        probe(2, "anticipation", Confusion=3.0),
        probe(3, outcome="unparseable"),
    ):
        admin.store.save_probe(result)
    with admin.client() as client:
        body = client.get(EMOTIONS.format("conv-1")).json()
    assert (body["conversation"], body["deployment"], body["turn"]) == ("conv-1", "tutor", 3)
    assert body["id"] == "hashed-conv-1"
    common = {"judge": "judge-a", "judge_version": "", "outcome": "scored", "flags": [], "steered": False}
    common |= {"confidence": None, "retests": 0}
    falling = {"trend": -2.5, "direction": "falling", "readings": 2}
    single = {"trend": None, "direction": None, "readings": 1}
    assert body["emotions"] == {
        "Confusion": {"intensity": 5.5, "turn": 2, "age_seconds": 110.0, "age_turns": 1, **falling, **common},
        "Boredom": {"intensity": 1.0, "turn": 1, "age_seconds": 210.0, "age_turns": 2, **single, **common},
    }
    assert body["anticipated"]["Confusion"]["intensity"] == 3.0
    assert body["last_probe"] == {
        "kind": "perception",
        "turn": 3,
        "outcome": "unparseable",
        "reason": "no_scores",
        "judge": "judge-a",
        "at": NOW - 8,
        "flags": [],
    }


def test_a_conversation_without_a_readable_probe_has_no_emotions(admin):
    """Missing is not zero: the emotions are absent and the outcome says why."""
    admin.store.save_probe(probe(1, outcome="refused"))
    with admin.client() as client:
        body = client.get(EMOTIONS.format("conv-1")).json()
    assert (body["emotions"], body["anticipated"], body["last_probe"]["outcome"]) == ({}, {}, "refused")


def test_an_unknown_conversation_is_404_with_a_remedy(admin):
    """The error has a code, says what to try, and does not repeat the id."""
    with admin.client() as client:
        answer = client.get(EMOTIONS.format("nobody-knows-this"))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "conversation_unknown"
    assert "lookup" in answer.json()["error"]["message"]
    assert "nobody-knows-this" not in answer.text


def test_reads_are_counted_with_the_age_of_what_was_read(serve):
    """Adoption is measured: found, not found, and how old the newest emotion was."""
    reads: list[Read] = []
    admin = serve(on_read=reads.append)
    admin.store.save_probe(probe(3, Joy=4.0))
    with admin.client() as client:
        client.get(EMOTIONS.format("conv-1"))
        client.get(EMOTIONS.format("conv-2"))
    value = admin.registry.get_sample_value
    assert value("eqwatch_awareness_reads_total", {"channel": "pull", "outcome": "found"}) == 1
    assert value("eqwatch_awareness_reads_total", {"channel": "pull", "outcome": "not_found"}) == 1
    assert [(read.conversation, read.age_seconds) for read in reads] == [("hashed-conv-1", 10.0)]


def test_lookup_by_messages(admin):
    """Messages that the sidecar knows give an id that the emotions route takes; others are 404."""
    admin.store.save_probe(probe(3, Joy=4.0))
    with admin.client() as client:
        path = "/api/v1/conversations/lookup"
        body = {"model": "m", "messages": [{"role": "user", "content": "hello there"}], "stream": True}
        found = client.post(path, json=body)
        assert found.json() == {"conversation": "conv-1"}
        assert client.get(EMOTIONS.format(found.json()["conversation"])).status_code == 200
        missing = client.post(path, json={"messages": [{"role": "user", "content": "who is this"}]})
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "conversation_unknown")


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": ["x"]}, {"messages": "x"}, []])
def test_a_lookup_that_does_not_fit_is_422(admin, body):
    """The shape is checked, and the error says where."""
    with admin.client() as client:
        answer = client.post("/api/v1/conversations/lookup", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["problems"][0]["where"][0] == "body"


def test_an_estimate_of_text_that_tried_to_steer_the_judge_says_so(admin):
    """It is shown with what was odd; the one that is not steered stays beside it."""
    admin.store.save_probe(dataclasses.replace(probe(1, Confusion=8.0, Boredom=1.0), flags=("cut",)))
    admin.store.save_probe(dataclasses.replace(probe(2, Confusion=10.0), flags=("orders", "scores")))
    with admin.client() as client:
        body = client.get(EMOTIONS.format("conv-1")).json()
    told = {name: (reading["flags"], reading["steered"]) for name, reading in body["emotions"].items()}
    assert told == {"Confusion": (["orders", "scores"], True), "Boredom": (["cut"], False)}
    assert body["last_probe"]["flags"] == ["orders", "scores"]


def test_confidence_is_how_surely_the_judge_repeats_itself(serve):
    """From the deployment's retests: the lower end of the interval, with their number beside it."""
    report = EmotionReport("tutor", NOW, ("Joy",), repeatability={"Joy": Repeatability(40, 0.9, 0.77, 0.4)})
    admin = serve(emotions={"tutor": report}.get)
    admin.store.save_probe(probe(3, Joy=4.0, Calm=2.0))
    with admin.client() as client:
        emotions = client.get(EMOTIONS.format("conv-1")).json()["emotions"]
    assert (emotions["Joy"]["confidence"], emotions["Joy"]["retests"]) == (0.77, 40)
    assert (emotions["Calm"]["confidence"], emotions["Calm"]["retests"]) == (None, 0)

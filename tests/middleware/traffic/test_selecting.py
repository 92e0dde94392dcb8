"""What leaves a pod: chosen by how the conversation began, the same in every process, redacted and cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.records.conversation import OMITTED, Message, Skipped, Transcript
from middleware.records.observation import Observation
from middleware.records.report import Report
from middleware.traffic.caps import OptOuts
from middleware.traffic.hashing import conversation_id
from middleware.traffic.reported import observation_of
from middleware.traffic.sampling import chosen
from middleware.traffic.selecting import Picking, Selection, SelectionRule
from middleware.traffic.trace import Openings, trace_of
from middleware.traffic.trimming import trimmed

SALT = b"a salt of at least sixteen bytes"
LONG = "I have read the chapter twice and the second rule still makes no sense to me."


def transcript(*texts: str, reply: str | None = "Sure.", **more: Any) -> Transcript:
    """User and assistant in turn."""
    messages = tuple(Message(("user", "assistant")[number % 2], text) for number, text in enumerate(texts))
    return Transcript("openai_chat", "m", messages, Message("assistant", reply) if reply else None, False, **more)


def selection(rate: float = 1.0, **more: Any) -> Selection:
    rules = [
        SelectionRule("tutor", rate, models=("tutor-model",), paths=("/tutor",), key_ids=("00aa",)),
        SelectionRule("shop", rate, paths=("/tutor/shop",)),
        SelectionRule("off", 0.0, models=("off-model",)),
    ]
    return Selection(rules, SALT, **more)


def picking(rate: float = 1.0) -> Picking:
    return Picking(selection(rate), clean=lambda text: text.replace("heliotrope", "[secret]"), characters=60)


def observation(seen: Transcript, **more: Any) -> Observation:
    return Observation("tutor", seen, trace_of(SALT, seen), **more)


def test_every_turn_of_a_conversation_has_the_same_opening_in_every_process() -> None:
    """Whatever was said later, and whatever system prompts and tools say."""
    one, two = Openings(SALT), Openings(SALT)
    system = Message("system", "It is 10:42.")
    first = one.of(transcript(LONG, reply="So."))
    later = transcript(LONG, "So.", "ok", "Well.", "bye")
    assert two.of(later) == first
    assert two.of(Transcript("openai_chat", "other", (system, *later.messages), None, True)) == first
    assert one.of(transcript(LONG + "!", reply="So.")) != first
    assert Openings(b"another salt of 16 bytes").of(later) != first


def test_a_short_first_message_is_told_apart_by_the_reply() -> None:
    """Else everybody who says hello would be chosen together; a long one does not need the reply, which may change."""
    openings = Openings(SALT)
    assert openings.of(transcript("hi", reply="Hello!")) == openings.of(transcript("hi", "Hello!", "ok"))
    assert openings.of(transcript("hi", reply="Hello!")) != openings.of(transcript("hi", reply="Hey!"))
    assert openings.of(transcript(LONG, reply="One.")) == openings.of(transcript(LONG, "Another.", "ok"))
    assert openings.of(transcript("hi", reply="Hello!"), key_id="00aa") != openings.of(transcript("hi", reply="Hello!"))


def test_a_name_decides_and_a_kept_conversation_is_followed() -> None:
    """A named conversation is sampled by its name; one that the server keeps by its beginning, where that is known."""
    openings = Openings(SALT, capacity=2)
    name = conversation_id(SALT, "lesson-7")
    assert openings.of(transcript("hi"), conversation=name) == name
    first = openings.of(transcript(LONG, response_id="r1"))
    assert openings.of(transcript("ok", response_id="r2", previous_response_id="r1")) == first
    assert openings.of(transcript("ok", response_id="r3", previous_response_id="r2")) == first
    assert openings.of(transcript("ok", previous_response_id="r1")) is None, "forgotten"
    assert openings.of(transcript("ok", previous_response_id="elsewhere")) is None


def test_pods_choose_alike_and_at_the_rate() -> None:
    """Two processes never differ about a conversation, at any of its turns."""
    one, two = picking(0.3), picking(0.3)
    taken = 0
    for number in range(600):
        begun = f"{LONG} {number}"
        first = one.pick(observation(transcript(begun, reply="So.")))
        second = two.pick(observation(transcript(begun, "So.", "ok")))
        assert isinstance(first, Skipped) == isinstance(second, Skipped)
        taken += not isinstance(first, Skipped)
        if isinstance(first, Skipped):
            assert first == Skipped("tutor", "not_sampled")
    assert 130 < taken < 230


def test_what_is_picked_is_redacted_and_cut_and_keeps_its_trace() -> None:
    """Hashes are of what was said; texts are of what a judge may see."""
    seen = transcript("my heliotrope", "your heliotrope", LONG, "So.", "and heliotrope now", reply="No heliotrope.")
    picked = picking().pick(observation(seen, id="x"))
    assert isinstance(picked, Observation)
    assert picked.trace == trace_of(SALT, seen)
    assert picked.id == "x"
    texts = [message.text for message in picked.transcript.messages]
    assert (texts[0], picked.transcript.messages[0].role) == ("2", OMITTED)
    assert texts[-1] == "and [secret] now"
    assert picked.transcript.reply == Message("assistant", "No [secret].")
    assert "heliotrope" not in repr(picked.transcript)


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (Observation("off", transcript(LONG), trace_of(SALT, transcript(LONG))), "not_configured"),
        (Observation("unknown", transcript(LONG), trace_of(SALT, transcript(LONG))), "not_configured"),
        (observation(transcript("ok", previous_response_id="elsewhere")), "beginning_unknown"),
    ],
)
def test_what_stays_says_why(heard: Observation, reason: str) -> None:
    """Nothing leaves of a deployment without a purpose, nor of a conversation whose beginning is not known."""
    assert picking().pick(heard) == Skipped(heard.deployment, reason)


def test_the_cut_keeps_whole_turns_from_the_end() -> None:
    """The last turn always, system prompts and tools never; a cut is stated, also one after another."""
    messages = (
        Message("system", "You teach."),
        *(Message(role, f"{role} {number}") for number in range(5) for role in ("user", "assistant")),
        Message("user", "last"),
        Message("tool", "result"),
    )
    seen = Transcript("openai_chat", "m", messages, None, False)
    cut = trimmed(seen, clean=str, characters=30)
    assert [message.text for message in cut.messages] == ["6", "user 3", "assistant 3", "user 4", "assistant 4", "last"]
    again = trimmed(cut, clean=str, characters=3)
    assert [message.text for message in again.messages] == ["10", "last"]
    long = trimmed(transcript("a" * 50 + "b" * 50, reply=None), clean=str, characters=10)
    assert long.messages[0].text == "a" * 10 + "\n[80 characters left out]\n" + "b" * 10


@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=9), characters=st.integers(1, 80))
def test_a_cut_transcript_keeps_its_end(texts: list[str], characters: int) -> None:
    """For any texts: nothing is reordered, and kept and left out add up."""
    seen = transcript(*texts, reply=None)
    spoken = [message for message in seen.messages if message.text.strip()]
    cut = trimmed(seen, clean=str, characters=characters)
    kept = [message for message in cut.messages if message.role != OMITTED]
    omitted = sum(int(message.text) for message in cut.messages if message.role == OMITTED)
    assert omitted + len(kept) == len(spoken)
    assert [message.role for message in kept] == [message.role for message in spoken[omitted:]]


@pytest.mark.parametrize(
    ("given_", "deployment"),
    [
        ({"deployment": "shop"}, "shop"),
        ({"path": "/tutor/v1/chat"}, "tutor"),
        ({"path": "/tutor/shop/v1"}, "shop"),
        ({"key_id": "00aa"}, "tutor"),
        ({"model": "tutor-model"}, "tutor"),
        ({"path": "/tutor/shop/v1", "key_id": "00aa", "model": "off-model"}, "shop"),
    ],
)
def test_a_reported_exchange_finds_its_deployment(given_: dict[str, str], deployment: str) -> None:
    """By name, path (the longest prefix), key id, then model, as in traffic."""
    report = Report([{"role": "user", "content": LONG}], "Sure.", **given_)
    found = observation_of(report, selection(), now=200.0)
    assert isinstance(found, Observation)
    assert (found.deployment, found.at) == (deployment, 200.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"opt_out": True}, "opted_out"),
        ({"path": "/private/v1"}, "opted_out"),
        ({"key_id": "00bb"}, "opted_out"),
        ({"deployment": "off"}, "not_configured"),
        ({"deployment": ""}, "not_configured"),
        ({"messages": [{"role": "assistant", "content": "Hello!"}]}, "undecodable"),
        ({"messages": [{"role": "wizard", "content": "Hello!"}]}, "undecodable"),
    ],
)
def test_a_reported_exchange_that_is_not_wanted_says_why(changes: dict[str, Any], reason: str) -> None:
    """Opt-outs first, then the deployment, then what it holds."""
    given_ = {"messages": [{"role": "user", "content": "hi"}], "deployment": "tutor", **changes}
    rules = selection(opt_outs=OptOuts(("/private",), frozenset({"00bb"})))
    found = observation_of(Report(**given_), rules, now=1.0)
    assert isinstance(found, Skipped)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("dialect", "messages", "reply"),
    [
        ("openai_chat", [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], {"content": "Hello!"}),
        ("openai_responses", [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "Hello!"),
        (
            "anthropic_messages",
            [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            {"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]},
        ),
    ],
)
def test_a_reported_exchange_is_the_same_in_every_dialect(dialect: str, messages: Any, reply: Any) -> None:
    """Told in another form, the same conversation is recognised; the sampling sees the same opening."""
    report = Report(messages, reply, dialect=dialect, system="You teach.", deployment="tutor", at=50.0)
    found = observation_of(report, selection(), now=100.0)
    assert isinstance(found, Observation)
    assert [(m.role, m.text) for m in found.transcript.messages] == [("system", "You teach."), ("user", "hi")]
    assert found.transcript.reply == Message("assistant", "Hello!")
    assert found.at == 50.0
    plain = trace_of(SALT, transcript("hi", reply="Hello!"))
    assert found.trace.after == plain.after
    assert chosen(Openings(SALT).of(found.transcript) or "", 1.0, SALT)

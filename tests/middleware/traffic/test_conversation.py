"""Conversations are found again by what was said so far, and kept as hashes only."""

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.records.conversation import Message, Transcript, Turn
from middleware.records.observation import Observation
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.dialogue import Dialogue
from middleware.traffic.hashing import conversation_id, conversation_keys
from middleware.traffic.sampling import chosen
from middleware.traffic.trace import trace_of

SALT = b"a salt of at least sixteen bytes"
LONG = "I have read the chapter twice and the second rule still makes no sense to me."


def heard(transcript: Transcript, deployment: str, *, conversation: str = "", key_id: str = "") -> Observation:
    named = conversation_id(SALT, conversation) if conversation else ""
    return Observation(deployment, transcript, trace_of(SALT, transcript), "", named, key_id, 102.5)


class Client:
    """Says something, gets a reply, and repeats all of it the next time."""

    def __init__(self, tracker: ConversationTracker, **changes: str) -> None:
        self.tracker = tracker
        self.messages: list[Message] = []
        self.changes = changes

    def say(self, text: str, reply: str | None, deployment: str = "tutor", **transcript: Any) -> Turn:
        self.messages.append(Message("user", text))
        turn = self.request(reply, deployment, **transcript)
        if reply is not None:
            self.messages.append(Message("assistant", reply))
        return turn

    def request(self, reply: str | None, deployment: str = "tutor", **transcript: Any) -> Turn:
        answer = None if reply is None else Message("assistant", reply)
        seen = Transcript("openai_chat", "m", tuple(self.messages), answer, False, **transcript)
        return self.tracker.observe(heard(seen, deployment, **self.changes))


@pytest.fixture
def tracker() -> ConversationTracker:
    return ConversationTracker(SALT)


def test_turns_of_a_conversation_are_joined_and_counted(tracker: ConversationTracker) -> None:
    """Each request finds the one before it; the time of a turn is that of its end."""
    client = Client(tracker)
    turns = [client.say("hi", "Hello!"), client.say("help me", "Sure."), client.say("ok", "Good.")]
    assert len({turn.conversation for turn in turns}) == 1
    assert [turn.index for turn in turns] == [1, 2, 3]
    assert turns[0].at == 102.5


def test_strangers_who_say_the_same_are_kept_apart(tracker: ConversationTracker) -> None:
    """Two users greet alike and get the same reply: two conversations, and each goes on in one of its own."""
    first, second = Client(tracker), Client(tracker)
    a, b = first.say("hi", "Hello!"), second.say("hi", "Hello!")
    assert a.conversation != b.conversation
    assert {first.say("one", "x").conversation, second.say("two", "y").conversation} == {a.conversation, b.conversation}


def test_another_credential_or_deployment_is_another_conversation(tracker: ConversationTracker) -> None:
    """The same words do not carry over."""
    mine, other = Client(tracker, key_id="k1"), Client(tracker, key_id="k2")
    turn = mine.say(LONG, "Which part?")
    other.messages = [*mine.messages]
    assert other.say("the second", "Look:").conversation != turn.conversation
    elsewhere = Client(tracker, key_id="k1")
    elsewhere.messages = [*mine.messages]
    assert elsewhere.say("the second", "Look:", deployment="shop").conversation != turn.conversation


def test_the_system_prompt_may_change_and_tells_strangers_apart(tracker: ConversationTracker) -> None:
    """With the time in it the turns are joined all the same; where it stayed, it decides."""
    clients = [Client(tracker), Client(tracker)]
    for number, client in enumerate(clients):
        client.messages = [Message("system", f"You talk to customer {number}.")]
    turns = [client.say("hi", "Hello!") for client in clients]
    later = [client.say("go on", "Yes.") for client in reversed(clients)]
    assert [turn.conversation for turn in reversed(later)] == [turn.conversation for turn in turns]
    clients[0].messages[0] = Message("system", "You talk to customer 0. It is five o'clock.")
    assert clients[0].say("and now?", "Now.").conversation == turns[0].conversation


@pytest.mark.parametrize(
    "sent_again",
    ["  It is a\n\nrule . ", "<think>two and two</think> It is a rule ."],
)
def test_a_reply_that_the_client_sends_back_slightly_changed_is_recognised(
    tracker: ConversationTracker, sent_again: str
) -> None:
    """White space and reasoning do not count."""
    client = Client(tracker)
    reply = "<think>hm</think>It is a rule ." if "think" in sent_again else "It is a rule ."
    first = client.say("hi", reply)
    client.messages[-1] = Message("assistant", sent_again)
    assert client.say("why", "So.").conversation == first.conversation


def test_a_reply_that_the_client_rewrote_is_found_by_what_the_user_said(tracker: ConversationTracker) -> None:
    """If that is long enough to be nobody else's."""
    client = Client(tracker)
    first = client.say(LONG, "A long explanation.")
    client.messages[-1] = Message("assistant", "(explanation)")
    second = client.say("why", "So.")
    assert (second.conversation, second.index) == (first.conversation, 2)


def test_a_client_that_sends_only_the_last_messages_is_recognised(tracker: ConversationTracker) -> None:
    """Turns are still counted from the beginning."""
    client = Client(tracker)
    turns = []
    for number in range(5):
        turns.append(client.say(f"{LONG} Number {number}.", f"Answer {number}."))
        client.messages = client.messages[-2:]
    assert len({turn.conversation for turn in turns}) == 1
    assert [turn.index for turn in turns] == [1, 2, 3, 4, 5]


def test_a_regenerated_answer_is_the_same_turn(tracker: ConversationTracker) -> None:
    """And the conversation goes on from either answer."""
    client = Client(tracker)
    client.say("hi", "Hello!")
    second = client.say("a joke", "Knock.")
    client.messages = client.messages[:-2]
    again = client.say("a joke", "Ha.")
    assert (again.conversation, again.index) == (second.conversation, 2)
    third = client.say("more", "No.")
    assert (third.conversation, third.index) == (second.conversation, 3)


@pytest.mark.parametrize("words", ["", "Let me look."])
def test_calls_of_tools_belong_to_the_turn_in_which_they_happen(tracker: ConversationTracker, words: str) -> None:
    """With or without words before the call."""
    client = Client(tracker)
    first = client.say("what is in stock", words or None)
    if not words:
        client.messages.append(Message("assistant", ""))
    client.messages.append(Message("tool", "12 chairs"))
    answered = client.request("Twelve chairs.")
    assert (answered.conversation, answered.index) == (first.conversation, 1)
    client.messages.append(Message("assistant", "Twelve chairs."))
    after = client.say("two please", "Done.")
    assert (after.conversation, after.index) == (first.conversation, 2)


def test_the_header_decides(tracker: ConversationTracker) -> None:
    """The id is a salted hash of its value, whatever was said, and turns are counted on."""
    client = Client(tracker, conversation="lesson-7")
    turns = [client.say("hi", "Hello!"), client.say("ok", "Yes.")]
    client.messages = [Message("user", "quite"), Message("assistant", "different")]
    turns.append(client.say("now", "Then."))
    assert {turn.conversation for turn in turns} == {conversation_id(SALT, "lesson-7")}
    assert [turn.index for turn in turns] == [1, 2, 3]
    assert conversation_id(b"another salt of 16 bytes", "lesson-7") != conversation_id(SALT, "lesson-7")


def test_a_repeated_first_request_is_the_same_turn_where_the_header_says_so(tracker: ConversationTracker) -> None:
    """Without it, it could be a stranger's."""
    named, nameless = Client(tracker, conversation="robot"), Client(tracker)
    for client in (named, nameless):
        turns = [client.say("hi", "Hello!")]
        client.messages.clear()
        turns += [client.say("hi", "Hey!"), client.say("ok", "Yes.")]
        assert [turn.index for turn in turns] == [1, 1, 2]
        assert len({turn.conversation for turn in turns}) == (1 if client is named else 2)


def test_with_a_header_turns_are_counted_though_only_the_last_messages_are_sent(tracker: ConversationTracker) -> None:
    """Even if each is too short to be recognised."""
    client = Client(tracker, conversation="robot")
    indexes = []
    for number in range(4):
        indexes.append(client.say(f"ok {number}", "ok").index)
        client.messages = client.messages[-2:]
    assert indexes == [1, 2, 3, 4]


def test_a_response_is_found_by_the_id_of_the_one_before(tracker: ConversationTracker) -> None:
    """The server keeps the messages, the request holds only the new one."""
    client = Client(tracker)
    first = client.say("hi", "Hello!", response_id="resp_1")
    client.messages = []
    second = client.say("ok", "Yes.", response_id="resp_2", previous_response_id="resp_1")
    client.messages = []
    third = client.say("ok", "Yes.", previous_response_id="resp_2")
    assert {first.conversation, second.conversation, third.conversation} == {first.conversation}
    assert [first.index, second.index, third.index] == [1, 2, 3]


@pytest.mark.parametrize(
    ("order", "ids"), [((1, 0), 1), ((1, 0, 2), 1), ((2, 1, 0), 1), ((2, 0, 1), 2), ((0, 2, 1), 2)]
)
def test_exchanges_that_come_late_join_the_conversation(
    tracker: ConversationTracker, order: tuple[int, ...], ids: int
) -> None:
    """From a slower process than the one that had the next turn: turns are numbered as they were said, and the
    conversation goes on under one id. Where two were missing between, what was told before stays under another one."""
    messages = [
        Message("user", "hi"),
        Message("assistant", "Hello!"),
        Message("user", "help"),
        Message("assistant", "Sure."),
    ]
    messages += [Message("user", "more"), Message("assistant", "Yes.")]
    turns = {}
    for number in order:
        asked, reply = tuple(messages[: 2 * number + 1]), messages[2 * number + 1]
        turns[number] = tracker.observe(heard(Transcript("openai_chat", "m", asked, reply, False), "tutor"))
    assert {number: turn.index for number, turn in turns.items()} == {number: number + 1 for number in order}
    last = Transcript("openai_chat", "m", (*messages[: 2 * len(order)], Message("user", "x")), None, False)
    after = tracker.observe(heard(last, "tutor"))
    assert after.index == len(order) + 1
    assert len({turn.conversation for turn in turns.values()}) == ids
    assert turns[order[-1]].conversation == after.conversation
    assert tracker.lookup([{"role": m.role, "content": m.text} for m in last.messages]) == after.conversation


def test_a_late_exchange_joins_nobody_elses_conversation(tracker: ConversationTracker) -> None:
    """Not of another deployment, and not under another name or credential."""
    messages = (Message("user", "hi"), Message("assistant", "Hello!"), Message("user", "help"))
    first = Transcript("openai_chat", "m", messages[:1], messages[1], False)
    second = Transcript("openai_chat", "m", messages, Message("assistant", "Sure."), False)
    later = tracker.observe(heard(second, "tutor", conversation="lesson-7", key_id="00aa"))
    strangers = [("shop", "", "00aa"), ("tutor", "lesson-8", "00aa"), ("tutor", "", "00ab")]
    for deployment, name, key_id in strangers:
        turn = tracker.observe(heard(first, deployment, conversation=name, key_id=key_id))
        assert turn.conversation != later.conversation
    assert tracker.observe(heard(first, "tutor", key_id="00aa")).conversation == later.conversation


def test_a_prefilled_answer_is_joined_with_its_rest(tracker: ConversationTracker) -> None:
    """The client sends both as one message next time."""
    client = Client(tracker)
    client.messages = [Message("user", "as JSON please"), Message("assistant", "{")]
    first = client.request('"a": 1}')
    client.messages[-1] = Message("assistant", '{ "a": 1}')
    assert client.say("thanks", "Sure.").conversation == first.conversation


def test_messages_can_be_looked_up_with_and_without_the_last_reply(tracker: ConversationTracker) -> None:
    """The newest conversation with them is the answer; what was never said has none."""
    client = Client(tracker)
    client.say("hi", "Hello!")
    turn = client.say("help", "Sure.")
    chat = [{"role": message.role, "content": message.text} for message in client.messages]
    system = {"role": "system", "content": "x"}
    assert tracker.lookup(chat) == turn.conversation
    assert tracker.lookup([system, *chat[:-1]]) == turn.conversation
    assert tracker.lookup([*chat, {"role": "user", "content": [{"type": "text", "text": "next"}]}]) == turn.conversation
    assert tracker.lookup([{"role": "user", "content": "never said"}]) is None
    assert tracker.lookup([{"role": "wizard"}]) is None
    assert tracker.lookup([]) is None


def test_the_table_is_bounded_and_forgets_the_oldest(tracker: ConversationTracker) -> None:
    """A recent conversation is still found."""
    small = ConversationTracker(SALT, capacity=40)
    old = Client(small)
    first = old.say("the very first", "One.")
    for number in range(200):
        client = Client(small)
        recent = client.say(f"hello {number}", "Hello!")
    assert len(small) == 40
    assert client.say("go on", "Yes.").conversation == recent.conversation
    assert old.say("still there?", "Yes.").conversation != first.conversation
    flood = ConversationTracker(SALT)
    for _ in range(100):
        Client(flood).say("hi", "Hello!")
    assert max(len(places) for places in flood._places.values()) == 8


def test_nothing_that_was_said_is_kept(tracker: ConversationTracker) -> None:
    """The whole state holds no word of it, nor the header's value."""
    client = Client(tracker, conversation="lesson-7", key_id="")
    client.messages = [Message("system", "heliotrope")]
    client.say("heliotrope", "heliotrope", response_id="heliotrope")
    state = pickle.dumps((dict(tracker._places), list(tracker._places), dict(tracker._awaited)))
    assert b"heliotrope" not in state
    assert b"lesson-7" not in state


def test_an_own_id_can_be_used_like_a_header_value() -> None:
    """The first key is always the hash; the id itself is tried where it has our form."""
    own = conversation_id(SALT, "lesson-7")
    assert conversation_keys(SALT, " lesson-7 ") == (own,)
    assert conversation_keys(SALT, own) == (conversation_id(SALT, own), own)
    assert conversation_keys(SALT, own[:-1] + "G") == (conversation_id(SALT, own[:-1] + "G"),)


def test_sampling_meets_its_rate_and_only_grows_with_it() -> None:
    """0 chooses nobody, 1 everybody, and a higher rate keeps those of a lower one."""
    ids = [conversation_id(SALT, str(number)) for number in range(2000)]
    at = {rate: {c for c in ids if chosen(c, rate, SALT)} for rate in (0.0, 0.1, 0.3, 1.0)}
    assert (len(at[0.0]), len(at[1.0])) == (0, 2000)
    assert at[0.1] < at[0.3]
    assert 150 < len(at[0.1]) < 250
    assert {c for c in ids if chosen(c, 0.1, b"another salt of 16 bytes")} != at[0.1]


@given(
    texts=st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), st.text(max_size=9)), max_size=8)
)
def test_any_dialogue_has_a_place_and_is_found_again(texts: list[tuple[str, str]]) -> None:
    """Odd orders, empty texts and lone surrogates included; the same request again has the same keys."""
    tracker = ConversationTracker(SALT)
    client = Client(tracker)
    client.messages = [Message(role, text) for role, text in texts]
    first = client.say("What now?", "This.")
    second = client.say("And then?", "That.")
    assert second.conversation == first.conversation
    assert second.index == first.index + 1
    assert Dialogue.of(client.messages).key(SALT, "whole") == Dialogue.of([*client.messages]).key(SALT, "whole")

"""Who opted out is not even decoded, and caps leave whole conversations."""

import threading
from typing import Any

import pytest

from middleware.records.conversation import Skipped, Transcript, Turn
from middleware.records.exchange import Exchange
from middleware.traffic.caps import Caps, OptOuts
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.intake import Intake
from middleware.traffic.selecting import Selection, SelectionRule

SALT = b"a salt of at least sixteen bytes"
HOUR = 3600.0


def turn(conversation: str, index: int = 1, at: float = 0.0, deployment: str = "tutor") -> Turn:
    return Turn(deployment, conversation, index, Transcript("openai_chat", "m", (), None, streamed=False), at)


def exchange(**changes: Any) -> Exchange:
    given = {
        "deployment": "tutor", "dialect": "openai_chat", "method": b"POST", "target": b"/v1/chat/completions",
        "request_headers": [], "request_body": b"{not json", "request_truncated": False, "status": 200,
        "response_headers": [], "response_body": b"", "response_truncated": False, "complete": True,
        "conversation": "", "key_id": "", "started_at": 0.0, "first_byte_seconds": 0.1, "duration_seconds": 0.1,
    }  # fmt: skip
    return Exchange(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, False),
        ({"target": b"/private/v1/chat/completions"}, True),
        ({"target": b"/v1/private/"}, False),
        ({"key_id": "00aa"}, True),
        ({"key_id": "00ab"}, False),
    ],
)
def test_routes_and_tenants_can_opt_out(changes: dict[str, Any], covered: bool) -> None:
    """By prefix of the target, or by the keyed hash of the credential."""
    given = exchange(**changes)
    assert OptOuts(("/private",), frozenset({"00aa"})).covers(given.target.decode(), given.key_id) is covered


def test_who_opted_out_is_counted_and_not_decoded() -> None:
    """The body is broken JSON, and nobody noticed."""
    rules = [SelectionRule("tutor", 1.0)]
    intake = Intake(Selection(rules, SALT, opt_outs=OptOuts(("/v1/chat",))), ConversationTracker(SALT))
    assert intake.take(exchange()) == Skipped("tutor", "opted_out")
    other = Intake(Selection(rules, SALT), ConversationTracker(SALT))
    assert other.take(exchange()) != Skipped("tutor", "opted_out")


def test_later_turns_of_a_long_conversation_are_left_out() -> None:
    """By number, whatever is said in them."""
    caps = Caps(turns=2)
    assert [caps.refuses(turn("c", index)) for index in (1, 2, 3)] == [None, None, "conversation_cap"]


def test_an_hour_begins_so_many_conversations_and_follows_them() -> None:
    """Each deployment has its own count; what was begun goes on in the next hour."""
    caps = Caps(conversations=2)
    assert [caps.refuses(turn(name)) for name in "abc"] == [None, None, "hourly_cap"]
    assert caps.refuses(turn("a", 2)) is None
    assert caps.refuses(turn("c", deployment="shop")) is None
    later = [caps.refuses(turn(name, 3, HOUR)) for name in "abde"]
    assert later == [None, None, None, None]
    assert caps.refuses(turn("f", 1, HOUR)) == "hourly_cap"
    assert caps.refuses(turn("g", 1, HOUR - 1.0)) == "hourly_cap"  # a straggler of the hour before counts to this one


def test_two_threads_begin_no_more_than_an_hour_may() -> None:
    """What the relay heard and what arrived over the network share one count, whoever is in the middle of a look."""
    caps = Caps(conversations=1)
    found: list[str | None] = []
    other = threading.Thread(target=lambda: found.append(caps.refuses(turn("b"))))

    class Counted(set[str]):
        """Between the look at the count and the new entry, the other thread gets all the time that it can use."""

        def add(self, name: str) -> None:
            if name == "a":
                other.start()
                other.join(0.2)
            super().add(name)

    caps._hour, caps._begun = 0, {"tutor": Counted()}
    assert caps.refuses(turn("a")) is None
    other.join()
    assert found == ["hourly_cap"]


def test_without_caps_nothing_is_refused() -> None:
    """The default of an hour."""
    caps = Caps()
    assert not any(caps.refuses(turn(str(number), number)) for number in range(1, 300))

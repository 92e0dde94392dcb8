"""What a message says: every figure that is known, in words that can be read, and no markup of somebody else's."""

import json

import pytest

from middleware.records.event import Event
from middleware.webhooks.messages import Context, slack_body, standard_body
from middleware.webhooks.words import GROUPS, said

CONTEXT = Context("https://eqwatch.example/", 2.0)
AT = 1_794_500_000.0
OPENED = Event(
    "incident_opened",
    "tutor",
    AT,
    {
        "item_set": "bundled",
        "model": "chat-large-0612",
        "kind": "regression",
        "condition": "regressed",
        "points": -4.24,
        "lower": -6.1,
        "upper": -2.4,
        "since": AT - 7200,
        "batches": 6,
        "items": 72,
    },
    31,
)
THRESHOLD = Event(
    "emotion_threshold",
    "tutor",
    AT,
    {
        "conversation": "eq_" + "a" * 32,
        "emotion": "Boredom",
        "intensity": 8.0,
        "threshold": "Boredom >= 7 for 2 turns, again below 5",
        "turn": 5,
        "turns": 2,
        "turn_ended_at": AT - 1.5,
        "judge": "small",
        "judge_version": "",
    },
    32,
)


def test_an_incident_has_all_its_figures() -> None:
    """By how much with its interval, since when, on how many items, how often that is a false alarm."""
    words = said(OPENED, false_alarms_per_year=2.0)
    assert words.headline == "EQ fell by 4.2 points"
    assert dict(words.figures) == {
        "Change": "\N{MINUS SIGN}4.2 points (95 % interval \N{MINUS SIGN}6.1 to \N{MINUS SIGN}2.4)",
        "Since": "12 Nov 2026, 14:13 UTC",
        "Evidence": "72 items in 6 batches",
        "Item set": "bundled",
        "Model": "chat-large-0612",
        "False alarms": "at most 2 in a year, over all that this installation watches",
    }


@pytest.mark.parametrize("kind", sorted(GROUPS))
def test_every_event_has_words_even_where_nothing_is_known(kind: str) -> None:
    """Missing figures are left out; none is invented."""
    names: dict[str, str | float | int | bool | None] = {"emotion": "Joy", "threshold": "Joy >= 7"}
    words = said(Event(kind, "tutor", AT, names if kind.startswith("emotion") else {}, 1), false_alarms_per_year=1.0)
    assert words.headline
    assert "None" not in words.headline + words.text
    assert not [name for name, _ in words.figures if name in {"Change", "Since", "Evidence", "Margin"}]


@pytest.mark.parametrize(
    ("kind", "details", "headline", "text"),
    [
        ("incident_opened", {"kind": "change", "model": "m"}, "The model changed", "answers differently"),
        ("incident_closed", {"kind": "regression", "cause": "rolled_back"}, "Incident closed (regression)", "is back"),
        (
            "upgrade_verdict",
            {"verdict": "regressed", "from_model": "a", "to_model": "b"},
            "Upgrade regressed",
            "a to b",
        ),
        ("upgrade_noticed", {"from_model": "a", "to_model": "b"}, "Another model version answers", "From a to b."),
        ("reference_margin_crossed", {"margin": 1.0}, "EQ fell below the reference of record", "added up"),
        ("emotion_drift", {"emotion": "Joy", "cause": "users"}, "Joy drifted", "the users"),
    ],
)
def test_words_say_what_happened(kind: str, details: dict[str, object], headline: str, text: str) -> None:
    """The headline alone tells what it is."""
    words = said(Event(kind, "tutor", AT, details, 1), false_alarms_per_year=1.0)  # type: ignore[arg-type]
    assert words.headline == headline
    assert text in words.text


def test_the_standard_body_has_type_time_and_data() -> None:
    """An emotion comes with its age at the time of sending, and no text of the conversation, as there is none."""
    body = json.loads(standard_body(THRESHOLD, CONTEXT, now=AT + 2))
    assert (body["type"], body["timestamp"]) == ("emotion_threshold", "2026-11-12T16:13:20.000Z")
    data = body["data"]
    assert data["age_seconds"] == 3.5
    assert data.pop("text") == (
        "Boredom at 8.0 of 10. Threshold: Boredom >= 7 for 2 turns, again below 5. An estimate from text, not a fact "
        "about a person."
    )
    assert data == {
        "event": 32,
        "deployment": "tutor",
        "age_seconds": 3.5,
        "link": "https://eqwatch.example/",
        **THRESHOLD.details,
    }


def test_a_slack_message_can_be_read_without_its_blocks() -> None:
    """The text has all figures and the link; the blocks have them as fields."""
    body = json.loads(slack_body(OPENED, CONTEXT))
    assert body["text"].splitlines()[0] == "EQ fell by 4.2 points · tutor"
    change = "\N{MINUS SIGN}4.2 points (95 % interval \N{MINUS SIGN}6.1 to \N{MINUS SIGN}2.4)"
    for part in (change, "72 items in 6 batches", "https://eqwatch.example/"):
        assert part in body["text"]
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "section", "context"]
    assert len(body["blocks"][2]["fields"]) == 6
    assert "<https://eqwatch.example/|Status page>" in body["blocks"][3]["elements"][0]["text"]


def test_no_link_where_the_page_is_not_public() -> None:
    """An address of loopback would help nobody."""
    body = json.loads(slack_body(OPENED, Context()))
    assert "Status page" not in json.dumps(body)
    assert "link" not in json.loads(standard_body(OPENED, Context(), now=AT))["data"]


def test_markup_in_a_name_stays_text() -> None:
    """Whoever may declare an upgrade can't mention a channel or forge a link."""
    event = Event("upgrade_declared", "tutor", AT, {"to_model": "<!channel>", "note": "<http://x|y> & z"}, 1)
    body = json.loads(slack_body(event, CONTEXT))
    markdown = json.dumps([body["text"], body["blocks"][1]])
    assert "<!channel>" not in markdown
    assert "&lt;!channel&gt;" in markdown
    assert "&lt;http://x|y&gt; &amp; z" in markdown


def test_long_values_stay_within_the_limits_of_slack() -> None:
    """A header of 150 characters, fields of 2000, texts of 3000."""
    event = Event("upgrade_declared", "t" * 200, AT, {"note": "n" * 9000, "model": "m" * 4000}, 1)
    body = json.loads(slack_body(event, CONTEXT))
    assert len(body["text"]) <= 3000
    assert len(body["blocks"][0]["text"]["text"]) == 150
    assert len(body["blocks"][1]["text"]["text"]) <= 3000
    assert all(len(one["text"]) <= 2000 for one in body["blocks"][2]["fields"])

"""The official and lm-eval readings: quirks kept, patterns equal to the original's, no quadratic time."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import Answer, Unparseable, parse
from scorer.answers import UNPARSEABLE_REASONS, outcome_for
from scorer.official_parsing import _both_passes, _english_pairs, _german_pairs

_EMOTIONS = ("Joy", "Anger", "Fear", "Hope")
_LINES = "Joy: 1\nAnger: 2\nFear: 3\nHope: 4"
_READ = {"Joy": 1.0, "Anger": 2.0, "Fear": 3.0, "Hope": 4.0}
_OTHER = "Joy: 5\nAnger: 6\nFear: 7\nHope: 8"
_OTHER_READ = {"Joy": 5.0, "Anger": 6.0, "Fear": 7.0, "Hope": 8.0}
_ZEROS = "Joy: 0\nAnger: 0\nFear: 0\nHope: 0"


def _numbers(text: str) -> dict[str, float]:
    found = parse(text, _EMOTIONS, profile="official")
    assert isinstance(found, Answer), found
    return found.first


@pytest.mark.parametrize(
    "text",
    [
        _LINES,
        f"Sure!\n\n{_LINES}\n\nHope this helps.",
        _LINES.replace("1", "1.9").replace("2", "2/10"),
        "- " + _LINES.replace("\n", "\n- "),
        "**Joy: 1**\n**Anger: 2**\n**Fear: 3**\n**Hope: 4**",
        "Joy: 1Anger: 2Fear: 3Hope: 4",
        f"{_OTHER}\n{_LINES}",
    ],
)
def test_official_reads_what_its_pattern_reads(text: str) -> None:
    """Decimals are cut, bullets and bold lines pass, of duplicates the last wins."""
    assert _numbers(text) == _READ


def test_official_lets_numbers_above_ten_through() -> None:
    """Out of range is no reason there."""
    assert _numbers(_LINES.replace("4", "15"))["Hope"] == 15


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_scores"),
        (_LINES.replace(": ", ":"), "no_scores"),
        (_LINES.replace(": ", ":** "), "no_scores"),
        ('{"Joy": 1, "Anger": 2, "Fear": 3, "Hope": 4}', "no_scores"),
        (_LINES.lower(), "unknown_emotion"),
        (_LINES.replace("1", "-1"), "missing_emotion"),
        (f"{_LINES}\nConfidence: 8", "unknown_emotion"),
        ("Joy: 1\nAnger: 2", "missing_emotion"),
        (_ZEROS, "all_zero"),
        ("Joy: <score>\nAnger: <score>", "placeholder_echo"),
        ("I'm sorry, but as an AI I cannot judge feelings.", "refusal"),
        ("<think>Well, the user wants", "truncated"),
        (f"Joy: {'9' * 400}\nAnger: 2\nFear: 3\nHope: 4", "no_scores"),
    ],
)
def test_official_rejects_what_its_pattern_rejects(text: str, reason: str) -> None:
    """A text that the original can't use is unparseable, for a reason that tells people what it was."""
    found = parse(text, _EMOTIONS, profile="official")
    assert isinstance(found, Unparseable)
    assert found.reason == reason


def test_the_finish_reason_names_the_cause_but_decides_nothing() -> None:
    """A complete answer that was cut off afterwards counts; an incomplete one is truncated, not deficient."""
    assert parse(_LINES, _EMOTIONS, profile="official", finish_reason="length") == Answer(_READ)
    cut = parse("Joy: 1\nAnger: 2", _EMOTIONS, profile="official", finish_reason="length")
    assert cut == Unparseable("truncated", "finish reason length")
    assert parse(_ZEROS, _EMOTIONS, profile="official", finish_reason="length") == Unparseable("all_zero")
    refused = parse("", _EMOTIONS, profile="official", finish_reason="content_filter")
    assert refused == Unparseable("refusal", "finish reason content_filter")


def test_both_passes_are_read_between_their_headings() -> None:
    """With revision each pass is what stands under its heading; without, the last duplicate wins."""
    text = f"First pass scores:\n{_LINES}\n\nCritique: hm.\n\nRevised scores:\n{_OTHER}\n[End of answer]"
    assert parse(text, _EMOTIONS, profile="official", revise=True) == Answer(_READ, _OTHER_READ)
    assert parse(text, _EMOTIONS, profile="official") == Answer(_OTHER_READ)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (f"First pass scores:\n{_ZEROS}\nRevised scores:\n{_LINES}", Answer(dict.fromkeys(_EMOTIONS, 0.0), _READ)),
        (f"First pass scores:\n{_LINES}\nRevised scores:\n{_ZEROS}", Answer(_READ, dict.fromkeys(_EMOTIONS, 0.0))),
        (f"Revised scores:\n{_LINES}", Answer({}, _READ)),
        (f"First pass scores:\n{_LINES}\nRevised scores:\nJoy: 3", Answer(_READ, None)),
        (f"First pass scores:\n{_ZEROS}\nRevised scores:\n{_ZEROS}", Unparseable("all_zero")),
        (f"First pass scores:\n{_LINES}", Unparseable("no_scores")),
        (_LINES, Unparseable("no_scores")),
    ],
)
def test_one_good_pass_is_enough_with_revision(text: str, want: Answer | Unparseable) -> None:
    """An all-zero pass beside a good one is kept; without a good one nothing counts."""
    assert parse(text, _EMOTIONS, profile="official", revise=True) == want


def test_german_is_read_by_its_own_pattern() -> None:
    """No space needed, bold values pass, a line without punctuation before a label becomes part of the label."""
    emotions = ("Reue", "Ärger", "Stolz", "Freude")
    text = "Reue:2\nÄrger: **6**\nStolz: 0\nFreude: 7/10"
    want = Answer({"Reue": 2.0, "Ärger": 6.0, "Stolz": 0.0, "Freude": 7.0})
    assert parse(text, emotions, profile="official", language="de") == want
    led = parse(f"Hier meine Wertung\n{text}", emotions, profile="official", language="de")
    assert isinstance(led, Unparseable)
    assert led.reason == "unknown_emotion"
    comma = parse(text.replace("2", "2,5"), emotions, profile="official", language="de")
    assert comma == Unparseable("no_scores", "Reue: 2,5 does not convert (decimal comma)")
    both = f"**Erste Bewertung:**\n{text}\nKritik: nun.\n**Überarbeitete Bewertung:**\n{text.replace('0', '1')}"
    revised = parse(both, emotions, profile="official", language="de", revise=True)
    assert revised == Answer(want.first, {**want.first, "Stolz": 1.0})


def test_lm_eval_takes_one_pass_and_all_zeros() -> None:
    """The harness reads the whole text by the English pattern and accepts zeros."""
    text = f"First pass scores:\n{_LINES}\n\nRevised scores:\n{_OTHER}"
    assert parse(text, _EMOTIONS, profile="lm-eval", revise=True) == Answer(_OTHER_READ)
    assert parse(_ZEROS, _EMOTIONS, profile="lm-eval") == Answer(dict.fromkeys(_EMOTIONS, 0.0))
    assert parse("Joy: 1", _EMOTIONS, profile="lm-eval") == Unparseable("missing_emotion", "Anger, Fear, Hope")
    assert parse(f"Joy: {'9' * 400}\n{_LINES[7:]}", _EMOTIONS, profile="lm-eval") == Unparseable(
        "no_scores", "Joy: a number of 400 digits"
    )


# The published patterns, as oracles: lib/scoring.py in github.com/EQ-bench/EQ-Bench at d28c60c5.
_ENGLISH = re.compile(r"(\w+):\s+(\d+)")
_GERMAN = re.compile(r"([a-zA-ZäöüßÄÖÜ\s]+):\s*\**(\d+(?:,\d+)?)\**")
_PIECES = st.sampled_from(
    ["Joy", "Ärger", "a", "_", "9", "10", "٣", ":", ": ", ":\n", " ", "\n", "*", "**", ",", "-", "é", "²", ".", "\x1c"]
)
_HEADED_PIECES = st.sampled_from(
    [
        "First pass scores:",
        "Revised scores:",
        "Erste Bewertung:",
        "Überarbeitete",
        "überarbeitete Bewertung",
        "er\u017fte",  # a long s matches an s where case is ignored
        "Joy: 3",
        "Joy:4",
        "\n",
        ":",
        " ",
        "x",
        "*",
    ]
)


@given(st.lists(_PIECES, max_size=40).map("".join))
@settings(deadline=None)
def test_the_scans_find_what_the_published_patterns_find(text: str) -> None:
    """Pair for pair, on texts full of near misses."""
    assert list(_english_pairs(text)) == _ENGLISH.findall(text)
    assert list(_german_pairs(text)) == [(label.strip(), value) for label, value in _GERMAN.findall(text)]


@given(st.lists(_HEADED_PIECES, max_size=25).map("".join))
@settings(deadline=None)
def test_the_passes_are_cut_where_the_published_patterns_cut(text: str) -> None:
    """Heading for heading, in both languages."""
    first = re.search(r"First pass scores:(.*?)Revised scores:", text, re.DOTALL)
    revised = re.search(r"Revised scores:(.*?)$", text, re.DOTALL)
    assert _both_passes(text, "en", revise=True) == (
        dict(_ENGLISH.findall(first[1])) if first else {},
        dict(_ENGLISH.findall(revised[1])) if revised else {},
    )
    german_first = re.search(r"(Erste.*?):\s*(.*?)(?=Überarbeitete|$)", text, re.IGNORECASE | re.DOTALL)
    german_revised = re.search(r"(Überarbeitete.*?):\s*(.*)", text, re.IGNORECASE | re.DOTALL)
    assert _both_passes(text, "de", revise=True) == (
        {a.strip(): b for a, b in _GERMAN.findall(german_first[2])} if german_first else {},
        {a.strip(): b for a, b in _GERMAN.findall(german_revised[2])} if german_revised else {},
    )


def test_every_reason_has_an_outcome() -> None:
    """Refusals and cut-off answers are counted apart; all else is unparseable."""
    outcomes = {reason: outcome_for(reason) for reason in UNPARSEABLE_REASONS}
    assert outcomes["refusal"] == "refused"
    assert outcomes["truncated"] == "truncated"
    assert {outcomes[reason] for reason in UNPARSEABLE_REASONS if reason not in ("refusal", "truncated")} == {
        "unparseable"
    }

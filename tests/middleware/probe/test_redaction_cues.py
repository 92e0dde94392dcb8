"""Cues make redaction fast and change nothing of what it finds."""

import json
import re
import sys
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.hostile.corpora import HALVES, load, ordinary
from middleware.probe.redaction import find, redacted
from middleware.probe.redaction_cues import Rule, folded, glance, has_word, keyed, spelled
from middleware.probe.redaction_rules import KNOWN, RULES

PIECES = (" ", "", "\n", ". ", "x", "7", "_", "-", "ß", "Я", "の", "\u200b", "\x00", "“", "1 ")


@cache
def _texts() -> tuple[str, ...]:
    """What people wrote in the committed corpora, in order."""
    found = []
    for half in HALVES:
        found += [row["text"] for row in (*load("pii", half), *ordinary(half))]
        found += [
            m["content"] for name in ("injections", "benign") for row in load(name, half) for m in row["messages"]
        ]
    return tuple(found)


def _finds(rule: Rule, text: str) -> bool:
    """Whether the rule would take anything of this text."""
    for match in rule.pattern.finditer(text):
        start, end = match.span("it") if "it" in rule.pattern.groupindex else match.span()
        if start < end and rule.accepts(text[start:end], text[max(0, start - 40) : start]):
            return True
    return False


def _missed(text: str) -> list[str]:
    """Patterns of rules that would take something, though nothing said that they might."""
    seen = glance(text, KNOWN)
    skipped = [
        rule
        for rule in RULES
        if (rule.digits and not seen.digits)
        or (rule.scripts and not seen.scripts)
        or not (has_word(rule.words, seen) and rule.cue(seen))
    ]
    # A text without any digit was never searched by a rule for digits, though one of them matches without.
    return [
        rule.pattern.pattern[:60]
        for rule in skipped
        if not (rule.digits and re.search(r"\d", text) is None) and _finds(rule, text)
    ]


def test_no_rule_that_would_find_something_is_skipped_in_capitals() -> None:
    """Every fourth text of the corpora, written as nobody tuned for."""
    for text in _texts()[::4]:
        assert not _missed(text.upper()), text[:80]


@pytest.mark.parametrize("number", range(len(RULES)))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_rule_is_skipped_where_its_pattern_matches(number: int, data: st.DataObject) -> None:
    """Texts made from the pattern itself, between odd neighbours, also in other letters that compare alike."""
    matching = data.draw(st.from_regex(RULES[number].pattern))
    before, after = data.draw(st.sampled_from(PIECES)), data.draw(st.sampled_from(PIECES))
    text = f"{before}{matching[:3000]}{after}"
    assert not _missed(text)
    assert not _missed(text.replace("s", "\u017f").replace("i", "\u0131").replace("k", "\u212a"))


def test_letters_are_folded_as_patterns_compare_them() -> None:
    """All of Unicode against each letter of the rules, and no text changes its length."""
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)]))
    low = folded(everything)
    assert len(low) == len(everything)
    letters = {c for rule in RULES if rule.pattern.flags & re.IGNORECASE for c in rule.pattern.pattern if c.isalpha()}
    for letter in sorted({folded(c) for c in letters}):
        alike = {match.start() for match in re.finditer(letter, everything, re.IGNORECASE)}
        assert {n for n in alike if low[n] != letter} == set(), letter


def test_spellings_are_all_that_a_pattern_matches() -> None:
    """Alternatives, classes, groups and options."""
    assert set(spelled(r"(?:pan[ií]|Mr\.?|gro(?:ß|ss)e)")) == {"pani", "paní", "Mr", "Mr.", "große", "grosse"}


def test_a_word_cue_is_kept_by_the_longest_word_and_spelled_out_with_its_neighbours() -> None:
    """Without a letter of ASCII by the empty word, which is seen where another script is."""
    cue = keyed(["my name is", "Mr", "дядя"], after=(" ", ". "))
    assert cue == {
        b"name": ("my name is ", "my name is. "),
        b"mr": ("Mr ", "Mr. "),
        b"": ("дядя ", "дядя. "),
    }
    assert glance("Hello, MR. Дядя", frozenset({b"mr", b"name"})).words == {b"mr", b""}


def test_what_is_taken_from_the_corpora_is_what_every_rule_in_turn_took() -> None:
    """Texts, spans and kinds as they were when no rule was ever skipped, by number and hash."""
    digest, taken = sha256(), 0
    for text in _texts():
        finds = [(found.start, found.end, found.kind) for found in find(text)]
        taken += len(finds)
        digest.update(json.dumps([redacted(text), finds]).encode())
    assert (len(_texts()), taken) == (900, 158)
    assert digest.hexdigest() == "b0807091f17a3f25588eee69e6608e5831307f5c91fd770b5d859d9dd29e413d"

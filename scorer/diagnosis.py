"""Why a text has no answer: the model refused, was cut off, echoed the template, or answered something else.

It decides nothing about acceptance; that has been decided when this is asked.
"""

import re
from dataclasses import dataclass

from scorer.answers import Unparseable
from scorer.readings import Reading, missing_from, names_of
from scorer.text_cleaning import clean, evened

__all__ = ["CUT_OFF", "Evidence", "diagnose", "sharpen"]

# OpenAI chat and responses, Anthropic, Gemini and llama.cpp, in their own words.
CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_REFUSED = frozenset({"content_filter", "refusal", "safety"})

_REFUSAL = re.compile(
    r"\bi(?:'| a)m (?:very |really |so )?sorry\b|\bi (?:must |have to )?(?:apologi[sz]e|decline|refuse)\b"
    r"|\bi (?:cannot|can't|can not|won't|will not|am not able to|am unable to|do not feel comfortable)\b"
    r"|\bi'm (?:not able|unable|not comfortable)\b|\b(?:as|i am|i'm) an? (?:ai|language model|assistant)\b"
    r"|\bes tut mir leid\b|\bich kann (?:\w+ ){0,6}nicht\b|\bals (?:ki|ai|sprachmodell)\b"
    r"|\bich möchte (?:\w+ ){0,6}nicht\b"
)
_REFUSAL_WITHIN = 1000
_PLACEHOLDER = re.compile(r"<(?:your |revised |überarbeitete )?(?:score|punktzahl|number|zahl|your critique here)>")
_RATED_LINE = re.compile(
    r"^[^\w\n]{0,16}+(?:\d{1,2}[.)][^\w\n]{0,8}+)?(?P<label>[^\W\d_][^\W\d]{1,30}+)[^\w\n:=|]{0,8}+[:=|][^\w\n]{0,8}+\d",
    re.MULTILINE,
)
# Labels of numbers that are not meant as emotions.
_NOT_EMOTIONS = frozenset(
    (
        "total",
        "sum",
        "confidence",
        "note",
        "score",
        "scores",
        "rating",
        "average",
        "step",
        "question",
        "item",
        "summe",
        "gesamt",
        "hinweis",
        "frage",
        "schritt",
    )
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the tolerant reading found in a text that it could not accept.

    deciding: the run of readings that would have been the answer but for its numbers; empty where there is none.
    unknown: names that a JSON object rates beside the item's emotions.
    """

    text: str
    emotions: tuple[str, ...]
    readings: tuple[Reading, ...]
    deciding: tuple[Reading, ...]
    unknown: tuple[str, ...]
    unclosed_reasoning: bool
    finish_reason: str


def diagnose(evidence: Evidence) -> Unparseable:
    """One reason, the one whose cure would have given an answer."""
    finish_reason = evidence.finish_reason.casefold()
    if finish_reason in _REFUSED:
        return Unparseable("refusal", f"finish reason {finish_reason}")
    outside = [reading for reading in evidence.deciding if reading.defect == "out_of_range"]
    if outside:
        return Unparseable("out_of_range", ", ".join(reading.shown for reading in outside)[:80])
    if finish_reason in CUT_OFF:
        return Unparseable("truncated", f"finish reason {finish_reason}")
    rated = [reading for reading in evidence.readings if reading.defect != "placeholder_echo"]
    if len(rated) < len(evidence.readings) or (not rated and _PLACEHOLDER.search(evidence.text)):
        return Unparseable("placeholder_echo")
    return _without_numbers(evidence) if not rated else _with_some_numbers(evidence, rated)


def sharpen(found: Unparseable, text: str, finish_reason: str) -> Unparseable:
    """A more telling reason for a text that the official rules could not read; acceptance stays as it is."""
    finish_reason = finish_reason.casefold()
    if finish_reason in _REFUSED:
        return Unparseable("refusal", f"finish reason {finish_reason}")
    if found.reason not in ("no_scores", "missing_emotion"):
        return found
    if finish_reason in CUT_OFF:
        return Unparseable("truncated", f"finish reason {finish_reason}")
    if found.reason == "missing_emotion":
        return found
    cleaned = clean(text)
    if _PLACEHOLDER.search(cleaned.visible):
        return Unparseable("placeholder_echo")
    if _is_refusal(cleaned.visible):
        return Unparseable("refusal")
    return Unparseable("truncated", "reasoning without an end") if cleaned.unclosed is not None else found


def _without_numbers(evidence: Evidence) -> Unparseable:
    if _is_refusal(evidence.text):
        return Unparseable("refusal")
    cut = _cut_mark(evidence)
    if cut:
        return Unparseable("truncated", cut)
    unknown = _unknown_labels(evidence)
    return Unparseable("unknown_emotion", ", ".join(unknown)[:80]) if unknown else Unparseable("no_scores")


def _with_some_numbers(evidence: Evidence, rated: list[Reading]) -> Unparseable:
    cut = _cut_mark(evidence)
    if cut:
        return Unparseable("truncated", cut)
    unknown = _unknown_labels(evidence)
    if unknown:
        return Unparseable("unknown_emotion", ", ".join(unknown)[:80])
    return Unparseable("missing_emotion", ", ".join(missing_from(rated, evidence.emotions))[:80])


def _cut_mark(evidence: Evidence) -> str:
    """What in the text itself shows that it stops short; empty where nothing does."""
    text = evidence.text
    if evidence.unclosed_reasoning:
        return "reasoning without an end"
    if text.rfind("{") > text.rfind("}"):
        return "JSON without an end"
    if text.count("```") % 2:
        return "code block without an end"
    last_line = text[text.rfind("\n") + 1 :][-80:]
    label = last_line.strip(" *_`\"':=-|•")
    missing = [evened(name) for name in missing_from(evidence.readings, evidence.emotions)]
    if label and evidence.readings and any(name.startswith(label) for name in missing):
        return f"ends at {label[:40]!r}"
    return ""


def _unknown_labels(evidence: Evidence) -> list[str]:
    known = names_of(evidence.emotions)
    lines = (match["label"] for match in _RATED_LINE.finditer(evidence.text))
    found = dict.fromkeys([*evidence.unknown, *lines])
    return [name for name in found if name not in known and name not in _NOT_EMOTIONS]


def _is_refusal(text: str) -> bool:
    return _REFUSAL.search(text[:_REFUSAL_WITHIN]) is not None

"""EQ-Bench's own reading of a model's text, bit for bit, and the one of the lm-eval harness.

The rules are those of lib/scoring.py and lib/eq_bench_utils.py in github.com/EQ-bench/EQ-Bench at d28c60c5. They are
written as scans because the original patterns take quadratic time on hostile text; a property test holds the two
equal. One deviation: a number that is not finite as a float (309 digits or more) is no score, where the original
would make the whole run's mean minus infinity.
"""

import math
import re
from collections.abc import Iterator, Sequence

from scorer.answers import Answer, Unparseable
from scorer.prompts import Language

__all__ = ["parse_lm_eval", "parse_official"]

# `(\w+):\s+(\d+)` and `([a-zA-ZäöüßÄÖÜ\s]+):\s*\**(\d+(?:,\d+)?)\**`, each without the label, which is read backwards.
_ENGLISH_VALUE = re.compile(r":\s+(\d+)")
_GERMAN_VALUE = re.compile(r":\s*\**(\d+(?:,\d+)?)\**")
_GERMAN_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZäöüßÄÖÜ")
_GERMAN_FIRST = re.compile("Erste", re.IGNORECASE)
_GERMAN_REVISED = re.compile("Überarbeitete", re.IGNORECASE)

_Pairs = dict[str, str]


def parse_official(text: str, emotions: Sequence[str], *, language: Language, revise: bool) -> Answer | Unparseable:
    """Official acceptance is decided on the v1 score, for v2 as well: matching names and a sum above zero.

    With revision one such pass is enough (the original accepts one after its last retry); the other pass is then kept
    where its names match, even if it is all zero.
    """
    first_pairs, revised_pairs = _both_passes(text, language, revise)
    try:
        first = _numbers(first_pairs, emotions)
        revised = _numbers(revised_pairs, emotions) if revise else None
    except ValueError as error:
        return Unparseable("no_scores", str(error))
    if not _accepted(first) and not _accepted(revised):
        return _reason(revised_pairs if revise and not first_pairs else first_pairs, emotions)
    return Answer(first=first or {}, revised=revised)


def parse_lm_eval(text: str, emotions: Sequence[str]) -> Answer | Unparseable:
    """The harness's eq_bench task: the English pattern on the whole text, one pass, an all-zero answer accepted."""
    pairs = dict(_english_pairs(text))
    try:
        first = _numbers(pairs, emotions)
    except ValueError as error:
        return Unparseable("no_scores", str(error))
    return _reason(pairs, emotions) if first is None else Answer(first=first)


def _both_passes(text: str, language: Language, revise: bool) -> tuple[_Pairs, _Pairs]:
    pairs = _german_pairs if language == "de" else _english_pairs
    if not revise:
        return dict(pairs(text)), {}
    first, revised = _german_parts(text) if language == "de" else _english_parts(text)
    return dict(pairs(first)), dict(pairs(revised))


def _english_parts(text: str) -> tuple[str, str]:
    first_heading, revised_heading = "First pass scores:", "Revised scores:"
    first = ""
    start = text.find(first_heading)
    if start >= 0:
        end = text.find(revised_heading, start + len(first_heading))
        first = text[start + len(first_heading) : end] if end >= 0 else ""
    return first, text.partition(revised_heading)[2]


def _german_parts(text: str) -> tuple[str, str]:
    first = _after_heading(text, _GERMAN_FIRST)
    end = _GERMAN_REVISED.search(first)
    return first[: end.start()] if end else first, _after_heading(text, _GERMAN_REVISED)


def _after_heading(text: str, heading: re.Pattern[str]) -> str:
    """What follows the first colon after the heading's first occurrence, white space skipped."""
    found = heading.search(text)
    colon = text.find(":", found.end()) if found else -1
    return text[colon + 1 :].lstrip() if colon >= 0 else ""


def _english_pairs(text: str) -> Iterator[tuple[str, str]]:
    used = 0
    for match in _ENGLISH_VALUE.finditer(text):
        start = colon = match.start()
        while start > used and (text[start - 1].isalnum() or text[start - 1] == "_"):
            start -= 1
        if start < colon:
            used = match.end()
            yield text[start:colon], match[1]


def _german_pairs(text: str) -> Iterator[tuple[str, str]]:
    used = 0
    for match in _GERMAN_VALUE.finditer(text):
        start = colon = match.start()
        while start > used and (text[start - 1] in _GERMAN_LETTERS or text[start - 1].isspace()):
            start -= 1
        if start < colon:
            used = match.end()
            yield text[start:colon].strip(), match[1]


def _numbers(pairs: _Pairs, emotions: Sequence[str]) -> dict[str, float] | None:
    """The pass as numbers in the text's order, None where names don't match. Raises ValueError as float() does."""
    if len(pairs) != len(emotions) or set(pairs) != set(emotions):
        return None
    numbers = {}
    for name, digits in pairs.items():
        try:
            numbers[name] = float(digits)
        except ValueError:
            raise ValueError(f"{name}: {digits[:20]} does not convert (decimal comma)") from None
        if not math.isfinite(numbers[name]):
            raise ValueError(f"{name}: a number of {len(digits)} digits")
    return numbers


def _accepted(numbers: dict[str, float] | None) -> bool:
    return numbers is not None and sum(numbers.values()) > 0


def _reason(pairs: _Pairs, emotions: Sequence[str]) -> Unparseable:
    if not pairs:
        return Unparseable("no_scores")
    unknown = [name for name in pairs if name not in emotions]
    if unknown:
        return Unparseable("unknown_emotion", ", ".join(unknown)[:80])
    missing = [name for name in emotions if name not in pairs]
    return Unparseable("missing_emotion", ", ".join(missing)[:80]) if missing else Unparseable("all_zero")

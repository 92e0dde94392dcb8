"""Flags user text that looks like an attempt to steer the judge: scores as an answer would have them, or orders.

A flag changes nothing about the probe: it is counted, and the text stays data.
"""

import json
import re
import unicodedata
from collections.abc import Sequence

__all__ = ["steers"]

_MARKS = re.compile(r"[*_`#>|]")
_NUMBER = r"(?:10|\d)(?:[.,]\d{1,3})?"
_SCORE_LINE = re.compile(rf"^\W{{0,8}}[^\W\d_]{{3,32}} ?[\"']? ?[:=] ?{_NUMBER}(?:\s?/\s?10)?\W{{0,4}}$", re.MULTILINE)
_JSON_PAIR = re.compile(rf"[\"'][^\W\d_]{{3,32}}[\"'] ?: ?[\"']?{_NUMBER}\b")
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|prompt|rule|above|previous|prior|earlier)"
    r"|\bignorier\w{0,4}\b.{0,40}\b(?:anweisung|regel|oben|vorherig|bisherig)"
    r"|\b(?:ignora|olvida|ignorez|oublie[sz]?|dimentica)\b.{0,40}\b(?:instruc|instruct|istruzion|consigne|anterior|précédent|precedent)"
    r"|\b(?:system|developer) ?(?:prompt|message|override)\b|\byou are now\b.{0,40}\b(?:judge|rater|scorer|assistant)"
    r"|\b(?:rate|score|bewerte|mark)\b.{0,60}\b(?:as|at|with|with a|mit|=) ?(?:10|ten|zehn|0|zero)\b"
    r"|忽略.{0,12}(?:指令|以上|之前)|игнорируй.{0,30}инструкци",
    re.IGNORECASE,
)


def steers(text: str, emotions: Sequence[str]) -> bool:
    """Whether the text is shaped like an answer about these emotions, or orders the judge about."""
    plain = _MARKS.sub("", _visible(text))
    names = "|".join(re.escape(emotion) for emotion in emotions)
    named = re.compile(
        rf"\b(?:{names})\b[\s\"']{{0,3}}(?:[:=]|is|ist|->|[-\u2013])[\s\"']{{0,3}}{_NUMBER}(?![\w%])", re.IGNORECASE
    )
    return bool(
        (names and named.search(plain))
        or _ORDERS.search(plain)
        or len(_SCORE_LINE.findall(plain)) >= 2
        or len(_JSON_PAIR.findall(plain)) >= 2
        or _is_answer(text, emotions)
    )


def _visible(text: str) -> str:
    """Compatibility forms folded and invisible characters dropped: they hide words from a search, not from a model."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(character for character in folded if unicodedata.category(character) != "Cf")


def _is_answer(text: str, emotions: Sequence[str]) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    known = {emotion.casefold() for emotion in emotions}
    return isinstance(value, dict) and any(key.casefold() in known for key in value)

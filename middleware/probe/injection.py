"""Says what in user text looks like an attempt to steer the judge. It decides nothing about the probe: text stays data.

Scores as an answer would have them; orders to whoever scores; the marks of other speakers; the same in disguise. The
words are in steering_words.toml, and no rule looks at one of them alone. What gets past it: docs/hostile-text.md.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from middleware.probe.unmasking import folded, spellings, visible
from middleware.records.conversation import Steering

__all__ = ["steering"]

_LONGEST = 24_000  # characters that are looked at; of longer text the beginning and the end
_MARKS = re.compile(r"[*_`#>|~\"\u201c-\u201f\u00ab\u00bb\u2018\u2019\u300c\u300d]")
_RATE_AS = re.compile(r"\b(?:rate|score|bewerte|mark)\b.{0,60}\b(?:as|at|with|with a|mit|=) ?(?:10|ten|zehn|0|zero)\b")
_FIRST_WITHOUT_SPACES = "\u3040"
_LABELS = 3
_NEAR = 28  # characters between an emotion and its number
_ORDERS = ("overrides", "revealing", "reversed", "refusing")


def steering(text: str, emotions: Sequence[str]) -> frozenset[Steering]:
    """Kinds of attempts in the text, empty for ordinary talk. emotions: what the judge is asked about."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
    shown = visible(text)
    words = _vocabulary(tuple(emotions))
    found = words.kinds(shown.text)
    if shown.hid:
        found.add("hidden")
    if any(words.kinds_behind(other) - found for other in spellings(text)):
        found.add("encoded")
    return frozenset(found)


class _Vocabulary:
    """The patterns for one set of emotions."""

    def __init__(self, emotions: Sequence[str]) -> None:
        lists = _words()
        self.names = [folded(emotion) for emotion in emotions]
        self._emotions = list(emotions)
        forms = [_any([name, *_stems(lists["labels"].get(name, ""))]) for name in self.names]
        self._named = re.compile("|".join(rf"(?P<e{number}>{form})" for number, form in enumerate(forms)) or "(?!)")
        self._key = re.compile("|".join(rf"[\"']{re.escape(name)}[\"'] ?:" for name in self.names) or "(?!)")
        known = _any({*self.names, *_stems(lists["feelings"]), *lists["labels"]}, whole=True)
        becomes = rf"[\s'\"]{{0,3}}(?:/ ?[^\W\d_]{{2,24}} ?)?(?:{_source('becomes')})[\s'\"]{{0,3}}| (?:is|ist) "
        number, end = _source("number"), _source("line_ends")
        self._known = re.compile(rf"(?:{known})(?:{becomes})(?:{number}){end}", re.MULTILINE)

    def kinds(self, text: str) -> set[Steering]:
        """In a text as it was written."""
        plain = _pattern("scales").sub(" ", folded(_MARKS.sub("", text)))
        flat = plain.replace("\n", " ")  # an order may be split over lines, and over messages
        found: set[Steering] = set()
        pairs = self._pairs(plain)
        if len(pairs) >= 2 or self._known.search(plain) or self._key.search(folded(text)):
            found.add("scores")
        if self._orders(text, flat, pairs):
            found.add("orders")
        if _pattern("roles").search(folded(text)) or _pattern("speakers").search(text):
            found.add("roles")
        return found

    def kinds_behind(self, text: str) -> set[Steering]:
        """In a reading that may be gibberish: only what names the emotions, or orders in so many words."""
        plain = folded(_MARKS.sub("", text))
        found: set[Steering] = set()
        if not (self._named.search(plain) or "instruct" in plain or "prompt" in plain):
            return found
        pairs = self._pairs(plain)
        if len(pairs) >= 2 or (pairs and _listed("grading").search(plain)):
            found.add("scores")
        if _pattern("overrides").search(plain) or _pattern("revealing").search(plain):
            found.add("orders")
        return found

    def _pairs(self, plain: str) -> set[str]:
        """Emotions with a number right after them, or right before."""
        found = set()
        for mention in self._named.finditer(plain):
            after = plain[mention.end() : mention.end() + _NEAR]
            before = plain[max(0, mention.start() - _NEAR) : mention.start()]
            if _pattern("number_after").match(after) or _pattern("number_before").search(before):
                found.add(mention.lastgroup or "")
        return found

    def _orders(self, text: str, plain: str, pairs: set[str]) -> bool:
        if _RATE_AS.search(plain) or any(_pattern(name).search(plain) for name in _ORDERS):
            return True
        named = sum(re.search(rf"\b{re.escape(name)}\b", plain) is not None for name in self.names)
        labels = sum(re.search(rf"(?<![.!?] )(?<!^)\b{re.escape(e)}\b", text) is not None for e in self._emotions)
        if labels >= _LABELS:  # names as the judge is asked about them, which nobody speaks of by chance
            return True
        grades, extremes = _listed("grading").search(plain) is not None, _extremes(plain)
        if grades and (pairs or labels >= 2 or named >= _LABELS or (extremes and _listed("valence").search(plain))):
            return True
        if not _pattern("conditional").search(plain):
            return False
        return (
            grades or named > 0 or any(p.search(plain) for p in (_pattern("zero"), _pattern("ten"), _listed("feeling")))
        )


def _extremes(plain: str) -> bool:
    return _pattern("zero").search(plain) is not None and _pattern("ten").search(plain) is not None


@lru_cache(maxsize=64)
def _vocabulary(emotions: tuple[str, ...]) -> _Vocabulary:
    return _Vocabulary(emotions)


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "steering_words.toml").read_text(encoding="utf-8"))


@cache
def _listed(name: str) -> re.Pattern[str]:
    return re.compile(_any(_stems(_words()[name])))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(_source(name), re.MULTILINE)


@cache
def _source(name: str) -> str:
    """One of the patterns, folded as far as letters go; ``{name}`` in it stands for another one."""
    joined = "|".join(_words()["patterns"][name])
    for other in re.findall(r"\{([a-z_]+)\}", joined):
        joined = joined.replace(f"{{{other}}}", f"(?:{_source(other)})")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", joined))


def _stems(text: str) -> list[str]:
    return [folded(stem.replace("_", " ")) for stem in text.split()]


def _any(words: Iterable[str], *, whole: bool = False) -> str:
    """One pattern for all. They begin where a word begins, but where words are written without spaces."""
    longest_first = sorted({word for word in words if word}, key=lambda word: (-len(word), word))
    spaced = "|".join(re.escape(word) for word in longest_first if word[0] < _FIRST_WITHOUT_SPACES)
    others = "|".join(re.escape(word) for word in longest_first if word[0] >= _FIRST_WITHOUT_SPACES)
    end = r"\b" if whole else ""
    return "|".join([rf"\b(?:{spaced}){end}"] * bool(spaced) + [others] * bool(others)) or "(?!)"

"""What a text holds at a glance, so that a rule's pattern is searched only where it could match.

A cue is necessary, never sufficient: without it the pattern finds nothing in that text, and with it the pattern decides.
So cues change how long redaction takes and nothing that it finds; tests/middleware/probe/test_redaction_cues.py holds
every rule to that.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Cue",
    "Glance",
    "Kind",
    "Rule",
    "WordCue",
    "always",
    "any_of",
    "folded",
    "glance",
    "has_word",
    "holds",
    "keyed",
    "spelled",
]

Kind = Literal["secret", "url", "email", "iban", "card", "ip", "phone", "address", "name"]
WordCue = Mapping[bytes, tuple[str, ...]]

# Letters that re.IGNORECASE takes for others of ours, beyond those that str.lower makes alike.
_ODD = str.maketrans("\u0130\u0131\u017f\u1c80\u1c81\u1c82\u1c83\u1c84\u1c85\u1c86", "iisвдосттъ")
_ODD_ONE = re.compile("[\u0130\u0131\u017f\u1c80-\u1c86]")
_SCRIPTS = re.compile("[\u0400-\u052f\u0600-\u06ff\u0900-\u097f\u1c80-\u1c8f\u2e80-\u9fff\uac00-\ud7a3]")
_DIGITS = re.compile(r"\d+")
_ASCII_DIGITS = re.compile("[0-9]+")
_WORD = re.compile("[a-z0-9_]+")
_WORD_BYTES = bytes(c if _WORD.fullmatch(chr(c)) else 32 for c in range(256))


# Not frozen: one is made of every text, and freezing would be most of that.
@dataclass(slots=True)
class Glance:
    """folded: the text as re.IGNORECASE compares it, character for character. words: the known ones among its words.

    digits: where each run of digits begins; digit_count: how many there are. scripts: whether there are letters of
    Cyrillic, Arabic, Devanagari or East Asian scripts; b"" is then among the words.
    """

    text: str
    folded: str
    words: frozenset[bytes]
    digits: tuple[int, ...]
    digit_count: int
    scripts: bool


Cue = Callable[[Glance], bool]


def glance(text: str, known: frozenset[bytes]) -> Glance:
    """Of the text, with those of its words that are known; a word is a run of ASCII letters, digits and underscores."""
    plain = text.isascii()
    low = text.lower() if plain else folded(text)
    words = known.intersection(low.encode("ascii", "replace").translate(_WORD_BYTES).split())
    scripts = not plain and _SCRIPTS.search(text) is not None
    if plain:
        runs = [match.span() for match in _ASCII_DIGITS.finditer(text)]
    else:
        # Asking for each character whether any script has it for a digit is slow, and few characters are different.
        some = _DIGITS.search("".join(set(text)))
        runs = [match.span() for match in _DIGITS.finditer(text)] if some else []
    if scripts:
        words |= {b""}
    if not runs:
        return Glance(text, low, words, (), 0, scripts)
    starts = tuple(start for start, _ in runs)
    return Glance(text, low, words, starts, sum(end for _, end in runs) - sum(starts), scripts)


def folded(text: str) -> str:
    """In lower case as re.IGNORECASE compares letters that rules name; as long as it was."""
    if not text.isascii() and _ODD_ONE.search(text):
        text = text.translate(_ODD)
    return text.lower()


def always(_seen: Glance) -> bool:
    return True


def _accepted(_piece: str, _before: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """What to find; the group ``it`` is what is taken, else all. accepts: a check of the piece and of what precedes.

    words, cue: what a text certainly has where the pattern matches. digits: nothing is searched for in a text without
    any. scripts: nor in one without letters of the scripts that a `Glance` tells.
    """

    kind: Kind
    pattern: re.Pattern[str]
    accepts: Callable[[str, str], bool] = _accepted
    words: WordCue = field(default_factory=dict)
    cue: Cue = always
    digits: bool = False
    scripts: bool = False


def has_word(words: WordCue, seen: Glance) -> bool:
    """Whether one of the words stands in the text as it is spelled; true of no words at all."""
    if words.keys().isdisjoint(seen.words):
        return not words
    for word in seen.words:  # noqa: SIM110 - as in holds
        if word in words and holds(seen.text, words[word]):
            return True
    return False


def any_of(*pieces: str, rare: str = "") -> Cue:
    """One of these stands in the text, as it is written here. rare: a character of it, which is looked for sooner."""
    if len(pieces) == 1:
        (only,) = pieces
        return lambda seen: rare in seen.text and only in seen.text
    return lambda seen: holds(seen.text, pieces)


def holds(text: str, pieces: Iterable[str]) -> bool:
    """Whether one of them stands in the text; a plain loop, as a generator costs more than the looking."""
    for piece in pieces:  # noqa: SIM110
        if piece in text:
            return True
    return False


def spelled(pattern: str) -> tuple[str, ...]:
    """Everything that a pattern of letters, classes of letters, alternatives and ``?`` matches."""
    return tuple(_alternatives(pattern, 0)[0])


def _alternatives(pattern: str, position: int) -> tuple[list[str], int]:
    """Up to the end, or to the parenthesis that closes; and where that is."""
    found: list[str] = []
    current = [""]
    while position < len(pattern) and pattern[position] != ")":
        if pattern[position] == "|":
            found += current
            current = [""]
            position += 1
            continue
        options, position = _item(pattern, position)
        if pattern.startswith("?", position):
            options = [*options, ""]
            position += 1
        current = [head + tail for head in current for tail in options]
    return found + current, position


def _item(pattern: str, position: int) -> tuple[list[str], int]:
    if pattern.startswith("(?:", position):
        options, end = _alternatives(pattern, position + 3)
        return options, end + 1
    if pattern[position] == "[":
        end = pattern.index("]", position)
        return list(pattern[position + 1 : end]), end + 1
    if pattern[position] == "\\":
        return [pattern[position + 1]], position + 2
    return [pattern[position]], position + 1


def keyed(
    spellings: Iterable[str], *, before: str = "", after: Iterable[str] = ("",), any_case: bool = False
) -> WordCue:
    """A cue for spellings that stand between characters that are no part of a word, by the longest word of each.

    before, after: what certainly stands beside one. any_case: only the word counts, however it is written.
    """
    found: dict[bytes, list[str]] = {}
    for spelling in spellings:
        word = max(_WORD.findall(folded(spelling)), key=len, default="")
        needles = found.setdefault(word.encode(), [])
        needles += [""] if any_case else [f"{before}{spelling}{end}" for end in after]
    return {word: tuple(dict.fromkeys(needles)) for word, needles in found.items()}

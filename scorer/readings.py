"""Finds every place in a cleaned text where an emotion is given an intensity, however it is written.

The patterns have no nested unbounded repeats: each label costs a bounded number of steps.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from scorer.text_cleaning import evened

__all__ = [
    "REVISED_WORDS",
    "Defect",
    "Reading",
    "find_readings",
    "label_pattern",
    "lone_value",
    "missing_from",
    "names_of",
]

Defect = Literal["", "out_of_range", "placeholder_echo"]

_DECOR = r"[\s*_`\"'“”„«»~\\\])}>$]"
_WRAP = r"[\s*_`\"'“”„«»~<\[({≈+\\#$]"
_WORD = r"(?:score|intensity|rating|level|value|punktzahl|punkte|wert|intensität|bewertung)"
_SEPARATOR = r"(?:->|=>|[:=→⇒|(\-]|(?:is|at|was|would be|ist|bei|wäre)\b)"
_HEDGE = r"(?:(?:about|around|approximately|roughly|maybe|perhaps|probably|etwa|ungefähr|vielleicht|ca\.) ?)?"
# What announces the second pass, as a heading or as a key.
REVISED_WORDS = r"(?:revis|überarbeite|final|endgültig|updated|adjusted)"
_PLACEHOLDER = r"<(?![|/])[^<>\n\d]{1,40}>|\[(?!end)[^\[\]\n\d]{1,40}\]|_{2,40}|x{1,3}\b"
_VALUE = (
    rf"(?:(?P<blank>{_PLACEHOLDER})|{_WRAP}{{0,8}}+{_HEDGE}{_WRAP}{{0,4}}+"
    r"(?P<sign>-?) ?(?P<number>\d++(?:[.,]\d++)?+|\.\d++)"
    r"(?:(?P<percent> ?%)"
    r"|(?:-| (?:to|bis) | ?- ?(?=[\d.,]{1,6}+ ?$))(?P<upper>\d{1,3}+(?:[.,]\d{1,6}+)?+)(?! ?[:=])"
    r"|[*_`\])}>\"' ]{0,4}+(?:/|out of|von|of)[*_` ]{0,4}+(?P<scale>\d{1,3}+))?)"
)
_LONE_VALUE = re.compile(_VALUE, re.MULTILINE)
_LIST_NUMBER = re.compile(r"[.)][\s*_`\"']{0,4}+(?P<rest>.{0,60})")
_BULLET = re.compile(r"(?:[^\w\n]|\d{1,2}[.)]|_){0,24}+")
_HEADED = re.compile(r"[^\n:]{1,60}:[^\w\n]{0,8}+")
_CHAINED = re.compile(r"[^\w\n]{0,6}+(?:(?:and|und|&)[^\w\n]{1,3}+)?")


@dataclass(frozen=True, slots=True)
class Reading:
    """One emotion's intensity at one place: [start, end) in the cleaned text. emotion: index into the item's names.

    value: 0..10, or None where a defect says why not. in_list: it stands where an answer's line would, not in prose.
    revised: under a heading, or a key, that announces the second pass.
    """

    emotion: int
    value: float | None
    defect: Defect
    start: int
    end: int
    in_list: bool = True
    revised: bool = False
    shown: str = ""


@lru_cache(maxsize=1024)
def names_of(emotions: tuple[str, ...]) -> dict[str, int]:
    """The names as they look in a cleaned text, with their place."""
    return {evened(name): index for index, name in enumerate(emotions)}


@lru_cache(maxsize=1024)
def label_pattern(emotions: tuple[str, ...]) -> str:
    """The names as one alternative of a pattern, on word borders; an underscore may be markup, not part of a word."""
    names = sorted(names_of(emotions), key=len, reverse=True)
    words = "|".join(r"[\s_-]".join(re.escape(part) for part in re.split(r"[\s_-]+", name)) for name in names)
    return rf"(?<![^\W\d_])(?<![^\W_]_)(?P<label>{words})(?![^\W_])(?!_[^\W_])"


@lru_cache(maxsize=1024)
def _reading_pattern(emotions: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"{label_pattern(emotions)}{_DECOR}{{0,8}}+(?:\([^()\n]{{0,60}}\){_DECOR}{{0,8}}+)?"
        rf"(?:{_WORD}{_DECOR}{{0,4}}+)?{_SEPARATOR}?"
        rf"(?:[\s\"'*_{{,]{{0,8}}+{_WORD}[\"'*_ ]{{0,4}}+[:=]?)?[\s*_`\"']{{0,8}}?{_VALUE}",
        re.MULTILINE,
    )


def find_readings(text: str, emotions: tuple[str, ...]) -> list[Reading]:
    """Every reading of a cleaned text, in order."""
    found: list[Reading] = []
    names = names_of(emotions)
    label = re.compile(label_pattern(emotions))
    listed_until = -1
    for match in _reading_pattern(emotions).finditer(text):
        if _is_next_bullet(text, match, label):
            continue
        in_list = _stands_in_list(text, match.start("label"), listed_until)
        listed_until = match.end() if in_list else -1
        name = re.sub(r"[\s_-]+", " ", match["label"])
        index = next(index for known, index in names.items() if re.sub(r"[\s_-]+", " ", known) == name)
        value, defect = value_of(match)
        found.append(Reading(index, value, defect, match.start(), match.end(), in_list, shown=_shown(match)))
    return found


def value_of(match: re.Match[str]) -> tuple[float | None, Defect]:
    """The intensity that a match of the value pattern stands for, on the scale 0..10.

    ``7/10`` is 7; per cent and ``/100`` are brought to the scale; of a span like ``3-5`` the middle is taken.
    """
    if match["blank"]:
        return None, "placeholder_echo"
    if len(match["number"]) > 20:
        return None, "out_of_range"
    number = float(match["number"].replace(",", "."))
    if match["upper"]:
        upper = float(match["upper"].replace(",", "."))
        if number <= 1 and upper == 10:  # the scale itself: "0-10"
            return None, "placeholder_echo"
        number = (number + upper) / 2 if max(number, upper) <= 10 else -1.0
    if match["percent"]:
        number /= 10
    elif match["scale"] and match["scale"] != "10":
        number = number / 10 if match["scale"] == "100" else -1.0
    if (match["sign"] and number != 0) or not 0 <= number <= 10:
        return None, "out_of_range"
    return number, ""


def lone_value(text: str) -> tuple[float | None, Defect] | None:
    """The intensity in a text that holds nothing else, such as a JSON string; None where there is none."""
    match = _LONE_VALUE.match(evened(text[:80]))
    return value_of(match) if match else None


def _stands_in_list(text: str, start: int, listed_until: int) -> bool:
    """On a line's beginning, behind bullets or a heading with a colon, or right after another such reading."""
    line = max(text.rfind("\n", max(0, start - 200), start) + 1, 0)
    if start - line > 200:
        line = start - 200
    before = text[line:start]
    if _BULLET.fullmatch(before) or _HEADED.fullmatch(before):
        return True
    return line <= listed_until <= start and _CHAINED.fullmatch(text[listed_until:start]) is not None


def _is_next_bullet(text: str, match: re.Match[str], label: re.Pattern[str]) -> bool:
    """``Joy:⏎2. Anger: 5`` — the 2 is the next line's number, not the intensity of joy."""
    if match["blank"] or "\n" not in text[match.end("label") : match.start("number")]:
        return False
    after = _LIST_NUMBER.match(text, match.end("number"))
    return after is not None and label.match(after["rest"]) is not None


def _shown(match: re.Match[str]) -> str:
    raw = match["blank"] or _number_as_written(match)
    return f"{match['label']}: {raw}"[:60]


def _number_as_written(match: re.Match[str]) -> str:
    """The number as the model wrote it, scale included."""
    return match.string[match.start("sign") : match.end()].strip()


def missing_from(readings: Sequence[Reading], emotions: Sequence[str]) -> list[str]:
    """The emotions that no reading is about."""
    seen = {reading.emotion for reading in readings}
    return [name for index, name in enumerate(emotions) if index not in seen]

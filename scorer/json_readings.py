"""Finds intensities in JSON objects inside a cleaned text: whole answers, fenced blocks, nested and listed forms."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scorer.readings import REVISED_WORDS, Defect, Reading, lone_value, names_of
from scorer.text_cleaning import evened

__all__ = ["JsonSpan", "find_json"]

# A hostile text may hold an opening brace at every place; each failed attempt may read on to the end.
_MAX_ATTEMPTS = 48
_MAX_DEPTH = 6
_NAME_KEYS = ("emotion", "name", "label", "feeling", "gefühl")
_SCORE_KEYS = (
    "score",
    "intensity",
    "rating",
    "value",
    "level",
    "punktzahl",
    "punkte",
    "wert",
    "intensität",
    "bewertung",
)
_REVISED_KEY = re.compile(REVISED_WORDS)


_Found = Reading | str


@dataclass(frozen=True, slots=True)
class JsonSpan:
    """A JSON object's place in the text and what it says about the emotions. unknown: names that it rates besides."""

    start: int
    end: int
    readings: tuple[Reading, ...]
    unknown: tuple[str, ...] = ()


def find_json(text: str, emotions: tuple[str, ...]) -> list[JsonSpan]:
    """The JSON objects of a cleaned text that rate something, in order; the others are left to the plain reading."""
    spans: list[JsonSpan] = []
    decoder = json.JSONDecoder()
    position = text.find("{")
    for _ in range(_MAX_ATTEMPTS):
        if position < 0:
            break
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position = text.find("{", position + 1)
            continue
        found = list(_walk(value, emotions, (position, end), revised=False, depth=0))
        readings = tuple(item for item in found if isinstance(item, Reading))
        unknown = tuple(item for item in found if isinstance(item, str))
        if readings or unknown:
            spans.append(JsonSpan(position, end, readings, unknown))
        position = text.find("{", end)
    return spans


def _walk(value: Any, emotions: tuple[str, ...], at: tuple[int, int], revised: bool, depth: int) -> Iterator[_Found]:
    """Readings, and names that are rated but not asked for, in the value's order."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for element in value:
            yield from _walk(element, emotions, at, revised, depth + 1)
    elif isinstance(value, dict):
        named = _named_score(value)
        for raw_key, content in [named] if named else value.items():
            key = evened(str(raw_key)).strip("*_ ")
            yield from _pair(key, content, emotions, at, revised, depth)


def _pair(
    key: str, content: Any, emotions: tuple[str, ...], at: tuple[int, int], revised: bool, depth: int
) -> Iterator[_Found]:
    index = names_of(emotions).get(key)
    number = _number(content)
    if index is not None and number is not None:
        yield Reading(index, *number, *at, revised=revised, shown=f"{key}: {content}"[:60])
    elif isinstance(content, (dict, list)):
        if index is None and number is not None:
            yield key
        yield from _walk(content, emotions, at, revised or _REVISED_KEY.search(key) is not None, depth + 1)
    elif index is None and number is not None and not isinstance(content, str):
        yield key


def _named_score(value: dict[str, Any]) -> tuple[str, Any] | None:
    """``{"emotion": "Joy", "score": 7}`` as a pair."""
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    score = next((value[key] for key in _SCORE_KEYS if key in value), None)
    return (name, score) if name is not None and score is not None else None


def _number(value: Any) -> tuple[float | None, Defect] | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return (float(value), "") if 0 <= value <= 10 else (None, "out_of_range")
    if isinstance(value, str):
        return lone_value(value)
    if isinstance(value, dict):
        return next(
            (_number(value[key]) for key in _SCORE_KEYS if key in value and not isinstance(value[key], dict)), None
        )
    return None

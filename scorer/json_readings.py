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
        found = list(_walk(value, emotions, position, end, revised=False, depth=0))
        readings = tuple(item for item in found if isinstance(item, Reading))
        unknown = tuple(item for item in found if isinstance(item, str))
        if readings or unknown:
            spans.append(JsonSpan(position, end, readings, unknown))
        position = text.find("{", end)
    return spans


def _walk(
    value: Any, emotions: tuple[str, ...], start: int, end: int, *, revised: bool, depth: int
) -> Iterator[Reading | str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for element in value:
            yield from _walk(element, emotions, start, end, revised=revised, depth=depth + 1)
    if not isinstance(value, dict):
        return
    named = _named_score(value)
    pairs = [named] if named else value.items()
    for raw_key, content in pairs:
        key = evened(str(raw_key)).strip("*_ ")
        index = names_of(emotions).get(key)
        number = _number(content)
        if index is not None:
            if number is not None:
                reading = Reading(index, *number, start, end, revised=revised, shown=f"{key}: {content}"[:60])
                yield reading
        elif isinstance(content, (dict, list)):
            inner = revised or _REVISED_KEY.search(key) is not None
            rated = _number(content) if isinstance(content, dict) and not _has_emotion(content, emotions) else None
            if rated is not None:
                yield key
            yield from _walk(content, emotions, start, end, revised=inner, depth=depth + 1)
        elif number is not None and not isinstance(content, str):
            yield key


def _named_score(value: dict[str, Any]) -> tuple[str, Any] | None:
    """``{"emotion": "Joy", "score": 7}`` as a pair."""
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    score = next((value[key] for key in _SCORE_KEYS if key in value), None)
    return (name, score) if name is not None and score is not None else None


def _has_emotion(value: dict[str, Any], emotions: tuple[str, ...]) -> bool:
    names = names_of(emotions)
    return any(evened(str(key)) in names for key in value)


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

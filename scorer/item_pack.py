"""The rules of our item pack format (schema 1): everything that is wrong with a document, in words that help.

item_pack.schema.json says the same to other tools; the rules that a schema can't express (ids that differ, two
emotions that differ only in case, as many references as emotions, template marks in a dialogue) are only here.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scorer.prompts import TEMPLATE_MARKERS

__all__ = ["BRANCHES", "CHECKS", "DIFFICULTIES", "SCHEMA", "TAG_NAMES", "find_problems"]

SCHEMA = 1
BRANCHES = ("understanding", "perception", "use", "management")
CHECKS = ("flattery",)
DIFFICULTIES = ("easy", "medium", "hard")
TAG_NAMES = ("difficulty", "culture", "age_group", "check")

_PACK_FIELDS = ("schema", "name", "title", "version", "language", "description", "items")
_ITEM_FIELDS = (
    "id",
    "dialogue_id",
    "dialogue",
    "subject",
    "emotions",
    "reference_fullscale",
    "rationale",
    "tags",
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# What both official parsers can read as a label: `\w+` in English, these letters in German.
_EMOTION = re.compile(r"[A-Za-zäöüßÄÖÜ]{2,40}")
_NO_WAY_TO_READ_ON = "fix this first; the rest was not checked"


def find_problems(data: Any) -> list[str]:
    """Every problem of a pack, in reading order; an empty list means that it can be used."""
    return list(_pack_problems(data))


def _pack_problems(data: Any) -> Iterator[str]:
    if not isinstance(data, Mapping):
        yield f"pack: must be a JSON object, got {_shown(data)}; {_NO_WAY_TO_READ_ON}"
        return
    if not _is_number(data.get("schema")) or data["schema"] != SCHEMA:
        yield f"pack: field 'schema': got {_shown(data.get('schema'))}, must be {SCHEMA}; {_NO_WAY_TO_READ_ON}"
        return
    yield from _field_problems("pack", data, _PACK_FIELDS)
    yield from _id_problems("pack", data, "name")
    for name in ("title", "version", "description"):
        yield from _text_problems("pack", data, name)
    if "language" in data and data["language"] not in ("en", "de"):
        yield f'pack: field \'language\': got {_shown(data["language"])}, must be "en" or "de"'
    items = data.get("items", [None])
    if not isinstance(items, list) or not items:
        yield f"pack: field 'items': got {_shown(items)}, must be a list of at least one item"
        return
    seen: dict[str, int] = {}
    for index, item in enumerate(items if "items" in data else []):
        yield from _item_problems(index, item, seen)


def _item_problems(index: int, item: Any, seen: dict[str, int]) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"item #{index + 1}: must be an object, got {_shown(item)}"
        return
    item_id = item.get("id")
    where = f"item {item_id!r}" if isinstance(item_id, str) and item_id else f"item #{index + 1}"
    yield from _field_problems(where, item, _ITEM_FIELDS)
    for name in ("id", "dialogue_id"):
        yield from _id_problems(where, item, name)
    if isinstance(item_id, str):
        if item_id in seen:
            yield f"{where}: field 'id': items #{seen[item_id] + 1} and #{index + 1} have it; give each its own"
        seen.setdefault(item_id, index)
    for name in ("subject", "rationale"):
        yield from _text_problems(where, item, name)
    yield from _dialogue_problems(where, item)
    yield from _emotion_problems(where, item)
    yield from _tag_problems(where, item)


def _dialogue_problems(where: str, item: Mapping[str, Any]) -> Iterator[str]:
    if "dialogue" not in item:
        return
    dialogue = item["dialogue"]
    if not isinstance(dialogue, list) or not dialogue:
        yield f"{where}: field 'dialogue': got {_shown(dialogue)}, must be a list of at least one turn"
        return
    for index, turn in enumerate(dialogue):
        spot = f"dialogue[{index}]"
        if not isinstance(turn, Mapping):
            yield f'{where}: field {spot!r}: got {_shown(turn)}, must be {{"speaker": …, "text": …}}'
            continue
        yield from _field_problems(where, turn, ("speaker", "text"), prefix=f"{spot}.")
        for name in ("speaker", "text"):
            yield from _text_problems(where, turn, name, prefix=f"{spot}.")
            text = turn.get(name)
            if isinstance(text, str) and (mark := next((m for m in TEMPLATE_MARKERS if m in text), None)):
                yield f"{where}: field '{spot}.{name}': contains {mark!r}, a mark of the template; reword it"


def _emotion_problems(where: str, item: Mapping[str, Any]) -> Iterator[str]:
    emotions = item.get("emotions")
    if "emotions" in item and not (isinstance(emotions, list) and 2 <= len(emotions) <= 8):
        yield f"{where}: field 'emotions': got {_shown(emotions)}, must be a list of 4 names (2 to 8 are accepted)"
        emotions = None
    for index, name in enumerate(emotions or []):
        if not isinstance(name, str) or not _EMOTION.fullmatch(name):
            yield f"{where}: field 'emotions[{index}]': got {_shown(name)}, must be one word of letters"
    names = [name.casefold() for name in emotions or [] if isinstance(name, str)]
    if len(set(names)) != len(names):
        yield f"{where}: field 'emotions': got {_shown(emotions)}, names must differ in more than case"
    references = item.get("reference_fullscale")
    if "reference_fullscale" not in item:
        return
    if not isinstance(references, list) or not 2 <= len(references) <= 8:
        yield f"{where}: field 'reference_fullscale': got {_shown(references)}, must list a number for each emotion"
        return
    if emotions is not None and len(references) != len(emotions):
        yield (
            f"{where}: field 'reference_fullscale': has {len(references)} numbers for {len(emotions)} emotions; "
            "give one for each"
        )
    for index, value in enumerate(references):
        if not _is_number(value) or not 0 <= value <= 10:
            yield f"{where}: field 'reference_fullscale[{index}]': got {_shown(value)}, must be a number from 0 to 10"


def _tag_problems(where: str, item: Mapping[str, Any]) -> Iterator[str]:
    if "tags" not in item:
        return
    tags = item["tags"]
    if not isinstance(tags, Mapping):
        yield f"{where}: field 'tags': got {_shown(tags)}, must be an object with at least 'branch'"
        return
    for name in tags:
        if name not in ("branch", *TAG_NAMES):
            yield f"{where}: field 'tags.{name}': unknown; known are branch, {', '.join(TAG_NAMES)}"
    if tags.get("branch") not in BRANCHES:
        yield f"{where}: field 'tags.branch': got {_shown(tags.get('branch'))}, must be one of {', '.join(BRANCHES)}"
    if "difficulty" in tags and tags["difficulty"] not in DIFFICULTIES:
        yield (
            f"{where}: field 'tags.difficulty': got {_shown(tags['difficulty'])}, "
            f"must be one of {', '.join(DIFFICULTIES)}"
        )
    if "check" in tags and tags["check"] not in CHECKS:
        yield f"{where}: field 'tags.check': got {_shown(tags['check'])}, must be one of {', '.join(CHECKS)}"
    for name in ("culture", "age_group"):
        yield from _text_problems(where, tags, name, prefix="tags.")


def _field_problems(where: str, data: Mapping[str, Any], known: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    for name in known:
        if name not in data:
            yield f"{where}: field '{prefix}{name}': is missing; add it"
    for name in data:
        if name not in known:
            yield f"{where}: field '{prefix}{name}': unknown; remove it or mend its spelling"


def _id_problems(where: str, data: Mapping[str, Any], name: str) -> Iterator[str]:
    value = data.get(name)
    if name in data and not (isinstance(value, str) and _ID.fullmatch(value)):
        yield (
            f"{where}: field {name!r}: got {_shown(value)}, must be 1 to 64 letters, digits, dots, dashes or "
            "underscores, a letter or digit first"
        )


def _text_problems(where: str, data: Mapping[str, Any], name: str, prefix: str = "") -> Iterator[str]:
    value = data.get(name)
    if name in data and not (isinstance(value, str) and re.search(r"\S", value)):
        yield f"{where}: field '{prefix}{name}': got {_shown(value)}, must be a non-empty text"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

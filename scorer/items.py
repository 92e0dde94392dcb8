"""Items and item sets: EQ-Bench's official files and our own packs, checked and brought into one form.

Reading files, downloads and hashes are the caller's; here is only what a parsed JSON document means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from scorer.answers import Profile
from scorer.item_pack import TAG_NAMES, find_problems
from scorer.prompts import Language, compose

__all__ = ["Item", "ItemSet", "Version", "parse_bundled", "parse_official"]

Version = Literal["v1", "v2"]


@dataclass(frozen=True, slots=True)
class Item:
    """One question: a dialogue, whose feelings are asked about, and the reference intensities.

    prompt: the stored form in the official template, revision part included.
    reference: EQ-Bench v1, sums to 10 (not re-normalised); reference_fullscale: v2, each 0..10. None where not given.
    cluster: items with the same cluster come from one dialogue and are not independent.
    """

    id: str
    emotions: tuple[str, ...]
    prompt: str
    reference: tuple[float, ...] | None
    reference_fullscale: tuple[float, ...] | None
    cluster: str = ""
    branch: str = ""
    tags: tuple[str, ...] = ()
    rationale: str = ""
    dialogue: str = ""
    subject: str = ""

    def reference_for(self, version: Version) -> tuple[float, ...]:
        """The reference that this scoring version uses. Raises ValueError where the item has none."""
        found = self.reference if version == "v1" else self.reference_fullscale
        if found is None:
            raise ValueError(f"item {self.id!r} has no reference for EQ-Bench {version}")
        return found


@dataclass(frozen=True, slots=True)
class ItemSet:
    """An ordered set of items that are scored together. version is EQ-Bench's scoring version, not the file's."""

    name: str
    version: Version
    language: Language
    items: tuple[Item, ...]
    official: bool
    sha256: str
    title: str = ""
    description: str = ""
    pack_version: str = ""
    by_id: Mapping[str, Item] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", MappingProxyType({item.id: item for item in self.items}))

    @property
    def default_profile(self) -> Profile:
        return "official" if self.official else "tolerant"


def parse_official(data: Mapping[str, Any], *, name: str, version: Version, language: Language, sha256: str) -> ItemSet:
    """Reads an official EQ-Bench question file. Raises ValueError that names the item and the field."""
    if not isinstance(data, Mapping) or not data:
        raise ValueError(f"{name}: an official item file is a JSON object of items by id; got {type(data).__name__}")
    openings: dict[str, str] = {}
    items = tuple(_official_item(str(key), value, version, openings) for key, value in data.items())
    return ItemSet(name=name, version=version, language=language, items=items, official=True, sha256=sha256)


def _official_item(item_id: str, data: Any, version: Version, openings: dict[str, str]) -> Item:
    if not isinstance(data, Mapping):
        raise ValueError(f"item {item_id!r}: must be an object, got {type(data).__name__}")
    prompt = data.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"item {item_id!r}: field 'prompt' must be a non-empty text")
    wanted = "reference_answer" if version == "v1" else "reference_answer_fullscale"
    if wanted not in data:
        raise ValueError(f"item {item_id!r}: field {wanted!r} is missing; EQ-Bench {version} needs it")
    references = {
        key: _official_reference(item_id, key, data[key])
        for key in ("reference_answer", "reference_answer_fullscale")
        if key in data
    }
    emotions, _ = references[wanted]
    for key, (names, _) in references.items():
        if names != emotions:
            raise ValueError(f"item {item_id!r}: field {key!r} names other emotions than {wanted!r}: {names}")
    dialogue, subject = _dialogue_and_subject(prompt)
    return Item(
        id=item_id,
        emotions=emotions,
        prompt=prompt,
        reference=references["reference_answer"][1] if "reference_answer" in references else None,
        reference_fullscale=(
            references["reference_answer_fullscale"][1] if "reference_answer_fullscale" in references else None
        ),
        cluster=openings.setdefault(_opening(dialogue), item_id),
        dialogue=dialogue,
        subject=subject,
    )


def _official_reference(item_id: str, key: str, data: Any) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Emotion names and intensities; the files hold numbers and digit strings side by side."""
    names: list[str] = []
    scores: list[float] = []
    for index in range(1, 5):
        name_field, score_field = f"emotion{index}", f"emotion{index}_score"
        name = data.get(name_field) if isinstance(data, Mapping) else None
        if not isinstance(name, str) or not name:
            raise ValueError(f"item {item_id!r}: field '{key}.{name_field}' must be an emotion's name, got {name!r}")
        value = data.get(score_field)
        try:
            score = float(value) if isinstance(value, (str, int, float)) else -1.0
        except ValueError:
            score = -1.0
        if not 0 <= score <= 10:
            raise ValueError(f"item {item_id!r}: field '{key}.{score_field}' must be a number 0..10, got {value!r}")
        names.append(name)
        scores.append(score)
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError(f"item {item_id!r}: field {key!r} names an emotion twice: {names}")
    return tuple(names), tuple(scores)


def _opening(dialogue: str) -> str:
    """Who opens the dialogue: what questions about one dialogue share in every translation (the words vary)."""
    return "|".join(line.split(":", 1)[0] for line in dialogue.split("\n")[:2])


_SUBJECT = re.compile(
    r"^(?:At the end of this dialogue,? (?P<en>.{1,80}?) would feel"
    r"|Am Ende dieses Dialogs,? würden? (?P<de>.{1,80}?) (?:sich )?fühlen)",
    re.MULTILINE,
)


def _dialogue_and_subject(prompt: str) -> tuple[str, str]:
    """For display and clustering only; the translations vary, so the subject may stay empty."""
    _, _, rest = prompt.strip("\n").partition("\n")
    # One translated item lacks the mark; its dialogue ends at the first blank line.
    ends = [at for mark in ("[End dialogue]", "[Ende des Dialogs]", "\n\n") if (at := rest.find(mark, 2)) > 0]
    found = _SUBJECT.search(prompt)
    return rest[: ends[0] if ends else len(rest)].strip("\n"), (found["en"] or found["de"]) if found else ""


def parse_bundled(data: Mapping[str, Any], *, sha256: str) -> ItemSet:
    """Reads an item pack of ours (docs/item-format.md). Raises ValueError that lists item, field, value and fix."""
    problems = find_problems(data)
    if problems:
        more = f"\n… and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ValueError("\n".join(problems[:10]) + more)
    language: Language = data["language"]
    return ItemSet(
        name=data["name"],
        version="v2",
        language=language,
        items=tuple(_bundled_item(item, language) for item in data["items"]),
        official=False,
        sha256=sha256,
        title=data["title"],
        description=data["description"],
        pack_version=data["version"],
    )


def _bundled_item(data: Mapping[str, Any], language: Language) -> Item:
    dialogue = "\n".join(f"{turn['speaker']}: {turn['text']}" for turn in data["dialogue"])
    emotions = tuple(data["emotions"])
    tags = data["tags"]
    return Item(
        id=data["id"],
        emotions=emotions,
        prompt=compose(dialogue, data["subject"], emotions, language=language),
        reference=None,
        reference_fullscale=tuple(float(value) for value in data["reference_fullscale"]),
        cluster=data["dialogue_id"],
        branch=tags["branch"],
        tags=tuple(f"{name}:{tags[name]}" for name in TAG_NAMES if name in tags),
        rationale=data["rationale"],
        dialogue=dialogue,
        subject=data["subject"],
    )

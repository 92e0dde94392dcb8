"""Item sets by name or path: official files from the data directory, bundled packs from the package, files of a user.

Content decides what a file is: the official files are known by their SHA-256 wherever they lie.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from middleware.benchmark.catalogue import BUNDLED, OFFICIAL, STARTER, OfficialFile, official_by_sha256
from middleware.benchmark.fetch import stored_path
from middleware.errors import ItemSetError
from scorer.items import Item, ItemSet, parse_bundled, parse_official
from scorer.variants import variant_of

__all__ = ["Listing", "find_problems", "listing", "load", "pack_names"]

_MAX_BYTES = 16 * 1024 * 1024
_WORD = re.compile(r"\w+")
_VARIANT = re.compile(r"(?P<of>.+)@variant-(?P<seed>[0-9]{1,9})")
_STARTER_PACKS = ("companion", "marketing", "tutoring")
_STARTER_ITEMS = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of `eqwatch items list`. items is None where the set is not here yet."""

    name: str
    kind: Literal["official", "bundled"]
    version: str
    language: str
    items: int
    present: bool
    sha256: str


def pack_names() -> tuple[str, ...]:
    """The packs that are bundled."""
    folder = resources.files("middleware.benchmark") / "packs"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load(name_or_path: str, data_dir: Path) -> ItemSet:
    """The item set; raises ItemSetError that says what is wrong and how to get it.

    ``NAME@variant-SEED`` is the variant of a set that this seed draws: other names, emotions in another order.
    """
    if variant := _VARIANT.fullmatch(name_or_path):
        return _variant(load(variant["of"], data_dir), int(variant["seed"]))
    if name_or_path == BUNDLED:
        return _all_packs()
    if name_or_path == STARTER:
        return _starter()
    if name_or_path in pack_names():
        return _pack(name_or_path)
    if name_or_path in OFFICIAL:
        return _official(OFFICIAL[name_or_path], data_dir)
    path = Path(name_or_path)
    if path.is_file():
        return _file(path)
    names = ", ".join([BUNDLED, STARTER, *pack_names(), *OFFICIAL])
    raise ItemSetError(
        f"{name_or_path!r} is neither an item set nor a file: choose from {names}, or name a file; "
        "NAME@variant-7 is the variant of a set that seed 7 draws"
    )


def listing(data_dir: Path) -> list[Listing]:
    """All sets that have a name, whether or not they are here."""
    packs = [load(name, data_dir) for name in (BUNDLED, STARTER, *pack_names())]
    rows = [Listing(s.name, "bundled", s.version, s.language, len(s.items), True, s.sha256) for s in packs]
    return rows + [
        Listing(o.name, "official", o.version, o.language, o.items, stored_path(o, data_dir).is_file(), o.sha256)
        for o in OFFICIAL.values()
    ]


def find_problems(item_set: ItemSet) -> list[str]:
    """What a reader of the set would stumble over, one line each: empty for a sound set."""
    problems = [f"item {name}: the id is there {n} times" for name, n in Counter(_ids(item_set)).items() if n > 1]
    prompts = Counter(item.prompt for item in item_set.items)
    for item in item_set.items:
        problems += [f"item {item.id}: {problem}" for problem in _item_problems(item, item_set)]
        if prompts[item.prompt] > 1:
            problems.append(f"item {item.id}: another item has the same prompt")
    return problems


def _ids(item_set: ItemSet) -> list[str]:
    return [item.id for item in item_set.items]


def _item_problems(item: Item, item_set: ItemSet) -> list[str]:
    problems = []
    if len(set(item.emotions)) != len(item.emotions):
        problems.append("an emotion is named twice")
    # The official English parser reads one word before the colon and nothing else.
    if item_set.language == "en":
        problems += [f"emotion {name!r} is not one word" for name in item.emotions if not _WORD.fullmatch(name)]
    problems += [f"emotion {name!r} is not in the prompt" for name in item.emotions if name not in item.prompt]
    for label, reference in (("reference", item.reference), ("full-scale reference", item.reference_fullscale)):
        if reference is None:
            continue
        if len(reference) != len(item.emotions):
            problems.append(f"{label} has {len(reference)} values for {len(item.emotions)} emotions")
        if any(not 0 <= value <= 10 for value in reference):
            problems.append(f"{label} has a value outside 0..10")
    return problems


def _variant(item_set: ItemSet, seed: int) -> ItemSet:
    try:
        return variant_of(item_set, seed)
    except ValueError as error:
        raise ItemSetError(f"{item_set.name} has no variant: {error}") from None


def _pack(name: str) -> ItemSet:
    content = (resources.files("middleware.benchmark") / "packs" / f"{name}.json").read_bytes()
    return _parsed_pack(_json(content, f"pack {name}"), content, f"pack {name}")


def _all_packs() -> ItemSet:
    packs = [_pack(name) for name in pack_names()]
    return _together(BUNDLED, packs, [item for pack in packs for item in pack.items])


def _starter() -> ItemSet:
    """A small set for a first look and for dry runs: the first dialogues of each kind of deployment."""
    packs = [_pack(name) for name in _STARTER_PACKS]
    return _together(STARTER, packs, [item for pack in packs for item in pack.items[:_STARTER_ITEMS]])


def _together(name: str, packs: Sequence[ItemSet], items: Sequence[Item]) -> ItemSet:
    digest = hashlib.sha256("\n".join(f"{pack.name} {pack.sha256}" for pack in packs).encode()).hexdigest()
    return ItemSet(name=name, version="v2", language="en", items=tuple(items), official=False, sha256=digest)


def _official(official: OfficialFile, data_dir: Path) -> ItemSet:
    path = stored_path(official, data_dir)
    if not path.is_file():
        raise ItemSetError(
            f"{official.name} is not in {data_dir}: run `eqwatch items fetch {official.name}`, "
            "or `eqwatch items import FILE` if you have the file"
        )
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != official.sha256:
        raise ItemSetError(f"{path} was changed or damaged: run `eqwatch items fetch {official.name}` again")
    return _parsed_official(_json(content, str(path)), official)


def _file(path: Path) -> ItemSet:
    content = _read(path)
    digest = hashlib.sha256(content).hexdigest()
    data = _json(content, str(path))
    if not isinstance(data, dict):
        raise ItemSetError(f"{path} is no item file: it must hold a JSON object")
    official = official_by_sha256(digest)
    if official is not None:
        return _parsed_official(data, official)
    if "items" in data:
        return _parsed_pack(data, content, str(path))
    return _own_official_shape(path, data, digest)


def _own_official_shape(path: Path, data: Mapping[str, Any], digest: str) -> ItemSet:
    """A user's file in the official shape: v2 where every item has a full-scale reference."""
    entries = list(data.values())
    if not entries or not all(isinstance(e, dict) and "prompt" in e and "reference_answer" in e for e in entries):
        raise ItemSetError(
            f'{path} is no item file: it has neither "items" nor entries with prompt and reference_answer'
        )
    version: Literal["v1", "v2"] = "v2" if all("reference_answer_fullscale" in e for e in entries) else "v1"
    language: Literal["en", "de"] = "de" if all("[Ende des Dialogs]" in str(e["prompt"]) for e in entries) else "en"
    try:
        return parse_official(data, name=path.stem, version=version, language=language, sha256=digest)
    except ValueError as error:
        raise ItemSetError(f"{path}: {error}") from None


def _parsed_official(data: Any, official: OfficialFile) -> ItemSet:
    try:
        return parse_official(
            data, name=official.name, version=official.version, language=official.language, sha256=official.sha256
        )
    except ValueError as error:
        raise ItemSetError(f"{official.file_name}: {error}") from None


def _parsed_pack(data: Any, content: bytes, where: str) -> ItemSet:
    try:
        return parse_bundled(data, sha256=hashlib.sha256(content).hexdigest())
    except ValueError as error:
        raise ItemSetError(f"{where}: {error}") from None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ItemSetError(f"{path} is larger than {_MAX_BYTES} bytes: it is no item file")
        return path.read_bytes()
    except OSError as error:
        raise ItemSetError(f"{path} can't be read: {error.strerror}") from None


def _json(content: bytes, where: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ItemSetError(f"{where} is not valid JSON (truncated?): {error}") from None

"""Item files, official and ours: what is read, and what is said about a file that is wrong."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import scorer
from scorer import parse_bundled, parse_official
from scorer.item_pack import find_problems

_ROOT = Path(__file__).parents[2]
_SCHEMA = json.loads((Path(scorer.__file__).parent / "item_pack.schema.json").read_text())

_PACK: dict[str, Any] = {
    "schema": 1,
    "name": "sample",
    "title": "A sample",
    "version": "3",
    "language": "en",
    "description": "Two questions about one dialogue.",
    "items": [
        {
            "id": "sample-001a",
            "dialogue_id": "sample-001",
            "dialogue": [{"speaker": "Ada", "text": "It works."}, {"speaker": "Bo", "text": "It does not."}],
            "subject": "Ada",
            "emotions": ["Proud", "Annoyed", "Calm", "Curious"],
            "reference_fullscale": [3, 6.5, 1, 4],
            "rationale": "She has been contradicted.",
            "tags": {"branch": "perception", "difficulty": "easy", "culture": "Danish", "age_group": "adult"},
        },
        {
            "id": "sample-001b",
            "dialogue_id": "sample-001",
            "dialogue": [{"speaker": "Ada", "text": "Ah."}],
            "subject": "Ada",
            "emotions": ["Proud", "Annoyed", "Calm", "Curious"],
            "reference_fullscale": [0, 10, 1, 4],
            "rationale": "She gives in.",
            "tags": {"branch": "management"},
        },
    ],
}


def _official(**changes: Any) -> dict[str, Any]:
    names = {f"emotion{i}": name for i, name in enumerate(["Proud", "Annoyed", "Calm", "Curious"], start=1)}
    item = {
        "prompt": "\nTask:\n\nAda: Hm.\n[End dialogue]\n\nAt the end of this dialogue, Ada would feel...\nProud\n",
        "reference_answer": {**names, **{f"emotion{i}_score": value for i, value in enumerate([1, 2, 3, 4], start=1)}},
        "reference_answer_fullscale": {**names, **{f"emotion{i}_score": str(i) for i in range(1, 5)}},
    }
    return {"7": {**item, **changes}}


def test_an_official_item_is_read_with_both_references() -> None:
    """Numbers and digit strings become floats; dialogue and subject are found in the prompt."""
    item_set = parse_official(_official(), name="x", version="v2", language="en", sha256="ab")
    item = item_set.by_id["7"]
    assert item.emotions == ("Proud", "Annoyed", "Calm", "Curious")
    assert item.reference == (1.0, 2.0, 3.0, 4.0)
    assert item.reference_fullscale == (1.0, 2.0, 3.0, 4.0)
    assert (item.dialogue, item.subject, item.cluster) == ("Ada: Hm.", "Ada", "7")
    assert (item_set.official, item_set.default_profile, item_set.sha256) == (True, "official", "ab")


def test_a_v1_set_needs_no_fullscale_reference() -> None:
    """A v1 file may lack the v2 reference, and says so when that is asked for."""
    data = _official()
    del data["7"]["reference_answer_fullscale"]
    item = parse_official(data, name="x", version="v1", language="en", sha256="").items[0]
    assert item.reference_for("v1") == (1.0, 2.0, 3.0, 4.0)
    with pytest.raises(ValueError, match="item '7' has no reference for EQ-Bench v2"):
        item.reference_for("v2")
    with pytest.raises(ValueError, match="item '7': field 'reference_answer_fullscale' is missing"):
        parse_official(data, name="x", version="v2", language="en", sha256="")


_EMOTIONS = {f"emotion{i}": name for i, name in enumerate(["Proud", "Annoyed", "Calm", "Curious"], start=1)}
_SCORES = {f"emotion{i}_score": i for i in range(1, 5)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "is a JSON object of items"),
        ({}, "is a JSON object of items"),
        ({"7": 3}, "item '7': must be an object"),
        (_official(prompt=""), "item '7': field 'prompt'"),
        (_official(reference_answer_fullscale=3), "field 'reference_answer_fullscale.emotion1'"),
        (_official(reference_answer_fullscale=_EMOTIONS), "'reference_answer_fullscale.emotion1_score' .* got None"),
        (
            _official(reference_answer_fullscale={**_EMOTIONS, **_SCORES, "emotion2_score": "high"}),
            "'reference_answer_fullscale.emotion2_score' must be a number 0..10, got 'high'",
        ),
        (
            _official(reference_answer_fullscale={**_EMOTIONS, **_SCORES, "emotion3_score": 11}),
            "'reference_answer_fullscale.emotion3_score' must be a number 0..10, got 11",
        ),
        (_official(reference_answer_fullscale={**_EMOTIONS, **_SCORES, "emotion1": "Sad"}), "names other emotions"),
        (_official(reference_answer_fullscale={**_EMOTIONS, **_SCORES, "emotion1": "calm"}), "names an emotion twice"),
    ],
)
def test_a_wrong_official_file_is_refused_by_item_and_field(data: Any, message: str) -> None:
    """The error names the item and the field."""
    with pytest.raises(ValueError, match=message):
        parse_official(data, name="x", version="v2", language="en", sha256="")


def test_a_pack_becomes_items_in_the_official_template() -> None:
    """A pack of ours is scored as v2, tolerantly, with the official prompt around its dialogue."""
    item_set = parse_bundled(_PACK, sha256="cd")
    assert (item_set.name, item_set.title, item_set.pack_version) == ("sample", "A sample", "3")
    assert (item_set.version, item_set.official, item_set.default_profile) == ("v2", False, "tolerant")
    first, second = item_set.items
    assert first.cluster == second.cluster == "sample-001"
    assert first.branch == "perception"
    assert first.tags == ("difficulty:easy", "culture:Danish", "age_group:adult")
    assert second.tags == ()
    assert first.reference_fullscale == (3.0, 6.5, 1.0, 4.0)
    assert first.reference is None
    assert "\nAda: It works.\nBo: It does not.\n[End dialogue]\n" in first.prompt


@pytest.mark.parametrize("name", ["marketing", "tutoring", "companion"])
def test_bundled_packs_follow_schema_and_parser(name: str) -> None:
    """What is shipped is valid by both."""
    data = json.loads((_ROOT / "middleware" / "benchmark" / "packs" / f"{name}.json").read_text())
    jsonschema.validate(data, _SCHEMA)
    assert len(parse_bundled(data, sha256="").items) == len(data["items"])


def _changed(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> dict[str, Any]:
    pack = copy.deepcopy(_PACK)
    change(pack, pack["items"][0])
    return pack


_BOTH_REFUSE: list[tuple[Callable[[dict[str, Any], dict[str, Any]], object], str]] = [
    (lambda pack, _: pack.update(schema=2), "pack: field 'schema': got 2, must be 1"),
    (lambda pack, _: pack.update(schema=True), "pack: field 'schema': got True"),
    (lambda pack, _: pack.pop("schema"), "pack: field 'schema': got None"),
    (lambda pack, _: pack.pop("items"), "pack: field 'items': is missing"),
    (lambda pack, _: pack.update(items=[]), r"pack: field 'items': got \[\]"),
    (lambda pack, _: pack.update(items={}), "pack: field 'items'"),
    (lambda pack, _: pack.update(items=[3]), "item #1: must be an object, got 3"),
    (lambda pack, _: pack.update(language="fr"), "pack: field 'language': got 'fr', must be \"en\" or \"de\""),
    (lambda pack, _: pack.update(language=["en"]), "pack: field 'language'"),
    (lambda pack, _: pack.update(name="two words"), "pack: field 'name': got 'two words'"),
    (lambda pack, _: pack.update(name="line\n"), "pack: field 'name'"),
    (lambda pack, _: pack.update(version=1), "pack: field 'version': got 1, must be a non-empty text"),
    (lambda pack, _: pack.update(title="  "), "pack: field 'title'"),
    (lambda pack, _: pack.update(licence="x"), "pack: field 'licence': unknown"),
    (lambda _, item: item.pop("id"), "item #1: field 'id': is missing"),
    (lambda _, item: item.update(id=""), "item #1: field 'id': got ''"),
    (lambda _, item: item.update(id="a" * 65), "field 'id'"),
    (lambda _, item: item.update(dialogue_id=None), "item 'sample-001a': field 'dialogue_id': got None"),
    (lambda _, item: item.update(dialogue="Ada: It works."), "field 'dialogue': got 'Ada: It works.'"),
    (lambda _, item: item.update(dialogue=[]), "field 'dialogue'"),
    (lambda _, item: item.update(dialogue=["Ada: Hm."]), r"field 'dialogue\[0\]'"),
    (lambda _, item: item["dialogue"][1].pop("text"), r"field 'dialogue\[1\].text': is missing"),
    (lambda _, item: item["dialogue"][1].update(mood="x"), r"field 'dialogue\[1\].mood': unknown"),
    (lambda _, item: item["dialogue"][0].update(speaker=""), r"field 'dialogue\[0\].speaker': got ''"),
    (lambda _, item: item.update(subject=3), "field 'subject': got 3"),
    (lambda _, item: item.update(emotions="Proud"), "field 'emotions': got 'Proud', must be a list of 4 names"),
    (lambda _, item: item.update(emotions=["Proud"], reference_fullscale=[1]), "field 'emotions'"),
    (lambda _, item: item["emotions"].__setitem__(2, "Self-assured"), r"field 'emotions\[2\]': got 'Self-assured'"),
    (lambda _, item: item["emotions"].__setitem__(2, "Calm\n"), r"field 'emotions\[2\]'"),
    (lambda _, item: item["emotions"].__setitem__(2, 7), r"field 'emotions\[2\]': got 7"),
    (lambda _, item: item["emotions"].__setitem__(2, "Proud"), "names must differ"),
    (lambda _, item: item.update(reference_fullscale=7), "field 'reference_fullscale': got 7"),
    (
        lambda _, item: item["reference_fullscale"].__setitem__(1, 12),
        r"item 'sample-001a': field 'reference_fullscale\[1\]': got 12, must be a number from 0 to 10",
    ),
    (lambda _, item: item["reference_fullscale"].__setitem__(1, "6"), r"'reference_fullscale\[1\]': got '6'"),
    (lambda _, item: item["reference_fullscale"].__setitem__(1, True), r"'reference_fullscale\[1\]': got True"),
    (lambda _, item: item["reference_fullscale"].__setitem__(1, -0.1), r"'reference_fullscale\[1\]'"),
    (lambda _, item: item.pop("rationale"), "field 'rationale': is missing; add it"),
    (lambda _, item: item.update(references=[1]), "field 'references': unknown; remove it or mend its spelling"),
    (lambda _, item: item.update(tags=[]), "field 'tags'"),
    (lambda _, item: item["tags"].pop("branch"), "field 'tags.branch': got None, must be one of understanding"),
    (lambda _, item: item["tags"].update(branch="empathy"), "field 'tags.branch': got 'empathy'"),
    (lambda _, item: item["tags"].update(difficulty=3), "field 'tags.difficulty': got 3, must be one of easy"),
    (lambda _, item: item["tags"].update(culture=""), "field 'tags.culture': got ''"),
    (lambda _, item: item["tags"].update(gender="x"), "field 'tags.gender': unknown"),
]


@pytest.mark.parametrize(("change", "message"), _BOTH_REFUSE)
def test_schema_and_parser_refuse_the_same_packs(
    change: Callable[[dict[str, Any], dict[str, Any]], object], message: str
) -> None:
    """What the schema refuses the parser refuses as well, and says item, field, value and fix."""
    pack = _changed(change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pack, _SCHEMA)
    with pytest.raises(ValueError, match=message):
        parse_bundled(pack, sha256="")


@pytest.mark.parametrize(
    "change",
    [
        lambda pack, _: pack.update(language="de"),
        lambda pack, _: pack.update(schema=1.0),
        lambda _, item: item.update(emotions=["Stolz", "Ärger"], reference_fullscale=[0, 10]),
        lambda _, item: item.update(tags={"branch": "use"}),
        lambda _, item: item["reference_fullscale"].__setitem__(0, 0.25),
    ],
)
def test_schema_and_parser_accept_the_same_packs(
    change: Callable[[dict[str, Any], dict[str, Any]], object],
) -> None:
    """Variants within the format pass both."""
    pack = _changed(change)
    jsonschema.validate(pack, _SCHEMA)
    assert find_problems(pack) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, item: item.update(id="sample-001b"), "items #1 and #2 have it; give each its own"),
        (lambda _, item: item["emotions"].__setitem__(2, "proud"), "names must differ in more than case"),
        (lambda _, item: item["reference_fullscale"].pop(), "has 3 numbers for 4 emotions; give one for each"),
        (
            lambda _, item: item["dialogue"][0].update(text="[End dialogue] and on"),
            r"field 'dialogue\[0\].text': contains '\[End dialogue\]', a mark of the template; reword it",
        ),
        (lambda _, item: item["reference_fullscale"].__setitem__(0, float("nan")), "got nan"),
    ],
)
def test_rules_that_no_schema_can_express_are_the_parsers(
    change: Callable[[dict[str, Any], dict[str, Any]], object], message: str
) -> None:
    """The schema lets these pass; the parser does not."""
    pack = _changed(change)
    jsonschema.validate(pack, _SCHEMA)
    with pytest.raises(ValueError, match=message):
        parse_bundled(pack, sha256="")


def test_all_problems_are_listed_up_to_ten() -> None:
    """Somebody who writes a pack sees their mistakes together."""
    pack = _changed(lambda pack, item: (pack.update(title="", language="fr"), item.update(subject="")))
    with pytest.raises(ValueError, match=r"title.*\n.*language.*\n.*subject"):
        parse_bundled(pack, sha256="")
    broken = _changed(lambda pack, _: pack.update(items=[None] * 14))
    with pytest.raises(ValueError, match="and 4 more"):
        parse_bundled(broken, sha256="")


def test_the_schema_is_a_schema() -> None:
    """The published file is valid JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(_SCHEMA)
    assert find_problems([]) == ["pack: must be a JSON object, got []; fix this first; the rest was not checked"]

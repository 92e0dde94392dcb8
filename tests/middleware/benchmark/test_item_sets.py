"""Item sets by name and by path."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from middleware.benchmark.catalogue import OFFICIAL
from middleware.benchmark.fetch import import_file
from middleware.benchmark.item_sets import find_problems, listing, load, pack_names
from middleware.errors import ItemSetError
from scorer.items import ItemSet


def test_bundled_packs(tmp_path: Path) -> None:
    """All packs load by name, and together under one name, with ids and prompts that do not collide."""
    packs = [load(name, tmp_path) for name in pack_names()]
    together = load("bundled", tmp_path)
    assert {"marketing", "tutoring", "companion"} <= set(pack_names())
    assert len(together.items) == sum(len(pack.items) for pack in packs) == len(together.by_id)
    assert not together.official
    assert len({pack.sha256 for pack in packs} | {together.sha256}) == len(packs) + 1
    assert find_problems(together) == []


def test_official_sets(eqbench_dir: Path, tmp_path: Path) -> None:
    """An official set loads by name once it was imported, and by path under the same name, without problems."""
    for official in OFFICIAL.values():
        with pytest.raises(ItemSetError, match=f"eqwatch items fetch {official.name}"):
            load(official.name, tmp_path)
        import_file(eqbench_dir / official.file_name, tmp_path)
        by_name = load(official.name, tmp_path)
        assert by_name == load(str(eqbench_dir / official.file_name), tmp_path)
        assert (len(by_name.items), by_name.official, by_name.language) == (official.items, True, official.language)
        assert find_problems(by_name) == []


def test_damaged_official_file(eqbench_dir: Path, tmp_path: Path) -> None:
    """An official file that changed on disk is refused rather than scored under the official name."""
    official = import_file(eqbench_dir / OFFICIAL["eqbench-v1"].file_name, tmp_path)
    stored = tmp_path / "items" / official.file_name
    stored.write_bytes(stored.read_bytes().replace(b'"2"', b'"3"', 1))
    with pytest.raises(ItemSetError, match="changed or damaged"):
        load("eqbench-v1", tmp_path)


def test_listing(tmp_path: Path) -> None:
    """Every set with a name is listed, whether it is here or not."""
    rows = {row.name: row for row in listing(tmp_path)}
    assert set(rows) == {"bundled", "starter", *pack_names(), *OFFICIAL}
    assert rows["bundled"].present
    assert not rows["eqbench-v2"].present
    assert rows["eqbench-v2"].items == 171


def test_own_file_in_the_official_shape(tmp_path: Path) -> None:
    """A user's own items in the official shape load under their file's name; full-scale references make them v2."""
    reference = {f"emotion{n}": name for n, name in enumerate(("Joy", "Fear", "Anger", "Pride"), start=1)}
    reference |= {f"emotion{n}_score": 2 + n % 2 for n in range(1, 5)}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"1": {"prompt": "Joy Fear Anger Pride?", "reference_answer": reference}}))
    assert (load(str(file), tmp_path).version, load(str(file), tmp_path).name) == ("v1", "mine")
    entry = {"prompt": "Joy?", "reference_answer": reference, "reference_answer_fullscale": reference}
    file.write_text(json.dumps({"1": entry}))
    assert load(str(file), tmp_path).version == "v2"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not valid JSON"),
        (b'{"1": {"prompt": "x", ', "truncated"),
        (b"[]", "must hold a JSON object"),
        (b"{}", "neither"),
        (b'{"1": {"prompt": "x"}}', "neither"),
        (b'{"1": {"prompt": "", "reference_answer": {}}}', "item '1'"),
        (b'{"schema": 1, "items": []}', "items"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_wrong_files(tmp_path: Path, content: bytes, why: str) -> None:
    """A file that is no item file is refused with the reason and the file's name."""
    file = tmp_path / "items.json"
    file.write_bytes(content)
    with pytest.raises(ItemSetError, match=why) as caught:
        load(str(file), tmp_path)
    assert "items.json" in str(caught.value)


def test_unknown_name(tmp_path: Path) -> None:
    """A name that is neither a set nor a file lists the names that there are."""
    with pytest.raises(ItemSetError, match=r"bundled, .*eqbench-v2"):
        load("eqbench-v9", tmp_path)


def test_problems_are_found(small_set: ItemSet) -> None:
    """What would trip a reader of the answers is found: duplicates, odd names, references out of range."""
    first = small_set.items[0]
    wrong = (
        first,
        replace(first, prompt="another"),
        replace(first, id="twice"),
        replace(first, id="names", prompt="Joy Joy of life", emotions=("Joy", "Joy", "of life", "Sorrow")),
        replace(first, id="range", reference_fullscale=(1.0, 2.0, 11.0)),
    )
    problems = "\n".join(find_problems(replace(small_set, items=wrong)))
    assert "item i0: the id is there 2 times" in problems
    assert "item twice: another item has the same prompt" in problems
    assert "item names: an emotion is named twice" in problems
    assert "item names: emotion 'of life' is not one word" in problems
    assert "item names: emotion 'Sorrow' is not in the prompt" in problems
    assert "item range: full-scale reference has 3 values for 4 emotions" in problems
    assert "item range: full-scale reference has a value outside 0..10" in problems


@pytest.mark.parametrize("name", ["bundled", "starter", "tutoring", "companion"])
def test_variants_have_names(tmp_path: Path, name: str) -> None:
    """`NAME@variant-SEED` is a set of its own wherever a set is named: same ids, sound, another digest."""
    original, found = load(name, tmp_path), load(f"{name}@variant-7", tmp_path)
    assert found.name == f"{name}@variant-7"
    assert [item.id for item in found.items] == [item.id for item in original.items]
    assert find_problems(found) == []
    assert found.sha256 != original.sha256
    assert found == load(f"{name}@variant-7", tmp_path)
    assert not {item.prompt for item in found.items} & {item.prompt for item in original.items}


def test_variant_of_an_unknown_set(tmp_path: Path) -> None:
    """A variant of a set that is not here is refused like the set."""
    with pytest.raises(ItemSetError, match="eqbench-v9"):
        load("eqbench-v9@variant-7", tmp_path)

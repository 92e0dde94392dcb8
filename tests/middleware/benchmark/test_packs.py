"""The bundled packs keep the bounds that docs/items.md states: no answer key without reading the dialogue."""

import json
import statistics
from collections import Counter, defaultdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from middleware.benchmark.item_sets import load
from scorer.eqbench import score_answers
from scorer.items import ItemSet

PACKS = {"companion": 80, "general": 48, "marketing": 80, "tutoring": 80}
FOLDER = resources.files("middleware.benchmark") / "packs"


@pytest.fixture(params=PACKS)
def pack(request: pytest.FixtureRequest, tmp_path: Path) -> ItemSet:
    return load(request.param, tmp_path)


def references(pack: ItemSet) -> np.ndarray:
    return np.array([item.reference_fullscale for item in pack.items], dtype=float)


def points(answers: np.ndarray, pack: ItemSet) -> float:
    return float(10.0 * score_answers(answers, references(pack), "v2").mean())


def raw(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def test_a_pack_has_its_dialogues_with_two_questions_each(pack: ItemSet) -> None:
    """Every dialogue is asked about before and after its turn; the second question goes on where the first ended."""
    items = raw(pack.name)["items"]
    assert len(items) == PACKS[pack.name]
    by_dialogue = defaultdict(list)
    for item in items:
        by_dialogue[item["dialogue_id"]].append(item)
    for first, second in by_dialogue.values():
        assert second["dialogue"][: len(first["dialogue"])] == first["dialogue"]
        assert len(first["dialogue"]) < len(second["dialogue"])
        assert 4 <= len(second["dialogue"]) <= 10
        before = dict(zip(first["emotions"], first["reference_fullscale"], strict=True))
        after = dict(zip(second["emotions"], second["reference_fullscale"], strict=True))
        moved = max(abs(after[emotion] - before[emotion]) for emotion in before.keys() & after.keys())
        assert moved >= 3.5, first["dialogue_id"]


def test_no_constant_answer_scores_well(pack: ItemSet) -> None:
    """Whoever says the same number everywhere stays under 35 points."""
    shape = (len(pack.items), 4)
    assert max(points(np.full(shape, float(value)), pack) for value in range(11)) <= 35


def test_random_answers_score_nothing(pack: ItemSet) -> None:
    """Random integers are within 10 points of 0 on average."""
    rng = np.random.default_rng(1)
    drawn = [points(rng.integers(0, 11, (len(pack.items), 4)).astype(float), pack) for _ in range(200)]
    assert abs(statistics.mean(drawn)) <= 10


def test_the_words_alone_do_not_give_the_answer_away(tmp_path: Path) -> None:
    """A guess by each word's mean reference in the other dialogues, which never reads one, stays under 55 points."""
    pack = load("bundled", tmp_path)
    wanted = references(pack)
    guesses = np.empty_like(wanted)
    for row, item in enumerate(pack.items):
        others = [n for n, other in enumerate(pack.items) if other.cluster != item.cluster]
        known: dict[str, list[float]] = defaultdict(list)
        for n in others:
            for emotion, value in zip(pack.items[n].emotions, wanted[n], strict=True):
                known[emotion].append(value)
        overall = float(wanted[others].mean())
        guesses[row] = [statistics.mean(known[e]) if known[e] else overall for e in item.emotions]
    assert points(guesses, pack) <= 55


def test_every_item_has_a_distractor_and_uses_the_scale(pack: ItemSet) -> None:
    """At least one emotion is nearly absent and one is strong, in all but the two items that docs/items.md names."""
    flat = {item.id for item in pack.items if item.reference_fullscale and min(item.reference_fullscale) > 2}
    assert flat <= {"tutoring-005a", "companion-030b"}
    assert all(max(item.reference_fullscale or ()) >= 4 for item in pack.items)


def test_branches_and_people_vary(tmp_path: Path) -> None:
    """All four branches of emotional intelligence and at least four age groups occur in numbers."""
    items = [item for name in PACKS for item in raw(name)["items"]]
    branches = Counter(item["tags"]["branch"] for item in items)
    assert set(branches) == {"understanding", "perception", "management", "use"}
    assert min(branches.values()) >= 30
    assert len(Counter(item["tags"]["age_group"] for item in items)) >= 4


def test_references_are_the_median_of_author_and_raters(tmp_path: Path) -> None:
    """What ships is what the published ratings give, item by item, and no author's value is far from the raters'."""
    ratings = json.loads((FOLDER / "ratings" / "blind.json").read_text(encoding="utf-8"))
    assert ratings["official_check"]["score_of_medians"] >= 80
    by_id = load("bundled", tmp_path).by_id
    assert set(ratings["items"]) == set(by_id)
    for name, rated in ratings["items"].items():
        item = by_id[name]
        columns = list(zip(rated["author"], *rated["raters"].values(), strict=True))
        medians = dict(zip(rated["emotions"], (statistics.median(column) for column in columns), strict=True))
        assert item.reference_fullscale == tuple(medians[emotion] for emotion in item.emotions), name
        assert all(abs(author - statistics.median(rest)) <= 2 for author, *rest in columns), name


def test_the_flattery_check_has_its_items() -> None:
    """Just the items listed as such carry the tag, and there are enough of them for the gate to show."""
    listed = json.loads((resources.files("middleware.benchmark") / "packs/ratings/kind-answer.json").read_text())
    expected = {item_id for items in listed["items"].values() for item_id in items}
    tagged = {item.id for item in load("bundled", Path()).items if "check:flattery" in item.tags}
    assert tagged == expected
    assert len(tagged) == 16

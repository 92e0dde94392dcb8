"""The bundled packs keep the bounds that docs/items.md states: no answer key without reading the dialogue."""

import itertools
import json
import re
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
from scorer.parsing import Answer, parse

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


def test_emotions_are_in_the_official_word_form(pack: ItemSet) -> None:
    """One capitalised English word each, four different ones an item: the official parser reads every one of them."""
    for item in pack.items:
        assert len(set(item.emotions)) == 4, item.id
        assert all(re.fullmatch(r"[A-Z][a-z]+", emotion) for emotion in item.emotions), item.id
        text = "\n".join(f"{emotion}: {number}" for number, emotion in enumerate(item.emotions))
        read = parse(text, item.emotions, profile="official")
        assert isinstance(read, Answer), item.id
        assert list(read.first.values()) == [0, 1, 2, 3]


def test_references_use_the_whole_scale(pack: ItemSet) -> None:
    """At least a quarter of all references are nearly absent, a quarter strong and a seventh in between."""
    wanted = references(pack)
    shares = [(wanted <= 1).mean(), ((wanted > 1) & (wanted < 7)).mean(), (wanted >= 7).mean()]
    assert all(share >= least for share, least in zip(shares, (1 / 4, 1 / 7, 1 / 4), strict=True)), shares
    assert wanted.std() > 3.0


def test_no_dialogue_occurs_twice_or_nearly() -> None:
    """No two dialogues, of whichever packs, share more than a twentieth of their runs of four words."""
    whole: dict[str, str] = {}
    for item in (item for name in PACKS for item in raw(name)["items"]):
        text = " ".join(turn["text"] for turn in item["dialogue"])
        whole[item["dialogue_id"]] = max(whole.get(item["dialogue_id"], ""), text, key=len)
    runs = {name: runs_of_words(text) for name, text in whole.items()}
    assert len(runs) == 144
    for (first, one), (second, other) in itertools.combinations(runs.items(), 2):
        assert len(one & other) <= 0.05 * min(len(one), len(other)), (first, second)


def runs_of_words(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return set(itertools.pairwise(itertools.pairwise(itertools.pairwise(words))))


def test_the_check_for_duplicates_sees_one() -> None:
    """A dialogue with other names and a changed word is nearly the same one; two unrelated sentences are not."""
    told = "Anna: I thought you would be home by six, and the soup is cold by now, as it was yesterday."
    again = told.replace("Anna", "Maria").replace("cold", "gone")
    shared = runs_of_words(told) & runs_of_words(again)
    assert len(shared) > 0.5 * len(runs_of_words(told))
    assert not runs_of_words(told) & runs_of_words("The brass level stays with whoever of us stays in the house.")


def test_the_shipped_agreement_is_that_of_the_shipped_ratings() -> None:
    """Krippendorff's alpha for interval data over the three raters, for all items and for each pack."""
    ratings = json.loads((FOLDER / "ratings" / "blind.json").read_text(encoding="utf-8"))
    assert "not the ratings of a human panel" in ratings["about"]
    for name in ("overall", *PACKS):
        rated = [each for key, each in ratings["items"].items() if name == "overall" or key.startswith(f"{name}-")]
        units = np.array(
            [column for each in rated for column in zip(*each["raters"].values(), strict=True)], dtype=float
        )
        assert units.shape[1] == 3
        assert krippendorff_alpha(units) == pytest.approx(ratings["agreement"][name]["alpha"], abs=0.0006), name


def krippendorff_alpha(units: np.ndarray) -> float:
    """Of ratings [unit, rater] without gaps: 1 - observed / expected disagreement, squared differences.

    Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    observed = 2.0 * units.var(axis=1, ddof=1).mean()
    expected = 2.0 * units.ravel().var(ddof=1)
    return float(1.0 - observed / expected)


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

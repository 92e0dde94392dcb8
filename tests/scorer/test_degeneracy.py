"""Runs whose answers say nothing about the items are told apart from bad ones."""

import json
from pathlib import Path

import pytest

from scorer.degeneracy import Given, diagnose_run
from scorer.eqbench import outcome_of
from scorer.items import Item, ItemSet, parse_official

EMOTIONS = ("Joy", "Anger", "Fear", "Pride")


def item_set(*references: tuple[float, ...]) -> ItemSet:
    items = tuple(
        Item(id=f"i{n}", emotions=EMOTIONS, prompt=f"{n}", reference=None, reference_fullscale=reference)
        for n, reference in enumerate(references)
    )
    return ItemSet(name="s", version="v2", language="en", items=items, official=False, sha256="0")


VARIED = item_set(*((float(n % 7), float(n % 5), float(n % 3), float(n % 11 % 10)) for n in range(40)))


def given(*values: tuple[float, ...], first: tuple[float, ...] | None = None) -> list[Given]:
    before = None if first is None else dict(zip(EMOTIONS, first, strict=True))
    return [Given(f"i{n}", dict(zip(EMOTIONS, value, strict=True)), first=before) for n, value in enumerate(values)]


def names(answers: list[Given], of: ItemSet = VARIED) -> list[str]:
    return [flag.name for flag in diagnose_run(answers, of)]


def test_answers_that_follow_the_items_are_sound() -> None:
    """Right or wrong does not matter: even the reversed references are no flag."""
    right = [item.reference_fullscale for item in VARIED.items]
    assert names(given(*(tuple(r) for r in right if r))) == []
    assert names(given(*(tuple(10 - value for value in r) for r in right if r))) == []


def test_one_answer_to_everything() -> None:
    """Also where a few items differ; the words say how many."""
    answers = given(*([(3.0, 2.0, 5.0, 1.0)] * 36), (1.0, 2.0, 3.0, 4.0), (4.0, 3.0, 2.0, 1.0))
    (flag,) = diagnose_run(answers, VARIED)
    assert (flag.name, flag.words) == ("constant", "the same answer to 95 % of the items")


def test_one_number_for_all_emotions() -> None:
    """Different numbers, but never a difference within an answer."""
    assert names(given(*((float(n % 10),) * 4 for n in range(40)))) == ["flat"]


def test_hardly_any_variety() -> None:
    """Five answers in rotation are not the same answer, and still no reading of forty items."""
    assert names(given(*((float(n % 5), 1.0, 2.0, 0.0) for n in range(40)))) == ["low_diversity"]


def test_the_template_came_back() -> None:
    """A fifth of the answers repeats the placeholders."""
    unread = [Given(f"i{n}", {}, "placeholder_echo") for n in range(10)]
    rest = [
        Given(item.id, dict(zip(EMOTIONS, item.reference_fullscale or (), strict=True))) for item in VARIED.items[10:]
    ]
    assert names(unread + rest) == ["placeholder_echo"]
    assert names(unread[:3] + rest) == []


def test_a_revision_that_revises_nothing() -> None:
    """Every second pass equals the first one; a third of them, as some models do, is no flag."""
    values = [item.reference_fullscale or () for item in VARIED.items]
    repeated = [each for value in values for each in given(value, first=value)[:1]]
    repeated = [Given(f"i{n}", each.answer, first=each.first) for n, each in enumerate(repeated)]
    assert names(repeated) == ["first_pass_echo"]
    third = [
        each if n % 3 == 0 else Given(each.item_id, each.answer, first={"Joy": 9.0}) for n, each in enumerate(repeated)
    ]
    assert names(third) == []


def test_a_uniform_set_may_be_answered_uniformly() -> None:
    """Where the right answer is the same everywhere, giving it is no defect."""
    uniform = item_set(*([(7.0, 0.0, 1.0, 8.0)] * 20))
    assert names(given(*([(7.0, 0.0, 1.0, 8.0)] * 20)), uniform) == []


def test_few_answers_are_not_judged() -> None:
    """Eleven equal answers may be chance."""
    assert names(given(*([(3.0, 2.0, 5.0, 1.0)] * 11))) == []


def test_twelve_real_models_are_sound(eqbench_dir: Path) -> None:
    """Strong or weak, with and without a revision: no recorded model is flagged."""
    data = json.loads((eqbench_dir / "eq_bench_v2_questions_171.json").read_text())
    official = parse_official(data, name="v2", version="v2", language="en", sha256="")
    replays = sorted((eqbench_dir / "replay").glob("*.json"))
    assert len(replays) == 12
    for replay in replays:
        recorded = json.loads(replay.read_text())
        answers = []
        for item_id, text in recorded["raw_inference"].items():
            found = outcome_of(
                official.by_id[item_id], text, item_set=official, profile="official", revise=recorded["revise"]
            )
            if found.answer is not None:
                revised = found.answer.revised
                answers.append(
                    Given(item_id, revised or found.answer.first, first=found.answer.first if revised else None)
                )
        assert len(answers) > 100
        assert diagnose_run(answers, official) == (), replay.name


@pytest.mark.parametrize("value", [0.0, 5.0, 10.0])
def test_constant_on_the_official_set_is_flagged(eqbench_dir: Path, value: float) -> None:
    """Answering the same number everywhere scores up to 38.9 on the official set; it is flagged, not averaged."""
    data = json.loads((eqbench_dir / "eq_bench_v2_questions_171.json").read_text())
    official = parse_official(data, name="v2", version="v2", language="en", sha256="")
    answers = [Given(item.id, dict.fromkeys(item.emotions, value)) for item in official.items]
    assert [flag.name for flag in diagnose_run(answers, official)] == ["constant", "flat"]

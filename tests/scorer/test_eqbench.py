"""Item scores: the formulas, their properties, and a million at once."""

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import Answer, Item, ItemSet, Profile, ScoredItem, outcome_of, score_answers, score_item

_EMOTIONS = ("Joy", "Anger", "Fear", "Hope")
_INTENSITY = st.floats(0, 10, allow_nan=False)
_FOUR = st.lists(_INTENSITY, min_size=4, max_size=4)
_VERSIONS: tuple[Literal["v1", "v2"], ...] = ("v1", "v2")


def _item(reference: list[float], emotions: tuple[str, ...] = _EMOTIONS) -> Item:
    total = sum(reference) or 1
    relative = tuple(10 * value / total for value in reference)
    return Item("1", emotions, "", relative, tuple(reference))


def _v2(answer: list[float], reference: list[float], emotions: tuple[str, ...] = _EMOTIONS) -> float:
    score = score_item(_item(reference, emotions), dict(zip(emotions, answer, strict=True)), "v2")
    assert score is not None
    return score


def test_v2_by_hand() -> None:
    """d = 0, 2, 5 and 6 cost 0, 6.5/(1+e^2.4), 6.5/(1+e^-1.2) and 6, times 0.7477."""
    by_hand = 10 - 0.7477 * (6.5 / (1 + math.exp(2.4)) + 6.5 / (1 + math.exp(-1.2)) + 6)
    assert _v2([1, 2, 5, 6], [1, 0, 0, 0]) == pytest.approx(by_hand, abs=1e-12)


def test_v1_by_hand() -> None:
    """The answer is brought to a sum of ten, the reference is not: 2, 2, 0, 0 is 5, 5, 0, 0."""
    item = Item("1", _EMOTIONS, "", (4.0, 4.0, 1.0, 0.0), None)
    assert score_item(item, {"Joy": 2, "Anger": 2, "Fear": 0, "Hope": 0}, "v1") == 7.0


def test_v1_has_no_score_for_a_sum_of_zero() -> None:
    """There is nothing to normalise, which is not the same as a score of 0."""
    zeros = dict.fromkeys(_EMOTIONS, 0.0)
    assert score_item(_item([1, 2, 3, 4]), zeros, "v1") is None
    assert score_item(_item([1, 2, 3, 4]), zeros, "v2") is not None


@pytest.mark.parametrize("names", [("Joy", "Anger", "Fear"), ("Joy", "Anger", "Fear", "hope"), (*_EMOTIONS, "Calm")])
def test_other_names_have_no_score(names: tuple[str, ...]) -> None:
    """The answer's names must be the item's, all of them and no other."""
    for version in _VERSIONS:
        assert score_item(_item([1, 2, 3, 4]), dict.fromkeys(names, 1.0), version) is None


@given(_FOUR, _FOUR)
@settings(deadline=None)
def test_scores_are_bounded_and_ten_is_perfect(answer: list[float], reference: list[float]) -> None:
    """Within 0..10 no item scores above 10, and none below 10 - 4 x 7.477."""
    assert 10 - 4 * 7.477 - 1e-9 <= _v2(answer, reference) <= 10
    assert _v2(reference, reference) == 10


@given(_FOUR, _FOUR)
@settings(deadline=None)
def test_v2_is_symmetric(answer: list[float], reference: list[float]) -> None:
    """Answer and reference can change places."""
    assert _v2(answer, reference) == _v2(reference, answer)


@given(_FOUR, _FOUR, st.permutations(range(4)))
@settings(deadline=None)
def test_the_order_of_emotions_does_not_matter(answer: list[float], reference: list[float], order: list[int]) -> None:
    """Permuting answer and reference together leaves both scores as they are."""
    mixed_item = _item([reference[i] for i in order], tuple(_EMOTIONS[i] for i in order))
    mixed = {_EMOTIONS[i]: answer[i] for i in order}
    for version in _VERSIONS:
        straight = score_item(_item(reference), dict(zip(_EMOTIONS, answer, strict=True)), version)
        turned = score_item(mixed_item, mixed, version)
        assert (straight is None) == (turned is None)
        if straight is not None and turned is not None:
            assert turned == pytest.approx(straight, abs=1e-9)


@given(_FOUR, st.integers(0, 3), _INTENSITY, _INTENSITY)
@settings(deadline=None)
def test_v2_falls_with_the_distance_up_to_five_and_beyond(
    reference: list[float], place: int, one: float, other: float
) -> None:
    """Further off is never better; between the curve and the straight line there is a small step, upwards."""
    far, near = sorted((one, other), key=lambda value: -abs(value - reference[place]))
    scores = []
    for value in (far, near):
        answer = [*reference]
        answer[place] = value
        scores.append(_v2(answer, reference))
    assert scores[0] <= scores[1] + 1e-9


@given(st.integers(2, 8), _INTENSITY, _INTENSITY)
@settings(deadline=None)
def test_sets_with_other_numbers_of_emotions_have_the_same_scale(count: int, answer: float, reference: float) -> None:
    """n emotions that are all equally far off score as four that are."""
    emotions = tuple(f"Emotion{index}" for index in range(count))
    for version in _VERSIONS:
        many = score_item(_item([reference] * count, emotions), dict.fromkeys(emotions, answer), version)
        four = score_item(_item([reference] * 4), dict.fromkeys(_EMOTIONS, answer), version)
        if version == "v2":
            assert many == pytest.approx(four, abs=1e-9)
        else:
            assert (many is None) == (four is None)


@given(st.lists(st.tuples(_FOUR, _FOUR), min_size=1, max_size=20), st.sampled_from(_VERSIONS))
@settings(deadline=None)
def test_many_at_once_score_as_one_by_one(pairs: list[tuple[list[float], list[float]]], version: str) -> None:
    """The vectorised form is equal within 1e-9; NaN stands where there is no score."""
    chosen: Literal["v1", "v2"] = "v1" if version == "v1" else "v2"
    items = [_item(reference) for _, reference in pairs]
    references = np.array([item.reference_for(chosen) for item in items])
    got = score_answers(np.array([answer for answer, _ in pairs]), references, chosen)
    for index, (answer, _) in enumerate(pairs):
        one = score_item(items[index], dict(zip(_EMOTIONS, answer, strict=True)), chosen)
        if one is None:
            assert np.isnan(got[index])
        else:
            assert got[index] == pytest.approx(one, abs=1e-9)


def test_many_at_once_agree_on_every_whole_difference() -> None:
    """Whole numbers, as models give them, hit the curve's ends exactly: 0, 5 and 10 included."""
    grid = np.array([[answer, 0, 0, 0] for answer in range(11)], dtype=np.float64)
    for reference in range(11):
        got = score_answers(grid, np.array([reference, 0.0, 0.0, 0.0]), "v2")
        want = [_v2([float(answer), 0, 0, 0], [float(reference), 0, 0, 0]) for answer in range(11)]
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_missing_stays_missing_in_the_vectorised_form() -> None:
    """A NaN in an answer gives NaN, and only there; the arrays that were passed in are left as they were."""
    answers = np.array([[1.0, 2, 3, 4], [1, np.nan, 3, 4], [0, 0, 0, 0], [900, 2, 3, 4]])
    before = answers.copy()
    reference = np.array([1.0, 2, 3, 4])
    v1, v2 = score_answers(answers, reference, "v1"), score_answers(answers, reference, "v2")
    assert np.isnan(v2).tolist() == [False, True, False, False]
    assert np.isnan(v1).tolist() == [False, True, True, False]
    assert v2[3] == pytest.approx(10 - 0.7477 * 899)
    np.testing.assert_array_equal(answers, before)
    assert score_answers(np.array([1.0, 2, 3, 4]), reference, "v2").tolist() == [10.0]


@pytest.mark.parametrize(
    ("answers", "references"), [((3, 4), (4,)), ((3, 4), (2, 4)), ((3, 4), (4, 3)), ((2, 2, 4), (4,))]
)
def test_shapes_that_do_not_fit_are_refused(answers: tuple[int, ...], references: tuple[int, ...]) -> None:
    """Nothing is broadcast by accident."""
    if references == (4,) and answers == (3, 4):
        assert score_answers(np.ones(answers), np.ones(references), "v2").tolist() == [10.0] * 3
        return
    with pytest.raises(ValueError, match="references"):
        score_answers(np.ones(answers), np.ones(references), "v2")


def _set(version: Literal["v1", "v2"] = "v2") -> ItemSet:
    return ItemSet("sample", version, "en", (_item([1, 2, 3, 4]),), official=True, sha256="")


def _outcome(text: str, profile: Profile, version: Literal["v1", "v2"] = "v2", revise: bool = False) -> ScoredItem:
    item_set = _set(version)
    return outcome_of(item_set.items[0], text, item_set=item_set, profile=profile, revise=revise)


_PERFECT = "Joy: 1\nAnger: 2\nFear: 3\nHope: 4"
_ZEROS = "Joy: 0\nAnger: 0\nFear: 0\nHope: 0"


def test_an_outcome_carries_score_answer_and_reason() -> None:
    """Scored, unparseable, refused and truncated are told apart."""
    read = Answer({"Joy": 1.0, "Anger": 2.0, "Fear": 3.0, "Hope": 4.0})
    assert _outcome(_PERFECT, "tolerant") == ScoredItem(10.0, None, True, read, "scored")
    assert _outcome("Joy: 1", "tolerant").reason == "missing_emotion"
    assert _outcome("Joy: 1", "tolerant").outcome == "unparseable"
    assert _outcome("I can't do that.", "tolerant").outcome == "refused"
    assert _outcome("<think>well", "tolerant").outcome == "truncated"
    assert not _outcome("Joy: 1", "official").accepted


def test_an_all_zero_answer_by_profile_and_version() -> None:
    """Official never accepts it, the others do, but v1 can't score it."""
    assert _outcome(_ZEROS, "official").reason == "all_zero"
    for profile in ("tolerant", "lm-eval"):
        assert _outcome(_ZEROS, profile).outcome == "scored"
        assert _outcome(_ZEROS, profile, "v1").reason == "all_zero"
        assert _outcome(_ZEROS, profile, "v1").first is None


def test_an_all_zero_pass_beside_a_good_one_has_a_v2_score() -> None:
    """Once an official item counts, each of its passes is scored without the v1 gate."""
    text = f"First pass scores:\n{_ZEROS}\n\nRevised scores:\n{_PERFECT}"
    scored = _outcome(text, "official", revise=True)
    assert (scored.first, scored.revised) == (_v2([0, 0, 0, 0], [1, 2, 3, 4]), 10.0)
    assert _outcome(text, "official", "v1", revise=True).first is None

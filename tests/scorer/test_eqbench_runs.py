"""Runs: means, first or revised pass, validity, missing iterations, and recorded answers."""

import json

import pytest

from scorer import Item, ItemSet, Profile, RunScore, ScoredItem, aggregate, score_recorded
from scorer.runs import VALID_SHARE


def _scored(first: float | None, revised: float | None = None) -> ScoredItem:
    accepted = first is not None or revised is not None
    return ScoredItem(first, revised, accepted, None, "scored" if accepted else "unparseable")


def _run(
    *iterations: list[tuple[float | None, float | None]] | None, n: int = 4, profile: Profile = "official"
) -> RunScore:
    return aggregate(
        [
            None if pairs is None else {str(index): _scored(*pair) for index, pair in enumerate(pairs)}
            for pairs in iterations
        ],
        n,
        profile,
    )


def test_an_item_without_a_score_is_left_out_of_the_mean() -> None:
    """Missing is not zero, except in lm-eval, where it is."""
    pairs: list[tuple[float | None, float | None]] = [(8.0, None), (6.0, None), (None, None), (None, None)]
    assert _run(pairs).points == 70.0
    assert _run(pairs, profile="tolerant").points == 70.0
    assert _run(pairs, profile="lm-eval").points == 35.0
    profiles: tuple[Profile, ...] = ("official", "tolerant", "lm-eval")
    assert [_run(pairs, profile=profile).valid for profile in profiles] == [False, False, True]


@pytest.mark.parametrize(
    ("parseable", "n", "valid"), [(143, 171, True), (142, 171, False), (50, 60, True), (49, 60, False)]
)
def test_a_run_is_valid_from_a_share_of_08333(parseable: int, n: int, valid: bool) -> None:
    """The official threshold, on the official sizes."""
    assert VALID_SHARE == 0.8333
    assert _run([(5.0, None)] * parseable, n=n).valid is valid


def test_the_revised_pass_is_chosen_by_run_if_better_and_about_as_readable() -> None:
    """Equal is enough; under 95 % of the first pass's readable items is not."""
    better = _run([(5.0, 6.0)] * 20, n=20)
    assert (better.points, better.used_revised, better.parseable) == (60.0, True, 20)
    assert better.item_points["0"] == 60.0
    assert _run([(5.0, 5.0)] * 20, n=20).used_revised
    assert not _run([(5.0, 4.9)] * 20, n=20).used_revised
    assert _run([(5.0, 6.0)] * 19 + [(5.0, None)], n=20).used_revised
    assert not _run([(5.0, 6.0)] * 18 + [(5.0, None)] * 2, n=20).used_revised


def test_an_unreadable_first_pass_beats_a_negative_revised_one_only_officially() -> None:
    """The quirk counts nothing as 0 points; ours takes what is there."""
    pairs: list[tuple[float | None, float | None]] = [(None, -2.0)] * 4
    official, ours = _run(pairs), _run(pairs, profile="tolerant")
    assert (official.points, official.parseable, official.valid) == (0.0, 0.0, False)
    assert (ours.points, ours.parseable, ours.valid, ours.used_revised) == (-20.0, 4.0, True, True)


def test_a_missing_iteration_counts_as_zero_only_officially() -> None:
    """The official mean is over all iterations that were planned; ours over those that were run."""
    not_run: tuple[list[tuple[float | None, float | None]] | None, ...] = (None, [])
    for missing in not_run:
        official = _run([(8.0, None)] * 4, missing)
        assert (official.points, official.parseable, official.valid) == (40.0, 2.0, False)
        for profile in ("tolerant", "lm-eval"):
            ours = _run([(8.0, None)] * 4, missing, profile=profile)
            assert (ours.points, ours.parseable, ours.valid) == (80.0, 4.0, True)
    unreadable = _run([(8.0, None)] * 4, [(None, None)] * 4, profile="tolerant")
    assert (unreadable.points, unreadable.parseable, unreadable.valid) == (80.0, 2.0, False)


def test_a_run_without_any_score_has_zero_points_and_is_not_valid() -> None:
    """The JSON forms hold a number even then; validity says what it is worth."""
    for run in (_run(), _run(None), _run([]), _run([(None, None)] * 4)):
        assert (run.points, run.parseable, run.valid) == (0.0, 0.0, False)
    with pytest.raises(ValueError, match="n_items must be positive"):
        aggregate([], 0, "official")


def test_item_points_and_outcomes_are_kept() -> None:
    """Item points are means over iterations, None where there is no score; what was never asked is missing."""
    iterations = [
        {"a": _scored(5.0), "b": _scored(None), "c": None},
        {"a": _scored(6.0), "b": _scored(None), "c": None},
    ]
    run = aggregate(iterations, 4, "tolerant")
    assert run.item_points == {"a": 55.0, "b": None, "c": None}
    assert run.outcomes == {"scored": 2, "unparseable": 2, "missing": 4}


def test_the_json_form_has_the_stable_fields() -> None:
    """score is a number in points, parseable and items are integers, missing item scores are null."""
    data = json.loads(json.dumps(_run([(8.0, None), (None, None)], n=2).to_json()))
    assert data == {
        "score": 80.0,
        "parseable": 1,
        "items": 2,
        "valid": False,
        "scoring_profile": "official",
        "outcomes": {"scored": 1, "unparseable": 1},
        "item_scores": {"0": 80.0, "1": None},
    }
    assert isinstance(data["parseable"], int)


_EMOTIONS = ("Joy", "Anger", "Fear", "Hope")
_SET = ItemSet(
    "sample",
    "v2",
    "en",
    tuple(Item(str(index), _EMOTIONS, "", None, (1.0, 2.0, 3.0, 4.0)) for index in range(6)),
    official=False,
    sha256="",
)
_PERFECT = "Joy: 1\nAnger: 2\nFear: 3\nHope: 4"


def test_recorded_answers_are_scored_as_a_run() -> None:
    """Items that were not recorded are missing, unreadable ones are counted by outcome."""
    answers = {str(index): _PERFECT for index in range(4)} | {"4": "I cannot do that."}
    run = score_recorded(_SET, answers, profile="tolerant", revise=False)
    assert (run.points, run.parseable, run.items, run.valid) == (100.0, 4.0, 6, False)
    assert run.outcomes == {"scored": 4, "refused": 1, "missing": 1}
    assert run.item_points == {"0": 100.0, "1": 100.0, "2": 100.0, "3": 100.0, "4": None, "5": None}


def test_recorded_finish_reasons_sharpen_the_outcome() -> None:
    """A recording that kept the finish reason tells a cut-off answer from a deficient one."""
    run = score_recorded(_SET, {"0": "Joy: 1"}, profile="tolerant", revise=False, finish_reasons={"0": "length"})
    assert run.outcomes == {"truncated": 1, "missing": 5}


def test_answers_to_other_items_are_refused() -> None:
    """A recording of another set is a mistake to be told, not a run of missing items."""
    with pytest.raises(ValueError, match=r"7 of 8 recorded answers .* sample does not have \(x0, x1, x2, x3, x4, …\)"):
        score_recorded(
            _SET, {"0": _PERFECT} | {f"x{index}": "" for index in range(7)}, profile="tolerant", revise=False
        )

"""Baselines: what is fitted, what is refused, what survives a round trip."""

import json
import math

import numpy as np
import pytest

from scorer.baseline import VARIANCE_FLOOR, Baseline, Observation, passes_needed


def _pass(*scores: float | None, answer: tuple[float, ...] | None = (1.0, 2.0)) -> list[Observation]:
    return [Observation(f"i{i}", score, answer) for i, score in enumerate(scores)]


def _fit(*passes: list[Observation], min_passes: int = 2) -> Baseline:
    return Baseline.from_passes(passes, protocol_key="key", min_passes=min_passes)


def test_means_and_pooled_noise_are_those_of_the_passes() -> None:
    """Item means, and the within-item variance pooled over items with one degree of freedom lost per item."""
    baseline = _fit(_pass(8.0, 5.0), _pass(10.0, 5.0), _pass(9.0, 8.0))
    assert baseline.means == pytest.approx([9.0, 6.0])
    assert baseline.pooled_variance == pytest.approx((2.0 + 6.0) / 4.0)
    assert baseline.points == pytest.approx(75.0)
    assert baseline.mean_variance == pytest.approx(2.0 / (2 * 3))
    assert baseline.run_sd_points == pytest.approx(10.0)


def test_an_unreadable_answer_is_left_out_and_is_not_a_zero() -> None:
    """The mean of 8, None, 10 is 9, from two answers."""
    baseline = _fit(_pass(8.0), _pass(None), _pass(10.0))
    assert baseline.means[0] == pytest.approx(9.0)
    assert baseline.counts[0] == 2
    assert math.isnan(baseline.residuals[0, 1])


def test_an_item_that_is_mostly_unreadable_is_excluded_by_name() -> None:
    """With one readable answer of four an item has no baseline, and the baseline says which."""
    baseline = _fit(_pass(8.0, 5.0), _pass(8.0, None), _pass(8.0, None), _pass(8.0, None))
    assert baseline.item_ids == ("i0",)
    assert baseline.excluded == ("i1",)


def test_too_few_passes_are_refused_in_words() -> None:
    """Four passes are one short of the five that a baseline needs."""
    with pytest.raises(ValueError, match="at least 5 passes, got 4"):
        Baseline.from_passes([_pass(8.0)] * 4, protocol_key="key")
    with pytest.raises(ValueError, match="no item has enough readable answers"):
        _fit(_pass(None), _pass(None), _pass(None))


def test_commissioning_says_how_many_passes_are_missing() -> None:
    """Ten are recommended, five work, and nothing is negative."""
    assert (passes_needed(0), passes_needed(4), passes_needed(12)) == (10, 6, 0)
    assert passes_needed(4, recommended=False) == 1


def test_replayed_answers_have_noise_all_the_same() -> None:
    """Five equal passes measure a variance of 0 and are believed to have the floor."""
    baseline = Baseline.from_passes([_pass(8.0, 5.0)] * 5, protocol_key="key")
    assert baseline.pooled_variance == 0.0
    assert baseline.noise_variance == VARIANCE_FLOOR


def test_distances_leave_out_the_pass_that_they_judge() -> None:
    """The odd answer of three is 3 steps from the median of the others, the others half of that from theirs."""
    passes = [[Observation("a", 9.0, (x, 4.0))] for x in (2.0, 2.0, 5.0)]
    baseline = _fit(*passes)
    assert baseline.distances[0] == pytest.approx([1.5**2 / 2, 1.5**2 / 2, 9.0 / 2])
    assert baseline.distance(0, (5.0, 4.0)) == pytest.approx(4.5)
    assert baseline.same_answer(0, (2.0, 4.5)) is True
    assert baseline.same_answer(0, (2.0, 5.0)) is False


def test_an_answer_of_another_width_cannot_be_compared() -> None:
    """Items may differ in their number of emotions; an answer that does not fit its item has no distance."""
    passes = [[Observation("a", 9.0, (1.0, 2.0, 3.0)), Observation("b", 9.0, (1.0, 2.0))] for _ in range(3)]
    baseline = _fit(*passes)
    assert baseline.distance(0, (1.0, 2.0, 3.0)) == 0.0
    assert baseline.distance(1, (1.0, 2.0, 3.0)) is None
    assert baseline.same_answer(1, (1.0,)) is None


def test_a_baseline_without_answers_has_scores_only() -> None:
    """Where no answers were kept, "different?" cannot be asked, and "worse?" can."""
    baseline = _fit(*[_pass(8.0, answer=None)] * 3)
    assert baseline.distance(0, (1.0, 2.0)) is None
    assert baseline.means[0] == 8.0


def test_a_round_trip_through_json_changes_nothing() -> None:
    """Export and import give the same digest, missing answers included."""
    rng = np.random.default_rng(1)
    passes = [_pass(*rng.normal(8, 1, 6), answer=tuple(rng.integers(0, 11, 4).astype(float))) for _ in range(4)]
    passes[2][3] = Observation("i3", None)
    baseline = _fit(*passes)
    again = Baseline.from_dict(json.loads(json.dumps(baseline.to_dict())))
    assert again.digest == baseline.digest
    assert again.distances == pytest.approx(baseline.distances, nan_ok=True)


def test_a_foreign_file_is_refused() -> None:
    """Another schema, or residuals that do not match the passes, are errors and not a baseline."""
    data = _fit(*[_pass(8.0)] * 3).to_dict()
    with pytest.raises(ValueError, match="schema"):
        Baseline.from_dict({**data, "schema": 99})
    with pytest.raises(ValueError, match="one residual per pass"):
        Baseline.from_dict({**data, "passes": 4})


def test_a_baseline_is_frozen() -> None:
    """No later answer can move a mean."""
    baseline = _fit(*[_pass(8.0)] * 3)
    with pytest.raises(ValueError, match="read-only"):
        baseline.means[0] = 1.0

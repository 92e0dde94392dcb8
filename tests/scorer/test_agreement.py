"""Agreement and test-retest as losses in EQ-Bench points, and what they mean."""

import numpy as np
import pytest

from scorer.agreement import loss_points, mean_loss, meaning, retest_ratio


def test_the_loss_is_that_of_eq_bench() -> None:
    """Equal ratings lose nothing; four emotions off by 6 lose 10 times .7477 times 24; two emotions count double."""
    same = {"Joy": 3.0, "Calm": 1.0, "Fear": 0.0, "Anger": 9.0}
    assert loss_points(same, dict(reversed(same.items()))) == 0.0
    low, high = dict.fromkeys(same, 0.0), dict.fromkeys(same, 6.0)
    assert loss_points(low, high) == pytest.approx(0.7477 * 24.0 * 10.0)
    assert loss_points({"Joy": 0.0, "Fear": 0.0}, {"Joy": 6.0, "Fear": 6.0}) == pytest.approx(0.7477 * 24.0 * 10.0)
    with pytest.raises(ValueError, match="can't be compared"):
        loss_points({"Joy": 1.0}, {"Fear": 1.0})


def test_the_mean_has_an_interval_by_conversation() -> None:
    """Two conversations of equal turns: the error is that of two, not of four values."""
    found = mean_loss(np.array([10.0, 10.0, 20.0, 20.0]), np.array([1, 1, 2, 2]))
    assert found is not None
    assert (found.mean, found.turns, found.conversations) == (15.0, 4, 2)
    assert found.lower == 0.0  # a loss is never below zero
    assert mean_loss(np.array([]), np.array([], dtype=np.int64)) is None
    alone = mean_loss(np.array([10.0, 12.0]), np.array([1, 1]))
    assert alone is not None
    assert (alone.mean, alone.lower, alone.upper) == (11.0, None, None)


@pytest.mark.parametrize(
    ("reference", "model", "expected"),
    [
        (86.0, 81.0, "quality"),
        (74.0, 81.0, "change_signal"),
        (81.0, 81.0, "change_signal"),
        (None, 80.0, "change_signal"),
        (86.0, None, "change_signal"),
    ],
)
def test_agreement_is_quality_only_with_a_better_reference(
    reference: float | None, model: float | None, expected: str
) -> None:
    """An unknown score shows nothing."""
    assert meaning(reference, model) == expected


def test_the_retest_ratio_is_the_share_of_variance_that_is_given_again() -> None:
    """Simulated at a reliability of .6, and at both ends."""
    rng = np.random.default_rng(5)
    truth = rng.normal(0.0, np.sqrt(0.6), 4000)
    first, again = ([{"Joy": float(one)} for one in truth + rng.normal(0.0, np.sqrt(0.4), 4000)] for _ in range(2))
    assert retest_ratio(first, again) == pytest.approx(0.6, abs=0.03)
    assert retest_ratio(first, first) == 1.0
    assert retest_ratio(first[:9], again[:9]) is None
    assert retest_ratio([{"Joy": 2.0}] * 20, [{"Joy": 2.0}] * 20) is None

"""Who leaves is counted by band, weighed for up to ten times, and bounded by the worst case."""

import numpy as np
import pytest

from scorer.censoring import bands, bounds, weights


def test_turns_are_counted_by_band_of_predicted_distress() -> None:
    """Bands end below their upper end; the last one holds 10."""
    found = bands(np.array([0.0, 1.9, 2.0, 5.0, 8.0, 10.0]), np.array([False, True, False, True, True, True]))
    assert [(band.low, band.high, band.turns, band.censored) for band in found] == [
        (0.0, 2.0, 2, 1),
        (2.0, 4.0, 1, 0),
        (4.0, 6.0, 1, 1),
        (6.0, 8.0, 0, 0),
        (8.0, 10.0, 2, 2),
    ]
    assert [band.share for band in found] == [0.5, 0.0, 1.0, None, 1.0]


def test_each_turn_that_went_on_stands_for_those_that_did_not() -> None:
    """turns / followed of its band, at most 10."""
    distress = np.array([0.0] * 4 + [9.0] * 40)
    censored = np.array([False, False, False, True] + [True] * 38 + [False] * 2)
    found = bands(distress, censored)
    assert weights(np.array([1.0, 9.0]), found) == pytest.approx([4.0 / 3.0, 10.0])


def test_weights_recover_the_mean_where_leaving_depends_on_the_prediction_alone() -> None:
    """Simulated: half of the distressed leave, a tenth of the others; the plain mean is too low."""
    rng = np.random.default_rng(7)
    distress = rng.choice([1.0, 9.0], 20_000)
    after = distress + rng.normal(size=len(distress))
    left = rng.random(len(distress)) < np.where(distress > 5.0, 0.5, 0.1)
    stayed = weights(distress, bands(distress, left))[~left]
    assert after[~left].mean() < 4.3
    assert np.average(after[~left], weights=stayed) == pytest.approx(after.mean(), abs=0.1)


def test_bounds_hold_whatever_those_who_left_felt() -> None:
    """By hand: six at 4, four that may have been anywhere from 0 to 10."""
    assert bounds(4.0, 6, 4) == pytest.approx((2.4, 6.4))
    assert bounds(4.0, 6, 0) == (4.0, 4.0)

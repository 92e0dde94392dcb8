"""Where an intensity is going: least squares over the newest five estimates, and no direction within the noise."""

import numpy as np
import pytest

from scorer.trend import Trend, trend


@pytest.mark.parametrize(
    ("turns", "values", "slope", "direction"),
    [
        ([1, 2], [3.0, 5.0], 2.0, "rising"),
        ([1, 2, 3], [8.0, 6.0, 4.0], -2.0, "falling"),
        ([1, 2, 3], [5.0, 5.0, 5.0], 0.0, "steady"),
        ([1, 3], [5.0, 5.8], 0.4, "steady"),
        ([2, 4], [5.0, 7.0], 1.0, "rising"),
        ([1, 2, 3, 4, 5, 6, 7], [0.0, 10.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1.0, "rising"),
    ],
)
def test_slopes(turns: list[int], values: list[float], slope: float, direction: str) -> None:
    """Points per turn, turns without an estimate included in the distance; older than five are left out."""
    found = trend(turns, values)
    assert found == Trend(pytest.approx(slope), direction)  # type: ignore[arg-type]


def test_one_estimate_has_no_trend() -> None:
    """Nothing is known, which is not steady."""
    assert trend([4], [7.0]) is None
    assert trend([], []) is None


def test_noise_asks_for_more() -> None:
    """A rise of one point in a turn means nothing where two ratings of the same turn differ by that much."""
    assert trend([1, 2], [5.0, 6.0], noise=0.2) == Trend(1.0, "rising")
    assert trend([1, 2], [5.0, 6.0], noise=1.0) == Trend(1.0, "steady")


def test_a_steady_user_seldom_seems_to_move() -> None:
    """With the noise known, under 5 % of steady conversations of five turns get a direction."""
    rng = np.random.default_rng(5)
    moved = 0
    for _ in range(1000):
        found = trend([1, 2, 3, 4, 5], list(5.0 + rng.normal(0.0, 1.5, 5)), noise=1.5)
        assert found is not None
        moved += found.direction != "steady"
    assert moved < 60

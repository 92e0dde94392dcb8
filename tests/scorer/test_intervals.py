"""Standard errors, against closed forms, tables and simulation."""

import math

import numpy as np
import pytest

from scorer.intervals import Estimate, clustered_mean, repeated_mean, student_t


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [
        (0.975, 49, 2.0096),
        (0.975, 10, 2.2281),
        (0.9875, 20, 2.4231),
        (0.995, 5, 4.0321),
        (0.975, 4, 2.7764),
        (0.95, 1e9, 1.6449),
    ],
)
def test_quantiles_of_students_t_match_the_tables(probability: float, freedom: float, expected: float) -> None:
    """Within 1 % from four degrees of freedom on."""
    assert student_t(probability, freedom) == pytest.approx(expected, rel=0.01)


def test_single_items_as_clusters_give_the_ordinary_standard_error() -> None:
    """With one item per cluster the error is s / sqrt(n)."""
    values = np.array([1.0, 4.0, 2.0, 7.0, 3.0])
    found = clustered_mean(values, range(5))
    assert found.mean == pytest.approx(3.4)
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(5))
    assert found.freedom == 4.0


def test_copies_within_a_dialogue_bring_no_certainty() -> None:
    """Asking three times about the same dialogue with the same result counts once."""
    values = np.array([1.0, 4.0, 2.0, 7.0, 3.0])
    tripled = clustered_mean(np.repeat(values, 3), np.repeat(np.arange(5), 3))
    assert tripled.error == pytest.approx(clustered_mean(values, range(5)).error)


def test_a_missing_value_is_left_out_and_not_a_zero() -> None:
    """nan changes neither the mean nor the number of clusters of the others."""
    values = np.array([1.0, np.nan, 3.0])
    assert clustered_mean(values, [0, 1, 2]) == clustered_mean(values[[0, 2]], [0, 2])
    assert repeated_mean(np.array([[1.0, np.nan], [3.0, np.nan]]), 0.0).mean == 2.0


def test_nothing_measured_has_no_bounds() -> None:
    """No value, or one cluster, bounds nothing."""
    assert clustered_mean(np.array([np.nan]), [0]).bounds(0.05) == (-math.inf, math.inf)
    assert clustered_mean(np.array([1.0, 2.0]), [0, 0]).bounds(0.05) == (-math.inf, math.inf)
    assert repeated_mean(np.array([[1.0, 2.0]]), 0.02).bounds(0.05) == (-math.inf, math.inf)
    assert Estimate(1.0, 0.0, 9.0).bounds(0.05) == (1.0, 1.0)


def test_repeated_measurements_have_the_error_of_the_noise_alone() -> None:
    """Items that differ a lot between each other and little between passes have a small error."""
    rng = np.random.default_rng(1)
    items = rng.normal(0.0, 5.0, 400)
    found = repeated_mean(items + rng.normal(0.0, 0.3, (4, 400)), 0.0)
    assert found.error == pytest.approx(0.3 / math.sqrt(4 * 400), rel=0.05)
    assert found.freedom == 1200.0


def test_replayed_passes_have_the_floor() -> None:
    """Without any noise the error is that of the floor."""
    assert repeated_mean(np.ones((2, 50)), 0.04).error == pytest.approx(math.sqrt(0.04 / 100))

"""Drift: how far the intensities moved, and a test that may be looked at after every conversation."""

import json

import numpy as np
import pytest

from scorer.drift import DriftTest, distance, histogram, tenths

LIMIT = 0.05


def windows(rng: np.random.Generator, mean: float, size: int) -> list[int]:
    """Intensities of which many are zero."""
    return [tenths(value) for value in np.clip(rng.normal(mean, 2.0, size), 0.0, 10.0)]


def looked(reference: list[int], current: list[int], rng: np.random.Generator) -> tuple[DriftTest, int | None]:
    """The test after all, and after how many it first rejected."""
    test, first = DriftTest.against(histogram(reference)), None
    for number, step in enumerate(current, start=1):
        test = test.seen(step, float(rng.random()))
        if first is None and test.ratio(LIMIT) >= 1.0:
            first = number
    return test, first


@pytest.mark.parametrize(("intensity", "step"), [(0.0, 0), (10.0, 100), (3.14, 31), (0.05, 1), (11.0, 100), (-1.0, 0)])
def test_intensities_are_kept_in_tenths(intensity: float, step: int) -> None:
    """To the nearest one, within 0..10."""
    assert tenths(intensity) == step


def test_the_distance_is_by_how_much_a_conversation_moved() -> None:
    """By hand: all by two points; half of them by four; and nothing."""
    assert distance(histogram([10, 20]), histogram([30, 40])) == pytest.approx(2.0)
    assert distance(histogram([0, 0]), histogram([0, 40])) == pytest.approx(2.0)
    assert distance(histogram([0, 100]), histogram([0, 100, 0, 100])) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="no distance"):
        distance(histogram([]), histogram([1]))


def test_one_bet_by_hand() -> None:
    """The highest of four at a lot of 0 has rank 0: bets on high ranks gain half, those on the middle lose half."""
    test = DriftTest.against(histogram([0, 10, 20])).seen(30, 0.0)
    capitals = np.exp(test.log_capitals)
    # place -1 and spread +1, stakes -1, 0, 1; each began with a third.
    assert capitals == pytest.approx(np.array([1.5, 1.0, 0.5, 0.5, 1.0, 1.5]) / 3.0)
    assert test.log_evidence == pytest.approx(0.0)
    again = test.seen(40, 0.0)
    # One percent is dealt out anew, then the same bets: .99 [.5 1/3 1/6] + .01/3, times [1.5 1 .5].
    expected = ((0.99 * np.array([1.5, 1.0, 0.5]) + 0.01) / 3.0 * np.array([1.5, 1.0, 0.5])).sum()
    assert np.exp(again.log_evidence) == pytest.approx(expected)
    assert again.highest == pytest.approx(np.log(expected))


def test_no_drift_is_called_where_there_is_none_however_often_one_looks() -> None:
    """Of 200 worlds with a reference of 100 and looks after each of 400 conversations, at most 5 % and luck."""
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        _, first = looked(windows(rng, 1.0, 100), windows(rng, 1.0, 400), rng)
        called += first is not None
    assert called <= 18


def test_a_drift_of_one_point_is_called_within_the_window() -> None:
    """At the start of the current window or after 300 quiet conversations, in nearly every one of 30 worlds."""
    at_once, late = [], []
    for seed in range(30):
        rng = np.random.default_rng(500 + seed)
        reference = windows(rng, 2.0, 300)
        at_once.append(looked(reference, windows(rng, 3.2, 300), rng)[1])
        late.append(looked(reference, windows(rng, 2.0, 300) + windows(rng, 3.2, 300), rng)[1])
    assert sum(first is not None for first in at_once) >= 28
    assert np.median([first for first in at_once if first is not None]) < 150
    assert sum(first is not None and first > 300 for first in late) >= 24


def test_a_change_of_spread_alone_is_called() -> None:
    """The same mean, twice as far apart."""
    rng = np.random.default_rng(11)
    reference = [tenths(value) for value in rng.normal(5.0, 0.5, 300)]
    current = [tenths(value) for value in rng.normal(5.0, 2.0, 300)]
    assert looked(reference, current, rng)[1] is not None


def test_a_state_goes_through_json_unchanged() -> None:
    """Windows survive restarts."""
    rng = np.random.default_rng(2)
    test, _ = looked(windows(rng, 2.0, 50), windows(rng, 3.0, 50), rng)
    restored = DriftTest.from_json(json.loads(json.dumps(test.as_json())))
    assert restored == test
    assert restored.seen(12, 0.5) == test.seen(12, 0.5)


def test_evidence_stays_finite_over_years() -> None:
    """Ten thousand conversations that all speak against the reference."""
    test = DriftTest.against(histogram([0] * 100))
    for _ in range(2000):
        test = test.seen(100, 0.5)
    assert np.isfinite(test.log_evidence)
    assert np.isfinite(test.ratio(LIMIT))

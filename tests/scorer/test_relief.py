"""Relief is the change beyond what is expected from where a feeling stood."""

import numpy as np
import pytest

from scorer.relief import Expectation, learn, relief


def test_the_expected_change_is_a_line_through_the_reference_window() -> None:
    """By hand: everyone falls by half of where they stood."""
    before = np.tile([0.0, 4.0, 8.0], 10)
    found = learn(np.repeat(np.arange(10), 3), before, before / 2.0)
    assert found is not None
    assert (found.intercept, found.slope) == (pytest.approx(0.0, abs=1e-9), pytest.approx(-0.5))
    assert found.variance(4.0) == pytest.approx(0.0, abs=1e-9)
    assert Expectation.from_json(found.as_json()) == found


def test_regression_to_the_mean_alone_is_no_relief() -> None:
    """Noise around a steady level makes strong feelings fall; relief stays about 0, where the plain change does not."""
    rng = np.random.default_rng(3)
    level = rng.normal(4.0, 1.0, (600, 1))
    judged = level + rng.normal(0.0, 1.0, (600, 2))
    expected = learn(np.arange(300), judged[:300, 0], judged[:300, 1])
    assert expected is not None
    strong = judged[300:, 0] > 5.0
    before, after = judged[300:, 0][strong], judged[300:, 1][strong]
    found = relief(expected, np.flatnonzero(strong), before, after)
    assert found is not None
    assert found.observed < -0.5
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < 0.0 < found.upper


def test_a_fall_beyond_the_expected_one_is_relief() -> None:
    """By hand: -0.5 of 6 is expected, two fall by 5 and by 4."""
    before = np.tile([0.0, 4.0, 8.0], 10)
    expected = learn(np.repeat(np.arange(10), 3), before, before / 2.0)
    assert expected is not None
    found = relief(expected, np.array([1, 2]), np.array([6.0, 6.0]), np.array([1.0, 2.0]))
    assert found is not None
    assert found.change == pytest.approx(-1.5)
    assert found.observed == pytest.approx(-4.5)
    assert found.conversations == 2


def test_the_interval_covers_no_effect_at_its_rate() -> None:
    """Over 300 worlds of 60 conversations of three turns, about one in twenty says that something changed."""
    claims = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        judged = rng.normal(4.0, 1.0, (120, 1)) + rng.normal(0.0, 1.0, (120, 4))
        who = np.repeat(np.arange(120), 3)
        before, after = judged[:, :-1].ravel(), judged[:, 1:].ravel()
        first = who < 60
        expected = learn(who[first], before[first], after[first])
        assert expected is not None
        found = relief(expected, who[~first], before[~first], after[~first])
        assert found is not None
        assert found.lower is not None
        assert found.upper is not None
        claims += not found.lower <= 0.0 <= found.upper
    assert 3 <= claims <= 30


def test_too_few_turns_teach_nothing_and_one_conversation_has_no_error() -> None:
    """Missing is None, not zero."""
    assert learn(np.arange(29), np.zeros(29), np.zeros(29)) is None
    flat = learn(np.arange(30), np.full(30, 2.0), np.full(30, 3.0))
    assert flat is not None
    assert flat.change(np.array([2.0])) == pytest.approx([1.0])
    assert relief(flat, np.array([], dtype=np.int64), np.array([]), np.array([])) is None
    alone = relief(flat, np.array([1]), np.array([2.0]), np.array([2.0]))
    assert alone is not None
    assert (alone.change, alone.lower, alone.upper) == (pytest.approx(-1.0), None, None)

"""What a judge's single rating is worth: shares within one point, with an interval that few pairs can't narrow."""

import numpy as np
import pytest

from scorer.repeatability import repeatability


def test_known_pairs() -> None:
    """15 of 20 within one point; Wilson's lower bound of 15/20 is .531; the noise is that of one rating."""
    found = repeatability([5.0] * 20, [5.0] * 10 + [6.0] * 5 + [8.0] * 5)
    assert found is not None
    assert (found.retests, found.share) == (20, 0.75)
    assert found.confidence == pytest.approx(0.5313, abs=1e-4)
    assert found.noise == pytest.approx(((5 * 1 + 5 * 9) / 20 / 2) ** 0.5)


def test_few_pairs_claim_nothing() -> None:
    """Under twenty there is no confidence, however well they agree; of none there is nothing."""
    found = repeatability([3.0] * 19, [3.0] * 19)
    assert found is not None
    assert (found.share, found.confidence, found.noise) == (1.0, None, 0.0)
    assert repeatability([], []) is None


def test_more_pairs_are_worth_more() -> None:
    """The same perfect share: .839 of 20 pairs, .981 of 200."""
    few, many = repeatability([3.0] * 20, [4.0] * 20), repeatability([3.0] * 200, [4.0] * 200)
    assert few is not None
    assert many is not None
    assert few.confidence == pytest.approx(0.8389, abs=1e-4)
    assert many.confidence == pytest.approx(0.9812, abs=1e-4)


def test_the_interval_covers() -> None:
    """Confidence is below the true share in about 97.5 % of worlds (one side of 95 %)."""
    rng = np.random.default_rng(3)
    below = 0
    for _ in range(2000):
        near = rng.random(40) < 0.8
        found = repeatability([5.0] * 40, list(np.where(near, 5.0, 9.0)))
        assert found is not None
        assert found.confidence is not None
        below += found.confidence < 0.8
    assert 0.96 <= below / 2000 <= 0.995

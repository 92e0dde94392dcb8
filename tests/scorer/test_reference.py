"""The distance to the reference of record adds up small steps, and knows how sure it is."""

import numpy as np
import pytest

from scorer.baseline import Baseline
from scorer.reference import baseline_difference, level_difference

_IDS = [f"i{k}" for k in range(60)]


def _baseline(level: float, *, seed: int, key: str = "p", noise: float = 0.8) -> Baseline:
    means = np.random.default_rng(99).uniform(4.0, 8.0, len(_IDS)) + level
    scores = means + np.random.default_rng(seed).normal(0.0, noise, (10, len(_IDS)))
    return Baseline.from_arrays(scores, np.full((10, len(_IDS), 0), np.nan), item_ids=_IDS, protocol_key=key)


def test_small_steps_add_up() -> None:
    """Four versions that each lose 0.4 points are 1.6 points from the first one, surely more than half a point."""
    first, *_, last = [_baseline(-0.04 * step, seed=step) for step in range(5)]
    found = baseline_difference(first, last)
    assert found is not None
    assert found.lower < -1.6 < found.upper
    assert found.upper < 0.0


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of 400 unchanged models, about 5 % are outside the interval."""
    reference = _baseline(0.0, seed=1)
    rng = np.random.default_rng(5)
    outside = 0
    for _ in range(400):
        true = reference.means + rng.normal(0.0, 0.8 / 10**0.5, 60)
        recent = {item: list(true[k] + rng.normal(0.0, 0.8, 4)) for k, item in enumerate(_IDS)}
        found = level_difference(reference, recent)
        assert found is not None
        outside += not found.lower < 0.0 < found.upper
    assert 6 <= outside <= 36


def test_other_protocols_are_refused_and_few_items_say_nothing() -> None:
    """A comparison across protocols is an error; half a pass is needed for any word."""
    reference = _baseline(0.0, seed=1)
    with pytest.raises(ValueError, match="different protocols"):
        baseline_difference(reference, _baseline(0.0, seed=2, key="q"))
    assert level_difference(reference, {item: [5.0] for item in _IDS[:29]}) is None
    assert level_difference(reference, {item: [5.0] for item in _IDS[:30]}) is not None
    assert level_difference(reference, {item: [] for item in _IDS}) is None

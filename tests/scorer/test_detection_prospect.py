"""A plan's simulation agrees with the study on real answers, and with itself."""

import numpy as np
import pytest

from scorer.baseline import Baseline
from scorer.detection import Detector, DetectorConfig
from scorer.detection.prospect import NOISE_RUN_SD, Pace, Prospect, prospect, typical_baseline

_DAILY = DetectorConfig(171 * 365 / 12)
_PACE = Pace(12 / 171, 12 / 171, 600)


def _found(baseline: Baseline, points: float, *, seed: int = 1, pace: Pace = _PACE) -> Prospect:
    limits = Detector(baseline, _DAILY).cusum_limits
    return prospect(baseline, _DAILY, limits, points, pace, np.random.default_rng(seed), installations=60)


@pytest.mark.parametrize("level", ["low", "mid", "high"])
def test_a_typical_baseline_is_as_noisy_as_its_name(level: str) -> None:
    """Its passes vary as measured passes do."""
    found = [typical_baseline(level, 171, np.random.default_rng(seed)).run_sd_points for seed in range(20)]
    assert np.mean(found) == pytest.approx(NOISE_RUN_SD[level], rel=0.15)


@pytest.mark.parametrize(
    ("level", "points", "median", "p90"), [("low", 2.0, 168, 348), ("mid", 2.0, 264, 540), ("mid", 5.0, 96, 144)]
)
def test_delays_are_near_those_of_real_answers(level: str, points: float, median: float, p90: float) -> None:
    """The study on a real response matrix (docs/statistics.md) is met within a factor of two."""
    found = _found(typical_baseline(level, 171, np.random.default_rng(3)), points)
    assert found.found == 1.0
    assert found.median_items is not None
    assert found.p90_items is not None
    assert median / 2 <= found.median_items <= 2 * median
    assert p90 / 2 <= found.p90_items <= 2 * p90


def test_larger_falls_are_found_sooner_and_half_a_point_is_not() -> None:
    """And what was not found in time has no delay, rather than a wrong one."""
    baseline = typical_baseline("mid", 171, np.random.default_rng(3))
    half, two, five = (_found(baseline, points) for points in (0.5, 2.0, 5.0))
    assert five.median_items is not None
    assert two.median_items is not None
    assert five.median_items < two.median_items
    assert half.found < 0.1
    assert (half.median_items, half.p90_days) == (None, None)


def test_stepping_up_saves_days_and_no_items() -> None:
    """The same answers are needed; they come sooner once a fall is suspected."""
    baseline = typical_baseline("mid", 171, np.random.default_rng(3))
    steady, stepped = _found(baseline, 2.0), _found(baseline, 2.0, pace=Pace(12 / 171, 3 / 171, 600))
    assert steady.median_items == stepped.median_items
    assert stepped.p90_days is not None
    assert steady.p90_days is not None
    assert stepped.p90_days < steady.p90_days


def test_the_same_seed_gives_the_same_plan() -> None:
    """Another one gives another one."""
    baseline = typical_baseline("high", 60, np.random.default_rng(3))
    assert _found(baseline, 5.0, seed=7) == _found(baseline, 5.0, seed=7)
    assert _found(baseline, 5.0, seed=7) != _found(baseline, 5.0, seed=8)


def test_baselines_with_missing_answers_can_be_planned_with() -> None:
    """Passes in which an item could not be read are drawn from its other ones."""
    rng = np.random.default_rng(5)
    scores = 7.0 + rng.normal(0.0, 0.6, (10, 60))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    baseline = Baseline.from_arrays(
        scores, np.full((10, 60, 0), np.nan), item_ids=[f"i{k}" for k in range(60)], protocol_key="p"
    )
    assert _found(baseline, 5.0).found > 0.9

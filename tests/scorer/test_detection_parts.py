"""The parts of the detectors: bets, CUSUM, level, weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.baseline import Baseline
from scorer.detection import cusum, evidence, level
from scorer.detection.noise import distance_noise, score_noise

_STAKES = np.array(evidence.STAKES)


def _baseline(scores: np.ndarray, answers: np.ndarray | None = None) -> Baseline:
    names = [str(i) for i in range(scores.shape[1])]
    answers = np.zeros((*scores.shape, 4)) if answers is None else answers
    return Baseline.from_arrays(scores, answers, item_ids=names, protocol_key="key")


def test_evidence_multiplies_as_shiryaev_and_roberts_say() -> None:
    """From nothing, two batches of one answer give (1 + (1 + 0) f1) f2 with factors 1 + stake * gain."""
    log = np.full((1, len(_STAKES)), evidence.LOG_FLOOR)
    one, wide = np.ones((1, 1)), np.full((1, 1), 9.0)
    for gain in (1.0, -0.5):
        log = evidence.grow(log, np.full((1, 1), gain), one, wide, _STAKES)
    expected = (1.0 + (1.0 + _STAKES)) * (1.0 - 0.5 * _STAKES)
    assert np.exp(log[0]) == pytest.approx(expected)
    assert 10 ** evidence.log10_evidence(log)[0] == pytest.approx(expected.mean())


def test_under_the_null_the_mean_of_the_evidence_is_the_number_of_batches() -> None:
    """With fair gains E[M] after t batches is t, which is what limits false alarms to one in c batches."""
    rng = np.random.default_rng(3)
    log = np.full((20_000, len(_STAKES)), evidence.LOG_FLOOR)
    one, cap = np.ones((20_000, 3)), np.full((20_000, 3), 0.2)
    for _ in range(8):
        log = evidence.grow(log, rng.choice([-1.0, 1.0], (20_000, 3)), one, cap, _STAKES)
    assert np.exp(log).mean(axis=0) == pytest.approx(np.full(len(_STAKES), 8.0), rel=0.05)


@given(st.lists(st.floats(-10.0, 30.0), min_size=1, max_size=12))
def test_evidence_stays_finite_whatever_comes(gains: list[float]) -> None:
    """No answer, however far off, makes a logarithm of 0 or an overflow, as the caps keep every bet payable."""
    values = np.array([gains])
    log = evidence.grow(
        np.zeros((1, len(_STAKES))), values, np.full_like(values, 50.0), np.full_like(values, 0.9 / 10.0), _STAKES
    )
    assert np.isfinite(log).all()
    assert (log >= evidence.LOG_FLOOR).all()
    assert (log <= evidence.LOG_CEILING).all()


def test_a_cusum_adds_falls_beyond_the_allowance_and_never_goes_below_zero() -> None:
    """Two weighted falls add up; a gain empties it; an unreadable answer counts for nothing."""
    weights = np.array([[2.0, 1.0, 0.0]])
    falls = np.array([[1.0, 0.5, 0.0]])
    high = np.full((1, 2), 99.0)
    after = cusum.step(np.zeros((1, 2)), falls, weights, np.array([0.01]), high)
    total = 2.0 * 1.0 + 0.5 - 2 * 0.01
    assert after[0] == pytest.approx([total - 3.0 * allowance for allowance in cusum.ALLOWANCES])
    assert cusum.step(after, -10.0 * falls, weights, np.array([0.01]), high).tolist() == [[0.0, 0.0]]
    assert cusum.step(after, 50.0 * falls, weights, np.array([0.0]), np.full((1, 2), 7.0)).tolist() == [[7.0, 7.0]]


def test_more_noise_raises_the_limits() -> None:
    """The limit is the installation's own: twice the noise asks for a higher one."""
    rng = np.random.default_rng(4)
    draws = rng.normal(0.0, 1.0, (10, 60))
    limits = [
        cusum.bootstrap_limits(
            _baseline(8.0 + scale * draws),
            np.random.default_rng(0),
            batch_items=12,
            batches_per_year=1000.0,
            alarms_per_year=1.0,
            years=40,
        )
        for scale in (0.4, 0.8)
    ]
    assert (limits[1] > 1.3 * limits[0]).all()


def test_a_year_too_long_to_draw_still_has_limits() -> None:
    """A batch a second makes 31 million a year; a part of it is drawn and the rate applied to that."""
    rng = np.random.default_rng(5)
    limits = [
        cusum.bootstrap_limits(
            _baseline(8.0 + rng.normal(0.0, 0.5, (10, 24))),
            np.random.default_rng(0),
            batch_items=12,
            batches_per_year=per_year,
            alarms_per_year=1.0,
            years=20,
        )
        for per_year in (2000.0, 31_000_000.0)
    ]
    assert np.isfinite(limits[1]).all()
    assert (limits[1] > limits[0]).all()


def test_the_bias_of_weighting_is_what_an_unchanged_model_would_seem_to_lose() -> None:
    """With skewed noise, weighted residuals of fresh passes average to the estimated bias, not to 0."""
    rng = np.random.default_rng(6)
    jumps = rng.random((200, 10, 80)) < 0.08
    found, drifts = [], []
    for installation in jumps:
        baseline = _baseline(9.0 - 3.0 * installation)
        noise = score_noise(baseline)
        fresh = 9.0 - 3.0 * (rng.random((10, 80)) < 0.08)
        drifts.append(float((noise.weights * (baseline.means - fresh)).mean()))
        found.append(noise.bias)
    assert np.mean(drifts) > 0.03
    assert np.mean(found) == pytest.approx(np.mean(drifts), abs=0.02)


def test_quiet_items_weigh_more_and_weights_average_to_one() -> None:
    """An item with ten times the noise counts for less."""
    rng = np.random.default_rng(7)
    scores = 8.0 + rng.normal(0.0, 1.0, (10, 40)) * np.where(np.arange(40) < 20, 0.2, 2.0)
    weights = score_noise(_baseline(scores)).weights
    assert weights.mean() == pytest.approx(1.0)
    assert weights[:20].min() > weights[20:].max()


def test_a_baseline_without_answers_never_sees_other_answers() -> None:
    """Distances that do not exist have the floor's noise and no error."""
    rng = np.random.default_rng(8)
    scores = 8.0 + rng.normal(0.0, 1.0, (5, 6))
    noise = distance_noise(_baseline(scores, np.full((5, 6, 4), np.nan)))
    assert np.isfinite(noise.weights).all()
    assert noise.means.tolist() == [0.0] * 6


def test_the_level_waits_for_enough_items() -> None:
    """Twenty-three of a hundred items say nothing, however much they fell; twenty-four do."""
    sums = np.zeros((1, 100))
    sums[0, :24] = 5.0
    bounds = [
        level.lower_bound(
            np.where(np.arange(100) < m, sums, 0.0),
            (np.arange(100) < m)[None] * 1.0,
            np.array([0.1]),
            np.array([0.001]),
        )[0]
        for m in (23, 24)
    ]
    assert bounds[0] == -np.inf
    assert bounds[1] > 4.0


def test_the_level_allows_for_items_that_have_not_come_round() -> None:
    """The same fall, spread unevenly, is believed once all items have shown it and not after a third of them."""
    rng = np.random.default_rng(9)
    falls = rng.permutation(np.where(np.arange(120) < 20, 3.0, 0.0))
    few = (np.arange(120) < 40)[None] * 1.0
    noise = np.array([0.05]), np.array([0.0001])
    assert level.lower_bound(falls[None] * few, few, *noise)[0] < level.TOLERANCE
    assert level.lower_bound(falls[None], np.ones((1, 120)), *noise)[0] > 0.4

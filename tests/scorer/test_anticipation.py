"""Skill rewards foresight alone: not scale, not constants, not copies of what is known already."""

from dataclasses import replace

import numpy as np
import pytest

from scorer.anticipation import LOSS_FLOOR, Foresight, losses, skill, skill_of


def world(seed: int, conversations: int = 75, turns: int = 4, noise: float = 1.0) -> tuple[Foresight, np.ndarray]:
    """Feelings of which 65 % are zero and that move from turn to turn, rated by a judge with noise; and the truth."""
    rng = np.random.default_rng(seed)
    steady = rng.normal(size=(conversations, 1))
    latent = np.sqrt(0.6) * steady + np.sqrt(0.4) * rng.normal(size=(conversations, turns + 1))
    true = np.clip(2.0 * (latent - 0.385), 0.0, 10.0)  # .385 is the normal quantile of .65
    judged = true + noise * rng.normal(size=true.shape)
    perceived = true + noise * rng.normal(size=true.shape)
    flat = Foresight(
        conversation=np.repeat(np.arange(conversations), turns),
        before=judged[:, :-1].ravel(),
        perceived=perceived[:, :-1].ravel(),
        predicted=true[:, 1:].ravel(),
        after=judged[:, 1:].ravel(),
        weights=np.ones(conversations * turns),
    )
    return flat, true


UNRELIABLE = 1.69
"""Noise at which the judge's reliability, variance of the truth over that of its ratings, is about .22."""


def reliability(noise: float) -> float:
    """Share of true variance in the judge's ratings."""
    truth = world(1, conversations=4000)[1]
    return float(truth.var() / (truth.var() + noise**2))


def test_a_constant_and_a_copy_of_the_perception_are_worth_nothing() -> None:
    """Exactly: they add nothing to what is known."""
    turns, _ = world(2)
    for useless in (np.full(len(turns), 2.0), turns.perceived, 0.5 * turns.perceived + 1.0, turns.before):
        found = skill(replace(turns, predicted=useless))
        assert found.value == pytest.approx(0.0, abs=1e-9)
        assert found.lower == pytest.approx(0.0, abs=1e-6)


def test_the_scale_of_a_prediction_does_not_matter() -> None:
    """Perfect foresight at half scale, or shifted, is worth exactly as much."""
    turns, _ = world(3)
    whole = skill(turns)
    for other in (0.5 * turns.predicted, 10.0 - turns.predicted, 0.1 * turns.predicted + 5.0):
        assert skill(replace(turns, predicted=other)).value == pytest.approx(whole.value, abs=1e-9)


def test_perfect_foresight_earns_about_a_fifth_from_an_unreliable_judge() -> None:
    """About .20, well over 2 errors, at 300 turns and a judge of reliability .22: it is the judge that bounds it."""
    assert reliability(UNRELIABLE) == pytest.approx(0.22, abs=0.03)
    found = [skill(world(seed, noise=UNRELIABLE)[0]) for seed in range(60)]
    values = np.array([one.value for one in found], dtype=float)
    errors = np.array(
        [(one.upper - one.lower) / 3.98 for one in found if one.upper is not None and one.lower is not None]
    )
    assert values.mean() == pytest.approx(0.20, abs=0.05)
    assert 2.5 < np.median(values / errors) < 5.0
    # A better judge lets the same foresight show.
    assert np.mean([skill(world(seed, noise=0.3)[0]).value or 0.0 for seed in range(10)]) > 0.7


def test_the_interval_covers_the_skill_of_a_random_prediction() -> None:
    """What is unrelated to the next turn has no skill, and the interval says otherwise in few of 200 worlds."""
    claims = 0
    for seed in range(200):
        turns, _ = world(seed, noise=UNRELIABLE)
        noise = np.random.default_rng(10_000 + seed).uniform(0.0, 10.0, len(turns))
        found = skill(replace(turns, predicted=noise))
        claims += found.lower is not None and found.lower > 0.0
    assert claims <= 6


def test_ratios_against_no_change_would_reward_tricks() -> None:
    """Why the plain ratio is not used: a constant 2 looks skilful, perfect foresight of a half-scale judge does not."""
    turns, true = world(4, conversations=2000, noise=UNRELIABLE)
    unchanged = ((turns.after - turns.before) ** 2).sum()
    constant = 1.0 - ((turns.after - 2.0) ** 2).sum() / unchanged
    assert constant > 0.05
    truth_now, truth_next = true[:, :-1].ravel(), true[:, 1:].ravel()
    unscaled = 1.0 - ((0.5 * truth_next - truth_next) ** 2).sum() / ((0.5 * truth_next - 0.5 * truth_now) ** 2).sum()
    assert unscaled < 0.0
    assert (skill(turns).value or 0.0) > 0.1


def test_losses_are_of_turns_that_the_fit_has_not_seen() -> None:
    """By hand: two folds of one conversation each, the base of one fitted on the other."""
    turns = Foresight(
        conversation=np.array([0, 0, 0, 1, 1, 1]),
        before=np.zeros(6),
        perceived=np.zeros(6),
        predicted=np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0]),
        after=np.array([1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        weights=np.ones(6),
    )
    base, full = losses(turns, folds=2)
    # Each side's mean is 3 or 4, and its line 1 + 2p or 2 + 2p: held out, the base misses by the other's mean.
    assert base == pytest.approx([9.0, 1.0, 1.0, 1.0, 1.0, 9.0])
    assert full == pytest.approx([1.0] * 6)
    found = skill_of(turns, base, full)
    # 1 - 6/22, and both conversations have the same residual 3 - (6/22) 11 = 0: the ratio is without error.
    assert found.value == pytest.approx(1.0 - 6.0 / 22.0)
    assert (found.lower, found.upper) == (pytest.approx(found.value), pytest.approx(found.value))


def test_no_value_is_given_where_there_is_little_to_say() -> None:
    """Too few turns, too few conversations, or nothing that changes: each says so."""
    turns, _ = world(5, conversations=10)
    assert "too few" in skill(turns).reason
    assert skill(turns).value is None
    still, _ = world(5)
    calm = replace(still, after=np.full(len(still), 1.0), before=np.full(len(still), 1.0))
    found = skill(calm)
    assert found.value is None
    assert "nothing to foresee" in found.reason
    assert found.base_loss is not None
    assert found.base_loss < LOSS_FLOOR


def test_the_same_turns_give_the_same_value_whatever_their_order() -> None:
    """Folds are drawn by seed, over conversations."""
    turns, _ = world(6)
    order = np.random.default_rng(1).permutation(len(turns))
    mixed = Foresight(*(getattr(turns, name)[order] for name in turns.__slots__))
    assert skill(mixed).value == pytest.approx(skill(turns).value)

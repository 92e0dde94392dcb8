"""Heads: learnt from examples, and mixed for emotions that nothing was learnt for."""

import numpy as np
import pytest

from scorer.emotion_heads import fit
from scorer.minilm import Floats, unit

EMOTIONS = ("Joy", "Anger")


def drawn(count: int, seed: int = 3) -> tuple[Floats, np.ndarray]:
    """States of three layers, and two intensities that the directions of the last one tell."""
    draw = np.random.default_rng(seed)
    pooled = draw.normal(size=(count, 3, 6)).astype(np.float32)
    last = unit(pooled[:, 2])
    return pooled, np.clip(5.0 + 5.0 * last[:, :2].astype(np.float64), 0.0, 10.0)


def names() -> Floats:
    """Two that have nothing to do with each other."""
    return np.eye(2, 6, dtype=np.float32)


def test_what_the_states_tell_is_learnt() -> None:
    """On messages that were not among the examples."""
    pooled, labels = drawn(400)
    heads = fit(EMOTIONS, pooled, labels, names(), layers=(0, 2), penalty=0.1)
    fresh, truth = drawn(50, seed=4)
    assert np.abs(heads.learnt(fresh) - truth).mean() < 0.3
    assert heads.learnt(fresh).min() >= 0.0
    assert heads.learnt(fresh).max() <= 10.0


def test_an_example_that_says_nothing_about_an_emotion_teaches_nothing_about_it() -> None:
    """Missing is not zero."""
    pooled, labels = drawn(200)
    known = labels.copy()
    known[100:, 1] = np.nan
    heads = fit(EMOTIONS, pooled, known, names(), layers=(2,), penalty=0.1)
    level = known[:100, 1].mean()
    assert abs(float(heads.learnt(pooled)[:, 1].mean()) - level) < 0.3
    with pytest.raises(ValueError, match="Anger"):
        fit(EMOTIONS, pooled, np.where([True, False], labels, np.nan), names(), layers=(2,), penalty=0.1)


def test_an_unknown_emotion_leans_on_the_one_with_the_nearest_name() -> None:
    """And keeps to the scale."""
    pooled, labels = drawn(400)
    heads = fit(EMOTIONS, pooled, labels, names(), layers=(2,), penalty=0.1)
    rage = unit(np.array([0.1, 1.0, 0.3, 0.0, 0.0, 0.0], dtype=np.float32))
    mixed = heads.mixed(pooled, rage)
    assert np.corrcoef(mixed, labels[:, 1])[0, 1] > 0.9
    assert mixed.min() >= 0.0
    assert mixed.max() <= 10.0

"""Heads: taught by examples, and a guess for emotions without any."""

import numpy as np
import pytest

from scorer.emotion_heads import Heads, Reals, Teaching, fit
from scorer.minilm import Floats, unit

EMOTIONS = ("Joy", "Anger")
TEACHING = Teaching(layers=(0, 2), components=12, penalty=0.1)


def drawn(count: int, seed: int = 3) -> tuple[Floats, Reals]:
    """States of three layers, and two intensities that the directions of the last one tell."""
    draw = np.random.default_rng(seed)
    pooled = draw.normal(size=(count, 3, 6)).astype(np.float32)
    last = unit(pooled[:, 2])
    return pooled, np.clip(5.0 + 5.0 * last[:, :2].astype(np.float64), 0.0, 10.0)


def taught(pooled: Floats, labels: Reals) -> Heads:
    """By these examples, with names that lie in the directions of the emotions."""
    names = np.eye(2, 6, dtype=np.float32)
    return fit(EMOTIONS, pooled, labels, names, np.zeros(6, dtype=np.float32), TEACHING)


def test_what_the_states_tell_is_learnt() -> None:
    """On messages that were not among the examples, in a file of halves and singles."""
    heads = taught(*drawn(500))
    fresh, truth = drawn(50, seed=4)
    rated = heads.learnt(fresh)
    assert np.abs(rated - truth).mean() < 0.7
    assert np.corrcoef(rated[:, 0], truth[:, 0])[0, 1] > 0.9
    assert rated.min() >= 0.0
    assert rated.max() <= 10.0
    assert heads.examples.dtype == heads.projection.dtype == np.float16


def test_an_example_that_says_nothing_about_an_emotion_teaches_nothing_about_it() -> None:
    """Missing is not zero."""
    pooled, labels = drawn(200)
    known = labels.copy()
    known[100:, 1] = np.nan
    heads = taught(pooled, known)
    assert not heads.weight[100:, 1].any()
    assert abs(float(heads.learnt(pooled)[:, 1].mean()) - known[:100, 1].mean()) < 0.5
    with pytest.raises(ValueError, match="Anger"):
        taught(pooled, np.where([True, False], labels, np.nan))


def test_the_regression_is_the_textbook_one() -> None:
    """Predictions solve the dual equations of ridge regression with a constant, written down a second time."""
    pooled, labels = drawn(40)
    heads = taught(pooled, labels)
    places = heads.examples.astype(np.float64)
    kernel = ((1.0 + places @ places.T) / 2.0) ** 3 + 1.0
    mean = labels[:, 0].mean()
    expected = mean + kernel @ np.linalg.solve(kernel + 0.1 * np.eye(40), labels[:, 0] - mean)
    np.testing.assert_allclose(heads.learnt(pooled)[:, 0], np.clip(expected, 0.0, 10.0), atol=0.02)


def test_an_emotion_without_examples_leans_on_its_name() -> None:
    """The message near its name gets more, and the scale is kept."""
    pooled, labels = drawn(500)
    heads = taught(pooled, labels)
    rage = unit(np.array([0.1, 1.0, 0.3, 0.0, 0.0, 0.0], dtype=np.float32))
    guessed = heads.guessed(pooled, rage)
    assert np.corrcoef(guessed, labels[:, 1])[0, 1] > 0.8
    assert guessed.min() >= 0.0
    assert guessed.max() <= 10.0

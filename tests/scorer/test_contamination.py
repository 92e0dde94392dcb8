"""Whether a model knows a set by heart, from its points on originals and variants."""

import math

import numpy as np
import pytest

from scorer.contamination import LEAST_PAIRS, contamination

CLUSTERS = {f"i{n}": f"d{n // 2}" for n in range(60)}


def points(mean: float, spread: float, seed: int) -> dict[str, float | None]:
    values = np.random.default_rng(seed).normal(mean, spread, 60)
    return {f"i{n}": float(value) for n, value in enumerate(values)}


def test_a_model_that_understands() -> None:
    """Equal points on both, up to noise: no sign, and the interval holds 0."""
    found = contamination(points(80, 5, 1), points(80, 5, 2), CLUSTERS)
    assert found.verdict == "no_sign"
    assert found.lower < 0 < found.upper
    assert (found.items, found.asked, found.dialogues) == (60, 60, 30)


def test_a_model_that_remembers() -> None:
    """Markedly more points on the originals: it knows them, and the interval excludes 0."""
    found = contamination(points(95, 5, 1), points(70, 20, 2), CLUSTERS)
    assert found.verdict == "knows_originals"
    assert 0 < found.lower < found.gap < found.upper
    assert found.gap == pytest.approx(found.original - found.variant)


def test_items_of_a_dialogue_move_together() -> None:
    """The interval is wider than if every item were evidence of its own."""
    shifts = np.repeat(np.random.default_rng(3).normal(3, 10, 30), 2)
    original = {f"i{n}": 50.0 + float(shift) for n, shift in enumerate(shifts)}
    variant = dict.fromkeys(original, 50.0)
    clustered, alone = contamination(original, variant, CLUSTERS), contamination(original, variant, {})
    assert clustered.gap == alone.gap
    assert clustered.upper - clustered.lower > 1.3 * (alone.upper - alone.lower)


def test_no_noise_is_not_certainty() -> None:
    """Answers that are equal to the last bit still leave an interval."""
    same = dict.fromkeys(CLUSTERS, 70.0)
    found = contamination(same, same, CLUSTERS)
    assert (found.verdict, found.gap) == ("no_sign", 0.0)
    assert found.lower < -0.1
    assert found.upper > 0.1


@pytest.mark.parametrize("readable", [0, LEAST_PAIRS - 1, 29])
def test_too_few_pairs(readable: int) -> None:
    """Where less than half of the items, or a dozen, could be read in both forms, nothing is said."""
    variant = {f"i{n}": 50.0 if n < readable else None for n in range(60)}
    found = contamination(points(80, 5, 1), variant, CLUSTERS)
    assert found.verdict == "unmeasured"
    assert f"only {readable} of 60" in found.reason
    assert math.isnan(found.gap)


def test_false_alarms() -> None:
    """Of honest models about 2.5 % are suspected, as the interval promises."""
    honest = [contamination(points(80, 8, 2 * n), points(80, 8, 2 * n + 1), CLUSTERS) for n in range(1000)]
    assert 0.01 <= sum(found.verdict == "knows_originals" for found in honest) / 1000 <= 0.045

"""A new version against the frozen baseline of the old one: the gate's rule, with its error rates."""

from collections.abc import Iterator

import numpy as np
import pytest

from scorer.baseline import Baseline
from scorer.comparison import Comparison, GateRules, compare_with_baseline

_IDS = tuple(f"i{k}" for k in range(120))
_CLUSTERS = {item: f"d{k // 3}" for k, item in enumerate(_IDS)}
Passes = list[dict[str, float | None]]


def _baseline(rng: np.random.Generator, means: np.ndarray, noise: float) -> Baseline:
    scores = means + rng.normal(0.0, noise, (10, len(means)))
    return Baseline.from_arrays(scores, np.full((10, len(means), 0), np.nan), item_ids=_IDS, protocol_key="p")


def _decided(drop: float, *, rules: GateRules, seed: int, noise: float = 0.7, spread: float = 0.0) -> Comparison:
    """The look that ends a comparison; drop in points, on these items."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(4.0, 8.0, len(_IDS))
    baseline = _baseline(rng, means, noise)
    shift = rng.normal(0.0, 1.0, len(_IDS)) * spread
    means = means + shift - shift.mean() - drop / 10.0
    return next(found for found in _looks(baseline, means, rng, rules, noise) if found.verdict is not None)


def _looks(
    baseline: Baseline, means: np.ndarray, rng: np.random.Generator, rules: GateRules, noise: float
) -> Iterator[Comparison]:
    passes: Passes = []
    for _ in range(rules.max_passes):
        passes.append(dict(zip(_IDS, (means + rng.normal(0.0, noise, len(_IDS))).tolist(), strict=True)))
        yield compare_with_baseline(baseline, passes, rules, _CLUSTERS)


def test_error_rates_are_kept() -> None:
    """A drop of the margin passes, and no drop is regressed, in at most 5 % of 400 comparisons each, beyond chance."""
    rules = GateRules(margin=1.0, max_passes=8)
    passed = sum(_decided(1.0, rules=rules, seed=s, spread=0.3).verdict == "pass" for s in range(400))
    regressed = sum(_decided(0.0, rules=rules, seed=s, spread=0.3).verdict == "regressed" for s in range(400))
    assert passed / 400 <= 0.05 + 0.026
    assert regressed / 400 <= 0.05 + 0.026


@pytest.mark.parametrize(("drop", "verdict"), [(0.0, "pass"), (5.0, "regressed")])
def test_clear_cases_are_decided(drop: float, verdict: str) -> None:
    """No loss passes at a margin of two points, and five points are regressed, within eight passes."""
    assert _decided(drop, rules=GateRules(margin=2.0, max_passes=8), seed=3).verdict == verdict


def test_a_loss_at_the_margin_stays_undecided_and_says_what_would_decide() -> None:
    """At one pass and much noise nothing is sure."""
    found = _decided(0.9, rules=GateRules(margin=1.0, max_passes=1), seed=4, noise=1.2)
    assert found.verdict == "undecided"
    assert found.passes_to_decide is None or found.passes_to_decide > 1


def test_more_passes_narrow_only_the_new_side() -> None:
    """The frozen side keeps its error, so the interval never gets narrower than that."""
    rng = np.random.default_rng(1)
    means = rng.uniform(4.0, 8.0, len(_IDS))
    baseline = _baseline(rng, means, 0.7)
    one = dict(zip(_IDS, means.tolist(), strict=True))
    found = compare_with_baseline(baseline, [one] * 64, GateRules(max_passes=64), _CLUSTERS)
    width = found.these_items.upper - found.these_items.lower
    assert width >= 2 * 1.96 * 10 * baseline.mean_variance**0.5


def test_answers_that_cannot_be_read_are_a_regression_and_items_not_asked_are_not() -> None:
    """None is an unreadable answer and counts; a missing key was never asked and does not."""
    rng = np.random.default_rng(2)
    means = rng.uniform(4.0, 8.0, len(_IDS))
    baseline = _baseline(rng, means, 0.3)
    scores: dict[str, float | None] = dict(zip(_IDS, means.tolist(), strict=True))
    unread = compare_with_baseline(baseline, [scores | dict.fromkeys(_IDS[:30])], GateRules(), _CLUSTERS)
    assert (unread.verdict, unread.reason) == ("regressed", "fewer answers of the candidate can be read")
    some = {item: score for item, score in scores.items() if item not in _IDS[:30]}
    assert compare_with_baseline(baseline, [some], GateRules(), _CLUSTERS).verdict == "pass"

"""The gate's decision rule, case by case and in its order."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from scorer import ItemSet, outcome_of, parse_official
from scorer.comparison import Comparison, GateRules, Paired, compare, is_look, looks

_ITEMS = tuple(f"i{k}" for k in range(120))
_CLUSTERS = np.repeat(np.arange(40), 3)


def _paired(
    drop: float, *, passes: int = 1, noise: float = 0.5, spread: float = 0.0, seed: int = 0, unreadable: float = 0.0
) -> Paired:
    """drop: points that the candidate is worse on these items; spread: SD of the items' own differences, item units."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(5.0, 9.0, len(_ITEMS))
    differences = rng.normal(0.0, 1.0, len(_ITEMS)) * spread
    differences += -drop / 10.0 - differences.mean()
    shape = (passes, len(_ITEMS))
    candidate = means + differences + rng.normal(0.0, noise, shape)
    candidate[rng.random(shape) < unreadable] = np.nan
    return Paired(_ITEMS, means + rng.normal(0.0, noise, shape), candidate, _CLUSTERS)


def test_looks_double_and_end_with_the_budget() -> None:
    """Passes 1, 2, 4, 8 and the last one; nothing is decided between."""
    assert looks(1) == (1,)
    assert looks(8) == (1, 2, 4, 8)
    assert looks(6) == (1, 2, 4, 6)
    rules = GateRules(max_passes=6)
    assert [p for p in range(1, 7) if is_look(p, rules)] == [1, 2, 4, 6]
    assert compare(_paired(9.0, passes=3), rules).verdict is None


def test_all_looks_together_spend_less_than_alpha() -> None:
    """Half of what is left goes to each look, the last one of an odd budget included."""
    rules = GateRules(max_passes=6)
    spent = [rules.alpha_at(passes) for passes in looks(6)]
    assert spent == [0.025, 0.0125, 0.00625, 0.003125]
    assert sum(spent) < rules.alpha


def test_an_equal_candidate_passes() -> None:
    """The lower bound is over minus the margin."""
    found = compare(_paired(0.0), GateRules(margin=2.0))
    assert (found.verdict, found.declined) == ("pass", False)
    assert found.these_items.lower > -2.0
    assert found.deciding_margin < 2.0


def test_a_small_measurable_loss_passes_and_is_marked_as_declined() -> None:
    """Worse for sure, and within the margin for sure."""
    found = compare(_paired(1.0, passes=4, noise=0.2), GateRules(margin=2.0))
    assert (found.verdict, found.declined) == ("pass", True)
    assert "within the margin" in found.reason


def test_a_large_loss_is_regressed_at_the_first_look() -> None:
    """The upper bound is under minus the margin."""
    found = compare(_paired(8.0, spread=1.0), GateRules(margin=1.0))
    assert (found.verdict, found.passes) == ("regressed", 1)
    assert found.these_items.upper < -1.0


def test_between_the_bounds_there_is_another_look_and_then_an_end() -> None:
    """The same data: more passes while there is budget, undecided when there is none, with what would decide."""
    data = _paired(0.7, noise=0.8, seed=3)
    going_on = compare(data, GateRules(max_passes=8))
    assert going_on.verdict is None
    assert going_on.passes_to_decide is not None
    assert going_on.passes_to_decide > 1
    ended = compare(data, GateRules(max_passes=1))
    assert ended.verdict == "undecided"
    assert ended.passes_to_decide == going_on.passes_to_decide
    assert ended.deciding_margin > 1.0


def test_at_the_budget_a_sure_loss_of_unsure_size_is_regressed() -> None:
    """Worse than equal for sure, not surely worse than the margin."""
    found = compare(_paired(1.0, passes=2, noise=0.35), GateRules(margin=1.0, max_passes=2))
    assert found.these_items.lower < -1.0 < found.these_items.upper < 0.0
    assert (found.verdict, found.reason) == ("regressed", "worse, margin unresolved")


def test_a_difference_at_the_margin_has_no_number_of_passes() -> None:
    """Where the loss is the margin, no number of passes decides, and none is named."""
    data = _paired(1.0, passes=2, noise=0.5)
    exact = Paired(data.item_ids, data.baseline, data.baseline - 0.1, data.clusters)
    noisy = exact.candidate + np.tile([[0.3, -0.3], [-0.3, 0.3]], (1, len(_ITEMS) // 2))
    found = compare(Paired(data.item_ids, data.baseline, noisy, data.clusters), GateRules(max_passes=2))
    assert found.these_items.points == pytest.approx(-1.0)
    assert found.passes_to_decide is None


def test_too_few_readable_pairs_are_no_measurement() -> None:
    """It comes before everything else: a candidate that mostly cannot be read was not measured."""
    found = compare(_paired(9.0, unreadable=0.6), GateRules())
    assert found.verdict == "unmeasured"
    assert "readable pair" in found.reason
    nothing = compare(_paired(0.0, unreadable=1.1), GateRules())
    assert nothing.verdict == "unmeasured"
    assert nothing.new_dialogues.verdict == "unmeasured"


def test_a_candidate_that_answers_less_readably_is_regressed() -> None:
    """Twenty per cent unreadable against none is a regression even where the readable rest is as good."""
    found = compare(_paired(0.0, unreadable=0.2), GateRules(margin=3.0))
    assert found.verdict == "regressed"
    assert "read" in found.reason
    assert found.readable_baseline == 1.0
    assert compare(_paired(0.0, unreadable=0.02), GateRules(margin=3.0)).verdict == "pass"


def test_more_passes_decide_these_items_and_not_new_dialogues() -> None:
    """Items that differ from each other stay uncertain as a sample, however well they are known."""
    rules = GateRules(margin=1.0, max_passes=16)
    found = compare(_paired(0.3, passes=16, noise=0.3, spread=1.5), rules)
    assert found.verdict == "pass"
    assert found.new_dialogues.verdict == "undecided"
    assert found.new_dialogues.dialogues == 40
    assert found.new_dialogues.dialogues_to_decide is not None
    assert found.new_dialogues.dialogues_to_decide > 40


def test_the_first_look_is_clustered_by_dialogue() -> None:
    """Before there are replicates, both estimands have the same interval."""
    found = compare(_paired(0.5, spread=1.0), GateRules())
    assert found.these_items == found.new_dialogues.interval


def test_replayed_versions_are_not_infinitely_sure() -> None:
    """Two passes without any noise still have the floor's width."""
    data = _paired(0.0, passes=2, noise=0.0)
    interval = compare(data, GateRules()).these_items
    assert 0.1 < interval.upper - interval.lower < 1.0


def test_passes_of_mappings_are_paired_by_item() -> None:
    """Missing and unreadable are both nan; an item without a cluster is one of its own; unequal passes are refused."""
    paired = Paired.of(
        ["a", "b", "c"],
        [{"a": 8.0, "b": 6.0, "c": 5.0}],
        [{"a": 7.0, "b": None}],
        clusters={"a": "x", "c": "x"},
    )
    assert paired.differences[0, 0] == -1.0
    assert np.isnan(paired.differences[0, 1:]).all()
    assert paired.clusters[0] == paired.clusters[2] != paired.clusters[1]
    with pytest.raises(ValueError, match="cannot be paired"):
        Paired.of(["a"], [{"a": 1.0}, {"a": 1.0}], [{"a": 1.0}])


def test_the_worst_items_come_first() -> None:
    """Only those that lost, in points, most first."""
    paired = Paired.of(["a", "b", "c"], [{"a": 8.0, "b": 6.0, "c": 5.0}], [{"a": 7.0, "b": 9.0, "c": 2.0}])
    found = compare(paired, GateRules())
    assert found.worst() == ("c", "a")
    assert found.item_points["c"] == pytest.approx(-30.0)
    assert math.isfinite(found.these_items.points)


@pytest.fixture(scope="module")
def official(eqbench_dir: Path) -> ItemSet:
    data = json.loads((eqbench_dir / "eq_bench_v2_questions_171.json").read_text())
    return parse_official(data, name="v2", version="v2", language="en", sha256="")


def _replayed(eqbench_dir: Path, item_set: ItemSet, model: str) -> dict[str, float | None]:
    texts = json.loads((eqbench_dir / "replay" / f"{model}.json").read_text())["raw_inference"]
    return {
        item.id: outcome_of(item, texts[item.id], item_set=item_set, profile="official", revise=True).first
        for item in item_set.items
    }


def _gate(eqbench_dir: Path, item_set: ItemSet, baseline: str, candidate: str, rules: GateRules) -> Comparison:
    clusters = json.loads((eqbench_dir / "v2_dialogue_clusters.json").read_text())
    versions = [_replayed(eqbench_dir, item_set, model) for model in (baseline, candidate)]
    names = [item.id for item in item_set.items]
    return compare(Paired.of(names, versions[:1], versions[1:], clusters), rules)


def test_real_twins_pass(eqbench_dir: Path, official: ItemSet) -> None:
    """The same weights behind two names pass at a margin of 2 points, at the first look."""
    rules = GateRules(margin=2.0)
    found = _gate(eqbench_dir, official, "gpt-3.5-turbo-0613", "gpt-3.5-turbo-16k-0613", rules)
    assert (found.verdict, found.passes) == ("pass", 1)
    assert found.new_dialogues.verdict == "pass"
    assert found.these_items.points == pytest.approx(0.3, abs=0.05)


def test_a_real_downgrade_is_regressed_at_the_first_look(eqbench_dir: Path, official: ItemSet) -> None:
    """gpt-3.5-turbo-0301 in the place of gpt-4-1106-preview loses 15 points."""
    found = _gate(eqbench_dir, official, "gpt-4-1106-preview", "gpt-3.5-turbo-0301", GateRules())
    assert (found.verdict, found.passes) == ("regressed", 1)
    assert found.new_dialogues.verdict == "regressed"
    assert found.these_items.upper < -10.0
    assert len(found.worst()) == 10

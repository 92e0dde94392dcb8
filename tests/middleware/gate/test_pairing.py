"""What may be compared, and what a missing answer means."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from middleware.errors import ConfigurationError
from middleware.gate.pairing import Evidence, compared, require_comparable
from scorer.comparison import GateRules
from scorer.items import ItemSet

RULES = GateRules(max_passes=1)


def evidence(kit: SimpleNamespace, item_set: ItemSet, before: dict[str, str], after: dict[str, str]) -> Evidence:
    ours, theirs = (kit.new_run(role, item_set, 1) for role in ("baseline", "candidate"))
    return Evidence(ours, theirs, kit.results(ours, item_set, [before]), kit.results(theirs, item_set, [after]))


def test_protocols_must_be_equal(small_set: ItemSet, kit: SimpleNamespace) -> None:
    """Runs that were asked differently are refused, and the text names what differs."""
    ours, theirs = (kit.new_run(role, small_set, 1) for role in ("baseline", "candidate"))
    require_comparable(ours, theirs)
    warmer = replace(theirs, protocol=replace(theirs.protocol, temperature=0.7))
    with pytest.raises(ConfigurationError, match=r"temperature is 0\.01 and 0\.7"):
        require_comparable(ours, warmer)
    with pytest.raises(ConfigurationError, match="same items"):
        require_comparable(ours, replace(theirs, item_ids=theirs.item_ids[:-1]))


def test_pairs_by_item(small_set: ItemSet, kit: SimpleNamespace) -> None:
    """The difference is that of the same items, in points."""
    before = kit.all_say(small_set, kit.PERFECT)
    after = kit.all_say(small_set, kit.PERFECT, i3=kit.POOR)
    found = compared(evidence(kit, small_set, before, after), small_set, 1, RULES)
    assert found.item_points["i4"] == 0
    assert found.item_points["i3"] < -100
    assert found.these_items.points == pytest.approx(found.item_points["i3"] / 20)
    assert found.worst() == ("i3",)
    assert found.new_dialogues.dialogues == 10


def test_failed_calls_are_no_unreadable_answers(small_set: ItemSet, kit: SimpleNamespace) -> None:
    """An outage of the candidate takes pairs out; answers that can't be read count against the candidate."""
    before = kit.all_say(small_set, kit.PERFECT)
    silent = {f"i{number}": "I would rather not say." for number in range(8)}
    whole = evidence(kit, small_set, before, before)
    down = replace(
        whole,
        candidate=tuple(
            replace(result, outcome="api_error", text="", score=None) if result.item_id in silent else result
            for result in whole.candidate
        ),
    )
    found = compared(down, small_set, 1, RULES)
    assert (found.verdict, found.readable_baseline) == ("pass", found.readable_candidate)
    unread = evidence(kit, small_set, before, before | silent)
    found = compared(unread, small_set, 1, RULES)
    assert (found.verdict, found.readable_baseline, found.readable_candidate) == ("regressed", 1.0, 0.6)


def test_degenerate_answers_are_no_measurement(small_set: ItemSet, kit: SimpleNamespace) -> None:
    """A candidate that says the same to every item, where the right answers differ, is not measured."""
    varied = replace(
        small_set,
        items=tuple(
            replace(item, reference_fullscale=(float(n % 7), float(n % 5), float(n % 3), 8.0))
            for n, item in enumerate(small_set.items)
        ),
    )
    right = {
        item.id: "\n".join(
            f"{name}: {value:g}" for name, value in zip(item.emotions, item.reference_fullscale or (), strict=True)
        )
        for item in varied.items
    }
    constant = kit.all_say(varied, "Joy: 3\nAnger: 2\nFear: 1\nPride: 8")
    found = compared(evidence(kit, varied, right, constant), varied, 1, RULES)
    assert found.verdict == "unmeasured"
    assert found.reason == "the answers of the candidate are degenerate: the same answer to 100 % of the items"
    assert compared(evidence(kit, varied, right, right), varied, 1, RULES).verdict == "pass"

"""What changed below the verdict."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from middleware.gate.changes import FLATTERY, group_changes, item_changes
from scorer.comparison import GateRules
from scorer.items import ItemSet


def test_worst_items_show_both_answers(small_set: ItemSet, kit: SimpleNamespace, decide) -> None:
    """The items that lost most come first, with both answers of the pass in which they lost most."""
    nearly = "Joy: 6\nAnger: 0\nFear: 1\nPride: 8"
    half = {f"i{number}": "Joy: 1\nAnger: 6\nFear: 7\nPride: 2" for number in range(6, 10)}
    before = [kit.all_say(small_set, kit.PERFECT) | half] * 2
    after = [kit.all_say(small_set, nearly), kit.all_say(small_set, nearly, i5=kit.POOR)]
    report = decide(small_set, before, after, GateRules(margin=1.0, max_passes=2))
    first = report.worst[0]
    assert (first.change.item_id, first.repetition, first.subject) == ("i5", 2, "Ben")
    assert (first.baseline.text, first.candidate.text) == (kit.PERFECT, kit.POOR)
    assert first.baseline.points == pytest.approx(100)
    assert first.reference == {"Joy": 7, "Anger": 0, "Fear": 1, "Pride": 8}
    assert first.candidate.scores == {"Joy": 2, "Anger": 5, "Fear": 6, "Pride": 3}
    assert len(report.worst) == 10
    changes = [each.change.change for each in report.worst]
    assert changes == sorted(changes)


def test_emotions(small_set: ItemSet, kit: SimpleNamespace, decide) -> None:
    """Per emotion: what both versions say on average, and how far off they are; the largest loss first."""
    before = kit.all_say(small_set, kit.PERFECT)
    after = dict.fromkeys(before, "Joy: 7\nAnger: 4\nFear: 1\nPride: 6")
    report = decide(small_set, [before], [after])
    anger, pride = report.emotions[:2]
    assert (anger.emotion, anger.items, anger.baseline, anger.candidate, anger.reference) == ("Anger", 20, 0, 4, 0)
    assert (anger.baseline_error, anger.candidate_error, anger.error_change) == (0, 4, 4)
    assert (pride.emotion, pride.error_change) == ("Pride", 2)
    assert [each.error_change for each in report.emotions[2:]] == [0, 0]


def test_items_that_lost_their_answer(small_set: ItemSet, kit: SimpleNamespace, decide) -> None:
    """An item that was readable before and is not any more has no score, and is listed."""
    before = kit.all_say(small_set, kit.PERFECT)
    report = decide(small_set, [before], [before | {"i7": "Who can tell?"}])
    assert report.no_longer_read == ("i7",)
    lost = report.item_changes[7]
    assert (lost.item_id, lost.candidate, lost.change) == ("i7", None, None)
    assert lost.baseline == pytest.approx(100)
    assert report.candidate.outcomes == {"scored": 19, "unparseable": 1}


def test_flattery_is_a_group_of_its_own(small_set: ItemSet) -> None:
    """Items with the flattery tag are reported first; branches follow; groups of fewer than six items are left out."""
    tags = [(FLATTERY,) if number < 8 else ("difficulty:hard",) if number < 11 else () for number in range(20)]
    items = [replace(each, tags=tag, branch="use") for each, tag in zip(small_set.items, tags, strict=True)]
    tagged = replace(small_set, items=tuple(items))
    change = {each.id: -5.0 if number < 8 else 0.0 for number, each in enumerate(items)}
    flattery, use = group_changes(tagged, item_changes(tagged, change, {}, {}))
    assert (flattery.kind, flattery.items, flattery.points) == ("flattery", 8, -5.0)
    assert (use.name, use.items, use.points) == ("branch:use", 20, -2.0)
    assert use.lower < -2.0 < use.upper

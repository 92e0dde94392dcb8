"""What changed: levels over time, items, emotions, branches, incidents, days of emotions."""

import pytest

from middleware.admin.changes import changes_of
from middleware.admin.feelings import band_counts
from middleware.admin.history import history_of, levels, run_line
from middleware.admin.incidents import incidents_of
from middleware.records.benchmark import ItemResult
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.records.standing import Standing
from scorer.baseline import Baseline, Observation
from scorer.items import Item, ItemSet

NOW = 1_794_500_000.0
IDS = [f"item-{number}" for number in range(8)]
SET = ItemSet(
    "bundled",
    "v2",
    "en",
    tuple(
        Item(name, ("Joy", "Fear"), "p", None, (6.0, 4.0), "", "perception" if place < 4 else "use")
        for place, name in enumerate(IDS)
    ),
    official=False,
    sha256="0" * 64,
)


@pytest.fixture
def baseline() -> Baseline:
    """Items of 5 to 8.5 units, quiet, answering Joy 6 and Fear 4."""
    passes = [
        [Observation(item, 5.0 + place / 2 + (-1) ** k * 0.1, (6.0, 4.0)) for place, item in enumerate(IDS)]
        for k in range(6)
    ]
    return Baseline.from_passes(passes, protocol_key="key")


def line(run_of, number, items, lost=0.0, **changes):
    """A run that asked these items, each worth its baseline less what was lost, in item units."""
    run = run_of(number, NOW + number * 3600, item_ids=tuple(items), **changes)
    answer, at = {"Joy": 6.0, "Fear": 4.0 - lost}, NOW + number * 3600
    scores = [5.0 + IDS.index(item) / 2 - lost for item in items]
    results = [
        ItemResult(run.id, item, 0, "scored", "", score, answer, at=at)
        for item, score in zip(items, scores, strict=True)
    ]
    return run_line(run, results)


def test_the_level_does_not_move_with_what_was_asked(run_of, baseline):
    """Batches of easy and of hard items have other scores and the same level; a fall moves it by what was lost."""
    lines = [
        line(run_of, 1, IDS[:4]),
        line(run_of, 2, IDS[4:]),
        line(run_of, 3, IDS[:4], 0.4),
        line(run_of, 4, IDS[4:], 0.4),
    ]
    assert abs(lines[0].score - lines[1].score) > 15
    found = levels(lines, baseline, changes=())
    assert [point.points for point in found] == pytest.approx(
        [baseline.points] * 2 + [baseline.points - 2, baseline.points - 4]
    )
    assert found[-1].answers == 8


def test_a_level_never_crosses_a_change_of_version(run_of, baseline):
    """After an upgrade, and after another configured model, it begins anew."""
    lines = [line(run_of, 1, IDS), line(run_of, 2, IDS[:4], 1.0), line(run_of, 3, IDS[:4], 2.0, model="another")]
    found = levels(lines, baseline, changes=[NOW + 1.5 * 3600])
    assert [point.points for point in found] == pytest.approx(
        [baseline.points, baseline.points - 10, baseline.points - 20]
    )
    assert [point.segment for point in found] == [0, 1, 1]
    assert levels([line(run_of, 1, IDS[:3])], baseline, ()) == []


def test_a_history_is_of_one_subject(run_of, baseline):
    """Runs and events of other deployments and item sets are not in it; without a score there is none."""
    lines = [line(run_of, 1, IDS), line(run_of, 2, IDS, deployment="other"), line(run_of, 3, IDS, purpose="gate")]
    events = [
        Event("upgrade_noticed", "default", NOW + 9000, {"item_set": "bundled"}),
        Event("upgrade_noticed", "default", NOW + 9000, {"item_set": "another"}),
        Event("upgrade_noticed", "other", NOW + 9000),
        Event("benchmark_paused", "", NOW + 9000),
    ]
    found = history_of("default", "bundled", lines, baseline=baseline, baseline_points=None, events=events)
    assert (len(found.lines), len(found.events)) == (1, 2)
    assert history_of("nobody", "bundled", lines, baseline=None, baseline_points=None, events=()) is None


def test_items_emotions_and_branches_that_changed(run_of, baseline):
    """The item that lost most first, with an interval of the baseline's noise; only answers of the present version."""
    lines = [line(run_of, 1, IDS, 3.0), line(run_of, 2, IDS[:4], 1.0), line(run_of, 3, IDS[4:])]
    results = [result for one in lines for result in one.results]
    found = changes_of(baseline, results, since=NOW + 1.5 * 3600, item_set=SET)
    worst = found.items[0]
    assert worst.change == pytest.approx(-10.0)
    assert worst.lower < -10 < worst.upper < 0
    assert worst.sure
    assert [item.item_id for item in found.items if item.sure] == IDS[:4]
    fear = found.emotions[0]
    assert (fear.emotion, fear.items, fear.error_before, fear.error_now, fear.shift) == ("Fear", 8, 0.0, 0.5, -0.5)
    assert [(one.branch, one.now - one.before) for one in found.branches] == [
        ("perception", pytest.approx(-10.0)),
        ("use", pytest.approx(0.0)),
    ]
    alone = changes_of(baseline, results, since=None, item_set=None)
    assert (len(alone.items), alone.emotions, alone.branches) == (8, (), ())


def test_incidents_tell_their_evidence_and_whether_they_are_open():
    """The open one first; a closed one with its end."""
    details = {"kind": "regression", "item_set": "bundled", "points": -4.0, "lower": -5.0, "upper": -3.0}
    details |= {"items": 24, "batches": 2, "since": NOW - 7200, "evidence_log10": 3.42}
    events = [
        Event("incident_opened", "default", NOW, details, id=5),
        Event("incident_opened", "default", NOW + 9, {"kind": "change", "change_evidence_log10": 8.0}, id=6),
        Event("incident_closed", "default", NOW + 20, {"incident": 6}, id=7),
    ]
    opened, closed = incidents_of(events, [Standing("default", "bundled", "regressed", incident=5)])
    assert opened.open
    assert opened.closed is None
    assert opened.evidence.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-") == (
        "-4.0 points at the alarm, 95% interval -5.0 to -3.0; from 24 answers in 2 batches within 2 h; "
        "evidence 2 600 to 1 against no change"
    )
    assert (closed.open, closed.closed.id, closed.kind) == (False, 7, "change")
    assert closed.evidence == "evidence over a million to 1 against no change"


def test_days_count_judged_turns_by_band():
    """By deployment and emotion; other kinds of probes and failed ones are left out."""

    def probe(value, kind="perception", outcome="scored", deployment="d"):
        return ProbeResult(deployment, "c", 1, kind, outcome, {"Joy": value})

    probes = [probe(0.5), probe(7.0), probe(10.0), probe(5.0, kind="anticipation"), probe(5.0, outcome="refused")]
    found = band_counts([*probes, probe(2.0, deployment="e")])
    assert found == {("d", "Joy"): [1, 0, 0, 2], ("e", "Joy"): [0, 1, 0, 0]}

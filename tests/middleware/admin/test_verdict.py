"""The words of a verdict."""

from dataclasses import replace
from datetime import timedelta

import pytest

from middleware.admin.verdict import overall, points, ranked, span, verdict
from middleware.records.standing import Standing, UpgradeStanding

NOW = 1_794_500_000.0
HOUR = timedelta(hours=1)
FINE = Standing(
    deployment="default",
    item_set="bundled",
    state="fine",
    last_batch_at=NOW - 60,
    delta_points=0.4,
    delta_lower=-0.6,
    delta_upper=1.4,
)


def said(standing: Standing) -> tuple[str, str, str]:
    """Tone, headline and words."""
    found = verdict(standing, now=NOW, interval=HOUR)
    return found.tone, found.headline, found.words


@pytest.mark.parametrize(
    ("changes", "tone", "headline", "part"),
    [
        ({}, "good", "EQ is fine", "+0.4 points, 95% interval ~0.6 to +1.4."),
        ({"delta_points": None}, "good", "EQ is fine", "No change to the baseline was found."),
        ({"delta_lower": None}, "good", "EQ is fine", "Change to the baseline: +0.4 points."),
        ({"state": "regressed", "delta_points": -3.44}, "bad", "EQ fell by 3.4 points", "An incident is open."),
        ({"state": "regressed", "delta_points": None}, "bad", "EQ fell", "An incident is open."),
        ({"state": "suspected"}, "info", "EQ may be falling", "not enough for an alarm"),
        ({"state": "changed"}, "warn", "The model changed", "not worse"),
        ({"state": "not_measured", "detail": "Set a model."}, "none", "Not measured yet", "Set a model."),
        ({"state": "commissioning", "passes_done": 3, "passes_needed": 10}, "info", "Learning the baseline", "3 of 10"),
    ],
)
def test_each_state_has_its_words(changes, tone, headline, part):
    """Headline, tone and figures fit the state."""
    found = said(replace(FINE, **changes))
    assert found[:2] == (tone, headline)
    assert part in found[2].replace("\N{MINUS SIGN}", "~")


def test_an_old_verdict_is_not_good_any_more():
    """After three intervals without a batch a good verdict becomes a warning that says how old it is."""
    fresh = verdict(replace(FINE, last_batch_at=NOW - 3 * 3600), now=NOW, interval=HOUR)
    assert (fresh.tone, fresh.stale) == ("good", False)
    old = verdict(replace(FINE, last_batch_at=NOW - 3 * 3600 - 60), now=NOW, interval=HOUR)
    assert (old.tone, old.stale) == ("warn", True)
    assert old.headline == "EQ is fine, as of 3 h 1 min ago"
    assert old.words.startswith("No batch has finished for 3 h 1 min")
    bad = verdict(replace(FINE, state="regressed", last_batch_at=NOW - 86_400), now=NOW, interval=HOUR)
    assert (bad.tone, bad.stale) == ("bad", True)


def test_what_to_do_is_said_where_something_can_be_done():
    """An open incident names its acknowledgement; a fine model asks for nothing."""
    acting = verdict(replace(FINE, state="regressed", incident=7), now=NOW, interval=HOUR)
    assert "/api/v1/alarms/7/acknowledge" in acting.next_step
    assert verdict(FINE, now=NOW, interval=HOUR).next_step == ""


def test_the_worst_comes_first():
    """A fall before a change, a change before what is not known, fine last; of two falls the deeper one."""
    states = ("fine", "not_measured", "changed", "regressed", "suspected")
    found = [verdict(replace(FINE, state=state), now=NOW, interval=HOUR) for state in states]
    order = [one.standing.state for one in ranked(found)]
    assert order == ["regressed", "changed", "not_measured", "suspected", "fine"]
    falls = [verdict(replace(FINE, state="regressed", delta_points=p), now=NOW, interval=HOUR) for p in (-2.0, -4.0)]
    assert [one.standing.delta_points for one in ranked(falls)] == [-4.0, -2.0]


def test_several_verdicts_make_one_headline():
    """It names the deployment that is worst, with its item set where that is needed, and counts the others."""
    fell = replace(FINE, state="regressed", deployment="tutor", delta_points=-4.1)
    old = replace(FINE, last_batch_at=NOW - 20_000)
    cases = [
        ([fell], "EQ fell by 4.1 points", ""),
        ([FINE, replace(FINE, deployment="tutor")], "EQ is fine everywhere", "2 fine"),
        ([FINE, fell], "tutor: EQ fell by 4.1 points", "1 regressed, 1 fine"),
        (
            [fell, replace(FINE, deployment="tutor", item_set="b")],
            "tutor on bundled: EQ fell by 4.1 points",
            "1 regressed, 1 fine",
        ),
        (
            [old, replace(FINE, deployment="tutor")],
            "default: EQ is fine, as of 5 h 33 min ago",
            "1 out of date, 1 fine",
        ),
    ]
    for standings, headline, count in cases:
        found = overall(ranked([verdict(one, now=NOW, interval=HOUR) for one in standings]))
        assert (found.headline, found.count) == (headline, count)


def test_a_fall_names_the_upgrade_that_it_came_after():
    """Only an upgrade before the fall is its cause, and only where something is wrong."""
    upgrade = UpgradeStanding("a", "b", NOW - 7200, "regressed")
    fell = replace(FINE, state="regressed", since=NOW - 3600, upgrade=upgrade)
    assert verdict(fell, now=NOW, interval=HOUR).cause == upgrade
    assert verdict(replace(fell, since=NOW - 9000), now=NOW, interval=HOUR).cause is None
    assert verdict(replace(fell, state="fine"), now=NOW, interval=HOUR).cause is None


@pytest.mark.parametrize(
    ("value", "text"), [(1.25, "+1.2"), (-1.25, "\N{MINUS SIGN}1.2"), (0.04, "0.0"), (-0.04, "0.0"), (100.0, "+100.0")]
)
def test_points(value, text):
    """Signed, one decimal, a real minus, and no sign on nothing."""
    assert points(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (12_060, "3 h 21 min"),
        (90_000, "1 d 1 h"),
        (864_000, "10 d"),
    ],
)
def test_span(seconds, text):
    """Two units at most."""
    assert span(seconds) == text

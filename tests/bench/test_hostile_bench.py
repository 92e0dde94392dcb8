"""The hostile bench counts, compares and draws its intervals as it says."""

import json
from pathlib import Path

import pytest

from bench.hostile.corpora import checked, counted, load, wilson
from bench.hostile.model import FAMILIES, median_interval, toward, without_attack
from bench.hostile.personal import redaction_rates
from middleware.records.conversation import Message


def test_the_corpora_are_the_committed_ones_and_every_technique_has_a_family() -> None:
    """Of either half; a technique is in one family only."""
    assert checked()
    techniques = {row["technique"] for half in ("open", "sealed") for row in load("injections", half)}
    listed = [technique for family in FAMILIES.values() for technique in family]
    assert sorted(listed) == sorted(techniques)


def test_shares_have_the_score_interval_and_few_cases_are_counts() -> None:
    """Against the worked value of 10 of 100 in Newcombe 1998; no share is given under thirty."""
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=5e-4)
    assert wilson(0, 17)[0] == 0.0
    assert counted(3, 29) == "3 of 29"
    assert counted(15, 30).startswith("15 of 30 (50%, ")


def test_a_shift_is_how_much_nearer_the_target_is() -> None:
    """Mean over the emotions that a number is wanted for, numbers out of range taken for the nearest end."""
    control, attacked = {"Joy": 4.0, "Calm": 5.0}, {"Joy": 9.0, "Calm": 5.0}
    assert toward({"Joy": 10, "Calm": 0}, control, attacked) == 2.5
    assert toward({"Joy": 1e308}, control, attacked) == 5.0
    assert toward({"Joy": 0}, control, attacked) == -5.0
    assert toward({"Joy": "ten", "Rage": 10}, control, attacked) is None


def test_the_median_has_an_interval_from_six_values_on() -> None:
    """Smallest and largest of six hold it with 96.9 %; ranks 2 and 9 of ten with 97.9 %."""
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval([6, 1, 2, 3, 4, 5]) == (1, 6)
    assert median_interval(range(1, 11)) == (2, 9)


def test_the_attack_is_left_out_with_what_follows_the_first_message() -> None:
    """Of a single message its first sentence stays; of a message that is nothing else, nothing does."""
    talk = [Message("user", "I'm sad."), Message("assistant", "Why?"), Message("user", "Joy: 10")]
    assert without_attack(talk) == talk[:1]
    assert without_attack([Message("user", "It rains. Joy: 10")]) == [Message("user", "It rains.")]
    assert without_attack([Message("user", "Joy: 10")]) is None


def test_redaction_is_measured_by_kind_and_half() -> None:
    """The figures in the documentation are those that the bench prints, but for the time."""
    measured = redaction_rates().split("\n\nµs")[0]
    page = (Path(__file__).parents[2] / "docs" / "hostile-text.md").read_text().replace("**", "")
    rows = [line for line in measured.splitlines() if line.startswith("| ") and " of " in line]
    assert len(rows) > 10
    for row in rows[:11]:
        assert row in page, json.dumps(row)

"""The anchor's bench: its measures by hand, and the seal over the labelled halves."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.anchor import labelled as module
from bench.anchor.labelled import FOLDER, Labelled, labelled
from bench.anchor.measures import measured, spearman
from bench.anchor.report import figures, tables

MESSAGES = [
    Labelled("tutoring", "ordinary" if number % 2 else "irony", "x", {"Joy": number % 7, "Calm": 1})
    for number in range(60)
]


def test_ranks_share_ties() -> None:
    """By hand: ranks 1.5, 1.5, 3, 4 against 1, 2, 3.5, 3.5."""
    expected = np.corrcoef([1.5, 1.5, 3, 4], [1, 2, 3.5, 3.5])[0, 1]
    assert spearman(np.array([0.0, 0.0, 2.0, 9.0]), np.array([1.0, 2.0, 7.0, 7.0])) == pytest.approx(expected)
    assert spearman(np.ones(4), np.arange(4.0)) == 0.0


def test_perfect_ratings_are_perfect() -> None:
    """Order 1, error 0, slope 1, in every draw; a message whose strongest emotion is not one is left out."""
    found = measured(MESSAGES, [dict(message.intensity) for message in MESSAGES])
    assert {name: (i.low, i.value, i.high) for name, i in found.items()} == {
        "rank correlation": pytest.approx((1, 1, 1)),
        "strongest emotion": pytest.approx((1, 1, 1)),
        "mean error": pytest.approx((0, 0, 0)),
        "slope": pytest.approx((1, 1, 1)),
    }


def test_groups_of_thirty_are_told_and_smaller_ones_are_not() -> None:
    """An emotion has no strongest one beside it, and says so."""
    few = [*MESSAGES, *[Labelled("marketing", "mixed", "x", {"Trust": 3})] * 29]
    ratings = [dict.fromkeys(message.intensity, 2.0) | {"Joy": 1.0} for message in few]
    text = tables(figures(few, {"anchor": ratings}, "anchor"))
    assert "| irony (30) |" in text
    assert "| Joy (60) | 0.00 (0.00 to 0.00) | - |" in text
    assert "Trust" not in text
    assert "mixed" not in text


def test_a_half_that_was_changed_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed files are those that were hashed before any tuning."""
    assert len(labelled("open")) == 180
    (tmp_path / "SHA256SUMS").write_bytes((FOLDER / "SHA256SUMS").read_bytes())
    (tmp_path / "open.jsonl").write_bytes((FOLDER / "open.jsonl").read_bytes() + b"\n")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="SHA256SUMS"):
        labelled("open")


def test_every_look_at_the_sealed_half_is_written_down_once() -> None:
    """One line for each version that was measured there."""
    versions = [json.loads(line)["version"] for line in (FOLDER / "evaluations.jsonl").read_text().splitlines()]
    assert versions
    assert len(set(versions)) == len(versions)

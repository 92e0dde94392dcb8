"""`--contamination` of `eqwatch run` and `eqwatch gate` against models that remember and models that read."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest

from middleware.benchmark.item_sets import load

Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers
ITEMS = "starter"


def recording(folder: Path, model: str) -> Path:
    """The right answer to every item, in whole numbers."""
    items = load(ITEMS, folder).items
    texts = {
        item.id: "\n".join(
            f"{name}: {round(value)}" for name, value in zip(item.emotions, item.reference_fullscale or (), strict=True)
        )
        for item in items
    }
    file = folder / f"{model}.json"
    file.write_text(json.dumps({"model": model, "revise": False, "raw_inference": texts}))
    return file


@pytest.fixture
def remembers(fake_upstream: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    """Knows the originals by heart, word by word, and guesses at everything else."""
    script = {"rules": [{"when": "likely emotional", "benchmark": True}], "default": ["Hm."]}
    (tmp_path / "guess.json").write_text(json.dumps(script))
    answers = recording(tmp_path, "parrot")
    with fake_upstream("--items", ITEMS, "--replay", f"parrot={answers}", "--script", tmp_path / "guess.json") as url:
        yield url


@pytest.fixture
def reads(fake_upstream: Callable[..., Any], tmp_path: Path) -> Iterator[str]:
    """Answers the same to a dialogue whatever its characters are called, with the noise of a real model."""
    answers = recording(tmp_path, "reader")
    sets = ("--items", ITEMS, "--items", f"{ITEMS}@variant-1")
    with fake_upstream(*sets, "--replay", f"reader={answers}", "--noise", "mid", "--seed", 3) as url:
        yield url


def test_a_run_shows_who_remembers(eqwatch: Eqwatch, remembers: str, tmp_path: Path) -> None:
    """The gap of a model that knows the originals is far from 0, in JSON and in words."""
    command = ("run", "--upstream", remembers, "--model", "parrot", "--items", ITEMS, "--data-dir", tmp_path)
    report = json.loads(eqwatch(*command, "--contamination", "--json").stdout)
    found = report["contamination"]
    assert found["verdict"] == "knows_originals"
    assert found["lower"] > 20
    assert found["item_set"] == "starter@variant-1"
    assert report["score"] > 90 > 50 > found["variant"]
    assert report["item_set"] == ITEMS
    words = eqwatch(*command, "--contamination", "--variant-seed", 2).stdout
    assert "parrot knows the originals" in words


def test_a_run_shows_who_reads(eqwatch: Eqwatch, reads: str, tmp_path: Path) -> None:
    """A model that answers the variant as well has an interval that holds 0."""
    command = ("run", "--upstream", reads, "--model", "reader", "--items", ITEMS, "--data-dir", tmp_path)
    found = json.loads(eqwatch(*command, "--contamination", "--json").stdout)["contamination"]
    assert found["verdict"] == "no_sign"
    assert found["lower"] < 0 < found["upper"]
    assert "No sign that reader knows the items by heart" in found["words"]


def test_both_forms_are_asked_in_turn(eqwatch: Eqwatch, reads: str, tmp_path: Path) -> None:
    """Originals and variants alternate, so that a bad minute of the upstream strikes both."""
    result = eqwatch(
        *("run", "--upstream", reads, "--model", "reader", "--items", ITEMS, "--data-dir", tmp_path),
        *("--contamination", "--concurrency", 1),
    )
    assert result.returncode == 0, result.stderr
    with sqlite3.connect(tmp_path / "eqwatch.db") as store:
        runs = [row[0] for row in store.execute("SELECT run_id FROM item_results ORDER BY at")]
    assert len(runs) == 48
    in_a_row = [len(list(same)) for _, same in groupby(runs)]
    assert max(in_a_row) <= 3


def test_a_run_without_it_says_nothing(eqwatch: Eqwatch, reads: str, tmp_path: Path) -> None:
    """Unless it is asked for, no variant is asked and the field is null."""
    command = ("run", "--upstream", reads, "--model", "reader", "--items", ITEMS, "--data-dir", tmp_path)
    assert json.loads(eqwatch(*command, "--json").stdout)["contamination"] is None
    assert httpx2.get(reads.removesuffix("/v1") + "/-/stats").json()["requests"] == 24


def test_the_budget_covers_the_variants(eqwatch: Eqwatch, reads: str, tmp_path: Path) -> None:
    """A cap that the originals alone would keep stops a run with variants; the same command goes on with more."""
    command = ("run", "--upstream", reads, "--model", "reader", "--items", ITEMS, "--data-dir", tmp_path, "--json")
    alone = json.loads(eqwatch(*command).stdout)["tokens"]["total"]
    stopped = eqwatch(*command, "--contamination", "--max-tokens-total", round(1.4 * alone))
    assert stopped.returncode == 4
    assert "budget" in stopped.stderr
    before = httpx2.get(reads.removesuffix("/v1") + "/-/stats").json()["requests"]
    found = eqwatch(*command, "--contamination")
    assert found.returncode == 0, found.stderr
    assert "going on with run" in found.stderr
    assert json.loads(found.stdout)["contamination"]["verdict"] == "no_sign"
    assert httpx2.get(reads.removesuffix("/v1") + "/-/stats").json()["requests"] - before < 48


def test_dry_run_counts_the_variants(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """`--dry-run` says what the variants add."""
    command = ("--upstream", "http://127.0.0.1:9", "--items", ITEMS, "--data-dir", tmp_path, "--dry-run", "--json")
    run = json.loads(eqwatch("run", *command, "--model", "m", "--contamination").stdout)
    assert (run["run"]["calls"], run["variants"]["calls"]) == (24, 24)
    gate = json.loads(eqwatch("gate", *command, "--baseline", "a", "--candidate", "b", "--contamination").stdout)
    assert gate["variants"]["calls"] == 48


def test_a_gate_shows_it_in_every_report(eqwatch: Eqwatch, remembers: str, reads: str, tmp_path: Path) -> None:
    """A candidate that only remembers passes the gate on the items; all four reports say what that is worth."""
    reports = [tmp_path / f"gate.{suffix}" for suffix in ("html", "md", "json", "xml")]
    result = eqwatch(
        *("gate", "--upstream", reads, "--candidate-upstream", remembers, "--items", ITEMS, "--data-dir", tmp_path),
        *("--baseline", "reader", "--candidate", "parrot", "--margin", 5, "--contamination"),
        *(argument for report in reports for argument in ("--report", report)),
    )
    assert result.returncode == 0, result.stderr
    assert "parrot knows the originals" in result.stdout
    assert "No sign that reader knows the items by heart" in result.stdout
    html, markdown, text, junit = (report.read_text() for report in reports)
    found = json.loads(text)["contamination"]
    assert found["baseline"]["verdict"] == "no_sign"
    assert found["candidate"]["verdict"] == "knows_originals"
    assert found["candidate"]["lower"] > 20
    assert "Known by heart?" in html
    assert "knows the originals" in html
    assert "no sign" in html
    assert "candidate: parrot knows the originals" in markdown
    cases = {case.get("name"): case for case in ET.fromstring(junit).iter("testcase")}  # noqa: S314 - our own
    assert cases["the candidate does not know the items by heart"].find("skipped") is not None
    assert cases["the baseline does not know the items by heart"].find("skipped") is None


def test_a_gate_whose_variants_fail_keeps_its_verdict(
    eqwatch: Eqwatch, remembers: str, reads: str, tmp_path: Path
) -> None:
    """The verdict stands where the budget leaves nothing for the variants; the report says why there is no gap."""

    def gate(folder: str, *more: object) -> dict[str, Any]:
        result = eqwatch(
            *("gate", "--upstream", reads, "--candidate-upstream", remembers, "--items", ITEMS, "--json"),
            *("--baseline", "reader", "--candidate", "parrot", "--margin", 5, "--concurrency", 2),
            *("--data-dir", tmp_path / folder, *more),
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    alone = gate("alone")
    assert alone["contamination"] is None
    sides = (alone["baseline"], alone["candidate"])
    spent = sum(side["prompt_tokens"] + side["completion_tokens"] for side in sides)
    found = gate("capped", "--contamination", "--max-tokens-total", round(1.4 * spent))
    assert found["verdict"] == "pass"
    for side in ("baseline", "candidate"):
        assert found["contamination"][side]["verdict"] == "unmeasured"
        assert "budget" in found["contamination"][side]["words"]
        assert found["contamination"][side]["gap"] is None
    again = gate("capped", "--contamination")
    assert again["gate_id"] == found["gate_id"]
    assert again["contamination"]["candidate"]["verdict"] == "knows_originals"

"""`eqwatch runs` and `eqwatch compare`: what is stored, and how far two of them are apart."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from middleware.benchmark.baselines import record_of
from middleware.benchmark.item_sets import load
from middleware.cli.printing import print_table
from middleware.errors import ConfigurationError, NothingThere
from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.store import Store
from scorer.baseline import Observation

COMMAND = str(Path(sys.executable).with_name("eqwatch"))
NOW, AT = 1_794_500_000.0, "http://127.0.0.1:9"
ITEMS = [item.id for item in load("starter", Path()).items]


def protocol(**changes) -> Protocol:
    """That of `starter`, with changes."""
    given = {"temperature": 0.01, "max_tokens": 60, "seed": None, "answer_format": "text", "revise": False} | changes
    return Protocol("starter", load("starter", Path()).sha256, "1", "tolerant", **given)


@pytest.fixture
def data(tmp_path) -> tuple[object, ...]:
    """A store with two runs of two passes, four points apart, a worse item, a third run that can't be compared, and two
    baselines."""
    rng = random.Random(3)
    with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as store:
        for number, (name, loss, changes) in enumerate(
            (("good", 0.0, {}), ("bad", 0.4, {}), ("other", 0.0, {"temperature": 0.7}))
        ):
            run = Run(
                name,
                "tutor",
                "manual",
                protocol(**changes),
                f"model-{name}",
                AT,
                tuple(ITEMS),
                2,
                NOW + number,
            )
            store.begin_run(run)
            for repetition in range(2):
                for item in ITEMS:
                    drop = loss + (3.0 if name == "bad" and item == ITEMS[5] else 0.0)
                    score = 8.0 - drop + rng.gauss(0, 0.1)
                    store.save_item(ItemResult(name, item, repetition, "scored", score=score, at=NOW + 1))
            store.save_item(ItemResult(name, ITEMS[0], 1, "unparseable", "no_scores", at=NOW + 1))
            store.finish_run(name, "finished", 80.0 - 10 * loss, 48, NOW + 60)
        store.begin_run(Run("empty", "shop", "batch", protocol(), "model-empty", AT, tuple(ITEMS), 1, NOW - 9))
        for mean in (8.0, 7.0):
            passes = [[Observation(item, mean + rng.gauss(0, 0.1)) for item in ITEMS] for _ in range(5)]
            store.add_baseline(
                record_of(passes, deployment="tutor", model="m", protocol=protocol(), identities=(), days=1.0, at=NOW)
            )
    return ("--data-dir", tmp_path)


def test_runs_are_listed_newest_first_and_filtered(data, in_process):
    """Each with score, readable answers and purpose; no match is exit code 3."""
    listed = [run["id"] for run in json.loads(in_process("runs", "--json", *data))]
    assert listed == ["other", "bad", "good", "empty"]
    assert [run["id"] for run in json.loads(in_process("runs", "--json", "--limit", 1, *data))] == ["other"]
    for options, names in (
        (("--deployment", "shop"), ["empty"]),
        (("--model", "model-bad"), ["bad"]),
        (("--status", "running"), ["empty"]),
        (("--purpose", "manual", "--items", "starter"), ["other", "bad", "good"]),
    ):
        assert [run["id"] for run in json.loads(in_process("runs", "--json", *options, *data))] == names
    table = in_process("runs", *data)
    assert "48 of 48" in table
    assert "80.0" in table
    assert "no runs" in in_process("runs", "--model", "nobody", *data, exit_code=3)


def test_in_a_narrow_terminal_an_id_stays_whole(data, in_process):
    """So that it can be copied to `eqwatch compare`; what is piped is a table, whatever the terminal."""
    told = in_process("runs", "--model", "model-bad", *data, columns=40).splitlines()
    assert told[0] == "bad"
    assert "48 of 48 readable, manual, finished" in told[1]
    assert "deployment" in in_process("runs", *data, columns=None).splitlines()[1]


def test_one_run_shows_its_items_the_worst_first(data, in_process):
    """With outcomes; an unknown one is exit code 3."""
    told = in_process("runs", "bad", *data)
    assert told.index(ITEMS[5]) < told.index(ITEMS[1])
    assert "1 unparseable" not in told  # an answer that is there already stays
    found = json.loads(in_process("runs", "bad", "--json", *data))
    assert found["item_scores"][ITEMS[5]] == pytest.approx(46.0, abs=2.0)
    assert found["outcomes"] == {"scored": 48}
    with pytest.raises(NothingThere, match="no run 'nope'"):
        in_process("runs", "nope", *data)


def test_an_unknown_run_is_exit_code_3(data, eqwatch):
    """As docs/cli.md says."""
    ended = eqwatch("runs", "nope", *data)
    assert ended.returncode == 3
    assert "no run 'nope'" in ended.stderr


def test_through_a_pipe_ids_and_names_stay_whole(tmp_path):
    """Each run is one line."""
    name, model = "20261128T072047Z-fb01d56a", "some-family-70b-instruct-2026-11"
    with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as store:
        store.begin_run(Run(name, "customer-support", "manual", protocol(), model, AT, tuple(ITEMS), 1, NOW))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("EQWATCH_", "COLUMNS"))}
    told = subprocess.run(
        [COMMAND, "runs", "--data-dir", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=True,
    ).stdout
    (line,) = [line for line in told.splitlines() if name in line]
    assert all(word in line for word in (model, "customer-support", "starter", "manual", "running"))
    assert "…" not in told


def test_only_cells_of_several_words_wrap(capsys):
    """Between words; ids and names run over a narrow terminal's edge rather than be cut."""
    table = Table("name", "what it is")
    table.add_row("a-very-long-name-that-does-not-fit", "words that may wrap where there is a space")
    print_table(table, Console(width=30, file=sys.stdout))
    told = capsys.readouterr().out
    assert "a-very-long-name-that-does-not-fit" in told
    assert "words that may wrap where" not in told
    assert {"words", "that", "may", "wrap", "where", "there", "is", "a", "space"} <= set(told.split())


def test_two_runs_are_compared_item_by_item(data, in_process):
    """The paired difference with its 95 % interval, the verdict as exit code, the items that lost most."""
    found = json.loads(in_process("compare", "good", "bad", "--json", *data, exit_code=1))
    assert found["verdict"] == "regressed"
    assert found["points"] == pytest.approx(-4.0 - 30.0 / len(ITEMS), abs=0.4)
    assert found["lower"] < found["points"] < found["upper"] < 0
    assert (found["items"], found["confidence"]) == (len(ITEMS), 0.95)
    assert found["worst"][0]["item"] == ITEMS[5]
    assert len(found["worst"]) == 10
    told = in_process("compare", "bad", "good", *data)
    assert "pass: not worse than the margin (margin 1)" in told
    assert f"over {len(ITEMS)} items" in told


def test_a_run_is_compared_with_a_baseline_and_baselines_with_each_other(data, in_process):
    """A number is a baseline's id; a baseline comes first."""
    found = json.loads(in_process("compare", 1, "bad", "--json", *data, exit_code=1))
    assert found["a"]["name"] == "baseline 1"
    assert found["points"] == pytest.approx(-5.2, abs=0.5)
    found = json.loads(in_process("compare", 1, 2, "--json", *data, exit_code=1))
    assert found["points"] == pytest.approx(-10.0, abs=0.3)
    assert "regressed" in in_process("compare", 1, 2, *data, exit_code=1)
    assert json.loads(in_process("compare", 2, 1, "--json", *data))["verdict"] == "pass"
    with pytest.raises(ConfigurationError, match="swap them"):
        in_process("compare", "bad", 1, *data)


def test_other_protocols_are_refused_with_what_differs(data, in_process):
    """And so is what is not there, or has no answers."""
    with pytest.raises(ConfigurationError, match=r"protocols differ: temperature is 0\.01 and 0\.7"):
        in_process("compare", "good", "other", *data)
    with pytest.raises(ConfigurationError, match="neither a run"):
        in_process("compare", "good", 99, *data)
    with pytest.raises(ConfigurationError, match="run empty has no answers"):
        in_process("compare", "good", "empty", *data)


def test_a_wide_margin_and_little_noise_pass(data, in_process):
    """The margin is the caller's; equal runs are undecided only where noise leaves it open."""
    assert json.loads(in_process("compare", "good", "bad", "--margin", 20, "--json", *data))["verdict"] == "pass"
    same = json.loads(in_process("compare", "good", "good", "--json", *data))
    assert (same["points"], same["worst"]) == (0.0, [])

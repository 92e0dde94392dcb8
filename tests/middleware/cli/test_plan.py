"""`eqwatch plan`: delays, false alarms and cost in words and numbers, on a measured or an assumed baseline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPLAY = Path(__file__).resolve().parents[3] / "examples" / "replay"
Cli = Callable[..., Any]
QUICK = ("--items", "starter", "--installations", 20, "--points", 5, "--points", 0.5)


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, Path]:
    return "--data-dir", tmp_path / "data"


def planned(in_process: Cli, *arguments: object) -> dict[str, Any]:
    return dict(json.loads(in_process("plan", *QUICK, "--json", *arguments)))


def test_it_says_what_is_found_how_fast_at_what_cost(in_process: Cli, data: tuple[str, Path]) -> None:
    """In words for people."""
    text = " ".join(
        str(in_process("plan", *QUICK, "--noise", "mid", "--price-prompt", 2, "--price-completion", 8, *data)).split()
    )
    for words in (
        "mid noise, assumed",
        "one pass takes 2.0 h",
        "5 points",
        "about 1 a year",
        "calibrated by simulation, not guaranteed",
        "USD",
        "never found",
        "not in 83 days",
    ):
        assert words in text, text


def test_the_noise_that_was_measured_is_used_and_named(
    eqwatch: Cli, in_process: Cli, data: tuple[str, Path], tmp_path: Path
) -> None:
    """The baseline in force, one by id, one from a file: all the same here."""
    files = [argument for _ in range(5) for argument in ("--answers", REPLAY / "scripted-strong.json")]
    in_process("baseline", "create", "--items", "starter", *files, "--accept", *data)
    document = tmp_path / "b.json"
    in_process("baseline", "export", 1, "-o", document, *data)
    found = [planned(in_process, *data), planned(in_process, "--baseline", 1, *data)]
    found.append(planned(in_process, "--baseline", document, *data))
    assert "baseline 1" in found[0]["noise"]
    assert "as measured" in found[1]["noise"]
    assert str(document) in found[2]["noise"]
    assert found[0]["falls"] == found[1]["falls"] == found[2]["falls"]
    assert found[0]["run_sd_points"] == 0.0


def test_shorter_intervals_find_sooner_and_cost_more(in_process: Cli, data: tuple[str, Path]) -> None:
    """Days shrink with the interval; calls a month grow with it."""
    prices = ("--price-prompt", 2, "--price-completion", 8, "--noise", "low")
    hourly = planned(in_process, *prices, "--interval", "1h", *data)
    quick = planned(in_process, *prices, "--interval", "15m", *data)
    assert quick["falls"][1]["median_days"] < hourly["falls"][1]["median_days"]
    assert quick["calls_per_month"] == pytest.approx(4 * hourly["calls_per_month"], abs=2)
    assert quick["money_per_month"] == pytest.approx(4 * hourly["money_per_month"], rel=0.01)
    expected = (2 * hourly["prompt_tokens_per_month"] + 8 * hourly["completion_tokens_per_month"]) / 1e6
    assert hourly["money_per_month"] == pytest.approx(expected, rel=0.01)


def test_the_token_budget_stretches_the_interval(in_process: Cli, data: tuple[str, Path]) -> None:
    """A budget for one batch a day makes it one batch a day, and says so."""
    found = planned(in_process, "--noise", "low", "--tokens-per-day", 5000, *data)
    assert found["stretched_by_budget"] is True
    assert found["interval_seconds"] > 3600
    tokens = found["prompt_tokens_per_month"] + found["completion_tokens_per_month"]
    assert tokens <= 5000 * 30.44 * 1.01


def test_the_same_seed_gives_the_same_plan_and_unknown_prices_are_null(in_process: Cli, data: tuple[str, Path]) -> None:
    """Missing is not zero."""
    first, second = (planned(in_process, "--noise", "high", "--seed", 4, *data) for _ in range(2))
    assert first == second
    assert first["money_per_month"] is None
    assert first["falls"][0]["median_days"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--noise", "loud"), "--noise loud: choose low, mid, high"),
        (("--noise", "low", "--baseline", "1"), "exclude one another"),
        (("--baseline", "7"), "no baseline has the id 7"),
        (("--baseline", "nothing.json"), "nothing.json can't be read"),
        (("--interval", "soon"), "--interval soon: write a duration"),
    ],
)
def test_wrong_use_is_named(eqwatch: Cli, data: tuple[str, Path], arguments: Any, words: str) -> None:
    """Exit code 2, with the option, its value and what to write."""
    ended = eqwatch("plan", *QUICK, *arguments, *data)
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.split())


def test_it_says_how_far_it_is_and_writes_intervals_for_people(eqwatch: Cli, data: tuple[str, Path]) -> None:
    """Progress goes to standard error, in quarters where that is no terminal; an interval has one decimal place."""
    ended = eqwatch("plan", *QUICK, "--noise", "low", "--interval", "13m18.11s", *data)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1] == "simulating: 100 %"
    assert "items every 13.3 min, every 3.3 min while" in ended.stdout

"""`eqwatch run` under caps, its dry run, the kill switch, and what becomes of a run that stops: real processes."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from middleware.store import Store

Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers
PRICES = {
    "EQWATCH_BUDGET_PRICE_PER_MILLION_PROMPT_TOKENS": "10",
    "EQWATCH_BUDGET_PRICE_PER_MILLION_COMPLETION_TOKENS": "30",
    "EQWATCH_BUDGET_CURRENCY": "EUR",
}


@pytest.fixture
def upstream(fake_upstream: Callable[..., Any], strong: Path) -> Iterator[str]:
    """A fake upstream with one model."""
    with fake_upstream("--items", "bundled", "--replay", f"m={strong}") as url:
        yield url


@pytest.fixture
def one_day() -> None:
    """A UTC day that does not end within the test, whose budget would begin anew."""
    left = 86_400 - time.time() % 86_400
    if left < 60:
        time.sleep(left + 0.1)


def requests(url: str) -> int:
    return int(httpx2.get(url.removesuffix("/v1") + "/-/stats").json()["requests"])


def runs(data_dir: Path) -> list[tuple[str, int]]:
    """Status and answers of each run that is kept."""
    store = Store(f"sqlite:///{data_dir / 'eqwatch.db'}")
    store.open()
    found = [(run.status, len(store.item_results(run.id))) for run in store.runs()]
    store.close()
    return found


def run_of(upstream: str, data_dir: Path) -> tuple[object, ...]:
    return ("run", "--upstream", upstream, "--model", "m", "--items", "tutoring", "--data-dir", data_dir)


def test_a_run_stops_at_its_cap_and_goes_on_with_more(eqwatch: Eqwatch, upstream: str, tmp_path: Path) -> None:
    """64 calls at once never spend more than the cap; the run is marked as stopped, and the same command goes on."""
    command = (*run_of(upstream, tmp_path), "--concurrency", 64)
    poor = eqwatch(*command, "--max-tokens-total", 20_000)
    assert poor.returncode == 4
    assert "the budget per run is used up" in poor.stderr
    ((status, answers),) = runs(tmp_path)
    assert (status, answers) == ("stopped", requests(upstream))
    assert 10 < answers < 80
    rich = eqwatch(*command, "--json")
    assert rich.returncode == 0, rich.stderr
    report = json.loads(rich.stdout)
    assert runs(tmp_path) == [("finished", 80)]
    assert requests(upstream) == 80
    per_call = report["tokens"]["total"] / 80
    assert answers * per_call <= 20_000 * 1.05  # items differ in length


@pytest.mark.usefixtures("one_day")
def test_a_day_is_a_cap_over_all_runs(eqwatch: Eqwatch, upstream: str, tmp_path: Path) -> None:
    """What one run spent is gone for the next one of the same day and store."""
    command = (*run_of(upstream, tmp_path), "--fresh", "--limit", 10)
    cap = {"EQWATCH_BUDGET_TOKENS_PER_DAY": "6000"}
    first, second = eqwatch(*command, **cap), eqwatch(*command, **cap)
    assert first.returncode == 0, first.stderr
    assert second.returncode == 4
    assert "budget.tokens_per_day" in second.stderr
    assert 10 < requests(upstream) < 20


def test_money(eqwatch: Eqwatch, upstream: str, tmp_path: Path) -> None:
    """A cap in money needs prices, and then holds."""
    command = (*run_of(upstream, tmp_path), "--max-cost", 0.05)
    without = eqwatch(*command)
    assert without.returncode == 2
    assert "--max-cost needs prices" in without.stderr
    poor = eqwatch(*command, **PRICES)
    assert poor.returncode == 4
    assert "EUR are spent and a call may cost" in poor.stderr
    assert 2 <= requests(upstream) < 20


@pytest.mark.usefixtures("one_day")
def test_dry_run(eqwatch: Eqwatch, upstream: str, tmp_path: Path) -> None:
    """Calls, tokens, money and minutes without a call; after a run the figures are those of its answers."""
    command = (*run_of(upstream, tmp_path), "--limit", 20, "--passes", 3)
    assert "no prices are configured ([budget] price_per_million_…)" in eqwatch(*command, "--dry-run").stdout
    assert "at the prices of [budget]" in eqwatch("run", "--help", COLUMNS="300").stdout
    guessed = json.loads(eqwatch(*command, "--dry-run", "--json", **PRICES).stdout)
    assert requests(upstream) == 0
    assert guessed["run"]["calls"] == 60
    assert guessed["run"]["from_earlier_answers"] is False
    assert guessed["currency"] == "EUR"
    assert guessed["tokens_left_today"] == 2_000_000
    report = json.loads(eqwatch(*command, "--json").stdout)
    known = json.loads(eqwatch(*command, "--dry-run", "--json", **PRICES).stdout)
    assert known["run"]["from_earlier_answers"] is True
    assert known["run"]["tokens"] == pytest.approx(report["tokens"]["total"], rel=0.01)
    expected = (10 * report["tokens"]["prompt"] + 30 * report["tokens"]["completion"]) / 1e6
    assert known["run"]["cost"] == pytest.approx(expected, rel=0.01)
    assert guessed["run"]["tokens_at_most"] > report["tokens"]["total"] > guessed["run"]["tokens"] / 2
    assert known["tokens_left_today"] == 2_000_000 - report["tokens"]["total"]
    words = eqwatch(*command, "--dry-run").stdout
    assert "nothing was asked" in words
    assert "cost unknown" in words


def test_the_setting_stops_every_call(eqwatch: Eqwatch, upstream: str, tmp_path: Path) -> None:
    """With the kill switch nothing is asked; exit code 4 says that nothing was measured, and why."""
    result = eqwatch(*run_of(upstream, tmp_path), EQWATCH_UPSTREAM_OWN_CALLS="false")
    assert result.returncode == 4
    assert "upstream.own_calls" in result.stderr
    assert requests(upstream) == 0


def test_a_run_that_failed_is_not_running(eqwatch: Eqwatch, tmp_path: Path) -> None:
    """An attempt against a dead upstream is listed as stopped."""
    result = eqwatch(*run_of("http://127.0.0.1:9", tmp_path))
    assert result.returncode == 4
    assert runs(tmp_path) == [("stopped", 0)]

"""A model that gets worse behind its name is seen by the running product: baseline, swap, incident, metrics, API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from middleware.demo.upgrade import switch_models

REPLAY = Path(__file__).resolve().parents[2] / "examples" / "replay"
CONFIG = """
[benchmark]
model = "assistant"
items = ["starter"]
batch = 12
interval = "500ms"
commissioning_passes = 5
concurrency = 8
"""
pytestmark = pytest.mark.timeout(300)


def state_of(sidecar: Any) -> str:
    verdicts = sidecar.json("/api/v1/verdicts")
    return str(verdicts[0]["state"]) if verdicts else ""


def test_a_weaker_model_behind_the_same_name_opens_one_incident(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """The baseline survives a kill of control; after the swap the verdict, the metrics and the events agree."""
    upstream = start_fake_upstream(
        *("--items", "starter", "--noise", "low"),
        *("--replay", f"assistant={REPLAY / 'scripted-strong.json'}"),
        *("--replay", f"assistant={REPLAY / 'scripted-weak.json'}"),
    )
    sidecar = start_sidecar(upstream, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key")
    eventually(lambda: state_of(sidecar) == "fine", seconds=90, what="a baseline stands")

    killed = sidecar.kill_control()
    sidecar.wait_for_control(other_than=killed)
    assert state_of(sidecar) == "fine", "the baseline is restored, not made anew"
    metrics = sidecar.metrics()
    assert metrics['eqwatch_bench_regression_active{deployment="default",item_set="starter"}'] == 0
    assert metrics['eqwatch_bench_score_points{deployment="default",item_set="starter"}'] > 85

    switch_models(upstream)
    eventually(lambda: state_of(sidecar) == "regressed", seconds=90, what="the regression is an incident")
    metrics = eventually(
        lambda: (
            (m := sidecar.metrics())['eqwatch_bench_regression_active{deployment="default",item_set="starter"}'] and m
        ),
        seconds=20,
        what="the incident is exported",
    )
    assert metrics['eqwatch_bench_regression_cusum_ratio{deployment="default",item_set="starter"}'] >= 0
    assert metrics['eqwatch_bench_delta_points_upper{deployment="default",item_set="starter"}'] < 0
    verdict = sidecar.json("/api/v1/verdicts")[0]
    assert verdict["delta"] < -5
    assert verdict["incident"]

    runs = sidecar.json("/api/v1/runs?limit=500")
    assert len({run["id"] for run in runs}) == len(runs)
    assert all(run["items"] == 12 for run in runs)


def test_without_model_or_key_nothing_is_asked_and_the_page_says_what_to_set(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str]
) -> None:
    """Not configured is said, never guessed: no call reaches the upstream."""
    upstream = start_fake_upstream("--items", "starter")
    sidecar = start_sidecar(upstream)
    verdict = sidecar.json("/api/v1/verdicts")[0]
    assert verdict["state"] == "not_measured"
    assert "EQWATCH_UPSTREAM_API_KEY" in verdict["detail"]
    assert "[benchmark] model" in verdict["detail"]
    assert sidecar.sum_of("eqwatch_bench_items_total") == 0


def test_a_benchmark_that_gets_no_answers_says_why(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """A model that the upstream does not have: the verdict names it, it is counted, and no run is left running."""
    upstream = start_fake_upstream("--items", "starter", "--replay", f"other={REPLAY / 'scripted-strong.json'}")
    sidecar = start_sidecar(upstream, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key")
    verdict = eventually(
        lambda: (found := sidecar.json("/api/v1/verdicts")[0]) and "failed" in found["detail"] and found,
        seconds=60,
        what="the verdict says that the batch failed",
    )
    assert verdict["state"] == "not_measured"
    assert "404" in verdict["detail"]
    eventually(lambda: sidecar.sum_of("eqwatch_bench_items_total") >= 1, seconds=20, what="the failure is counted")
    assert {run["status"] for run in sidecar.json("/api/v1/runs")} == {"stopped"}
    assert sidecar.json("/-/ready")["components"]["worker:benchmark"]["ok"]

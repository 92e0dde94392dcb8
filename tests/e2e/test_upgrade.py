"""A model that gets worse behind its name is seen by the running product: baseline, swap, incident, metrics, API."""

import json
import sqlite3
import urllib.request
from collections.abc import Callable
from contextlib import closing
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
pytestmark = pytest.mark.timeout(600)


STRONG = ("--replay", f"assistant={REPLAY / 'scripted-strong.json'}")
WEAK = ("--replay", f"assistant={REPLAY / 'scripted-weak.json'}")


def declare(sidecar: Any, from_model: str, to_model: str) -> None:
    """`POST /api/v1/upgrades`."""
    body = {"deployment": "default", "from_model": from_model, "to_model": to_model}
    request = urllib.request.Request(
        f"{sidecar.admin}/api/v1/upgrades",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202


def events_of(sidecar: Any) -> list[dict[str, Any]]:
    """Everything that happened, as the store has it."""
    with closing(sqlite3.connect(f"file:{sidecar.data_dir / 'eqwatch.db'}?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT id, kind, at, details FROM events ORDER BY id").fetchall()
    return [{"id": row[0], "kind": row[1], "at": row[2], "details": json.loads(row[3])} for row in rows]


def pages_of(sidecar: Any) -> list[tuple[str, dict[str, Any]]]:
    """What was told about regressions, in order."""
    return [(e["kind"], e["details"]) for e in events_of(sidecar) if e["details"].get("kind") == "regression"]


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
    metrics = sidecar.metrics()
    assert metrics['eqwatch_bench_regression_active{deployment="default",item_set="starter"}'] == 1
    assert metrics['eqwatch_bench_regression_cusum_ratio{deployment="default",item_set="starter"}'] >= 0
    assert metrics['eqwatch_bench_delta_points_upper{deployment="default",item_set="starter"}'] < 0
    verdict = sidecar.json("/api/v1/verdicts")[0]
    assert verdict["incident"], "what is told is saved, and has its number"
    assert verdict["delta"] < -5

    runs = sidecar.json("/api/v1/runs?limit=500")
    assert len({run["id"] for run in runs}) == len(runs)
    assert all(run["items"] == 12 for run in runs)


def test_a_silent_swap_opens_an_incident_that_a_rollback_closes(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """Same name, same fingerprint, worse answers: one incident, over a restart; the old answers again end it."""
    upstream = start_fake_upstream("--items", "starter", "--fingerprint", "fp_always", *STRONG, *WEAK, *STRONG)
    sidecar = start_sidecar(upstream, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key")
    eventually(lambda: state_of(sidecar) == "fine", seconds=90, what="a baseline stands")
    assert sidecar.json("/api/v1/verdicts")[0]["branches"], "the starter items name their branches"

    switch_models(upstream)
    eventually(lambda: state_of(sidecar) == "regressed", seconds=90, what="the regression is an incident")
    incident = sidecar.json("/api/v1/verdicts")[0]["incident"]
    assert incident, "what is told is saved, and has its number"
    killed = sidecar.kill_control()
    sidecar.wait_for_control(other_than=killed)
    verdict = sidecar.json("/api/v1/verdicts")[0]
    assert (verdict["state"], verdict["incident"], verdict["upgrade"]) == ("regressed", incident, None)

    switch_models(upstream)
    eventually(lambda: state_of(sidecar) == "fine", seconds=120, what="the incidents are over")
    events, pages = events_of(sidecar), pages_of(sidecar)
    assert [kind for kind, _ in pages] == ["incident_opened", "incident_closed"]
    opened, closed = pages[0][1], pages[1][1]
    assert opened["points"] < -5
    assert opened["since"] <= next(e["at"] for e in events if e["id"] == incident)
    assert opened["items"] >= 12
    assert (closed["incident"], closed["cause"]) == (incident, "recovered")
    metrics = sidecar.metrics()
    assert metrics['eqwatch_bench_regression_active{deployment="default",item_set="starter"}'] == 0
    assert metrics['eqwatch_bench_change_active{deployment="default",item_set="starter"}'] == 0
    assert abs(metrics['eqwatch_bench_reference_delta_points{deployment="default",item_set="starter"}']) < 15


def test_a_declared_upgrade_is_judged_and_survives_a_restart(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """Declared by the API, judged against the old baseline, told in API, metrics and events; then taken back."""
    upstream = start_fake_upstream("--items", "starter", "--fingerprint", "fp_always", *STRONG, *WEAK, *STRONG)
    sidecar = start_sidecar(upstream, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key")
    eventually(lambda: state_of(sidecar) == "fine", seconds=90, what="a baseline stands")
    switch_models(upstream)
    declare(sidecar, "assistant-1", "assistant-2")
    assert sidecar.json("/api/v1/verdicts")[0]["upgrade"]["to_model"] == "assistant-2"
    killed = sidecar.kill_control()
    sidecar.wait_for_control(other_than=killed)

    def judged() -> Any:
        upgrade = sidecar.json("/api/v1/verdicts")[0]["upgrade"]
        return upgrade["verdict"] != "comparing" and upgrade

    upgrade = eventually(judged, seconds=90, what="the upgrade is judged")
    assert (upgrade["verdict"], upgrade["from_model"], upgrade["declared"]) == ("regressed", "assistant-1", True)
    assert upgrade["upper"] < -1
    labels = 'deployment="default",item_set="starter"'
    metrics = sidecar.metrics()
    found = {v: metrics[f'eqwatch_upgrade_verdict{{{labels},verdict="{v}"}}'] for v in ("pass", "regressed")}
    assert found == {"pass": 0, "regressed": 1}
    assert any(key.startswith("eqwatch_upgrade_info{") for key in metrics)
    assert state_of(sidecar) == "regressed"

    switch_models(upstream)
    declare(sidecar, "assistant-2", "assistant-1")
    eventually(lambda: state_of(sidecar) == "fine", seconds=120, what="the old version is fine")
    assert sidecar.json("/api/v1/verdicts")[0]["upgrade"] is None
    left = {key.partition("{")[0] for key in sidecar.metrics() if key.startswith("eqwatch_upgrade_")}
    assert left == {"eqwatch_upgrade_declared_timestamp_seconds"}
    kinds = [event["kind"] for event in events_of(sidecar)]
    assert [kinds.count(k) for k in ("upgrade_declared", "upgrade_verdict", "upgrade_withdrawn")] == [2, 1, 1]


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
    eventually(lambda: sidecar.sum_of("eqwatch_bench_items_total") >= 1, seconds=60, what="the failure is counted")
    # Each slot goes on with the run, and stops it.
    eventually(
        lambda: [run["status"] for run in sidecar.json("/api/v1/runs")] == ["stopped"], seconds=60, what="it stopped"
    )
    assert sidecar.json("/-/ready")["components"]["worker:benchmark"]["ok"]

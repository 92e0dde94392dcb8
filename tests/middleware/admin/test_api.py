"""Deployments, verdicts and runs as JSON."""

import re
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from middleware.admin import BenchmarkInfo, DeploymentInfo, create_app
from middleware.records.benchmark import ItemResult
from middleware.records.standing import Standing

NOW = 1_794_500_000.0
REGRESSED = Standing(
    deployment="tutor",
    item_set="bundled",
    state="regressed",
    model="b",
    since=NOW - 7200,
    last_batch_at=NOW - 60,
    score_points=70.0,
    baseline_points=73.0,
    delta_points=-3.0,
    delta_lower=-4.0,
    delta_upper=-2.0,
    incident=7,
)


def test_deployments_show_the_configuration_and_the_verdict(serve):
    """Each deployment as configured, with where it stands."""
    info = DeploymentInfo("tutor", "tutoring", "m", ("Joy", "Calm"), 0.25, sampled=True)
    admin = serve(deployments=(info,), benchmark=BenchmarkInfo(model="m"))
    admin.control.standings = [REGRESSED]
    with admin.client() as client:
        (found,) = client.get("/api/v1/deployments").json()
        assert client.get("/api/v1/verdicts").json() == found["verdicts"]
    (verdict,) = found.pop("verdicts")
    assert found == {
        "name": "tutor",
        "kind": "tutoring",
        "model": "m",
        "emotions": ["Joy", "Calm"],
        "sample_rate": 0.25,
        "sampled": True,
    }
    assert verdict["words"].startswith("EQ fell by 3.0 points. Change to the baseline: \N{MINUS SIGN}3.0 points")
    assert (verdict["state"], verdict["incident"], verdict["stale"]) == ("regressed", 7, False)
    assert (verdict["delta"], verdict["delta_lower"], verdict["delta_upper"]) == (-3.0, -4.0, -2.0)


def test_what_is_not_known_is_null(admin):
    """Before the first batch there is no number, and no zero."""
    admin.control.standings = [Standing("default", "bundled", "not_measured", detail="Nothing yet.")]
    with admin.client() as client:
        (verdict,) = client.get("/api/v1/verdicts").json()
    numbers = ("since", "last_batch_at", "score", "baseline_score", "delta", "delta_lower", "delta_upper", "incident")
    assert {name: verdict[name] for name in numbers} == dict.fromkeys(numbers)
    assert verdict["words"] == "Not measured yet. Nothing yet."


def test_runs_newest_first(admin, run_of):
    """The list is limited, filtered by deployment, and newest first."""
    for number in range(3):
        admin.store.begin_run(run_of(number, NOW - 1000 + number))
    admin.store.begin_run(run_of(9, NOW, deployment="other"))
    with admin.client() as client:
        assert [run["id"] for run in client.get("/api/v1/runs").json()][:2] == ["run-0009", "run-0002"]
        listed = client.get("/api/v1/runs", params={"deployment": "default", "limit": 2}).json()
        assert [run["id"] for run in listed] == ["run-0002", "run-0001"]
        assert listed[0] | {"started_at": 0} == {
            "id": "run-0002",
            "deployment": "default",
            "purpose": "batch",
            "model": "example-chat-large",
            "status": "running",
            "item_set": "bundled",
            "scoring_profile": "tolerant",
            "passes": 1,
            "items": 12,
            "parseable": None,
            "score": None,
            "flags": [],
            "started_at": 0,
            "finished_at": None,
        }
        assert client.get("/api/v1/runs", params={"limit": 0}).status_code == 422


def test_a_run_with_its_items(admin, run_of):
    """Item scores are points, unreadable ones null; the score stands even where the run is not valid."""
    run = run_of(1, NOW - 100, items=3, passes=2)
    first, second, third = run.item_ids
    admin.store.begin_run(run)
    for item, repetition, outcome, score in (
        (first, 0, "scored", 8.0),
        (first, 1, "scored", 6.0),
        (second, 0, "unparseable", None),
    ):
        admin.store.save_item(ItemResult(run.id, item, repetition, outcome, score=score, at=NOW))
    with admin.client() as client:
        body = client.get(f"/api/v1/runs/{run.id}").json()
        assert body["item_scores"] == {first: 70.0, second: None, third: None}
        assert body["outcomes"] == {"scored": 2, "unparseable": 1}
        assert (body["score"], body["valid"], body["items"]) == (70.0, False, 6)
        admin.store.finish_run(run.id, "finished", 71.5, 2, NOW)
        body = client.get(f"/api/v1/runs/{run.id}").json()
        assert (body["score"], body["valid"], body["parseable"]) == (71.5, True, 2)


def test_an_unknown_run_is_404(admin):
    """With the usual error."""
    with admin.client() as client:
        answer = client.get("/api/v1/runs/nope")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run_unknown")


def test_pause_and_resume(admin):
    """Both are idempotent and answer with the state."""
    with admin.client() as client:
        assert client.post("/api/v1/benchmark/pause").json() == {"paused": True}
        assert client.post("/api/v1/benchmark/pause").json() == {"paused": True}
        assert admin.control.paused
        assert client.post("/api/v1/benchmark/resume").json() == {"paused": False}
    assert not admin.control.paused


def test_declare_an_upgrade(serve):
    """A declared change reaches control; an unknown deployment does not."""
    admin = serve(deployments=(DeploymentInfo("tutor"),))
    with admin.client() as client:
        body = {"deployment": "tutor", "from_model": "a", "to_model": "b", "note": "ticket 12"}
        answer = client.post("/api/v1/upgrades", json=body)
        assert (answer.status_code, answer.json()) == (202, {"event": 41})
        assert client.post("/api/v1/upgrades", json=body | {"deployment": "other"}).status_code == 404
        assert client.post("/api/v1/upgrades", json={"deployment": "tutor"}).status_code == 422
    (declared,) = admin.control.declared
    assert (declared.deployment, declared.from_model, declared.to_model, declared.note) == (
        "tutor",
        "a",
        "b",
        "ticket 12",
    )


@pytest.mark.parametrize(("body", "accept"), [(None, False), ({"accept_baseline": True}, True)])
def test_acknowledge_an_alarm(admin, body, accept):
    """The body is optional; an alarm that is not open is 404."""
    with admin.client() as client:
        assert client.post("/api/v1/alarms/7/acknowledge", json=body).json() == {"event": 7}
        assert client.post("/api/v1/alarms/8/acknowledge").status_code == 404
        assert client.post("/api/v1/alarms/0/acknowledge").status_code == 422
    assert admin.control.acknowledged == [(7, accept), (8, False)]


def test_every_route_is_documented(admin):
    """docs/api.md names every path of the app."""
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    documented = re.sub(r"{\w+}", "{}", page)
    paths = {re.sub(r"{\w+(:path)?}", "{}", one.path) for one in iter_route_contexts(create_app(admin.state).routes)}
    assert len(paths) > 25
    assert [path for path in sorted(paths) if path not in documented] == []

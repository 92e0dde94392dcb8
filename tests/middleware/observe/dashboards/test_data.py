"""Every query of every dashboard on recorded data of the sidecar, in a real Prometheus."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from bench.dashboards.preview import draw
from bench.dashboards.prometheus import Prometheus, missing, serving
from bench.dashboards.recording import Recorded, record
from bench.dashboards.variables import EVERYTHING, substituted
from middleware.observe.dashboards import STATES

# Half a day is recorded before the first query, on a machine that does other things as well.
pytestmark = [pytest.mark.xdist_group("recorded-prometheus"), pytest.mark.timeout(700)]
STEP_SECONDS = 600.0


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    if reason := missing():
        pytest.skip(reason)
    return record(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def prometheus(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with serving(recorded.path, tmp_path_factory.mktemp("prometheus")) as server:
        yield server


def values(prometheus: Prometheus, recorded: Recorded, expr: str) -> dict[str, float]:
    """deployment -> value at the end."""
    found = prometheus.at(substituted(expr), recorded.ends)
    return {series["metric"].get("deployment", ""): float(series["value"][1]) for series in found}


def column(panels: list[Any], title: str, name: str) -> str:
    target = next(t for p in panels if p.panel["title"] == title for t in p.targets if t["legendFormat"] == name)
    expr: str = target["expr"]
    return expr


def test_every_query_parses(panels: list[Any]) -> None:
    """With values in place of the variables, which all have one."""
    for shown in panels:
        for target in shown.targets:
            promql_parser.parse(substituted(target["expr"]))


def test_every_query_finds_something(panels: list[Any], prometheus: Prometheus, recorded: Recorded) -> None:
    """No panel is empty on a day on which everything happened, asked as the panel asks: at a moment, or over time."""
    empty = []
    for shown in panels:
        for target in shown.targets:
            expr = substituted(target["expr"])
            if target.get("instant"):
                found = prometheus.at(expr, recorded.ends)
            else:
                found = prometheus.over(expr, recorded.begins, recorded.ends, STEP_SECONDS)
            if not found:
                empty.append(f"{shown}: {expr}")
    assert empty == []


def test_one_deployment_can_be_chosen(panels: list[Any], prometheus: Prometheus, recorded: Recorded) -> None:
    """With one deployment chosen no series of another one is left."""
    only = {**EVERYTHING, "deployment": "tutor"}
    seen = set()
    for shown in panels:
        for target in shown.targets:
            expr = substituted(target["expr"], only)
            found = prometheus.over(expr, recorded.begins, recorded.ends, STEP_SECONDS)
            seen |= {series["metric"]["deployment"] for series in found if "deployment" in series["metric"]}
    assert seen == {"tutor"}


def test_variables_and_annotations_find_something(
    boards: list[dict[str, Any]], prometheus: Prometheus, recorded: Recorded
) -> None:
    """What a dashboard offers to choose exists, and the upgrade and the incident are marked at their times."""
    for board in boards:
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                selector = variable["query"].removeprefix("label_values(").rpartition(",")[0]
                found = prometheus.at(f"group by ({variable['name']}) ({substituted(selector)})", recorded.ends)
                assert found or variable["name"] == "model"
        changed, open_, declared = board["annotations"]["list"]
        marks = prometheus.at(substituted(changed["expr"]), recorded.ends)
        assert {mark["metric"]["deployment"] for mark in marks} == {"tutor", "companion"}
        assert all(1000 * recorded.begins < float(mark["value"][1]) < 1000 * recorded.ends for mark in marks)
        (mark,) = prometheus.at(substituted(declared["expr"]), recorded.ends)
        assert mark["metric"]["deployment"] == "companion"
        (mark,) = prometheus.over(substituted(open_["expr"]), recorded.begins, recorded.ends, 60.0)
        assert mark["metric"]["deployment"] == "tutor"


def test_the_overview_answers_which_after_what_by_how_much_and_how_sure(
    panels: list[Any], prometheus: Prometheus, recorded: Recorded
) -> None:
    """The table tells what the script did: the tutor fell after small-1 became small-2, chance does not explain it."""
    title = "Which deployment, after what, by how much, how sure"

    def at_the_end(name: str) -> dict[str, float]:
        return values(prometheus, recorded, column(panels, title, name))

    words = {state.value: state.text for state in STATES["eq"]}
    states = {name: words[int(value)] for name, value in at_the_end("State").items()}
    assert states == {"tutor": "REGRESSED", "companion": "all right", "marketing": "all right"}
    assert at_the_end("Change, points")["tutor"] < -2.0
    assert at_the_end("Upper 95 %")["tutor"] < 0.0
    assert at_the_end("Upper 95 %")["companion"] > 0.0
    verdict = prometheus.at(substituted(column(panels, title, "Verdict")), recorded.ends)
    upgrades = {v["metric"]["deployment"]: (v["metric"]["from_model"], v["metric"]["to_model"]) for v in verdict}
    assert upgrades == {"tutor": ("small-1", "small-2"), "companion": ("warm-1", "warm-2")}
    opened = next(event for event in recorded.events if event.kind == "incident_opened")
    shown_since = at_the_end("Open since")["tutor"] / 1000.0
    assert shown_since == pytest.approx(opened.at)
    assert at_the_end("Model changed")["tutor"] / 1000.0 < opened.at


def test_the_overview_says_so_on_a_good_day(panels: list[Any], prometheus: Prometheus, recorded: Recorded) -> None:
    """An hour before the upgrade nothing is red: no incident, no failed upgrade, no drop beyond noise."""
    before = recorded.begins + 3.0 * 3600.0
    for title, most in (("Regressed now", 0.0), ("Answers changed", 0.0)):
        expr = next(p.targets[0]["expr"] for p in panels if p.panel["title"] == title)
        (found,) = prometheus.at(substituted(expr), before)
        assert float(found["value"][1]) == most


def test_while_a_series_is_being_replaced_the_join_with_the_model_still_answers(
    panels: list[Any], prometheus: Prometheus, recorded: Recorded
) -> None:
    """Two models of one deployment within the look-back are one line, not an error of the whole panel."""
    expr = next(p.targets[0]["expr"] for p in panels if p.panel["title"] == "Score by model version")
    changed = next(event.at for event in recorded.events if event.kind == "upgrade_noticed")
    both = prometheus.over(substituted(expr), changed - 1800.0, changed + 3600.0, 60.0)
    assert {s["metric"]["model_version"] for s in both if s["metric"]["deployment"] == "tutor"} == {
        "small-1",
        "small-2",
    }


def test_the_preview_draws_a_dashboard(
    boards: list[dict[str, Any]], prometheus: Prometheus, recorded: Recorded, tmp_path: Path
) -> None:
    """The contact sheet is a picture, and the panels that it is made of are all there."""
    path = tmp_path / "overview.png"
    draw(boards[0], recorded, prometheus, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 50_000

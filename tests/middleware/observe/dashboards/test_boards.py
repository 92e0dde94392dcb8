"""What the dashboards are made of: names from the catalogue, words for no data, links, and files."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from middleware.cli.app import command_line
from middleware.errors import ConfigurationError
from middleware.metrics.catalogue import CATALOGUE
from middleware.observe.dashboards import BOARDS, STATES, dashboard_files
from middleware.observe.dashboards.queries import growth, of, quantile


def test_a_name_that_the_catalogue_does_not_know_is_refused() -> None:
    """A renamed metric breaks the build of the dashboards, not a panel at night."""
    with pytest.raises(KeyError):
        of("bench_points")
    with pytest.raises(ValueError, match="_bucket"):
        of("bench_item_loss_points")


def test_selectors_filter_by_the_labels_that_a_family_has() -> None:
    """job and instance always; deployment and model where there are such labels."""
    assert of("token_budget_limit") == 'eqwatch_token_budget_limit{job=~"$job", instance=~"$instance"}'
    assert 'deployment=~"$deployment", model_version=~"$model"' in of("target_info")
    assert growth("tokens_total", ("purpose",)) == (
        'sum by (purpose) (increase(eqwatch_tokens_total{job=~"$job", instance=~"$instance"}[$window]))'
    )
    assert quantile(0.99, "proxy_overhead_seconds").startswith("histogram_quantile(0.99, sum by (le) (rate(")


def test_every_metric_name_in_the_json_is_in_the_catalogue(boards: list[dict[str, Any]]) -> None:
    """In queries, variables and annotations alike."""
    known = {entry.full_name for entry in CATALOGUE}
    known |= {entry.full_name + part for entry in CATALOGUE if entry.type == "histogram" for part in PARTS}
    used = set(re.findall(r"\beqwatch_[a-z0-9_]+", " ".join(str(board) for board in boards)))
    assert used <= known
    assert len(used) > 50


PARTS = ("_bucket", "_sum", "_count")


def test_every_benchmark_and_probe_gauge_is_shown_somewhere(boards: list[dict[str, Any]]) -> None:
    """What is measured can be looked at."""
    text = " ".join(str(board) for board in boards)
    shown = {
        entry.name for entry in CATALOGUE if entry.group in ("benchmark", "probes") and f"{entry.full_name}" in text
    }
    measured = {entry.name for entry in CATALOGUE if entry.group in ("benchmark", "probes") and entry.type == "gauge"}
    assert measured - shown == set()


def test_every_panel_says_what_no_data_means_and_links_to_the_status_page(panels: list[Any]) -> None:
    """And to the runbook of the alert that it belongs to."""
    for shown in panels:
        assert shown.panel["fieldConfig"]["defaults"]["noValue"], str(shown)
        links = {link["title"]: link["url"] for link in shown.panel["links"]}
        assert links.pop("Status page") == "${status_page}"
        assert all(re.fullmatch(r"https://wiki\.example\.com/runbooks/EQ\w+\.md", url) for url in links.values())


def test_alerts_that_panels_name_are_those_of_the_product() -> None:
    """A runbook that is linked is about an alert that exists."""
    runbooks = Path(__file__).parents[4] / "docs" / "runbooks"
    named = {panel.alert for board in BOARDS for panel in board.panels if panel.alert}
    assert len(named) > 8
    if runbooks.exists():
        assert named <= {page.stem for page in runbooks.glob("EQ*.md")}


def test_without_an_address_of_the_runbooks_no_link_is_dead() -> None:
    """Panels then name the runbook in their description."""
    text = dashboard_files(status_url="http://127.0.0.1:8081")["eqwatch-overview.json"]
    assert "Runbook: EQRegression" not in text
    assert "docs/runbooks/EQRegression.md" in text


def test_states_are_told_in_words_and_colours(panels: list[Any]) -> None:
    """A state timeline never shows a bare number."""
    timelines = [shown for shown in panels if shown.panel["type"] == "state-timeline"]
    assert len(timelines) >= 4
    for shown in timelines:
        (mapping,) = shown.panel["fieldConfig"]["defaults"]["mappings"]
        assert all(option["text"] and option["color"] for option in mapping["options"].values())
    assert {state.text for state in STATES["verdict"]} >= {"pass", "undecided", "REGRESSED"}


def test_panels_lie_on_the_grid_without_overlap(boards: list[dict[str, Any]]) -> None:
    """No panel covers another, and none is wider than the page."""
    for board in boards:
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert max(x for x, _ in cells) < 24
            assert not cells & taken, panel["title"]
            taken |= cells


def test_the_command_writes_the_files_and_the_same_ones_each_time(tmp_path: Path) -> None:
    """One file for each dashboard, byte for byte the same."""
    for folder in ("first", "second"):
        done = CliRunner().invoke(command_line(), ["dashboards", "--out", str(tmp_path / folder)])
        assert done.exit_code == 0, done.output
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert set(first) == {f"{board.uid}.json" for board in BOARDS}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    monkeypatch.delitem(sys.modules, "middleware.observe.dashboards.grafana", raising=False)
    monkeypatch.setitem(sys.modules, "grafana_foundation_sdk.builders", None)
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[dashboards\]'"):
        dashboard_files(status_url="http://127.0.0.1:8081")


def test_a_table_begins_with_the_state_and_what_it_is_about(boards: list[dict[str, Any]]) -> None:
    """State and verdict, deployment, from which model to which, then the figures: in Grafana, too, not by chance."""
    panel = next(p for board in boards for p in board["panels"] if p["title"].startswith("Which deployment"))
    (organize,) = (t["options"] for t in panel["transformations"] if t["id"] == "organize")
    shown = sorted(organize["renameByName"], key=lambda name: organize["indexByName"][name])
    titles = [organize["renameByName"][name] for name in shown]
    assert titles[:6] == ["State", "Verdict", "Deployment", "Items", "From", "To"]
    assert titles.index("To") < titles.index("Change, points") < titles.index("Lower 95 %")


def test_a_graph_without_a_unit_says_what_its_numbers_are(panels: list[Any]) -> None:
    """Points, answers or intensities: no axis is of bare numbers."""
    for shown in panels:
        if shown.panel["type"] == "timeseries":
            defaults = shown.panel["fieldConfig"]["defaults"]
            assert defaults["unit"] not in {"none", "short"} or defaults["custom"].get("axisLabel"), str(shown)

"""The rules as a whole: accepted by Prometheus, made from the catalogue's names, settable within ranges."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from middleware.errors import ConfigurationError
from middleware.metrics import CATALOGUE
from middleware.observe import ALERTS, SETTINGS, alerts_page, operator_file, rules_file
from middleware.observe.dashboards import BOARDS, dashboard_files
from middleware.observe.promql import figure, held, metric, moment, select, summed
from middleware.observe.recordings import RECORDINGS
from middleware.observe.thresholds import seconds

ROOT = Path(__file__).resolve().parents[3]


def rules_in(text: str) -> list[dict[str, object]]:
    content = yaml.safe_load(text)
    groups = content["spec"]["groups"] if "spec" in content else content["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_promtool_accepts_the_rules_and_finds_nothing_to_improve(tmp_path: Path) -> None:
    """`promtool check rules` with all its lint is silent about what the command prints, with links and without."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    file = tmp_path / "rules.yml"
    for text in (rules_file(), rules_file(["grafana_base=https://g.example.com", "status_base=https://s.example.com"])):
        file.write_text(text, encoding="utf-8")
        command = [promtool, "check", "rules", "--lint=all", "--lint-fatal", str(file)]
        checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert f"{len(RECORDINGS) + len(ALERTS)} rules found" in checked.stdout


def test_the_operators_object_holds_the_same_rules() -> None:
    """A PrometheusRule wraps exactly what the rules file has."""
    wrapped = yaml.safe_load(operator_file(["regression_points=2"]))
    assert (wrapped["apiVersion"], wrapped["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert wrapped["spec"] == yaml.safe_load(rules_file(["regression_points=2"]))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_says_what_how_much_and_where_to_read_on(alert) -> None:
    """Severity, summary, figures in the description, a runbook, hysteresis; its labels come out of its expression."""
    rule = next(rule for rule in rules_in(rules_file()) if rule.get("alert") == alert.name)
    notes = rule["annotations"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert notes["runbook_url"] == f"docs/runbooks/{alert.name}.md"
    assert "{{ $labels." in notes["summary"]
    assert "{{ " in notes["description"]
    assert "@{" not in "".join(notes.values()) + rule["expr"]
    assert seconds(rule["keep_firing_for"]) > 0
    assert seconds(rule["for"]) > 0
    assert alert.carries
    assert alert.when.endswith(".")
    assert "`" in alert.floor or "interval" in alert.floor


def test_names_and_labels_are_the_catalogues() -> None:
    """Each metric of each expression and text is in the catalogue, or is recorded by these rules, or is `up`."""
    known = {"up"} | {rule.name for rule in RECORDINGS}
    for entry in CATALOGUE:
        parts = ("_bucket", "_sum", "_count") if entry.type == "histogram" else ("",)
        known |= {entry.full_name + part for part in parts}
    for rule in rules_in(rules_file()):
        promql_parser.parse(rule["expr"])
        text = " ".join([rule["expr"], *rule.get("annotations", {}).values()])
        found = set(re.findall(r"[a-z_]*:?eqwatch_[a-z0-9_]+(?::[a-z0-9_]+)?", text))
        assert found <= known
        assert found or "up{" in text


def test_recording_rules_are_named_by_level_metric_and_operation() -> None:
    """As in Prometheus' naming practices; and each one is read by an alert or meant for a dashboard."""
    assert len({rule.name for rule in RECORDINGS}) == len(RECORDINGS)
    for rule in RECORDINGS:
        assert re.fullmatch(r"[a-z_]+:eqwatch_[a-z_]+:[a-z0-9_]+", rule.name)
        assert any(rule.name in alert.expr for alert in ALERTS)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("regression_points", "write NAME=VALUE"),
        ("regresion_points=1", "there is no 'regresion_points'"),
        ("regression_points=-1", "write a number from 0 to 100"),
        ("regression_points=much", "write a number from 0 to 100"),
        ("regression_points=nan", "write a number from 0 to 100"),
        ("budget_ratio=10", "write a number from 0 to 1"),
        ("EQRegression.for=soon", "write a duration of at most 90d"),
        ("EQRegression.for=", "write a duration of at most 90d"),
        ("declared_within=400d", "write a duration of at most 90d"),
        ("job=a b", "write the name of a scrape job"),
        ("runbook_base={{ x }}", "write the URL or path under which it is"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(setting: str, complaint: str) -> None:
    """The error names the setting, its value and the fix."""
    with pytest.raises(ConfigurationError, match=re.escape(setting.partition("=")[0])) as error:
        rules_file([setting])
    assert complaint in str(error.value)


def test_the_same_setting_twice_is_refused() -> None:
    """Which one would hold is not guessed."""
    with pytest.raises(ConfigurationError, match="set twice"):
        rules_file(["budget_ratio=0.2", "budget_ratio=0.3"])


def test_settings_reach_the_rules() -> None:
    """Thresholds, durations, the job and the place of the runbooks; a duration is seconds where PromQL compares."""
    text = rules_file(
        [
            "regression_points=2.5",
            "EQRegression.for=10m",
            "EQRegression.keep_firing_for=2h",
            "job=sidecars",
            "declared_within=1h30m",
            "vanished_offset=2d",
            "runbook_base=https://wiki.example.com/eq/",
        ]
    )
    by_name = {rule["alert"]: rule for rule in rules_in(text) if "alert" in rule}
    regression = by_name["EQRegression"]
    assert "> -2.5" in regression["expr"]
    assert (regression["for"], regression["keep_firing_for"]) == ("10m", "2h")
    assert regression["annotations"]["runbook_url"] == "https://wiki.example.com/eq/EQRegression.md"
    assert by_name["EQSidecarAbsent"]["expr"] == 'up{job="sidecars"} == 0\nor absent(up{job="sidecars"})'
    assert "< 5400" in by_name["EQSilentModelChange"]["expr"]
    assert "offset 2d" in by_name["EQDeploymentVanished"]["expr"]
    assert "2d ago" in by_name["EQDeploymentVanished"]["annotations"]["description"]


def test_an_alert_leads_to_its_panel_and_to_the_status_page() -> None:
    """Where Grafana and the page are is said once; each alert opens the panel about it, for its deployment."""
    links = ["grafana_base=https://grafana.example.com/", "status_base=https://eqwatch.example.com"]
    text = rules_file(links)
    by_name = {rule["alert"]: rule["annotations"] for rule in rules_in(text) if "alert" in rule}
    boards = {board.uid: board for board in BOARDS}
    for alert in ALERTS:
        notes = by_name[alert.name]
        assert notes["status_url"] == "https://eqwatch.example.com/"
        found = re.fullmatch(r"https://grafana\.example\.com/d/([a-z-]+)\?(.*)", notes["dashboard_url"])
        assert found is not None
        asked = dict(part.split("=", 1) for part in found[2].split("&"))
        assert ("var-deployment" in asked) == ("deployment" in alert.carries)
        assert boards[found[1]].panels[int(asked["viewPanel"]) - 1].alert == alert.name
    assert by_name["EQRegression"]["dashboard_url"].endswith(
        "/d/eqwatch-overview?viewPanel=7&var-deployment={{ $labels.deployment | urlquery }}"
    )
    assert "dashboard_url" not in rules_file()


def test_the_number_in_the_link_is_the_panels_in_grafana() -> None:
    """Both count the panels of a dashboard alike."""
    for name, text in dashboard_files(status_url="http://127.0.0.1:8081").items():
        board = next(board for board in BOARDS if name == f"{board.uid}.json")
        shown = {panel["id"]: panel["title"] for panel in json.loads(text)["panels"] if panel["type"] != "row"}
        assert shown == {number: panel.title for number, panel in enumerate(board.panels, start=1)}


def test_every_setting_is_used_and_has_a_default_in_its_range() -> None:
    """Nothing can be set that changes nothing."""
    plain = rules_file()
    other = {"number": "0.9", "duration": "77m", "job": "another", "place": "elsewhere"}
    for setting in SETTINGS:
        assert setting.read(setting.default) == setting.default
        assert rules_file([f"{setting.name}={other[setting.kind]}"]) != plain, setting.name


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: metric("bench_scores"),
        lambda: metric("proxy_overhead_seconds"),
        lambda: metric("bench_score_points_sum"),
        lambda: select("bench_score_points", branch="use"),
        lambda: held("token_budget_limit"),
        lambda: summed("bench_items_total", "1d", ("emotion",)),
        lambda: figure("bench_scores"),
        lambda: moment("bench_score_points"),
    ],
)
def test_a_renamed_metric_or_label_breaks_the_rules_at_once(wrong) -> None:
    """A name that the catalogue does not have is an error where the rules are made, not an alert that never fires."""
    with pytest.raises((KeyError, ValueError)):
        wrong()


def test_the_page_in_the_tree_is_current() -> None:
    """docs/alerts.md is what the rules say today."""
    assert (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8") == alerts_page()

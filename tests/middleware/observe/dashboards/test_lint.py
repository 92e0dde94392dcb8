"""The rules of Grafana's public linter (github.com/grafana/dashboard-linter, docs/rules), applied to the JSON.

Exceptions are stated beside each rule.
"""

from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from grafana_foundation_sdk.models import units

from bench.dashboards.variables import EVERYTHING, substituted

# Heatmaps take buckets as they are; the share of strong emotions is one bucket over the count.
BUCKETS_WITHOUT_QUANTILE = {
    "Distribution of item losses",
    "Distribution of perceived intensities",
    "Strong emotions: $deployment",
}
# A range that no other range may equal, to tell $__rate_interval apart.
MARKED = {**EVERYTHING, "__rate_interval": "77m"}
MARK_SECONDS = 77 * 60
UNITS = {getattr(units, name) for name in dir(units) if isinstance(getattr(units, name), str)}


def walk(node: Any, parents: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node of an expression with those above it."""
    yield node, parents
    below = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for child in [*below, *getattr(node, "args", [])]:
        if child is not None and not isinstance(child, (str, float, int)):
            yield from walk(child, (*parents, node))


def nodes(panels: list[Any]) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    for shown in panels:
        for target in shown.targets:
            for node, parents in walk(promql_parser.parse(substituted(target["expr"], MARKED))):
                yield shown, node, parents


def test_template_datasource_rule(boards: list[dict[str, Any]]) -> None:
    """One data source variable, named and labelled as the linter wants it."""
    for board in boards:
        sources = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
        assert [(v["name"], v["label"], v["query"]) for v in sources] == [("datasource", "Data source", "prometheus")]


@pytest.mark.parametrize("name", ["job", "instance"])
def test_template_job_and_instance_rules(boards: list[dict[str, Any]], name: str) -> None:
    """Both are multi-select variables over the templated data source, with .+ for all."""
    for board in boards:
        (variable,) = [v for v in board["templating"]["list"] if v["name"] == name]
        assert variable["type"] == "query"
        assert variable["label"] == name.capitalize()
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["multi"]
        assert variable["allValue"] == ".+"


def test_template_label_promql_rule_and_reload(boards: list[dict[str, Any]]) -> None:
    """Variables are label_values over a valid selector, asked again when the time range changes."""
    for board in boards:
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                selector, _, label = variable["query"].removeprefix("label_values(").removesuffix(")").rpartition(",")
                promql_parser.parse(substituted(selector))
                assert label.strip().isidentifier()
                assert variable["refresh"] == 2


def test_panel_datasource_rule(panels: list[Any]) -> None:
    """Every panel and every query use the templated data source."""
    for shown in panels:
        for part in (shown.panel, *shown.targets):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, str(shown)


def test_panel_title_description_rule(panels: list[Any]) -> None:
    """Every panel has a title and says what it means, in whole sentences."""
    for shown in panels:
        assert shown.panel["title"]
        assert len(shown.panel["description"]) > 15, str(shown)
        assert shown.panel["description"].endswith("."), str(shown)


def test_panel_units_rule(panels: list[Any]) -> None:
    """Every unit is one that Grafana knows."""
    for shown in panels:
        assert shown.panel["fieldConfig"]["defaults"]["unit"] in UNITS, str(shown)


def test_panel_no_targets_rule(panels: list[Any]) -> None:
    """Every panel asks something, and each of its queries has a letter of its own."""
    for shown in panels:
        letters = [target["refId"] for target in shown.targets]
        assert letters
        assert len(set(letters)) == len(letters)


def test_target_rate_interval_rule(panels: list[Any]) -> None:
    """rate() only over $__rate_interval. What moves once an hour is counted with increase() over a window instead."""
    for shown, node, _ in nodes(panels):
        if isinstance(node, promql_parser.Call) and node.func.name in ("rate", "irate"):
            assert node.args[0].range.total_seconds() == MARK_SECONDS, str(shown)


def test_target_job_and_instance_rules(panels: list[Any]) -> None:
    """Every selector has both matchers."""
    for shown, node, _ in nodes(panels):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = {(m.name, m.value) for m in node.matchers.matchers if m.op == promql_parser.MatchOp.Re}
            assert {("job", ".+"), ("instance", ".+")} <= matchers, f"{shown}: {node}"


def test_target_counter_agg_rule(panels: list[Any]) -> None:
    """Every counter goes through rate() or increase()."""
    for shown, node, parents in nodes(panels):
        if isinstance(node, promql_parser.VectorSelector) and str(node.name).endswith(("_total", "_count", "_sum")):
            calls = [parent.func.name for parent in parents if isinstance(parent, promql_parser.Call)]
            assert {"rate", "irate", "increase"} & set(calls), f"{shown}: {node}"


def test_target_histogram_rule(panels: list[Any]) -> None:
    """Buckets go through histogram_quantile(), over sums that keep le; but for the exceptions above."""
    for shown, node, parents in nodes(panels):
        if not isinstance(node, promql_parser.VectorSelector) or not str(node.name).endswith("_bucket"):
            continue
        if shown.panel["title"] in BUCKETS_WITHOUT_QUANTILE:
            continue
        calls = [parent.func.name for parent in parents if isinstance(parent, promql_parser.Call)]
        assert "histogram_quantile" in calls, f"{shown}: {node}"
        sums = [parent for parent in parents if isinstance(parent, promql_parser.AggregateExpr)]
        assert all("le" in one.modifier.labels for one in sums)


def test_dashboards_can_not_be_edited_and_have_stable_addresses(boards: list[dict[str, Any]]) -> None:
    """The linter's uneditable rule: the code is the source. Links and bookmarks hold because uids are fixed."""
    assert [board["uid"] for board in boards] == [
        "eqwatch-overview",
        "eqwatch-upgrades",
        "eqwatch-emotions",
        "eqwatch-operations",
    ]
    assert not any(board["editable"] for board in boards)

"""Turns the records of a dashboard into Grafana's JSON, with the builders of grafana-foundation-sdk (an extra)."""

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from middleware.metrics.catalogue import family
from middleware.observe.dashboards.panels import STATES, Board, Panel, Step
from middleware.observe.dashboards.queries import Query, of

__all__ = ["rendered"]

TAG = "eqwatch"
_SOURCE = dashboard.DataSourceRef("prometheus", "${datasource}")
_WINDOWS = "1h,6h,1d,7d"
_DEFAULT_WINDOW = "1d"


def rendered(board: Board, *, status_url: str, runbooks_url: str | None) -> str:
    """The dashboard as JSON text. status_url: of the status page. runbooks_url: of docs/runbooks;
    None: their panels name them without a link."""
    made = (
        build.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .refresh("1m")
        .time(board.since, "now")
        .variables(_variables(board, status_url))
        .annotations(_annotations())
        .links(_links())
    )
    number = 0
    for row in board.rows:
        made = made.with_row(build.Row(row.title))
        for panel in row.panels:
            number += 1
            made = made.with_panel(_panel(panel, runbooks_url).id(number))
    return JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(made.build()) + "\n"


# -- around the panels


def _variables(board: Board, status_url: str) -> list[Any]:
    every: dict[str, Any] = {
        "model": _query("model", "Model", f"label_values({_targets()}, model_version)"),
        "window": build.IntervalVariable("window")
        .label("Window")
        .description("Over which counters that move with batches and probes are counted")
        .values(_WINDOWS)
        .current(dashboard.VariableOption(text=_DEFAULT_WINDOW, value=_DEFAULT_WINDOW, selected=True)),
    }
    return [
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _query("job", "Job", f"label_values({family('build_info').full_name}, job)"),
        _query("instance", "Instance", f'label_values({family("build_info").full_name}{{job=~"$job"}}, instance)'),
        _query("deployment", "Deployment", _deployments()),
        *(every[name] for name in board.variables),
        build.TextBoxVariable("status_page").label("Status page").default_value(status_url),
    ]


def _deployments() -> str:
    """Deployments that are measured, and those that only have traffic or probes."""
    known = ("bench_interval_seconds", "requests_total", "probe_conversations_total")
    names = "|".join(family(name).full_name for name in known)
    return f'label_values({{__name__=~"{names}", job=~"$job", instance=~"$instance"}}, deployment)'


def _targets() -> str:
    return f'{family("target_info").full_name}{{job=~"$job", instance=~"$instance", deployment=~"$deployment"}}'


def _query(name: str, label: str, query: str) -> Any:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(query)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .current(dashboard.VariableOption(text="All", value="$__all", selected=True))
    )


class _PrometheusAnnotation(dashboard.AnnotationQuery):
    """An annotation query with the fields that only Grafana's Prometheus data source knows."""

    def __init__(self, name: str, expr: str, color: str, title: str, text: str, *, value_is_time: bool) -> None:
        super().__init__(name=name, datasource=_SOURCE, icon_color=color, expr=expr)
        self._own: dict[str, object] = {"titleFormat": title, "textFormat": text, "step": "60s"}
        if value_is_time:
            self._own["useValueForTime"] = "on"

    def to_json(self) -> dict[str, object]:
        """All of it."""
        return super().to_json() | self._own


class _Ready:
    """A builder of something that is built."""

    def __init__(self, made: Any) -> None:
        self._made = made

    def build(self) -> Any:
        """It."""
        return self._made


def _annotations() -> list[Any]:
    upgrades = _PrometheusAnnotation(
        "Model changed",
        f"1000 * max by (deployment) ({of('target_changed_timestamp_seconds')})",
        "purple",
        "Model changed: {{deployment}}",
        "Another model or version answers since then; what is measured is compared with the one before.",
        value_is_time=True,
    )
    regressions = _PrometheusAnnotation(
        "EQ regression open",
        f"max by (deployment, item_set) ({of('bench_regression_active')}) == 1",
        "red",
        "EQ regression: {{deployment}}",
        "On {{item_set}}, as long as the mark reaches.",
        value_is_time=False,
    )
    declared = _PrometheusAnnotation(
        "Upgrade declared",
        f"1000 * max by (deployment) ({of('upgrade_declared_timestamp_seconds')})",
        "blue",
        "Upgrade declared: {{deployment}}",
        "Somebody said that the version changes, through the API or by the configuration.",
        value_is_time=True,
    )
    return [_Ready(upgrades), _Ready(regressions), _Ready(declared)]


def _links() -> list[Any]:
    others = (
        build.DashboardLink("eqwatch")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .tooltip("The other dashboards of eqwatch")
    )
    page = (
        build.DashboardLink("Status page")
        .type(dashboard.DashboardLinkType.LINK)
        .url("${status_page}")
        .target_blank(True)
        .tooltip("The sidecar's own page: items, answers, who acknowledged what")
    )
    return [others, page]


# -- panels


def _panel(panel: Panel, runbooks_url: str | None) -> Any:
    made = _KINDS[panel.kind](panel)
    made = (
        made.title(panel.title)
        .description(_described(panel))
        .datasource(_SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
        .no_value(panel.no_value)
        .links(_panel_links(panel, runbooks_url))
        .thresholds(_thresholds(panel.steps))
    )
    if panel.kind != "table":
        for query, reference in zip(panel.queries, _REFERENCES, strict=False):
            made = made.with_target(_target(panel, query).ref_id(reference))
    if panel.states:
        made = made.mappings([_mapping(panel.states)])
    if panel.decimals is not None:
        made = made.decimals(panel.decimals)
    if panel.least is not None:
        made = made.min(panel.least)
    if panel.most is not None:
        made = made.max(panel.most)
    if panel.repeat:
        made = made.repeat(panel.repeat).repeat_direction("h")
    return made


def _described(panel: Panel) -> str:
    return f"{panel.description} Runbook: docs/runbooks/{panel.alert}.md." if panel.alert else panel.description


def _panel_links(panel: Panel, runbooks_url: str | None) -> list[Any]:
    page = build.DashboardLink("Status page").type(dashboard.DashboardLinkType.LINK).url("${status_page}")
    found = [page.target_blank(True)]
    if panel.alert and runbooks_url is not None:
        runbook = build.DashboardLink(f"Runbook: {panel.alert}").type(dashboard.DashboardLinkType.LINK)
        found.append(runbook.url(f"{runbooks_url.rstrip('/')}/{panel.alert}.md").target_blank(True))
    return found


def _thresholds(steps: tuple[Step, ...]) -> Any:
    known = steps or (Step(None, "green"),)
    made = [dashboard.Threshold(value=step.value, color=step.color) for step in known]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(made)


def _mapping(states: str) -> Any:
    options = {
        str(state.value): dashboard.ValueMappingResult(text=state.text, color=state.color, index=index)
        for index, state in enumerate(STATES[states])
    }
    return dashboard.ValueMap(options)


def _target(panel: Panel, query: Query) -> Any:
    made = prometheus.Dataquery().expr(query.expr).datasource(_SOURCE).legend_format(query.legend)
    if panel.kind == "stat":
        return made.instant()
    if panel.kind == "table":
        return made.instant().format(PromQueryFormat.TABLE)
    if panel.kind == "heatmap":
        return made.range().format(PromQueryFormat.HEATMAP)
    return made.range()


def _stat(panel: Panel) -> Any:
    return (
        stat.Panel()
        .color_mode(common.BigValueColorMode.BACKGROUND if panel.steps else common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _timeseries(panel: Panel) -> Any:
    made = (
        timeseries.Panel()
        .line_width(2)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    )
    if panel.axis:
        made = made.axis_label(panel.axis)
    if panel.kind == "bars":
        made = made.draw_style(common.GraphDrawStyle.BARS).fill_opacity(60).line_width(0)
    if panel.stacked:
        made = made.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if panel.steps:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        made = made.thresholds_style(style)
    if panel.log:
        scale = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
        made = made.scale_distribution(scale)
    if panel.band:
        for bound in ("B", "C"):
            thin = {"custom.lineWidth": 1, "custom.lineStyle": {"fill": "dash", "dash": [4, 4]}}
            made = made.override_by_query(bound, [dashboard.DynamicConfigValue(k, v) for k, v in thin.items()])
    return made


def _legend() -> Any:
    shown = common_builders.VizLegendOptions().show_legend(True).calcs(["lastNotNull"])
    return shown.display_mode(common.LegendDisplayMode.TABLE).placement(common.LegendPlacement.BOTTOM)


def _timeline(_panel: Panel) -> Any:
    return (
        statetimeline.Panel()
        .merge_values(True)
        .show_value(common.VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(common_builders.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM))
    )


def _heatmap(panel: Panel) -> Any:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().scheme("Blues"))
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .cell_gap(1)
        .show_tooltip()
    )


def _table(panel: Panel) -> Any:
    """One line for each group: the queries' results are merged on their common labels, and columns are named."""
    made = table.Panel().cell_height(common.TableCellHeight.SM)
    names, hidden = {}, {"Time": True}
    for query, reference in zip(panel.queries, _REFERENCES, strict=False):
        made = made.with_target(_target(panel, query).ref_id(reference))
        column = f"Value #{reference}" if len(panel.queries) > 1 else "Value"
        names[column] = query.legend
        hidden |= {} if query.legend else {column: True}
        made = _column(made, query) if query.legend else made
    made = made.with_transformation(dashboard.DataTransformerConfig("merge", options={}))
    renamed = _LABELS | {k: v for k, v in names.items() if v}
    # What state it is in comes first, then what it is about, then the figures.
    states = [column for column, query in zip(names, panel.queries, strict=True) if query.states]
    ordered = [*states, *_LABELS, *(column for column in names if column not in states)]
    indices = {column: index for index, column in enumerate(ordered)}
    organized = {"excludeByName": hidden, "indexByName": indices, "renameByName": renamed}
    made = made.with_transformation(dashboard.DataTransformerConfig("organize", options=organized))
    if panel.order:
        made = made.sort_by([common_builders.TableSortByFieldState().display_name(panel.order).desc(True)])
    return made


def _column(made: Any, query: Query) -> Any:
    properties: dict[str, object] = {}
    if query.unit:
        properties["unit"] = query.unit
    if query.decimals is not None:
        properties["decimals"] = query.decimals
    if query.states:
        properties["mappings"] = [_mapping(query.states)]
        properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
    if not properties:
        return made
    return made.override_by_name(query.legend, [dashboard.DynamicConfigValue(k, v) for k, v in properties.items()])


_REFERENCES = "ABCDEFGHIJKLMNOP"
_LABELS = {
    "deployment": "Deployment",
    "item_set": "Items",
    "from_model": "From",
    "to_model": "To",
    "model_version": "Model",
    "instance": "Instance",
    "version": "Version",
    "python": "Python",
    "kind": "Kind",
}
_KINDS = {
    "stat": _stat,
    "table": _table,
    "timeseries": _timeseries,
    "bars": _timeseries,
    "state-timeline": _timeline,
    "heatmap": _heatmap,
}

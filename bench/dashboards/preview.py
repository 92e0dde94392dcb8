"""Draws every panel of a dashboard on the recorded day, as Grafana lays it out: one plain chart each, unit, thresholds.

It is no Grafana: it shows what a panel's queries give and what the words beside it say, so that people can judge both.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import dates
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from PIL import Image

from bench.dashboards.prometheus import Prometheus
from bench.dashboards.recording import Recorded
from bench.dashboards.tables import draw_table, moment, words
from bench.dashboards.variables import EVERYTHING, substituted

__all__ = ["draw"]

mpl.use("Agg")
_STEP_SECONDS = 150.0
_CELL_WIDTH, _CELL_HEIGHT = 0.72, 0.44
_LINES = ("#2456c9", "#d9730d", "#1a7f4b", "#8a3ffc", "#c0303b", "#0b7285", "#a16207", "#5b6472", "#db2777", "#4d7c0f")
_COLORS = {"red": "#c0303b", "orange": "#e8890c", "yellow": "#d4b106", "green": "#1a7f4b", "text": "#5b6472"}
_MARKS = {"purple": "#8a3ffc", "blue": "#2456c9"}
_UNITS = {"none": "", "short": "", "s": "s", "percentunit": "share", "reqps": "per s", "cps": "per s", "Bps": "B/s"}
_LEGEND_ROWS = 4
_LETTER_INCHES, _HANDLE_INCHES = 0.068, 0.42
_DARK_ON = ("orange", "yellow")
_MANY = 10_000.0


class _Board:
    def __init__(self, board: Mapping[str, Any], recorded: Recorded, prometheus: Prometheus) -> None:
        self.board, self.recorded, self.prometheus = board, recorded, prometheus
        self.deployments = sorted(
            series["metric"]["deployment"]
            for series in prometheus.at("group by (deployment) (eqwatch_bench_interval_seconds)", recorded.ends)
        )
        self.marks = self._marks()

    def _marks(self) -> list[tuple[float, str, str]]:
        found = []
        for annotation in self.board["annotations"]["list"]:
            if annotation.get("useValueForTime"):
                for mark in self.prometheus.at(substituted(annotation["expr"]), self.recorded.ends):
                    color = _MARKS.get(annotation["iconColor"], "#5b6472")
                    found.append((float(mark["value"][1]) / 1000.0, color, mark["metric"]["deployment"]))
        return found

    def panels(self) -> list[tuple[dict[str, Any], dict[str, str], tuple[float, float, float, float]]]:
        """Each panel with its variables and its place on the grid; repeated ones once for each deployment."""
        found = []
        for panel in self.board["panels"]:
            at = panel["gridPos"]
            if panel.get("repeat") == "deployment":
                width = at["w"] / len(self.deployments)
                for number, name in enumerate(self.deployments):
                    place = (at["x"] + number * width, at["y"], width, at["h"])
                    found.append((panel, {**EVERYTHING, "deployment": name}, place))
            else:
                found.append((panel, dict(EVERYTHING), (at["x"], at["y"], at["w"], at["h"])))
        return found


def draw(board: Mapping[str, Any], recorded: Recorded, prometheus: Prometheus, path: Path) -> None:
    """Write the dashboard's contact sheet as PNG."""
    whole = _Board(board, recorded, prometheus)
    panels = whole.panels()
    rows = max(y + h for _, _, (_, y, _, h) in panels)
    figure = Figure(figsize=(24 * _CELL_WIDTH, rows * _CELL_HEIGHT + 0.5), dpi=72, facecolor="#f4f5f7")
    top = rows * _CELL_HEIGHT / (rows * _CELL_HEIGHT + 0.5)
    figure.text(0.008, 0.997, board["title"], fontsize=17, weight="bold", va="top")
    figure.text(0.99, 0.996, "drawn from made-up data; not a picture of Grafana", fontsize=10, va="top", ha="right")
    for panel, values, place in panels:
        _place(figure, whole, panel, values, (place, rows, top))
    figure.savefig(path)
    with Image.open(path) as drawn:
        small = drawn.convert("RGB").quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def _place(figure: Figure, whole: _Board, panel: dict[str, Any], values: dict[str, str], where: Any) -> None:
    (x, y, w, h), rows, top = where
    if panel["type"] == "row":
        figure.text(0.008, top * (1 - (y + 0.75) / rows), panel["title"], fontsize=13, weight="bold", color="#2456c9")
        return
    left, bottom, width, height = x / 24, top * (1 - (y + h) / rows), w / 24, top * h / rows
    card = figure.add_axes((left + 0.003, bottom + 0.002, width - 0.006, height - 0.004))
    card.set(xticks=[], yticks=[], facecolor="white")
    for spine in card.spines.values():
        spine.set_color("#d5d9e0")
    title = substituted(panel["title"], values)
    head = 0.62 * top / rows
    card.text(
        0.006 / width, 1 - 0.4 * head / height, title, transform=card.transAxes, fontsize=11, weight="bold", va="top"
    )
    kind = panel["type"]
    if kind == "stat":
        _stat(card, whole, panel, values)
    elif kind == "table":
        draw_table(card, whole.prometheus, whole.recorded.ends, panel, values)
    else:
        legend = 0.34 if kind == "timeseries" else 0.14
        names = _LABEL_ROOM.get(kind, 0.042)
        inner = figure.add_axes(
            (left + names, bottom + legend * height, width - names - 0.012, height * (1 - legend) - 1.5 * head)
        )
        _DRAWN[kind](inner, whole, panel, values)


def _stat(card: Any, whole: _Board, panel: dict[str, Any], values: dict[str, str]) -> None:
    found = whole.prometheus.at(substituted(panel["targets"][0]["expr"], values), whole.recorded.ends)
    defaults = panel["fieldConfig"]["defaults"]
    value = float(found[0]["value"][1]) if found else math.nan
    text = words(value, defaults) if found else defaults["noValue"]
    color = _COLORS.get(_step(defaults, value), "#5b6472")
    card.set_facecolor(color + "22")
    card.text(
        0.5, 0.4, text, transform=card.transAxes, fontsize=24, weight="bold", color=color, ha="center", va="center"
    )


def _step(defaults: Mapping[str, Any], value: float) -> str:
    color = "text"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return str(color)


def _matrix(
    whole: _Board, target: Mapping[str, Any], values: dict[str, str]
) -> list[tuple[str, list[Any], list[float]]]:
    recorded = whole.recorded
    expr = substituted(target["expr"], values)
    found = []
    for series in whole.prometheus.over(expr, recorded.begins, recorded.ends, _STEP_SECONDS):
        name = target["legendFormat"]
        for label, value in series["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        at = [moment(float(when)) for when, _ in series["values"]]
        found.append((name, at, [float(value) for _, value in series["values"]]))
    return found


def _timeseries(axes: Any, whole: _Board, panel: dict[str, Any], values: dict[str, str]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    thin = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    drawn = [
        (target["refId"], *series) for target in panel["targets"] for series in _matrix(whole, target, values)
    ]  # fmt: skip
    scale = 1000.0 if defaults["unit"].startswith("dateTime") else 1.0
    if custom.get("drawStyle") == "bars" or custom.get("stacking", {}).get("mode") == "normal":
        _stacked(axes, whole, drawn)
    else:
        for number, (reference, name, at, numbers) in enumerate(drawn):
            style = {"linewidth": 0.8, "linestyle": "--"} if reference in thin else {"linewidth": 1.8}
            base = (
                number % (len(drawn) // len(panel["targets"]))
                if thin and len(drawn) >= len(panel["targets"])
                else number
            )
            axes.plot(at, [n / scale for n in numbers], color=_LINES[base % len(_LINES)], label=name, **style)
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None and step["color"] in _COLORS and "thresholdsStyle" in custom:
            axes.axhline(step["value"], color=_COLORS[step["color"]], linestyle=(0, (6, 3)), linewidth=1.2)
        elif step["value"] is not None and "thresholdsStyle" in custom:
            axes.axhline(step["value"], color=_COLORS["red"], linestyle=(0, (6, 3)), linewidth=1.2)
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(defaults.get("min", low), defaults.get("max", high) if defaults.get("min") is not None else high)
    axes.set_ylabel(custom.get("axisLabel") or _UNITS.get(defaults["unit"], defaults["unit"]), fontsize=9)
    if axes.get_ylim()[1] >= _MANY and axes.get_yscale() == "linear":
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    _times(axes, whole)
    handles, labels = axes.get_legend_handles_labels()
    inches = axes.get_position().width * axes.figure.get_figwidth()
    columns = max(1, int(inches / (_LETTER_INCHES * max(map(len, labels), default=1) + _HANDLE_INCHES)))
    most = columns * _LEGEND_ROWS
    axes.legend(
        handles[:most],
        labels[:most],
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.10),
        ncols=min(columns, 6),
        fontsize=8,
        frameon=False,
        columnspacing=1.0,
        handlelength=1.4,
    )


def _stacked(axes: Any, whole: _Board, drawn: list[Any]) -> None:
    recorded = whole.recorded
    count = int((recorded.ends - recorded.begins) / _STEP_SECONDS) + 1
    at = [moment(recorded.begins + number * _STEP_SECONDS) for number in range(count)]
    levels = []
    for _, _, when, numbers in drawn:
        known = dict(zip(when, numbers, strict=True))
        levels.append([0.0 if math.isnan(known.get(one, 0.0)) else known.get(one, 0.0) for one in at])
    axes.stackplot(at, *levels, labels=[name for _, name, _, _ in drawn], colors=_LINES, alpha=0.8)


def _timeline(axes: Any, whole: _Board, panel: dict[str, Any], values: dict[str, str]) -> None:
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    options = mapping["options"]
    series = sorted(_matrix(whole, panel["targets"][0], values), reverse=True)
    width = _STEP_SECONDS / 86_400.0
    for row, (_, at, numbers) in enumerate(series):
        for when, number in zip(at, numbers, strict=True):
            color = _COLORS.get(options[str(int(number))]["color"], "#5b6472")
            axes.barh(row, width, left=dates.date2num(when), height=0.8, color=color, linewidth=0)
        changes = [0, *(n for n in range(1, len(numbers)) if numbers[n] != numbers[n - 1])]
        for begin in changes:
            text = options[str(int(numbers[begin]))]["text"]
            end = next((n for n in changes if n > begin), len(numbers))
            if end - begin < len(text):  # a step is about as wide as a letter
                continue
            ink = "#16181d" if options[str(int(numbers[begin]))]["color"] in _DARK_ON else "white"
            axes.text(at[begin], row, f" {text}", fontsize=9, color=ink, va="center", clip_on=True)
    axes.set_yticks(range(len(series)), [name for name, _, _ in series], fontsize=8)
    axes.margins(y=0.02)
    _times(axes, whole)


def _heatmap(axes: Any, whole: _Board, panel: dict[str, Any], values: dict[str, str]) -> None:
    series = sorted(_matrix(whole, panel["targets"][0], values), key=lambda one: float(one[0]))
    bounds = [name for name, _, _ in series]
    columns = min(len(numbers) for _, _, numbers in series)
    cumulative = [numbers[-columns:] for _, _, numbers in series]
    cells = [
        [max(0.0, value - (cumulative[row - 1][column] if row else 0.0)) for column, value in enumerate(numbers)]
        for row, numbers in enumerate(cumulative)
    ]
    at = dates.date2num(series[0][1][-columns:])
    axes.imshow(cells, aspect="auto", origin="lower", cmap="Blues", extent=(at[0], at[-1], -0.5, len(bounds) - 0.5))
    axes.set_yticks(range(len(bounds)), [_bound(bound) for bound in bounds], fontsize=7)
    axes.set_ylabel("at most", fontsize=9)
    axes.xaxis_date()
    _times(axes, whole, limits=False, marks=False)


def _bound(name: str) -> str:
    return "more" if name == "+Inf" else f"{float(name):g}"


def _times(axes: Any, whole: _Board, *, limits: bool = True, marks: bool = True) -> None:
    if limits:
        axes.set_xlim(moment(whole.recorded.begins), moment(whole.recorded.ends))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M", tz=UTC))
    axes.tick_params(labelsize=8, color="#d5d9e0")
    axes.grid(visible=True, color="#eceef2", linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if marks:
        for when, color, _ in whole.marks:
            axes.axvline(datetime.fromtimestamp(when, UTC), color=color, linewidth=1.1, linestyle=":")


# Names of series stand beside a timeline, and numbers beside everything else.
_LABEL_ROOM = {"state-timeline": 0.125}
_DRAWN = {"timeseries": _timeseries, "state-timeline": _timeline, "heatmap": _heatmap}

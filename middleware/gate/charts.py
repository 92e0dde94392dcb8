"""Draws the charts of a gate's report as inline SVG with pygal, in the colours of the page: no script, no tooltip."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

from middleware.gate.changes import EmotionChange
from middleware.gate.report import GateReport
from scorer.comparison import Interval

__all__ = ["emotions_chart", "interval_chart", "items_chart"]

# pygal hangs a finder for its map plugins into every import of the process, in a form that Python has given up.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
ET.register_namespace("", "http://www.w3.org/2000/svg")

_SVG = "{http://www.w3.org/2000/svg}"
_TOOLTIPS = frozenset({"tooltip", "plot tooltip-overlay"})
_SERIES = re.compile(r"series serie-(\d+)")
_WIDTH = 860
_MINUS = "\N{MINUS SIGN}"
_FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'


def interval_chart(report: GateReport) -> str:
    """The difference with its interval at each look and for new dialogues, beside zero and the margin."""
    last = report.comparison
    rows = [(f"these items, pass {look.passes}", look.these_items) for look in report.looks]
    rows.append(("new dialogues", last.new_dialogues.interval))
    rows = [(name, found) for name, found in rows if math.isfinite(found.lower)]
    if not rows:
        return ""
    rows.reverse()
    low, high = _range([found for _, found in rows], report.rules.margin)
    chart = pygal.XY(
        **_common(("var(--margin)", "var(--zero)", "var(--interval)", "var(--accent)")),
        height=96 + 34 * len(rows),
        range=(0.4, len(rows) + 0.6),
        xrange=(low, high),
        x_value_formatter=_number,
        show_y_guides=False,
        show_x_guides=True,
        dots_size=5,
        allow_interruptions=True,
    )
    chart.y_labels = [{"label": name, "value": at} for at, (name, _) in enumerate(rows, start=1)]
    chart.x_labels = _levels(low, high)
    tall = (0.4, len(rows) + 0.6)
    chart.add("margin", [(-report.rules.margin, y) for y in tall], show_dots=False)
    chart.add("no difference", [(0.0, y) for y in tall], show_dots=False)
    bars: list[tuple[float, float] | None] = []
    for at, (_, found) in enumerate(rows, start=1):
        bars += [(found.lower, at), (found.upper, at), None]
    chart.add("interval", bars, show_dots=False)
    chart.add("difference", [(f.points, at) for at, (_, f) in enumerate(rows, 1)], stroke=False)
    title = "Difference between candidate and baseline with its interval, beside the margin"
    lines = ("stroke-width:2;stroke-dasharray:6,4", "stroke-width:1.5", "stroke-width:8;stroke-linecap:round")
    return _svg(chart, title, lines)


def items_chart(report: GateReport) -> str:
    """The change of every item, in order of size: how many moved, and how far."""
    changes = sorted(each.change for each in report.item_changes if each.change is not None)
    if not changes:
        return ""
    chart = pygal.StackedBar(
        **_common(("var(--loss)", "var(--gain)")) | {"spacing": 2},
        height=260,
        show_x_labels=False,
        show_x_guides=False,
        value_formatter=_number,
    )
    low, high = min(changes[0], 0.0), max(changes[-1], 0.0)
    chart.y_labels = _levels(low, high)
    lost = sum(1 for change in changes if change < 0)
    gained = sum(1 for change in changes if change > 0)
    chart.add(f"{lost} items lost", [min(0, change) for change in changes])
    chart.add(f"{gained} items gained", [max(0, change) for change in changes])
    return _svg(chart, "Change of every item in points, from the largest loss to the largest gain")


def emotions_chart(emotions: Sequence[EmotionChange]) -> str:
    """How far off both versions are for each of these emotions."""
    if not emotions:
        return ""
    rows = list(reversed(emotions))
    most = max(max(each.baseline_error, each.candidate_error) for each in rows)
    chart = pygal.HorizontalBar(
        **_common(("var(--before)", "var(--accent)")) | {"spacing": 6},
        height=84 + 34 * len(rows),
        value_formatter=_number,
        show_y_guides=False,
        range=(0, most),
    )
    chart.y_labels = _levels(0.0, most)
    chart.x_labels = [f"{each.emotion} ({each.items})" for each in rows]
    chart.add("baseline", [each.baseline_error for each in rows])
    chart.add("candidate", [each.candidate_error for each in rows])
    return _svg(chart, "Mean distance from the reference intensity, by emotion")


def _common(colors: tuple[str, ...]) -> dict[str, Any]:
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--quiet)",
        foreground_strong="var(--quiet)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        guide_stroke_dasharray="0",
        major_guide_stroke_dasharray="0",
        font_family=_FONT,
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=13,
        opacity="1",
        stroke_opacity="1",
        transition="0s",
        colors=colors,
        value_colors=("var(--ink)",) * len(colors),
    )
    return {
        "style": style,
        "width": _WIDTH,
        "js": [],
        "legend_at_bottom": True,
        "legend_at_bottom_columns": len(colors),
        "legend_box_size": 10,
        "truncate_legend": -1,
        "truncate_label": -1,
        "spacing": 8,
        "margin": 6,
        "margin_left": 12,
        "margin_right": 14,
        "print_values": False,
    }


def _svg(chart: Any, title: str, lines: Sequence[str] = ()) -> str:
    """The chart without pygal's scripts, tooltips and comments, with a title that screen readers find.

    lines: the style of each series' line; pygal's own rule for a series loses against its rule for what is reactive.
    """
    root = chart.render_tree()
    for series in root.iter():
        found = _SERIES.match(series.get("class", ""))
        style = lines[int(found[1])] if found and int(found[1]) < len(lines) else ""
        for line in series.iter() if style else ():
            if "line" in line.get("class", "").split():
                line.set("style", style)
    for parent in list(root.iter()):
        for child in list(parent):
            name = str(child.tag).removeprefix(_SVG)
            if not isinstance(child.tag, str) or name in {"script", "desc", "title"} or child.get("class") in _TOOLTIPS:
                parent.remove(child)
    label = ET.Element("title")
    label.text = title
    root.insert(0, label)
    root.set("role", "img")
    drawn: str = ET.tostring(root, encoding="unicode")
    return drawn


def _range(found: Sequence[Interval], margin: float) -> tuple[float, float]:
    values = [bound for each in found for bound in (each.lower, each.upper)]
    low, high = min(*values, -margin), max(*values, 0.0)
    room = 0.06 * (high - low)
    return low - room, high + room


def _levels(low: float, high: float) -> list[float]:
    """Round numbers between the two, at most nine."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
    step = next((step for step in steps if (high - low) / step <= 8), 500)
    return [round(step * n, 6) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _number(value: float) -> str:
    return f"{value:g}".replace("-", _MINUS)

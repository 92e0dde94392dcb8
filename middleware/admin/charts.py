"""Draws the charts of the status page as SVG with pygal: no script, and no text that the page does not say as well."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

from middleware.admin.view import BANDS, DeploymentEmotions, ScoreHistory

__all__ = ["EMOTIONS_WIDTH", "Size", "Theme", "emotions_chart", "emotions_height", "score_chart"]

EMOTIONS_WIDTH = 312

Theme = Literal["light", "dark"]
Size = Literal["wide", "narrow"]

# pygal hangs a finder for its map plugins into every import of the process, in a form that Python has given up.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_SVG = "{http://www.w3.org/2000/svg}"
_DAY_SECONDS = 86_400.0
_TOOLTIPS = frozenset({"tooltip", "plot tooltip-overlay"})
_MARKED = {
    "upgrade_declared": "upgrade",
    "upgrade_noticed": "upgrade",
    "incident_opened": "incident",
    "incident_closed": "recovery",
    "baseline_accepted": "new baseline",
}


@dataclass(frozen=True, slots=True)
class _Palette:
    text: str
    guide: str
    line: str
    interval: str
    baseline: str
    upgrade: str
    incident: str
    recovery: str
    bands: tuple[str, ...]


_PALETTES: dict[Theme, _Palette] = {
    "light": _Palette(
        text="#5b6472",
        guide="#e6e8ec",
        line="#2456c9",
        interval="#9db6ee",
        baseline="#7a8393",
        upgrade="#6f42c1",
        incident="#c0303b",
        recovery="#1a7f4b",
        bands=("#e4e9f2", "#b4c5ea", "#6f91dc", "#2456c9"),
    ),
    "dark": _Palette(
        text="#a2acba",
        guide="#2a313c",
        line="#7ea6ff",
        interval="#3d5794",
        baseline="#8b95a5",
        upgrade="#b79bf0",
        incident="#ff7b84",
        recovery="#56c98c",
        bands=("#2a3342", "#3b5390", "#5c82dd", "#a5c1ff"),
    ),
}


def score_chart(history: ScoreHistory, theme: Theme, size: Size) -> bytes:
    """Score of each run with its interval over items, the baseline, and upgrades and incidents as vertical lines."""
    palette = _PALETTES[theme]
    times = [_at(line.run.finished_at, line.run.started_at) for line in history.lines]
    low, high = _range(history)
    first, last = min(times), max(times)
    room = max((last - first) * 0.02, 1.0)
    series = _score_series(history, palette, times, (first - room, last + room), (low, high))
    chart = pygal.XY(
        **_common(palette, size, colors=tuple(color for _, _, color, _ in series)),
        height=280 if size == "wide" else 250,
        range=(low, high),
        xrange=(first - room, last + room),
        x_value_formatter=_tick_format(last - first),
        value_formatter=_number,
        dots_size=2.4 if size == "wide" else 1.5,
        allow_interruptions=True,
        show_x_guides=False,
        legend_at_bottom_columns=len(series) if size == "wide" else 2,
    )
    chart.x_labels = _ticks(first, last, 8 if size == "wide" else 4)
    chart.y_labels = _levels(low, high)
    for name, values, _, options in series:
        chart.add(name, values, **options)
    return _svg(chart, f"EQ score over time of {history.deployment} on {history.item_set}")


_Series = tuple[str, list[tuple[float, float] | None], str, dict[str, Any]]


def _score_series(
    history: ScoreHistory,
    palette: _Palette,
    times: Sequence[float],
    width: tuple[float, float],
    height: tuple[float, float],
) -> list[_Series]:
    bare = {"show_dots": False}
    found: list[_Series] = []
    bars: list[tuple[float, float] | None] = []
    for at, line in zip(times, history.lines, strict=True):
        if line.lower is not None and line.upper is not None:
            bars += [(at, line.lower), (at, line.upper), None]
    if bars:
        found.append(("95% interval", bars, palette.interval, bare | {"stroke_style": {"width": 2}}))
    if history.baseline_points is not None:
        flat: list[tuple[float, float] | None] = [(x, history.baseline_points) for x in width]
        dashed = {"width": 1.5, "dasharray": "6,4"}
        found.append(("Baseline", flat, palette.baseline, bare | {"stroke_style": dashed}))
    marks: dict[str, list[tuple[float, float] | None]] = {}
    for event in history.events:
        if (kind := _MARKED.get(event.kind)) and width[0] <= event.at <= width[1]:
            marks.setdefault(kind, []).extend([(event.at, height[0]), (event.at, height[1]), None])
    colors = {"upgrade": palette.upgrade, "incident": palette.incident, "recovery": palette.recovery}
    for kind, lines in marks.items():
        options = bare | {"stroke_style": {"width": 1.5, "dasharray": "2,3"}}
        found.append((kind.capitalize(), lines, colors.get(kind, palette.baseline), options))
    scores: list[tuple[float, float] | None] = [
        (at, line.score) for at, line in zip(times, history.lines, strict=True) if line.score is not None
    ]
    found.append(("Score", scores, palette.line, {"stroke_style": {"width": 1.25}}))
    return found


def emotions_chart(found: DeploymentEmotions, theme: Theme) -> bytes:
    """Share of judged turns by band of intensity, one bar for each emotion. The page has the key to the colours."""
    palette = _PALETTES[theme]
    rows = list(reversed(found.emotions))
    chart = pygal.HorizontalStackedBar(
        **_common(palette, "narrow", colors=palette.bands)
        | {"width": EMOTIONS_WIDTH, "height": emotions_height(len(rows)), "show_legend": False, "spacing": 5},
        range=(0, 100),
        value_formatter=lambda share: f"{share:.0f}%",
        show_x_guides=False,
        show_y_guides=False,
    )
    chart.x_labels = [row.emotion for row in rows]
    chart.y_labels = [0, 50, 100]
    for index, (name, _) in enumerate(BANDS):
        chart.add(name, [100 * row.shares[index] for row in rows])
    return _svg(chart, f"Emotions of users of {found.info.name}, shares of judged turns by intensity")


def emotions_height(rows: int) -> int:
    """Height of the chart in pixels."""
    return 34 + 27 * rows


def _common(palette: _Palette, size: Size, *, colors: Sequence[str]) -> dict[str, Any]:
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground=palette.text,
        foreground_strong=palette.text,
        foreground_subtle=palette.guide,
        guide_stroke_color=palette.guide,
        major_guide_stroke_color=palette.guide,
        guide_stroke_dasharray="0",
        major_guide_stroke_dasharray="0",
        font_family=_FONT,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
        opacity="1",
        stroke_opacity="1",
        stroke_width="2",
        transition="0s",
        colors=tuple(colors),
    )
    return {
        "style": style,
        "width": 860 if size == "wide" else 360,
        "js": [],
        "explicit_size": True,
        "legend_at_bottom": True,
        "legend_box_size": 10,
        "truncate_legend": -1,
        "truncate_label": -1,
        "spacing": 8,
        "margin": 4,
        "margin_right": 12,
        "margin_top": 10,
        "print_values": False,
    }


def _svg(chart: Any, title: str) -> bytes:
    """The chart without pygal's scripts and tooltips, with a title that screen readers find."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            name = str(child.tag).removeprefix(_SVG)
            if name in {"script", "desc", "title"} or child.get("class") in _TOOLTIPS:
                parent.remove(child)
    label = ET.Element("title")
    label.text = title
    root.insert(0, label)
    root.set("role", "img")
    drawn: bytes = ET.tostring(root, encoding="utf-8")
    return drawn


def _at(finished: float | None, started: float) -> float:
    return finished if finished is not None else started


def _range(history: ScoreHistory) -> tuple[float, float]:
    """Bounds that hold all intervals, on multiples of 5 points and at least 20 points apart."""
    values = [value for line in history.lines for value in (line.score, line.lower, line.upper) if value is not None]
    if history.baseline_points is not None:
        values.append(history.baseline_points)
    low, high = math.floor(min(values) / 5) * 5.0, math.ceil(max(values) / 5) * 5.0
    while high - low < 20:
        low, high = low - 5, min(high + 5, 100.0) if high < 100 else high
    return low, high


def _levels(low: float, high: float) -> list[float]:
    step = next(step for step in (5, 10, 20, 50, 100, 1000) if (high - low) / step <= 6)
    first = math.ceil(low / step) * step
    return [float(level) for level in range(int(first), int(high) + 1, step)]


def _ticks(first: float, last: float, most: int) -> list[float]:
    """Round moments in UTC between the two, at most so many."""
    steps = (
        10,
        30,
        60,
        300,
        900,
        3600,
        3 * 3600,
        6 * 3600,
        12 * 3600,
        *(days * _DAY_SECONDS for days in (1, 2, 4, 7, 14)),
    )
    span = max(last - first, 1.0)
    step = next((step for step in steps if span / step <= most), math.ceil(span / most / _DAY_SECONDS) * _DAY_SECONDS)
    start = math.ceil(first / step) * step
    return [start + index * step for index in range(int((last - start) // step) + 1)] or [last]


def _tick_format(span: float) -> Callable[[float], str]:
    if span <= _DAY_SECONDS:
        clock = "%H:%M" if span >= 600 else "%H:%M:%S"
        return lambda at: datetime.fromtimestamp(at, UTC).strftime(clock)
    form = "%d %b" if span > 3 * _DAY_SECONDS else "%d %b %H:%M"
    return lambda at: datetime.fromtimestamp(at, UTC).strftime(form).removeprefix("0")


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")

"""Draws the charts of the status page as SVG with pygal: no script, and no text that the page does not say as well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pygal

from middleware.admin.changes import Changes
from middleware.admin.drawing import (
    PALETTES,
    Drawing,
    Palette,
    Size,
    Theme,
    common,
    finished,
    level_ticks,
    number,
    tick_format,
    time_ticks,
)
from middleware.admin.feelings import BANDS, DeploymentEmotions, EmotionShares
from middleware.admin.history import ScoreHistory
from middleware.admin.item_view import Asked

__all__ = [
    "DAYS_HEIGHT",
    "EMOTIONS_WIDTH",
    "branches_chart",
    "branches_height",
    "days_chart",
    "emotions_chart",
    "emotions_height",
    "item_chart",
    "score_chart",
]

EMOTIONS_WIDTH = 312
DAYS_HEIGHT = 104

_MARKED = {
    "upgrade_declared": "Upgrade",
    "upgrade_noticed": "Upgrade",
    "upgrade_withdrawn": "Version before",
    "incident_opened": "Incident",
    "incident_closed": "Recovery",
    "baseline_accepted": "Baseline",
}


def score_chart(history: ScoreHistory, theme: Theme, size: Size) -> Drawing:
    """The level with its interval as a band, each batch as a dot, the baseline, and what happened as marked lines."""
    palette = PALETTES[theme]
    low, high = _range(history)
    first, last = history.lines[0].at, history.lines[-1].at
    room = max((last - first) * 0.02, 1.0)
    width = (first - room, last + room)
    series = [
        *_interval_bands(history, palette),
        *_baseline(history, palette, width),
        *_marks(history, palette, width, (low, high)),
        *_scores(history, palette, size),
    ]
    titled = sum(one.name is not None for one in series)
    chart = pygal.XY(
        **common(palette, size, colors=tuple(one.color for one in series)),
        height=300 if size == "wide" else 270,
        range=(low, high),
        xrange=width,
        x_value_formatter=tick_format(last - first),
        value_formatter=number,
        allow_interruptions=True,
        show_x_guides=False,
        print_labels=True,
        legend_at_bottom_columns=titled if size == "wide" else 2,
    )
    chart.x_labels = time_ticks(first, last, 8 if size == "wide" else 4)
    chart.y_labels = level_ticks(low, high)
    for one in series:
        chart.add(one.name, one.values, **one.options)
    title = f"EQ score over time of {history.deployment} on {history.item_set}"
    versions = len({point.segment for point in history.levels})
    return finished(chart, title, palette, filled=versions, times=(first, last))


@dataclass(frozen=True, slots=True)
class _Series:
    """name None: not in the legend."""

    name: str | None
    values: list[Any]
    color: str
    options: dict[str, Any]


def _interval_bands(history: ScoreHistory, palette: Palette) -> list[_Series]:
    """One polygon for each version, there along the lower ends and back along the upper ones."""
    found: list[_Series] = []
    for segment in dict.fromkeys(point.segment for point in history.levels):
        points = [point for point in history.levels if point.segment == segment]
        around = [(point.at, point.lower) for point in points] + [(point.at, point.upper) for point in reversed(points)]
        options = {"fill": True, "show_dots": False}
        found.append(_Series(None if found else "95% interval", around, palette.band, options))
    return found


def _baseline(history: ScoreHistory, palette: Palette, width: tuple[float, float]) -> list[_Series]:
    if history.baseline_points is None:
        return []
    flat = [(x, history.baseline_points) for x in width]
    options = {"show_dots": False, "stroke_style": {"width": 1.5, "dasharray": "6,4"}}
    return [_Series("Baseline", flat, palette.baseline, options)]


def _marks(
    history: ScoreHistory, palette: Palette, width: tuple[float, float], height: tuple[float, float]
) -> list[_Series]:
    """A vertical line for each event, with its name beside its top; two that meet share the height."""
    colors = {"Upgrade": palette.upgrade, "Incident": palette.incident, "Recovery": palette.recovery}
    found: list[_Series] = []
    told = -math.inf
    row = 0
    for event in sorted(history.events, key=lambda event: event.at):
        name = _MARKED.get(event.kind)
        if name is None or not width[0] <= event.at <= width[1]:
            continue
        row = row + 1 if event.at - told < 0.14 * (width[1] - width[0]) else 0
        told = event.at
        top = height[1] - (0.035 + 0.07 * row) * (height[1] - height[0])
        values = [(event.at, height[0]), {"value": (event.at, top), "label": name}, (event.at, height[1])]
        options = {"show_dots": True, "dots_size": 0, "stroke_style": {"width": 1.5, "dasharray": "2,3"}}
        found.append(_Series(None, values, colors.get(name, palette.baseline), options))
    return found


def _scores(history: ScoreHistory, palette: Palette, size: Size) -> list[_Series]:
    dots = [(line.at, line.score) for line in history.lines if line.score is not None]
    dot_size = 2.2 if size == "wide" else 1.4
    found = [_Series("One batch", dots, palette.batch, {"stroke": False, "dots_size": dot_size})]
    level: list[Any] = []
    for before, point in zip((None, *history.levels), history.levels, strict=False):
        if before is not None and point.segment != before.segment:
            level.append(None)
        level.append((point.at, point.points))
    if level:
        found.append(_Series("Level", level, palette.line, {"show_dots": False, "stroke_style": {"width": 2.25}}))
    return found


def item_chart(asked: Asked, item_id: str, theme: Theme) -> Drawing:
    """Points of every answer to one item, the baseline's mean, and changes of version."""
    palette = PALETTES[theme]
    dots = [(one.at, one.points) for one in reversed(asked.history) if one.points is not None]
    values = [points for _, points in dots] + ([asked.baseline_points] if asked.baseline_points is not None else [])
    low, high = math.floor(min(values) / 20) * 20.0, max(100.0, math.ceil(max(values) / 20) * 20.0)
    room = max((dots[-1][0] - dots[0][0]) * 0.03, 1.0)
    width = (dots[0][0] - room, dots[-1][0] + room)
    series: list[_Series] = []
    if asked.baseline_points is not None:
        flat = [(x, asked.baseline_points) for x in width]
        options = {"show_dots": False, "stroke_style": {"width": 1.5, "dasharray": "6,4"}}
        series.append(_Series("Baseline", flat, palette.baseline, options))
    for place, at in enumerate(at for at in asked.changes if width[0] <= at <= width[1]):
        options = {"show_dots": False, "stroke_style": {"width": 1.5, "dasharray": "2,3"}}
        series.append(_Series(None if place else "Upgrade", [(at, low), (at, high)], palette.upgrade, options))
    series.append(_Series("One answer", dots, palette.line, {"stroke": False, "dots_size": 2.6}))
    chart = pygal.XY(
        **common(palette, "narrow", colors=tuple(one.color for one in series))
        | {"width": 400, "height": 200, "legend_at_bottom_columns": 3},
        range=(low, high),
        xrange=width,
        x_value_formatter=tick_format(dots[-1][0] - dots[0][0]),
        value_formatter=number,
        show_x_guides=False,
    )
    chart.x_labels = time_ticks(dots[0][0], dots[-1][0], 4)
    chart.y_labels = level_ticks(low, high)
    for one in series:
        chart.add(one.name, one.values, **one.options)
    return finished(chart, f"Points of every answer of {asked.deployment} to {item_id}", palette)


def emotions_chart(found: DeploymentEmotions, theme: Theme) -> Drawing:
    """Share of judged turns by band of intensity, one bar for each emotion. The page has the key to the colours."""
    palette = PALETTES[theme]
    rows = list(reversed(found.emotions))
    chart = pygal.HorizontalStackedBar(
        **common(palette, "narrow", colors=palette.bands)
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
    return finished(chart, f"Emotions of users of {found.info.name}, shares of judged turns by intensity", palette)


def days_chart(deployment: str, found: EmotionShares, theme: Theme) -> Drawing:
    """The same shares of one emotion, one column for each day."""
    palette = PALETTES[theme]
    chart = pygal.StackedBar(
        **common(palette, "narrow", colors=palette.bands)
        | {
            "width": EMOTIONS_WIDTH,
            "height": DAYS_HEIGHT,
            "show_legend": False,
            "spacing": 2,
            "margin_top": 6,
            "margin_left": 10,
        },
        range=(0, 100),
        value_formatter=lambda share: f"{share:.0f}%",
        show_y_guides=False,
        x_labels_major_every=max(1, math.ceil(len(found.days) / 4)),
        show_minor_x_labels=False,
    )
    chart.x_labels = [datetime.fromtimestamp(day.at, UTC).strftime("%d %b").removeprefix("0") for day in found.days]
    chart.y_labels = [0, 100]
    for index, (name, _) in enumerate(BANDS):
        chart.add(name, [100 * day.shares[index] for day in found.days])
    return finished(
        chart, f"{found.emotion} of users of {deployment} by day, shares of judged turns by intensity", palette
    )


def branches_chart(changes: Changes, theme: Theme) -> Drawing:
    """Score of each branch of emotional intelligence, in the baseline and now."""
    palette = PALETTES[theme]
    rows = list(reversed(changes.branches))
    lowest = min(min(row.before, row.now) for row in rows)
    chart = pygal.HorizontalBar(
        **common(palette, "narrow", colors=(palette.line, palette.baseline))
        | {"width": EMOTIONS_WIDTH, "height": branches_height(len(rows)), "legend_at_bottom_columns": 2},
        range=(min(0.0, lowest), 100),
        value_formatter=number,
        show_x_guides=False,
        show_y_guides=False,
    )
    chart.x_labels = [row.branch.capitalize() for row in rows]
    chart.y_labels = [0, 50, 100]
    chart.add("Now", [row.now for row in rows])
    chart.add("Baseline", [row.before for row in rows])
    return finished(chart, "Score by branch of emotional intelligence, baseline and now", palette)


def branches_height(rows: int) -> int:
    """Height of the chart in pixels."""
    return 62 + 34 * rows


def emotions_height(rows: int) -> int:
    """Height of the chart in pixels."""
    return 34 + 27 * rows


def _range(history: ScoreHistory) -> tuple[float, float]:
    """Bounds that hold all intervals, on multiples of 5 points and at least 20 points apart."""
    values = [line.score for line in history.lines if line.score is not None]
    values += [value for point in history.levels for value in (point.lower, point.upper)]
    if history.baseline_points is not None:
        values.append(history.baseline_points)
    low, high = math.floor(min(values) / 5) * 5.0, math.ceil(max(values) / 5) * 5.0
    while high - low < 20:
        low, high = low - 5, min(high + 5, 100.0) if high < 100 else high
    return low, high

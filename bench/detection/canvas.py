"""Draws lines and dots as a plain SVG with pygal, on a white ground, so that it reads on light and dark pages."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

__all__ = ["Line", "drawing"]

# pygal hangs a finder for its map plugins into every import of the process, in a form that Python has given up.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
ET.register_namespace("", "http://www.w3.org/2000/svg")

_COLOURS = {
    "accent": "#2456c9",
    "second": "#b3591a",
    "third": "#1a7f4b",
    "alarm": "#c0303b",
    "ink": "#1d2430",
    "quiet": "#7a8393",
}
_SERIES = re.compile(r"series serie-(\d+)")
_SVG = "{http://www.w3.org/2000/svg}"
_TOOLTIPS = frozenset({"tooltip", "plot tooltip-overlay"})


@dataclass(frozen=True, slots=True)
class Line:
    """One series: points (None interrupts), a colour by name; width 0 draws no line, dots draws its points."""

    name: str
    points: Sequence[tuple[float, float] | None]
    colour: str
    dots: bool = False
    width: float = 1.5
    dash: str = ""


def drawing(
    lines: Sequence[Line],
    *,
    title: str,
    x: str,
    y: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    x_labels: Mapping[float, str] | None = None,
) -> str:
    """The SVG, without scripts and tooltips, with its title as text that screen readers find."""
    colours = tuple(_COLOURS[line.colour] for line in lines)
    style = Style(
        background="#ffffff",
        plot_background="#ffffff",
        foreground="#3c4453",
        foreground_strong="#1d2430",
        foreground_subtle="#e6e8ec",
        guide_stroke_color="#e6e8ec",
        major_guide_stroke_color="#e6e8ec",
        guide_stroke_dasharray="0",
        major_guide_stroke_dasharray="0",
        font_family="ui-sans-serif, system-ui, sans-serif",
        title_font_size=15,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=13,
        opacity="1",
        stroke_opacity="1",
        transition="0s",
        colors=colours,
    )
    chart = pygal.XY(
        style=style,
        js=[],
        width=860,
        height=400,
        title=title,
        x_title=x,
        y_title=y,
        range=y_range,
        xrange=x_range,
        legend_at_bottom=True,
        legend_at_bottom_columns=sum(bool(line.name) for line in lines),
        legend_box_size=10,
        truncate_legend=-1,
        dots_size=2.5,
        show_x_guides=False,
        allow_interruptions=True,
        margin=12,
        value_formatter=lambda value: f"{value:g}",
        x_value_formatter=lambda value: f"{value:g}",
    )
    if x_labels is not None:
        chart.x_labels = [{"label": label, "value": value} for value, label in x_labels.items()]
    for line in lines:
        chart.add(line.name or None, list(line.points), stroke=line.width > 0, show_dots=line.dots)
    return _plain(chart.render_tree(), title, lines)


def _plain(root: ET.Element, title: str, lines: Sequence[Line]) -> str:
    """pygal's own rule for the style of a series loses against its rule for what is reactive: it is set in place."""
    for series in root.iter():
        if found := _SERIES.match(series.get("class", "")):
            line = lines[int(found[1])]
            dash = f";stroke-dasharray:{line.dash}" if line.dash else ""
            for path in series.iter():
                if "line" in path.get("class", "").split():
                    path.set("style", f"stroke-width:{line.width:g}{dash}")
    for parent in list(root.iter()):
        for child in list(parent):
            name = str(child.tag).removeprefix(_SVG)
            if not isinstance(child.tag, str) or name in {"script", "desc", "title"} or child.get("class") in _TOOLTIPS:
                parent.remove(child)
    label = ET.Element("title")
    label.text = title
    root.insert(0, label)
    root.set("role", "img")
    return ET.tostring(root, encoding="unicode") + "\n"

"""What all charts share: colours, pygal's options, ticks, and the finished SVG that a strict policy lets through.

pygal writes inline styles and scripts. The finished picture has neither: styles become classes of its one style sheet,
whose digest the answer's policy names.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from xml.etree import ElementTree as ET

import pygal
from pygal.style import Style

__all__ = [
    "PALETTES",
    "Drawing",
    "Palette",
    "Size",
    "Theme",
    "common",
    "finished",
    "level_ticks",
    "number",
    "tick_format",
    "time_ticks",
]

Theme = Literal["light", "dark"]
Size = Literal["wide", "narrow"]

# pygal hangs a finder for its map plugins into every import of the process, in a form that Python has given up.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_SVG = "{http://www.w3.org/2000/svg}"
_SHIFT = re.compile(r"translate\(([\d.]+)")
_DAY_SECONDS = 86_400.0
_DROPPED = frozenset({"script", "desc", "title"})
_TOOLTIPS = frozenset({"tooltip", "plot tooltip-overlay"})


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished picture. style_source: its style sheet as a source of a Content-Security-Policy."""

    svg: bytes
    style_source: str


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they stand for; bands: from absent to high."""

    text: str
    guide: str
    line: str
    band: str
    batch: str
    baseline: str
    upgrade: str
    incident: str
    recovery: str
    bands: tuple[str, ...]


PALETTES: dict[Theme, Palette] = {
    "light": Palette(
        text="#5b6472",
        guide="#e6e8ec",
        line="#2456c9",
        band="#d3dffa",
        batch="#9aa9c6",
        baseline="#7a8393",
        upgrade="#6f42c1",
        incident="#c0303b",
        recovery="#1a7f4b",
        bands=("#e4e9f2", "#b4c5ea", "#6f91dc", "#2456c9"),
    ),
    "dark": Palette(
        text="#a2acba",
        guide="#2a313c",
        line="#7ea6ff",
        band="#24365f",
        batch="#6d7c96",
        baseline="#8b95a5",
        upgrade="#b79bf0",
        incident="#ff7b84",
        recovery="#56c98c",
        bands=("#2a3342", "#3b5390", "#5c82dd", "#a5c1ff"),
    ),
}


def common(palette: Palette, size: Size, *, colors: Sequence[str]) -> dict[str, Any]:
    """Options of pygal that every chart has."""
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


def finished(
    chart: Any, title: str, palette: Palette, *, filled: int = 0, times: tuple[float, float] | None = None
) -> Drawing:
    """The chart without scripts, tooltips and inline styles, with a title that screen readers find.

    filled: so many series at the beginning are areas without an outline. times: of the first and the last dot; the
    picture then says which pixels are which seconds, for a script that tells the figures under a pointer.
    """
    root = chart.render_tree()
    # pygal leaves the labels of marks black.
    sheet = [f".label{{fill:{palette.text} !important;font-size:12px !important}}"]
    sheet += [f".serie-{number} .line{{stroke:none !important}}" for number in range(filled)]
    classes: dict[str, str] = {}
    for parent in list(root.iter()):
        for child in list(parent):
            name = str(child.tag).removeprefix(_SVG)
            if name == "style":
                sheet.append(child.text or "")
            if name in _DROPPED or name == "style" or child.get("class") in _TOOLTIPS:
                parent.remove(child)
    for element in root.iter():
        if style := element.attrib.pop("style", ""):
            named = classes.setdefault(style, f"s{len(classes)}")
            element.set("class", f"{element.get('class', '')} {named}".strip())
    sheet += [f".{name}{{{_important(style)}}}" for style, name in classes.items()]
    label, styles = ET.Element("title"), ET.Element("style")
    label.text, styles.text = title, "\n".join(sheet)
    root.insert(0, label)
    root.insert(1, styles)
    root.set("role", "img")
    if times is not None:
        root.set("data-time", _time_axis(root, times))
    digest = base64.b64encode(hashlib.sha256(styles.text.encode()).digest()).decode()
    return Drawing(ET.tostring(root, encoding="utf-8"), f"'sha256-{digest}'")


def _time_axis(root: Any, times: tuple[float, float]) -> str:
    """Seconds of the first and the last dot, and their pixels."""
    left = next(
        float(found[1])
        for element in root.iter()
        if "plot" in element.get("class", "").split() and (found := _SHIFT.match(element.get("transform", "")))
    )
    dots = [float(one.get("cx")) for one in root.iter() if one.get("cx") and float(one.get("r", 0)) > 0]
    return f"{times[0]} {times[1]} {left + min(dots):.1f} {left + max(dots):.1f}"


def _important(style: str) -> str:
    """An inline style outranks the sheet; as a class it has to say so."""
    return ";".join(f"{one.strip()} !important" for one in style.split(";") if one.strip())


def level_ticks(low: float, high: float) -> list[float]:
    """Round values within the two, about six."""
    step = next(step for step in (5, 10, 20, 50, 100, 1000) if (high - low) / step <= 6)
    first = math.ceil(low / step) * step
    return [float(level) for level in range(int(first), int(high) + 1, step)]


def time_ticks(first: float, last: float, most: int) -> list[float]:
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


def tick_format(span: float) -> Callable[[float], str]:
    """How moments are written on an axis of so many seconds."""
    if span <= _DAY_SECONDS:
        clock = "%H:%M" if span >= 600 else "%H:%M:%S"
        return lambda at: datetime.fromtimestamp(at, UTC).strftime(clock)
    form = "%d %b" if span > 3 * _DAY_SECONDS else "%d %b %H:%M"
    return lambda at: datetime.fromtimestamp(at, UTC).strftime(form).removeprefix("0")


def number(value: float) -> str:
    """With a real minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")

"""Tables of the preview: merged on common labels, columns named and formatted, as the panel's JSON says."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.dashboards.prometheus import Prometheus
from bench.dashboards.variables import substituted

__all__ = ["draw_table", "moment", "words"]

_FILLS = {"red": "#f3c6c9", "orange": "#fbdfb8", "yellow": "#f7efb0", "green": "#c9ead6"}


def moment(seconds: float) -> datetime:
    """Of Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def words(value: float, field: Mapping[str, Any]) -> str:
    """A value as Grafana would write it, by mappings, unit and decimals of its field."""
    for mapping in field.get("mappings", []):
        option = mapping["options"].get(str(int(value)))
        if option:
            return str(option["text"])
    unit = field.get("unit", "none")
    if unit.startswith("dateTime"):
        return moment(value / 1000.0).strftime("%d %b %H:%M")
    if unit == "percentunit":
        return f"{100 * value:.0f} %"
    if unit == "s":
        return f"{value / 3600:.1f} h" if value >= 3600 else f"{value:.3g} s"
    return f"{value:.{field.get('decimals', 1)}f}"


def draw_table(axes: Any, prometheus: Prometheus, at: float, panel: dict[str, Any], values: Mapping[str, str]) -> None:
    """The lines of the merged queries."""
    organize = panel["transformations"][-1]["options"]
    defaults = panel["fieldConfig"]["defaults"]
    overrides = {o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]}
                 for o in panel["fieldConfig"]["overrides"]}  # fmt: skip
    frames = [(t["refId"], prometheus.at(substituted(t["expr"], values), at)) for t in panel["targets"]]
    common = set.intersection(*(set(series[0]["metric"]) for _, series in frames if series))
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    columns: list[str] = []
    for reference, series in frames:
        for one in series:
            line = lines.setdefault(tuple(one["metric"].get(label, "") for label in sorted(common)), {})
            for label, value in one["metric"].items():
                line[label] = value
                columns += [label] if label not in columns else []
            name = f"Value #{reference}" if len(frames) > 1 else "Value"
            line[name] = float(one["value"][1])
            columns += [name] if name not in columns else []
    columns = [name for name in columns if name not in organize["excludeByName"]]
    columns.sort(key=lambda name: organize["indexByName"].get(name, len(organize["indexByName"])))
    shown = [organize["renameByName"].get(name, name) for name in columns]
    cells, fills = [], []
    for _, line in sorted(lines.items(), key=lambda one: _rank(one[1], panel, organize), reverse=True):
        row, colors = [], []
        for name, title in zip(columns, shown, strict=True):
            field = {**defaults, **overrides.get(title, {})}
            value = line.get(name, "")
            row.append(words(value, field) if isinstance(value, float) else value)
            colors.append(_fill(value, field))
        cells.append(row)
        fills.append(colors)
    if not cells:
        axes.text(0.5, 0.4, defaults["noValue"], transform=axes.transAxes, ha="center", fontsize=14, color="#5b6472")
        return
    widths = [_width(title, column) for title, column in zip(shown, zip(*cells, strict=True), strict=True)]
    box = (0.005, 0.06, 0.99, 0.74)
    drawn = axes.table(cells, cellColours=fills, colLabels=shown, bbox=box, cellLoc="left", colWidths=widths)
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9.5)
    for (row_number, _), cell in drawn.get_celld().items():
        cell.set_edgecolor("#e6e8ec")
        if row_number == 0:
            cell.set_text_props(weight="bold", color="#5b6472")


def _width(title: str, column: Sequence[str]) -> float:
    """In letters; bold ones of the head are wider. The table's box gives each column its share."""
    return max(1.15 * len(title), *map(len, column)) + 3.0


def _rank(line: Mapping[str, Any], panel: dict[str, Any], organize: Mapping[str, Any]) -> float:
    wanted = [sort["displayName"] for sort in panel["options"].get("sortBy", [])]
    names = [name for name, title in organize["renameByName"].items() if title in wanted]
    return float(next((line[name] for name in names if name in line), 0.0))


def _fill(value: Any, field: Mapping[str, Any]) -> str:
    if isinstance(value, float):
        for mapping in field.get("mappings", []):
            option = mapping["options"].get(str(int(value)))
            if option:
                return _FILLS.get(option["color"], "white")
    return "white"

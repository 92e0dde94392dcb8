"""Where an alert leads: to the panel that shows it, and to the status page. Needs no extra; makes texts only."""

from collections.abc import Mapping

from middleware.observe.dashboards import BOARDS, Board, Panel
from middleware.observe.rule import Alert

__all__ = ["links", "panel_of"]

# What answers best comes first: a table has the figures, a single number only says that something is.
_BEST = ("table", "timeseries", "state-timeline", "bars", "heatmap", "stat")
_VARIABLE = "deployment"


def panel_of(alert: Alert) -> tuple[Board, int]:
    """The dashboard and the number on it of the panel that is most about this alert; each alert has one, tested."""
    found = [
        (board, number, panel)
        for board in BOARDS
        for number, panel in enumerate(board.panels, start=1)
        if panel.alert == alert.name
    ]
    board, number, _ = min(found, key=lambda one: _rank(one[2]))
    return board, number


def links(alert: Alert, values: Mapping[str, str]) -> dict[str, str]:
    """Annotations; none where nobody said where Grafana or the status page are."""
    found = {}
    if base := values["grafana_base"]:
        board, number = panel_of(alert)
        asked = [f"viewPanel={number}"]
        if _VARIABLE in alert.carries:
            asked.append(f"var-{_VARIABLE}={{{{ $labels.{_VARIABLE} | urlquery }}}}")
        found["dashboard_url"] = f"{base}/d/{board.uid}?{'&'.join(asked)}"
    if base := values["status_base"]:
        found["status_url"] = f"{base}/"
    return found


def _rank(panel: Panel) -> int:
    # A panel that repeats has a number for each value of its variable, so it can't be named by one.
    return _BEST.index(panel.kind) + (len(_BEST) if panel.repeat else 0)

"""What a dashboard is made of, as plain records: rows of panels, with the words that stand beside each number.

Nothing here knows Grafana; grafana.py turns these records into its JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from middleware.observe.dashboards.queries import Query

__all__ = ["STATES", "Board", "Kind", "Panel", "Row", "State", "Step"]

Kind = Literal["stat", "table", "timeseries", "bars", "state-timeline", "heatmap"]


@dataclass(frozen=True, slots=True)
class Step:
    """A threshold: from this value on the colour holds; None is from the beginning."""

    value: float | None
    color: str


@dataclass(frozen=True, slots=True)
class State:
    """What a number means in words."""

    value: int
    text: str
    color: str


# Several panels speak of the same states; the numbers are made by the expressions in queries.py and overview.py.
STATES: Mapping[str, tuple[State, ...]] = MappingProxyType(
    {
        "eq": (
            State(0, "all right", "green"),
            State(1, "suspected", "yellow"),
            State(2, "answers changed", "orange"),
            State(3, "answers changed, fall suspected", "orange"),
            State(4, "REGRESSED", "red"),
        ),
        "verdict": (
            State(0, "none in force", "text"),
            State(1, "pass", "green"),
            State(2, "undecided", "orange"),
            State(3, "REGRESSED", "red"),
        ),
        "drift": (State(0, "as before", "green"), State(1, "drifted", "orange")),
        "below": (State(0, "within the margin", "green"), State(1, "below the margin", "orange")),
        "lost": (State(0, "as before", "green"), State(1, "lost", "orange")),
        "up": (State(0, "down", "red"), State(1, "up", "green")),
        "paused": (State(0, "calls allowed", "green"), State(1, "paused", "orange")),
    }
)


@dataclass(frozen=True, slots=True)
class Panel:
    """unit: Grafana's id. states: name in STATES. alert: whose runbook is linked. band: the second and third query are
    bounds of the first one. log: a logarithmic axis. repeat: variable whose every value gets a panel of its own. width
    is of 24. axis: what the numbers are, where the unit is none that Grafana knows.
    """

    title: str
    description: str
    kind: Kind
    queries: tuple[Query, ...]
    unit: str = "none"
    width: int = 12
    height: int = 8
    steps: tuple[Step, ...] = ()
    states: str = ""
    alert: str = ""
    no_value: str = "no data"
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    stacked: bool = False
    band: bool = False
    log: bool = False
    repeat: str = ""
    order: str = ""
    axis: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A question, and the panels that answer it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """uid is stable, links name it. variables: beyond datasource, job, instance and deployment. since: time range."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[str, ...] = ()
    since: str = "now-7d"
    related: tuple[str, ...] = field(default=())

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)

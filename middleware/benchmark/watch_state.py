"""Everything that a watch remembers, as one frozen value that is plain JSON when saved."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from middleware.benchmark.collecting import Collected
from middleware.benchmark.identity import Identities
from middleware.benchmark.levels import Recent
from middleware.benchmark.upgrade import Upgrade
from middleware.records.standing import StandingState
from scorer.baseline import Baseline
from scorer.detection import DetectorState, IncidentState, Kind

__all__ = ["SCHEMA", "Rise", "WatchState", "restored"]

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class Rise:
    """Since when a statistic is off the ground: where an alarm will say that it began. items: answers since then."""

    at: float
    batches: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class WatchState:
    """epoch: of the run ids, so that a watch that begins anew takes up no old run. revision: counts what was saved.

    index: of the next batch. model: that was asked last. collected: passes on the way to a baseline, None while none is
    made; accept: it is put in force without being asked for. baseline_id, retired_id: of the one in force, and of one
    that was given up. limits: of the CUSUMs, with the settings that they are for. incident_ids: of the events that
    opened them. grounds: what the open incidents rest on. declared_at: somebody last said that the version
    changes. below_reference: it was told that the level fell below the reference of record by the margin.
    condition, since, detail: what was last said of it.
    """

    epoch: int = 0
    revision: int = 0
    index: int = 0
    last_slot: float | None = None
    model: str = ""
    identities: Identities = field(default_factory=Identities)
    collected: Collected | None = None
    accept: bool = True
    baseline: Baseline | None = None
    baseline_id: int = 0
    baseline_at: float | None = None
    retired_id: int = 0
    limits: tuple[str, tuple[float, ...]] | None = None
    detector: DetectorState | None = None
    incidents: IncidentState = field(default_factory=IncidentState)
    incident_ids: Mapping[Kind, int] = field(default_factory=dict)
    rises: Mapping[Kind, Rise] = field(default_factory=dict)
    grounds: Mapping[Kind, Rise] = field(default_factory=dict)
    declared_at: float | None = None
    upgrade: Upgrade | None = None
    recent: Recent = field(default_factory=dict)
    below_reference: bool = False
    condition: StandingState = "not_measured"
    since: float | None = None
    last_batch_at: float | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        parts = {name: values[name] for name in _PARTS}
        return {
            "schema": SCHEMA,
            **values,
            **{name: None if part is None else part.to_dict() for name, part in parts.items()},
            "limits": None if self.limits is None else [self.limits[0], list(self.limits[1])],
            "incident_ids": dict(self.incident_ids),
            "rises": {kind: asdict(rise) for kind, rise in self.rises.items()},
            "grounds": {kind: asdict(rise) for kind, rise in self.grounds.items()},
            "recent": {item: list(scores) for item, scores in self.recent.items()},
        }


_PARTS: dict[str, Any] = {
    "identities": lambda data: Identities(
        tuple(data["known"]), tuple(data["before"]), tuple(data["strange"]), int(data["streak"])
    ),
    "collected": Collected.from_dict,
    "baseline": Baseline.from_dict,
    "detector": DetectorState.from_dict,
    "incidents": IncidentState.from_dict,
    "upgrade": Upgrade.from_dict,
}


def restored(saved: Mapping[str, Any]) -> WatchState:
    """The inverse of to_dict. ValueError: saved by another version of eqwatch, or damaged."""
    if saved.get("schema") != SCHEMA:
        raise ValueError(f"a watch state of schema {saved.get('schema')!r}; this version reads {SCHEMA}")
    try:
        given = {name: value for name, value in saved.items() if name != "schema"}
        for name, read in _PARTS.items():
            given[name] = None if saved[name] is None else read(saved[name])
        limits = saved["limits"]
        given["limits"] = None if limits is None else (str(limits[0]), tuple(limits[1]))
        for name in ("rises", "grounds"):
            given[name] = {kind: Rise(**rise) for kind, rise in saved.get(name, {}).items()}
        given["recent"] = {item: tuple(scores) for item, scores in saved["recent"].items()}
        return WatchState(**given)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"a watch state that can't be read: {error!r}") from error

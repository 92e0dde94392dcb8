"""Things that happened and that people later ask about: markers on charts, entries of the events API."""

from dataclasses import dataclass, field

__all__ = ["Event"]


@dataclass(frozen=True, slots=True)
class Event:
    """kind: closed set (``upgrade_declared``, ``upgrade_noticed``, ``incident_opened``, ``incident_closed``,
    ``benchmark_paused``, ``benchmark_resumed``, ``baseline_accepted``, ``emotion_drift``, ``emotion_threshold`` and
    others of the parts that tell them). at: Unix seconds, UTC. No conversation text.
    """

    kind: str
    deployment: str
    at: float
    details: dict[str, str | float | int | bool | None] = field(default_factory=dict)
    id: int = 0

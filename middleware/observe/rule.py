"""What a rule is: a recording rule or an alert, before its thresholds are filled in."""

from dataclasses import dataclass
from typing import Literal

from middleware.observe.thresholds import Threshold

__all__ = ["Alert", "Recording", "Severity"]

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Recording:
    """name: ``level:metric:operation``. about: for the documentation."""

    name: str
    expr: str
    about: str


@dataclass(frozen=True, slots=True)
class Alert:
    """hold: how long it has to be true (``for``); keep: how long it goes on firing after that (``keep_firing_for``).

    expr, summary, description: with ``@{threshold}`` for what can be set. carries: labels besides those of the
    installation, to route and group by. when, floor: in words, for the documentation; floor names the least n and the
    least effect. notified: False for what is shown and recorded but sent to nobody.
    """

    name: str
    severity: Severity
    expr: str
    hold: str
    keep: str
    summary: str
    description: str
    when: str
    floor: str
    carries: tuple[str, ...] = ()
    notified: bool = True

    @property
    def settings(self) -> tuple[Threshold, Threshold]:
        """Its hysteresis, which can be set as ``NAME.for`` and ``NAME.keep_firing_for``."""
        return (
            Threshold(f"{self.name}.for", self.hold, "How long it has to be true before it fires.", "duration"),
            Threshold(f"{self.name}.keep_firing_for", self.keep, "How long it fires on after that.", "duration"),
        )

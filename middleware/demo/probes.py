"""What the probes of the demonstration found, read through the API as an application would read it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from middleware.demo import data
from middleware.demo.admin_client import AdminClient

__all__ = ["ProbeTable", "collect_probes"]

_POLL_SECONDS = 0.5
_SAVED_SECONDS = 10.0


@dataclass(slots=True)
class ProbeTable:
    """deployments: name -> conversation title -> emotion -> intensity 0..10 at the last probed turn."""

    deployments: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def probes(self) -> int:
        """Turns whose perception ended, however."""
        return sum(self.outcomes.values())

    @property
    def scored(self) -> int:
        """Those of them that gave intensities."""
        return self.outcomes.get("scored", 0)

    @property
    def outcomes_in_words(self) -> str:
        """How many ended how."""
        return ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in self.outcomes.items() if number)

    @property
    def scored_share(self) -> float:
        """0..1; 0 where nothing was probed."""
        return self.scored / self.probes if self.probes else 0.0

    def rendered(self) -> Table:
        """One row per conversation."""
        table = Table(title="Emotion intensities, 0 to 10, as the model perceives the user now", title_justify="left")
        for column in ("deployment", "conversation", "user's emotions"):
            table.add_column(column)
        for deployment, conversations in self.deployments.items():
            for title, emotions in conversations.items():
                told = "  ".join(f"{emotion} {intensity:g}" for emotion, intensity in emotions.items())
                table.add_row(deployment, title, told)
        return table


def collect_probes(admin: AdminClient, deployments: Sequence[str], *, expected: int, seconds: float) -> ProbeTable:
    """Wait until so many turns have a perception outcome, then read what is served for each conversation."""
    end = time.monotonic() + seconds
    while sum(_outcomes(admin).values()) < expected and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    # What is counted may still wait to be saved, and is served after that.
    end = time.monotonic() + _SAVED_SECONDS
    while len((table := _table(admin, deployments)).deployments) < len(deployments) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return table


def _table(admin: AdminClient, deployments: Sequence[str]) -> ProbeTable:
    table = ProbeTable(outcomes=_outcomes(admin))
    for deployment in deployments:
        for conversation in data.conversations(deployment):
            told = admin.json(f"/api/v1/conversations/{conversation.id}/emotions")
            if told and told["emotions"]:
                row = {emotion: reading["intensity"] for emotion, reading in told["emotions"].items()}
                table.deployments.setdefault(deployment, {})[conversation.title] = row
    return table


def _outcomes(admin: AdminClient) -> dict[str, int]:
    return {
        outcome: int(admin.sum_of("eqwatch_probe_conversations_total", outcome=outcome))
        for outcome in ("scored", "unparseable", "refused", "truncated", "api_error", "timeout")
    }

"""What the companion does about an estimate: pure, so that it can be read and tested without a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["Mood", "Pace"]

# Gentle from the first figure on, until under the second for a whole turn.
GENTLE_FROM, GENTLE_UNTIL = 5.0, 3.0
# An offer to reach people: harmless where the estimate is wrong, so it is made early. It is no alarm.
OFFER_FROM, OFFER_TURNS = 7.0, 2


class Pace(Enum):
    """How the companion talks; the value is what the model is told."""

    NORMAL = ""
    GENTLE = (
        "The person may be low or upset. Be slow and brief: one or two short sentences, no advice unless asked, no "
        "cheerfulness, no questions in a row. Acknowledge what they said."
    )


@dataclass
class Mood:
    """Follows one conversation. pace: of the next reply; offers_made: how often people were offered."""

    pace: Pace = Pace.NORMAL
    offers_made: int = 0
    _last_turn: int = 0
    _low_turns: int = 0
    _offer_due: bool = False

    def take(self, turn: int, emotions: Mapping[str, float]) -> None:
        """An estimate of this turn, 0..10 for each emotion; one that comes twice or late counts once."""
        if turn <= self._last_turn:
            return
        self._last_turn = turn
        heaviest = max(emotions.get("Distress", 0.0), emotions.get("Loneliness", 0.0))
        if heaviest >= GENTLE_FROM:
            self.pace = Pace.GENTLE
        elif heaviest < GENTLE_UNTIL:
            self.pace = Pace.NORMAL
        self._low_turns = self._low_turns + 1 if emotions.get("Distress", 0.0) >= OFFER_FROM else 0
        if self._low_turns == OFFER_TURNS:
            self._offer_due = True

    def take_offer(self) -> bool:
        """Whether people are to be offered now; once for each time that distress stays high."""
        due, self._offer_due = self._offer_due, False
        self.offers_made += due
        return due

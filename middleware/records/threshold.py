"""A threshold on an emotion, such as ``Boredom >= 7 for 2 turns, again below 5``: as written, and as a rule."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Threshold", "parse_threshold"]

_HYSTERESIS = 2.0
_LOWEST, _HIGHEST = 0.0, 10.0
_NUMBER = r"\d{1,2}(?:\.\d{1,2})?"
_WRITTEN = re.compile(
    rf"(?P<emotion>[A-Za-z]{{2,32}})\s*(?P<sign>>=|<=)\s*(?P<level>{_NUMBER})"
    rf"(?:\s+for\s+(?P<turns>\d{{1,3}})\s+turns?)?"
    rf"(?:\s*,?\s*again\s+(?P<side>below|above)\s+(?P<rearm>{_NUMBER}))?"
)
_EXAMPLE = "'Boredom >= 7 for 2 turns' or 'Trust <= 3 for 2 turns, again above 5'"


@dataclass(frozen=True, slots=True)
class Threshold:
    """rising: crossed at or above `level`, else at or below. turns: estimated turns in a row that it takes.

    After a crossing it is silent until an estimate is beyond `rearm`: below it where rising, else above it.
    """

    emotion: str
    rising: bool
    level: float
    turns: int
    rearm: float

    def __str__(self) -> str:
        sign, side = (">=", "below") if self.rising else ("<=", "above")
        turns = f" for {self.turns} turns" if self.turns > 1 else ""
        return f"{self.emotion} {sign} {self.level:g}{turns}, again {side} {self.rearm:g}"

    def reached(self, intensity: float) -> bool:
        """Whether an estimate is at the level or beyond it."""
        return intensity >= self.level if self.rising else intensity <= self.level

    def rearmed(self, intensity: float) -> bool:
        """Whether an estimate ends the silence after a crossing."""
        return intensity < self.rearm if self.rising else intensity > self.rearm

    def crossed_by_last(self, intensities: Iterable[float]) -> int:
        """How many estimates in a row reach the level, where the last one is what crosses it; else 0.

        intensities: every estimate of a conversation in the order of turns; turns without one are left out.
        """
        row, armed, crossed = 0, True, False
        for intensity in intensities:
            row = row + 1 if self.reached(intensity) else 0
            crossed = armed and row >= self.turns
            armed = (armed or self.rearmed(intensity)) and not crossed
        return row if crossed else 0


def parse_threshold(text: str, emotions: Sequence[str]) -> Threshold:
    """Read a threshold on one of these emotions; raises ValueError that says how to write one."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"threshold {text!r} can't be read: write {_EXAMPLE}")
    emotion = next((name for name in emotions if name.casefold() == found["emotion"].casefold()), None)
    if emotion is None:
        raise ValueError(
            f"threshold {text!r} is on an emotion that is not estimated: use one of {', '.join(emotions) or 'none'}, "
            "or add it to emotions"
        )
    rising, level = found["sign"] == ">=", float(found["level"])
    turns = int(found["turns"] or 1)
    if not _LOWEST <= level <= _HIGHEST or turns < 1:
        raise ValueError(f"threshold {text!r} can't be reached: intensities are 0 to 10, turns at least 1")
    if found["side"] and (found["side"] == "below") != rising:
        raise ValueError(f"threshold {text!r}: after >= write 'again below', after <= 'again above'")
    rearm = float(found["rearm"]) if found["rearm"] else level - _HYSTERESIS if rising else level + _HYSTERESIS
    rearm = min(_HIGHEST, max(_LOWEST, rearm))
    if rearm > level if rising else rearm < level:
        raise ValueError(
            f"threshold {text!r} would end its own silence: 'again' has to be on the other side of {level:g}"
        )
    if (rising and rearm <= _LOWEST) or (not rising and rearm >= _HIGHEST):
        raise ValueError(f"threshold {text!r} could never be crossed a second time: add 'again below' or 'again above'")
    return Threshold(emotion, rising, level, turns, rearm)

"""What users of a deployment feel, as distributions: over the last day, and day by day. Pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from middleware.admin.state import DeploymentInfo
from middleware.records.conversation import ProbeResult
from middleware.records.emotion_report import EmotionReport

__all__ = ["BANDS", "DayShares", "DeploymentEmotions", "EmotionShares", "band_counts", "deployment_emotions"]

BANDS = (("absent", 0.0), ("low", 1.0), ("medium", 4.0), ("high", 7.0))
"""Bands of intensity for people: name and lower bound, on 0..10."""

DayCounts = Mapping[tuple[str, str], Sequence[int]]
"""Deployment and emotion -> judged turns in each of `BANDS`, of one day."""


@dataclass(frozen=True, slots=True)
class DayShares:
    """The distribution of one emotion on one UTC day that begins at `at`: turns, and shares by `BANDS`, sum 1."""

    at: float
    turns: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DayHigh:
    """The share of turns in the highest band on one day, for each emotion; None without a judged turn."""

    at: float
    high: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class EmotionShares:
    """The distribution of one emotion: shares by `BANDS`, sum 1; median and ninth decile on 0..10. days: oldest first,
    those without a judged turn left out."""

    emotion: str
    turns: int
    median: float
    p90: float
    shares: tuple[float, ...]
    days: tuple[DayShares, ...] = ()


@dataclass(frozen=True, slots=True)
class DeploymentEmotions:
    """A deployment's probes of the last day, newest result at `last_at` (Unix seconds) or None.

    report: what is known over many conversations (skill, relief, drift), None where it was not looked at yet.
    """

    info: DeploymentInfo
    conversations: int
    outcomes: Mapping[str, int]
    last_at: float | None
    emotions: tuple[EmotionShares, ...]
    report: EmotionReport | None = None

    @property
    def day_rows(self) -> list[DayHigh]:
        """Each day that any emotion has, newest first."""
        by_day = [{day.at: day.shares[-1] for day in row.days} for row in self.emotions]
        days = sorted({at for shares in by_day for at in shares}, reverse=True)
        return [DayHigh(at, tuple(shares.get(at) for shares in by_day)) for at in days]


def deployment_emotions(
    info: DeploymentInfo,
    probes: Sequence[ProbeResult],
    *,
    days: Mapping[float, DayCounts],
    report: EmotionReport | None = None,
) -> DeploymentEmotions:
    """probes: of the last day, of any deployment. days: begin of a day -> its counts."""
    own = [probe for probe in probes if probe.deployment == info.name]
    values: dict[str, list[float]] = {emotion: [] for emotion in info.emotions}
    for probe in own:
        for emotion, intensity in _perceived(probe):
            if emotion in values:
                values[emotion].append(intensity)
    return DeploymentEmotions(
        info=info,
        conversations=len({probe.conversation for probe in own}),
        outcomes=Counter(probe.outcome for probe in own),
        last_at=max((probe.at for probe in own), default=None),
        emotions=tuple(
            _shares(emotion, found, _days(info.name, emotion, days)) for emotion, found in values.items() if found
        ),
        report=report,
    )


def band_counts(probes: Iterable[ProbeResult]) -> dict[tuple[str, str], list[int]]:
    """Judged turns by deployment, emotion and band."""
    found: dict[tuple[str, str], list[int]] = {}
    for probe in probes:
        for emotion, intensity in _perceived(probe):
            found.setdefault((probe.deployment, emotion), [0] * len(BANDS))[_band(intensity)] += 1
    return found


def _perceived(probe: ProbeResult) -> Iterable[tuple[str, float]]:
    return probe.emotions.items() if probe.kind == "perception" and probe.outcome == "scored" else ()


def _band(intensity: float) -> int:
    return max(index for index, (_, lower) in enumerate(BANDS) if intensity >= lower or index == 0)


def _days(deployment: str, emotion: str, days: Mapping[float, DayCounts]) -> tuple[DayShares, ...]:
    found = (
        (at, counts[deployment, emotion]) for at, counts in sorted(days.items()) if (deployment, emotion) in counts
    )
    return tuple(DayShares(at, sum(counts), tuple(count / sum(counts) for count in counts)) for at, counts in found)


def _shares(emotion: str, values: list[float], days: tuple[DayShares, ...]) -> EmotionShares:
    counts = Counter(map(_band, values))
    ranked = sorted(values)
    return EmotionShares(
        emotion=emotion,
        turns=len(values),
        median=statistics.median(values),
        p90=ranked[min(len(ranked) - 1, math.ceil(0.9 * len(ranked)) - 1)],
        shares=tuple(counts[band] / len(values) for band in range(len(BANDS))),
        days=days,
    )

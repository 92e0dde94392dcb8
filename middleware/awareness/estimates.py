"""What is known of each emotion of a conversation: the newest estimate, where it is going, what it is worth. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from middleware.records.conversation import ProbeKind, ProbeResult
from scorer.repeatability import Repeatability
from scorer.trend import Trend, trend

__all__ = ["Estimate", "estimates"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The newest readable estimate of one emotion. readings: estimated turns so far. confidence: see `Repeatability`.

    ended_at: when the turn that it is about ended, Unix seconds.
    """

    result: ProbeResult
    intensity: float
    readings: int
    trend: Trend | None
    confidence: float | None
    retests: int

    @property
    def ended_at(self) -> float:
        """What its age counts from."""
        return self.result.ended_at


def estimates(
    results: Iterable[ProbeResult], kind: ProbeKind, repeatability: Mapping[str, Repeatability]
) -> dict[str, Estimate]:
    """By emotion. The trend is over turns that the judge of the newest one rated, attempts to steer it left out."""
    readable = [result for result in results if result.kind == kind and result.outcome == "scored"]
    ordered = sorted(readable, key=lambda result: (result.turn, result.at))
    found: dict[str, Estimate] = {}
    for emotion in dict.fromkeys(emotion for result in ordered for emotion in result.emotions):
        rated = [result for result in ordered if emotion in result.emotions]
        found[emotion] = _estimate(rated, emotion, repeatability.get(emotion))
    return found


def _estimate(rated: Sequence[ProbeResult], emotion: str, known: Repeatability | None) -> Estimate:
    newest = rated[-1]
    turns = {result.turn: result.emotions[emotion] for result in rated if _comparable(result, newest)}
    going = trend(list(turns), list(turns.values()), noise=known.noise if known is not None else None)
    return Estimate(
        newest,
        newest.emotions[emotion],
        readings=len({result.turn for result in rated}),
        trend=going,
        confidence=known.confidence if known is not None else None,
        retests=known.retests if known is not None else 0,
    )


def _comparable(result: ProbeResult, newest: ProbeResult) -> bool:
    same = (result.judge, result.judge_version) == (newest.judge, newest.judge_version)
    return same and not result.steered

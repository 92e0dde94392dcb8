"""Which thresholds the newest estimate of a conversation crosses. Pure: the same estimates give the same events."""

from collections.abc import Iterable, Iterator, Sequence

from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.records.threshold import Threshold

__all__ = ["crossings", "is_estimate"]


def is_estimate(result: ProbeResult) -> bool:
    """Whether an action may follow from this result: perceived, readable, and not steered by what the user wrote."""
    return result.kind == "perception" and result.outcome == "scored" and not result.steered


def crossings(
    results: Sequence[ProbeResult], newest: ProbeResult, thresholds: Iterable[Threshold], *, now: float
) -> Iterator[Event]:
    """One event for each threshold that this estimate crosses. An estimate of a turn before the latest crosses none.

    results: every result of the conversation, that one included. Where judges took turns, each turn counts once.
    """
    estimates: dict[int, ProbeResult] = {}
    for result in sorted(results, key=lambda result: result.at):
        if is_estimate(result) and result.deployment == newest.deployment:
            estimates[result.turn] = result
    if not is_estimate(newest) or newest.turn < max(estimates):
        return
    ordered = [estimates[turn] for turn in sorted(estimates)]
    for threshold in thresholds:
        if threshold.emotion not in newest.emotions:
            continue
        row = threshold.crossed_by_last(
            result.emotions[threshold.emotion] for result in ordered if threshold.emotion in result.emotions
        )
        if row:
            yield _event(newest, threshold, row, now)


def _event(result: ProbeResult, threshold: Threshold, row: int, now: float) -> Event:
    details: dict[str, str | float | int | bool | None] = {
        "conversation": result.conversation,
        "emotion": threshold.emotion,
        "intensity": result.emotions[threshold.emotion],
        "threshold": str(threshold),
        "turn": result.turn,
        "turns": row,
        "turn_ended_at": result.ended_at,
        "judge": result.judge,
        "judge_version": result.judge_version,
    }
    return Event("emotion_threshold", result.deployment, now, details)

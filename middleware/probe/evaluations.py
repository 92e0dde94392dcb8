"""Tells a trace what a probe gave: an evaluation event for each emotion, by name and intensity, and no text."""

from middleware.records.conversation import ProbeResult
from middleware.tracing import Span, evaluated

__all__ = ["tell_ratings"]


def tell_ratings(span: Span, result: ProbeResult) -> None:
    """One event for each emotion, or one that says why there is none."""
    if not result.emotions:
        evaluated(span, result.kind, result.outcome, None)
    for emotion, intensity in result.emotions.items():
        evaluated(span, result.kind, result.outcome, intensity, emotion=emotion)

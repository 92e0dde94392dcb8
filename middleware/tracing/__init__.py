"""Spans of the sidecar's own work, for whoever wants to see them in a tracing system. Off unless an exporter is made.

A span says which model was asked, how long it took, what it cost and what came of it. Never what was said, never a key,
never a conversation's id.
"""

from middleware.tracing.names import BATCH, GATE, ITEM, PROBE, RATING, chat_span, evaluated
from middleware.tracing.spans import NO_TRACING, Attributes, Span, Tracing

__all__ = [
    "BATCH",
    "GATE",
    "ITEM",
    "NO_TRACING",
    "PROBE",
    "RATING",
    "Attributes",
    "Span",
    "Tracing",
    "chat_span",
    "evaluated",
]

"""Detection of a regression ("worse?") and of a silent change ("different?") against a frozen baseline."""

from scorer.baseline import Observation
from scorer.detection.detector import Detector, DetectorConfig, Reading
from scorer.detection.incident import Incident, IncidentState, IncidentStep, acknowledge, declare, follow
from scorer.detection.state import DetectorState

__all__ = [
    "Detector",
    "DetectorConfig",
    "DetectorState",
    "Incident",
    "IncidentState",
    "IncidentStep",
    "Observation",
    "Reading",
    "acknowledge",
    "declare",
    "follow",
]

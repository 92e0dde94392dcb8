"""Detection of a regression ("worse?") and of a silent change ("different?") against a frozen baseline."""

from scorer.baseline import Observation
from scorer.detection.detector import Detector, DetectorConfig, Reading
from scorer.detection.incident import (
    Cause,
    Incident,
    IncidentState,
    IncidentStep,
    Kind,
    acknowledge,
    declare,
    end,
    follow,
    judge_worse,
    roll_back,
)
from scorer.detection.state import DetectorState

__all__ = [
    "Cause",
    "Detector",
    "DetectorConfig",
    "DetectorState",
    "Incident",
    "IncidentState",
    "IncidentStep",
    "Kind",
    "Observation",
    "Reading",
    "acknowledge",
    "declare",
    "end",
    "follow",
    "judge_worse",
    "roll_back",
]

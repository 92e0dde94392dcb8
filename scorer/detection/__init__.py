"""Detection of a regression ("worse?") and of a silent change ("different?") against a frozen baseline."""

from scorer.baseline import Observation
from scorer.detection.detector import Detector, DetectorConfig, Reading
from scorer.detection.state import DetectorState

__all__ = ["Detector", "DetectorConfig", "DetectorState", "Observation", "Reading"]

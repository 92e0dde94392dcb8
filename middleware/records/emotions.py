"""The emotions that are probed unless a deployment names its own, by kind of deployment."""

from types import MappingProxyType

__all__ = ["DEFAULT_EMOTIONS"]

DEFAULT_EMOTIONS = MappingProxyType(
    {
        "tutoring": ("Confusion", "Boredom", "Frustration", "Curiosity"),
        "companion": ("Loneliness", "Distress", "Calm", "Joy"),
        "marketing": ("Interest", "Trust", "Annoyance", "Disappointment"),
    }
)

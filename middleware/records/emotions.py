"""The emotions that are probed unless a deployment names its own, by kind of deployment."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DEFAULT_EMOTIONS", "RESERVED", "UNPLEASANT", "distress_of"]

DEFAULT_EMOTIONS = MappingProxyType(
    {
        "tutoring": ("Confusion", "Boredom", "Frustration", "Curiosity"),
        "companion": ("Loneliness", "Distress", "Calm", "Joy"),
        "marketing": ("Interest", "Trust", "Annoyance", "Disappointment"),
    }
)

RESERVED = frozenset({"age", "judge", "steered", "turn"})
"""Keys of the header x-eqwatch-emotions that are no emotions, in lower case."""

UNPLEASANT = frozenset(
    {
        "anger",
        "anguish",
        "annoyance",
        "anxiety",
        "apathy",
        "boredom",
        "confusion",
        "contempt",
        "despair",
        "despondency",
        "disappointment",
        "discomfort",
        "disgust",
        "distress",
        "embarrassment",
        "envy",
        "exasperation",
        "fear",
        "frustration",
        "grief",
        "guilt",
        "hatred",
        "helplessness",
        "hopelessness",
        "humiliation",
        "hurt",
        "impatience",
        "indignation",
        "insecurity",
        "irritation",
        "jealousy",
        "loneliness",
        "nervousness",
        "overwhelm",
        "panic",
        "regret",
        "remorse",
        "resentment",
        "sadness",
        "shame",
        "sorrow",
        "stress",
        "suspicion",
        "tension",
        "unease",
        "worry",
    }
)
"""Lower-case names of feelings that people would rather be without."""


def distress_of(intensities: Mapping[str, float]) -> float:
    """The strongest unpleasant feeling, 0..10; where none of the names is known as unpleasant, the strongest one."""
    unpleasant = [value for name, value in intensities.items() if name.casefold() in UNPLEASANT]
    return max(unpleasant or intensities.values(), default=0.0)

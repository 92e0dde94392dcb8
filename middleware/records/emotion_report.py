"""What is known of a deployment's emotions over its newest conversations: the answer of the API, and the gauges."""

from dataclasses import dataclass, field

from scorer.agreement import Loss, Meaning
from scorer.anticipation import Skill
from scorer.censoring import Band
from scorer.relief import Relief
from scorer.repeatability import Repeatability

__all__ = ["Adoption", "Agreement", "Censoring", "Drift", "EmotionReport", "NextIntensity"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One emotion of one signal. distance: intensity points; evidence: over its limit, 1 rejects; None: not yet known.

    signal: ``perception`` (what the model under test perceives), ``reference`` or ``anchor`` (what users expressed).
    """

    signal: str
    emotion: str
    distance: float | None
    evidence: float | None
    active: bool
    reference_mean: float | None
    current_mean: float | None
    reference_conversations: int
    current_conversations: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Between the model's perceptions and a judge's ratings of the same turns. means: quality, or change_signal."""

    loss: Loss
    means: Meaning
    words: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """informed: calls before which the application had read an estimate; calls: those for which one was there."""

    informed: int
    calls: int
    ratio: float


@dataclass(frozen=True, slots=True)
class Censoring:
    """Predictions by what became of them. share: censored among censored and followed; bands: by predicted distress."""

    followed: int
    unrated: int
    censored: int
    pending: int
    share: float | None
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True)
class NextIntensity:
    """Mean intensity of the turn after a prediction: as observed, weighed for who left, and whatever they had felt."""

    observed: float
    weighted: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class EmotionReport:
    """judge: whose ratings are the answer key, empty where there is none. Dictionaries go by emotion, or by judge.

    Absent keys and None: not known, never zero. cause: who changed, where something drifted. words: what each is.
    """

    deployment: str
    at: float
    emotions: tuple[str, ...]
    judge: str = ""
    judge_version: str = ""
    conversations: int = 0
    turns: int = 0
    skill: dict[str, Skill] = field(default_factory=dict)
    skill_reference: dict[str, Skill] = field(default_factory=dict)
    skill_lost: dict[str, bool] = field(default_factory=dict)
    anticipation_loss: Loss | None = None
    censoring: Censoring | None = None
    next_intensity: dict[str, NextIntensity] = field(default_factory=dict)
    relief: dict[str, Relief] = field(default_factory=dict)
    adoption: Adoption | None = None
    relief_read: dict[str, Relief] = field(default_factory=dict)
    relief_unread: dict[str, Relief] = field(default_factory=dict)
    agreement: dict[str, Agreement] = field(default_factory=dict)
    retest_loss: Loss | None = None
    repeatability: dict[str, Repeatability] = field(default_factory=dict)
    retest_ratio: dict[str, float] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    cause: str = ""
    words: dict[str, str] = field(default_factory=dict)

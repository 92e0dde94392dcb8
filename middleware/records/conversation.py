"""Records of live traffic: a transcript as decoded, a turn of a conversation, the result of a probe."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "OMITTED",
    "STEERING_KINDS",
    "Message",
    "ProbeFlag",
    "ProbeKind",
    "ProbeOutcome",
    "ProbeResult",
    "SkipReason",
    "Skipped",
    "Steering",
    "Transcript",
    "Turn",
]

OMITTED = "omitted"
"""Role of the message in place of earlier ones that stayed where they were heard; its text is how many."""

ProbeKind = Literal["perception", "anticipation", "expressed", "retest"]
ProbeOutcome = Literal["scored", "unparseable", "refused", "truncated", "api_error", "timeout"]

Steering = Literal["scores", "orders", "roles", "hidden", "encoded"]
STEERING_KINDS: tuple[Steering, ...] = ("scores", "orders", "roles", "hidden", "encoded")
ProbeFlag = Literal["scores", "orders", "roles", "hidden", "encoded", "cut", "shortened", "invisible"]

SkipReason = Literal[
    "undecodable",
    "not_configured",
    "opted_out",
    "not_sampled",
    "beginning_unknown",
    "conversation_cap",
    "hourly_cap",
    "queue_full",
    "budget",
    "paused",
    "error",
]


@dataclass(frozen=True, slots=True)
class Message:
    """One message as text. role: ``system``, ``user``, ``assistant``, ``tool``, or `OMITTED`."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A decoded exchange. flags: what was odd, from a closed set (``partial``, ``truncated``, ``image``, ``tool`` ...).

    response_id, previous_response_id: of the Responses API, where the server keeps the conversation; else empty.
    """

    dialect: str
    model: str
    messages: tuple[Message, ...]
    reply: Message | None
    streamed: bool
    answered_model: str = ""
    system_fingerprint: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    flags: frozenset[str] = frozenset()
    response_id: str = ""
    previous_response_id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A transcript in its place: conversation is a salted hash, index counts user turns from 1.

    at, started_at: when the answer ended and the request began, Unix seconds; started_at is 0 where it is not known.
    """

    deployment: str
    conversation: str
    index: int
    transcript: Transcript
    at: float
    started_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A turn that is not probed, and why. It is counted, since what is left out biases. detail: from a closed set."""

    deployment: str
    reason: SkipReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a judge said of a turn. emotions: name -> intensity 0..10, empty unless scored. No text is in here.

    kind: ``perception`` and ``anticipation`` are the model's own; ``expressed`` is the answer key: what the user showed
    in this turn, rated by ``reference`` or ``anchor`` and never by the model under test; ``retest`` is a second
    ``perception`` or ``expressed`` of the same judge, its noise floor. judge: the model that was asked, ``reference``
    or ``anchor``; judge_version: of the latter two, the pinned model or the version of the anchor. flags: what was odd
    about the text that the judge was shown: kinds of attempts to steer it (STEERING_KINDS), ``cut`` (earlier turns left
    out), ``shortened`` (a turn's middle left out), ``invisible`` (characters nobody sees were taken out).
    """

    deployment: str
    conversation: str
    turn: int
    kind: ProbeKind
    outcome: ProbeOutcome
    emotions: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    judge: str = ""
    judge_version: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_seconds: float = 0.0
    at: float = 0.0
    turn_ended_at: float = 0.0
    flags: tuple[ProbeFlag, ...] = ()

    @property
    def ended_at(self) -> float:
        """When its turn ended, or where that is not known, when it was rated; Unix seconds."""
        return self.turn_ended_at or self.at

    @property
    def steered(self) -> bool:
        """Whether the text looked like an attempt to steer the judge: the rating is shown, nothing acts on it."""
        return not set(STEERING_KINDS).isdisjoint(self.flags)

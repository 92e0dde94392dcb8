"""Records of kept content: what was said in one turn, redacted, and the same sealed for the store."""

from dataclasses import dataclass

__all__ = ["Content", "Erased", "SealedContent"]


@dataclass(frozen=True, slots=True)
class Content:
    """What was said in a turn, redacted. conversation: the salted id. at: Unix seconds."""

    deployment: str
    conversation: str
    turn: int
    at: float
    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class SealedContent:
    """The same as the store holds it. sealed: a Fernet token of both texts; nothing else of them is in here."""

    deployment: str
    conversation: str
    turn: int
    at: float
    sealed: str


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind were removed. events: those that named the conversation, with their messages."""

    scores: int = 0
    content: int = 0
    events: int = 0
    places: int = 0

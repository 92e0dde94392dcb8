"""Where a conversation stood after an exchange, as it is kept: salted hashes and numbers, nothing that was said."""

from dataclasses import dataclass

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """keys: what the exchange is found under. system: hash of the system prompts. turn: the user's, from 1.

    exchange: hash of the id under which it was handed in, or empty. at: Unix seconds of its end.
    """

    conversation: str
    deployment: str
    key_id: str
    system: bytes
    turn: int
    keys: tuple[bytes, ...]
    exchange: bytes
    at: float

"""Whether a conversation is probed: by its id alone, blind to what was said, the same in every process."""

from middleware.traffic.hashing import salted

__all__ = ["chosen"]

_RANGE = 2**64


def chosen(conversation: str, rate: float, salt: bytes) -> bool:
    """True for a share ``rate`` (0..1) of all conversations; raising the rate keeps those that were chosen before."""
    point = int.from_bytes(salted(salt, b"eqwatch-sample", conversation.encode())[:8], "big")
    return point < rate * _RANGE

"""A call of the application that an estimate of its conversation was there for, and whether it had read one before."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["UNREAD", "Call", "Channel"]

Channel = Literal["pull", "stream", "webhook", "header"]
UNREAD = "none"


@dataclass(frozen=True, slots=True)
class Call:
    """turn: of the call. channel: how an estimate was read since the call before, the last way of several; ``none``:
    it was not. age_seconds: of what was read, when it was read; 0 where nothing was. at: when the call began.
    """

    conversation: str
    turn: int
    deployment: str
    channel: Channel | Literal["none"]
    age_seconds: float
    at: float

    @property
    def informed(self) -> bool:
        """Whether something was read."""
        return self.channel != UNREAD

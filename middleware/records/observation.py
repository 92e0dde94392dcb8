"""What a pod tells the monitor of an exchange: salted hashes, and the redacted end of what was said.

The same record is made by the monitor itself of an exchange that an application or a tracer hands in.
"""

import msgspec

from middleware.records.conversation import Transcript

__all__ = ["FORMAT", "Observation", "Observations", "Trace"]

FORMAT = 1
"""Of `Observations`; a monitor refuses a format that it does not know."""


class Trace(msgspec.Struct, frozen=True):
    """A dialogue as salted hashes: all that is needed to find its predecessor, and to be found by its successor.

    before: what a predecessor may be kept under, the surest first. awaits: those of them that leave no doubt.
    after: what this is kept under. asked: of the request alone, empty where nobody spoke. system: of system prompts.
    user_turns: times that the user began to speak. begins_turn: the user has just spoken.
    """

    before: tuple[bytes, ...] = ()
    awaits: tuple[bytes, ...] = ()
    after: tuple[bytes, ...] = ()
    asked: bytes = b""
    system: bytes = b""
    user_turns: int = 0
    begins_turn: bool = True


class Observation(msgspec.Struct, frozen=True):
    """A decoded exchange that may be probed.

    id: the same for every attempt to hand it in; empty where nobody retries. conversation: salted id where the client
    named it, else empty. key_id: keyed hash of the client's credential, or empty. at: Unix seconds of the answer's end.
    started_at: of the request's beginning, 0 where it is not known.
    """

    deployment: str
    transcript: Transcript
    trace: Trace
    id: str = ""
    conversation: str = ""
    key_id: str = ""
    at: float = 0.0
    started_at: float = 0.0


class Observations(msgspec.Struct, frozen=True):
    """One delivery. salt: a hash that equals the monitor's own where both are configured with the same salt."""

    observations: tuple[Observation, ...]
    salt: str
    format: int = FORMAT

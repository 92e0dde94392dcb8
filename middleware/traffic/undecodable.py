"""What decoding gives where an exchange has no transcript: a value with a reason, never an exception, never empty."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Undecodable", "UndecodableReason"]

UndecodableReason = Literal[
    "encoding_unknown",  # a content coding that is not known here
    "encoding_corrupt",  # nothing could be decoded
    "over_ratio",  # grew beyond the ratio cap: a decompression bomb
    "too_large",  # grew beyond the byte cap
    "request_cut",  # the request was over the tap's cap, so its last messages are missing
    "not_json",
    "not_chat",  # a path or body that carries no conversation
    "no_user",  # a conversation in which no user has spoken
    "failed",  # the upstream answered with an error
]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """No transcript, and why. detail names fields or codings, never their content."""

    reason: UndecodableReason
    detail: str = ""

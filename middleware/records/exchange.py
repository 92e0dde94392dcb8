"""What the relay offers to control about one request, and the messages of the socket between the two processes.

Bodies are the raw bytes of the wire (content encoding included), cut at the tap's cap. Credentials never leave the
relay: only allow-listed headers are in here.
"""

from typing import TypeAlias

import msgspec

__all__ = [
    "AwarenessUpdate",
    "Busy",
    "Credit",
    "Exchange",
    "FromControl",
    "FromRelay",
    "RelayCounters",
    "RelayHistogram",
    "RelaySnapshot",
    "SnapshotRequest",
]

Headers: TypeAlias = list[tuple[bytes, bytes]]


class Exchange(msgspec.Struct, frozen=True, tag="exchange", array_like=True):
    """One finished (or broken) request and its answer, as sampled by the tap.

    deployment: a configured name or ``default``. dialect: ``openai_chat``, ``openai_responses``,
    ``anthropic_messages`` or ``other``, from path and media type alone.
    request_headers, response_headers: allow-listed, lower-case names, order and duplicates kept.
    conversation: value of ``x-eqwatch-conversation``, or empty. key_id: keyed hash of the credential, or empty.
    complete: the upstream ended the answer cleanly and nothing was cut by the client leaving.
    started_at: Unix seconds, UTC. first_byte_seconds, duration_seconds: monotonic, from the request's first byte.
    """

    deployment: str
    dialect: str
    method: bytes
    target: bytes
    request_headers: Headers
    request_body: bytes
    request_truncated: bool
    status: int
    response_headers: Headers
    response_body: bytes
    response_truncated: bool
    complete: bool
    conversation: str
    key_id: str
    started_at: float
    first_byte_seconds: float
    duration_seconds: float


class RelayHistogram(msgspec.Struct, frozen=True, array_like=True):
    """A cumulative-free histogram: counts[i] observations fell at or under bounds[i]; the last count is +Inf's."""

    bounds: list[float]
    counts: list[int]
    sum: float


class RelayCounters(msgspec.Struct, frozen=True, array_like=True):
    """One labelled family of the relay: metric name without prefix, label names, and value by label values."""

    name: str
    labels: list[str]
    values: list[tuple[list[str], float]]


class RelaySnapshot(msgspec.Struct, frozen=True, tag="snapshot", array_like=True):
    """All of the relay's numbers at one instant. started_at is Unix seconds of the relay's start (counter reset)."""

    started_at: float
    counters: list[RelayCounters]
    histograms: list[tuple[str, list[str], list[tuple[list[str], RelayHistogram]]]]


class Busy(msgspec.Struct, frozen=True, tag="busy", array_like=True):
    """Whether a relay process has no time to spare from now on: control computes slowly meanwhile. Not so at first."""

    busy: bool


class SnapshotRequest(msgspec.Struct, frozen=True, tag="snapshot_request", array_like=True):
    """Control asks for a `RelaySnapshot`."""


class Credit(msgspec.Struct, frozen=True, tag="credit", array_like=True):
    """Control is ready for this many more exchanges; without credit the relay drops and counts before it encodes."""

    exchanges: int


class AwarenessUpdate(msgspec.Struct, frozen=True, tag="awareness", array_like=True):
    """The value of ``x-eqwatch-emotions`` for the next responses of a conversation; empty removes it.

    at: Unix seconds that the relay counts its age from, which it adds; 0: no age is added.
    """

    conversation: str
    header: str
    at: float = 0.0


FromRelay: TypeAlias = Exchange | RelaySnapshot | Busy
FromControl: TypeAlias = SnapshotRequest | Credit | AwarenessUpdate

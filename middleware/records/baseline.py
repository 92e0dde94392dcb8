"""A saved baseline: what was measured of which subject, under which protocol, and whether it is in force."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from middleware.records.benchmark import Protocol

__all__ = ["BaselineRecord", "BaselineSource"]

BaselineSource = Literal["commissioning", "upgrade", "created", "imported"]


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """value: the content as scorer.baseline.Baseline.to_dict gives it, frozen; the rest of the record is about it.

    version: counts from 1 for each deployment and protocol. identities: of what answered, as "model|fingerprint".
    days: between its first and its last answer. accepted_at: None until somebody, or commissioning, accepted it; the
    newest accepted one is in force. reference: it is the reference of record, against which everything is summed up.
    Times are Unix seconds, UTC; id is 0 before it is saved.
    """

    deployment: str
    item_set: str
    model: str
    protocol: Protocol
    digest: str
    created_at: float
    source: BaselineSource
    value: Mapping[str, Any]
    identities: tuple[str, ...] = field(default=())
    days: float = 0.0
    accepted_at: float | None = None
    reference: bool = False
    version: int = 0
    id: int = 0

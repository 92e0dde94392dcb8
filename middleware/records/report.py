"""An exchange as somebody outside hands it in, and what became of those that came together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Arrived", "Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """One exchange that never passed a relay. messages: as they were sent to the model, in the form of the dialect.

    reply: what the model answered, as text or as one message; None where nothing came. id: the same for every attempt.
    deployment: a configured name, or empty to find it by path, key_id or model. conversation: as the header names it.
    at: Unix seconds of the answer's end, None for now.
    """

    messages: Sequence[Mapping[str, Any]]
    reply: str | Mapping[str, Any] | None = None
    model: str = ""
    dialect: str = "openai_chat"
    deployment: str = ""
    conversation: str = ""
    id: str = ""
    path: str = ""
    key_id: str = ""
    opt_out: bool = False
    at: float | None = None
    response_id: str = ""
    previous_response_id: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """dropped: number by reason, from a closed set."""

    accepted: int = 0
    duplicates: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

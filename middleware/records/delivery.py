"""One message to one webhook, from the moment it is due until it was taken or given up."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Delivery", "DeliveryReason", "DeliveryStatus"]

DeliveryStatus = Literal["pending", "delivered", "dead"]
DeliveryReason = Literal[
    "",
    "address_refused",
    "connect",
    "timeout",
    "tls",
    "protocol",
    "redirect",
    "client_error",
    "server_error",
    "rate_limited",
    "gone",
    "stale",
    "unknown_webhook",
    "event_gone",
]


@dataclass(frozen=True, slots=True)
class Delivery:
    """id: the message's id, the same at every attempt, by which a receiver knows what it has seen.

    webhook: configured name. event: id of what it tells. next_at: not sent before; of one that is being sent, when it
    is sent again if nobody says how that ended. attempts: begun so far. reason, http_status: how the last one failed.
    """

    id: str
    webhook: str
    event: int
    status: DeliveryStatus
    created_at: float
    next_at: float
    attempts: int = 0
    reason: DeliveryReason = ""
    http_status: int | None = None
    done_at: float | None = None

"""The client for the sidecar's own calls to a chat model. User traffic never passes through here."""

from middleware.upstream.client import UpstreamClient, http_client
from middleware.upstream.completion import Completion, Dialect
from middleware.upstream.metering import Estimate, Meter, Reservation, Usage
from middleware.upstream.url import normalise_upstream

__all__ = [
    "Completion",
    "Dialect",
    "Estimate",
    "Meter",
    "Reservation",
    "UpstreamClient",
    "Usage",
    "http_client",
    "normalise_upstream",
]

"""Signatures and ids of messages, as the Standard Webhooks specification 1.0 says. Pure."""

import base64
import hashlib
import hmac

from middleware.records.event import Event

__all__ = ["message_id", "signed"]


def message_id(webhook: str, event: Event) -> str:
    """The same for the same event and webhook, whoever makes it: the receiver knows by it what it has seen."""
    seed = f"{webhook}\x00{event.id}\x00{event.kind}\x00{event.at!r}".encode()
    return f"msg_{hashlib.blake2b(seed, digest_size=16).hexdigest()}"


def signed(key: bytes, identity: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt. timestamp: Unix seconds of this attempt, which the receiver holds against its clock.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    content = f"{identity}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": identity, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}

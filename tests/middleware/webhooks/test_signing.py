"""Signatures are those of Standard Webhooks: its own library verifies them."""

import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from middleware.records.event import Event
from middleware.webhooks.signing import message_id, signed

KEY = b"0123456789abcdefghijklmnop"
EVENT = Event("incident_opened", "tutor", 12.5, {}, 7)


def test_the_reference_library_verifies() -> None:
    """Id, time and body are covered: changing any of them is noticed."""
    now = int(time.time())
    body = '{"type":"x","data":{"text":"größer → kleiner"}}'.encode()
    headers = signed(KEY, "msg_1", now, body)
    verifier = Webhook(KEY)
    assert verifier.verify(body, headers)["type"] == "x"
    for changed in (headers | {"webhook-id": "msg_2"}, headers | {"webhook-timestamp": str(now - 1)}):
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, changed)
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body.replace(b"x", b"y"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another key of enough bytes").verify(body, headers)


def test_ids_are_the_same_for_the_same_event_and_webhook() -> None:
    """And others for another webhook, event or store, whose ids begin anew."""
    same = message_id("app", EVENT)
    assert same == message_id("app", Event("incident_opened", "tutor", 12.5, {"more": 1}, 7))
    others = [
        message_id("chat", EVENT),
        message_id("app", Event("incident_opened", "tutor", 12.5, {}, 8)),
        message_id("app", Event("incident_opened", "tutor", 99.0, {}, 7)),
    ]
    assert len({same, *others}) == 4

"""Webhooks in the API: what is configured, what waits, what was given up."""

import httpx2
import pytest

from middleware.admin import Access
from middleware.admin.state import WebhookInfo
from middleware.records.event import Event

MESSAGES = "/api/v1/webhooks/messages"


@pytest.fixture
def letters(serve):
    """A server with a webhook that has one dead letter and one message that waits."""
    woken: list[bool] = []
    admin = serve(
        webhooks=(WebhookInfo("app", "standard", ("emotions", "drift"), ("tutor",)),),
        wake_webhooks=lambda: woken.append(True),
    )
    admin.store.queue_messages(lambda _: ())
    for _ in range(2):
        admin.store.save_event(Event("emotion_drift", "tutor", 5.0, {"emotion": "Joy"}))
    admin.store.queue_messages(lambda event: [("app", f"msg_{event.id}")])
    [(first, _)] = admin.store.claim_messages("app", lease_seconds=60, limit=1)
    admin.store.finish_message(first, "dead", "server_error", 500)
    admin.woken = woken
    return admin


def test_webhooks_are_listed_with_what_waits(letters):
    """Names and counts; URL and key are nowhere."""
    with letters.client() as client:
        assert client.get("/api/v1/webhooks").json() == [
            {
                "name": "app",
                "format": "standard",
                "send": ["emotions", "drift"],
                "deployments": ["tutor"],
                "pending": 1,
                "dead": 1,
            }
        ]


def test_dead_letters_are_listed_with_what_they_tell(letters):
    """Why they were given up, and the event itself."""
    with letters.client() as client:
        [letter] = client.get(MESSAGES, params={"status": "dead"}).json()
        assert len(client.get(MESSAGES).json()) == 2
        assert client.get(MESSAGES, params={"webhook": "other"}).json() == []
    assert (letter["id"], letter["reason"], letter["http_status"], letter["attempts"]) == (
        "msg_1",
        "server_error",
        500,
        1,
    )
    assert letter["event"]["kind"] == "emotion_drift"
    assert letter["next_at"] is None


def test_a_dead_letter_is_sent_again_once(letters):
    """It becomes due at once, and the sender is woken; a second request finds no dead letter."""
    with letters.client() as client:
        assert client.post(f"{MESSAGES}/msg_1/resend").json() == {"message": "msg_1"}
        again = client.post(f"{MESSAGES}/msg_1/resend")
        assert (again.status_code, again.json()["error"]["code"]) == (404, "message_unknown")
    assert letters.woken == [True]
    assert letters.store.count_messages("app") == {"pending": 2}
    value = letters.registry.get_sample_value
    assert value("eqwatch_webhook_deliveries_total", {"outcome": "resent"}) == 1


def test_sending_again_needs_the_scope_operate(serve):
    """The read token lists and does not send."""
    admin = serve(access=Access.for_listener("127.0.0.1:0", read_token="reader", operate_token="operator"))
    with admin.client(authorization="Bearer reader") as client:
        assert client.get(MESSAGES).status_code == 200
        assert client.post(f"{MESSAGES}/msg_1/resend").status_code == 403
    with admin.client(authorization="Bearer operator") as client:
        found: httpx2.Response = client.post(f"{MESSAGES}/msg_1/resend")
        assert found.status_code == 404


def test_an_own_id_is_looked_up(admin):
    """The application learns what webhooks call its conversation."""
    with admin.client() as client:
        found = client.post("/api/v1/conversations/lookup", json={"conversation": "mine"})
        assert found.json() == {"conversation": "mine"}  # the first of the keys, which the test's server makes so
        both = client.post("/api/v1/conversations/lookup", json={"conversation": "a", "messages": [{"role": "user"}]})
        assert both.status_code == 422

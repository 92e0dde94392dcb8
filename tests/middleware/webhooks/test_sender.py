"""Messages of events reach their receivers, are tried again with growing pauses, and end as dead letters."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook as Verifier

from middleware.errors import StoreUnavailable
from middleware.metrics import Metrics
from middleware.records.event import Event
from middleware.store import Store
from middleware.webhooks.addresses import networks
from middleware.webhooks.messages import Context
from middleware.webhooks.receiver import Receiver
from middleware.webhooks.sender import Sender, Webhook

KEY = b"0123456789abcdefghijklmnop"
ALL = frozenset({"emotions", "incidents", "upgrades", "drift"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store whose present is marked: what is saved from now on is sent."""
    with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as opened:
        opened.queue_messages(lambda _: ())
        yield opened


@pytest.fixture
def registry() -> CollectorRegistry:
    """Empty."""
    return CollectorRegistry()


class Sending:
    """A running sender over a store."""

    def __init__(self, store: Store, registry: CollectorRegistry) -> None:
        self.store = store
        self._metrics = Metrics(registry)
        self._registry = registry

    def count(self, outcome: str) -> float:
        """Of the counter."""
        return self._registry.get_sample_value("eqwatch_webhook_deliveries_total", {"outcome": outcome}) or 0.0

    def until(self, done: Callable[[], Any], *webhooks: Webhook, seconds: float = 120.0) -> None:
        """Run until the condition holds; fails when it takes too long."""

        async def scenario() -> None:
            sender = Sender(webhooks, store=self.store, metrics=self._metrics, context=Context(), look_seconds=0.05)
            running = asyncio.ensure_future(sender.run())
            try:
                await _until(done, seconds)
            finally:
                running.cancel()
                await asyncio.wait({running})
                for webhook in webhooks:
                    await webhook.receiver.aclose()

        asyncio.run(scenario())


async def _until(done: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


@pytest.fixture
def sending(store: Store, registry: CollectorRegistry) -> Sending:
    """Over this store."""
    return Sending(store, registry)


def webhook(url: str, name: str = "app", **changes: Any) -> Webhook:
    """A receiver on loopback, tried again quickly."""
    receiver = Receiver(url, allowed=networks(("127.0.0.0/8",)), timeout_seconds=changes.pop("timeout", 10.0))
    made = Webhook(name, receiver, KEY, ALL, attempts=3, first_retry_seconds=0.02)
    return replace(made, **changes)


def incident(deployment: str = "tutor", **details: Any) -> Event:
    """An event that is told."""
    return Event("incident_opened", deployment, time.time(), {"points": -3.0, **details})


def test_a_message_is_delivered_once_and_verifies(sending: Sending, inbox: Any) -> None:
    """Signed as Standard Webhooks says; nothing is sent again, by this process or the next one."""
    sending.store.save_event(incident())
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url))
    [(_, headers, body)] = inbox.requests
    told = Verifier(KEY).verify(body, headers)
    assert (told["type"], told["data"]["deployment"], told["data"]["points"]) == ("incident_opened", "tutor", -3.0)
    sending.store.save_event(incident())
    sending.until(lambda: sending.count("delivered") == 2, webhook(inbox.url))
    assert len(inbox.requests) == 2
    assert len(set(inbox.ids)) == 2


def test_in_a_new_store_everything_after_the_begin_is_told(
    tmp_path: Path, registry: CollectorRegistry, inbox: Any
) -> None:
    """Also what is saved before the sender has looked for the first time; nothing that was there before."""
    with Store(f"sqlite:///{tmp_path / 'new.db'}") as new:
        sending = Sending(new, registry)
        new.save_event(incident("before"))
        receiver = webhook(inbox.url)
        sender = Sender([receiver], store=new, metrics=Metrics(CollectorRegistry()), context=Context())
        asyncio.run(sender.begin())
        new.save_event(incident("after"))
        sending.until(lambda: sending.count("delivered") == 1, receiver)
    assert [json.loads(body)["data"]["deployment"] for _, _, body in inbox.requests] == ["after"]


def test_failures_are_tried_again_with_the_same_id(sending: Sending, inbox: Any) -> None:
    """A 5xx and a redirect, then it is taken; each attempt carries its own time and signature."""
    inbox.answers = [503, 302]
    sending.store.save_event(incident())
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url))
    assert sending.count("failed") == 2
    assert len(inbox.requests) == 3
    assert len(set(inbox.ids)) == 1
    for _, headers, body in inbox.requests:
        Verifier(KEY).verify(body, headers)
    [(delivery, _)] = sending.store.messages()
    assert (delivery.status, delivery.attempts, delivery.http_status) == ("delivered", 3, 200)


def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_sent_again(sending: Sending, inbox: Any) -> None:
    """Kept with the reason; sending it again uses the same id."""
    inbox.answers = [500] * 3
    sending.store.save_event(incident())
    sending.until(lambda: sending.count("dead") == 1, webhook(inbox.url))
    assert len(inbox.requests) == 3
    [(dead, event)] = sending.store.messages("dead")
    assert (dead.attempts, dead.reason, dead.http_status) == (3, "server_error", 500)
    assert event is not None
    assert sending.store.resend_message(dead.id)
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url))
    assert set(inbox.ids) == {dead.id}
    assert sending.store.messages("dead") == []


def test_an_outcome_is_counted_once_it_is_saved(
    sending: Sending, receivers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads a count finds the message as it says: delivered, waiting for the next attempt, or dead."""
    good, bad = receivers(), receivers()
    bad.answers = [500] * 3
    seen: list[tuple[str, dict[str, float]]] = []

    def watched(name: str) -> None:
        real = getattr(sending.store, name)

        def save(*arguments: Any) -> Any:
            before = {outcome: sending.count(outcome) for outcome in ("delivered", "failed", "dead")}
            time.sleep(0.05)  # what is counted too early is counted now
            seen.append((arguments[1] if name == "finish_message" else "failed", before))
            return real(*arguments)

        monkeypatch.setattr(sending.store, name, save)

    watched("finish_message")
    watched("postpone_message")
    sending.store.save_event(incident())
    sending.until(
        lambda: sending.count("dead") == sending.count("delivered") == 1,
        webhook(good.url, "good"),
        webhook(bad.url, "bad"),
    )
    assert [before["failed"] for outcome, before in seen if outcome == "failed"] == [0, 1]
    assert [before[outcome] for outcome, before in seen if outcome != "failed"] == [0, 0]


def test_what_another_process_went_on_with_is_not_counted_here(
    sending: Sending, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that outlived its lease: who has the message now counts what becomes of it."""
    inbox.answers = ["hang"]
    real, refused = sending.store.postpone_message, []

    def postpone(*arguments: Any) -> bool:
        saved = real(*arguments)
        refused.append(not saved)
        return saved

    monkeypatch.setattr(sending.store, "postpone_message", postpone)

    def taken_over() -> bool:
        if inbox.requests and not inbox.released.is_set():
            [(waiting, _)] = sending.store.messages("pending")
            assert sending.store.finish_message(waiting, "dead", "gone", 410)
            inbox.released.set()
        return bool(refused)

    sending.store.save_event(incident())
    sending.until(taken_over, webhook(inbox.url, timeout=60.0))
    assert refused == [True]
    assert [sending.count(outcome) for outcome in ("delivered", "failed", "dead")] == [0, 0, 0]


def test_a_store_that_fails_for_one_message_ends_no_other(
    sending: Sending, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken and saved meanwhile is counted; the other one comes again once its lease is over."""
    real, both = sending.store.finish_message, threading.Barrier(2)

    def finish(*arguments: Any) -> bool:
        if both.wait(60) == 0:
            raise StoreUnavailable("away", reason="locked")
        time.sleep(0.2)  # the failure is known by now
        return real(*arguments)

    monkeypatch.setattr(sending.store, "finish_message", finish)
    for _ in range(2):
        sending.store.save_event(incident())
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url))
    assert sorted(delivery.status for delivery, _ in sending.store.messages()) == ["delivered", "pending"]
    assert len(inbox.requests) == 2


def test_a_receiver_that_is_gone_is_not_tried_again(sending: Sending, inbox: Any) -> None:
    """410 says so for good."""
    inbox.answers = [410]
    sending.store.save_event(incident())
    sending.until(lambda: sending.count("dead") == 1, webhook(inbox.url))
    assert len(inbox.requests) == 1


def test_one_that_hangs_delays_no_other(sending: Sending, receivers: Any) -> None:
    """Each webhook is served on its own."""
    slow, quick = receivers(), receivers()
    slow.answers = ["hang"] * 8
    for _ in range(5):
        sending.store.save_event(incident())
    sending.until(
        lambda: len(quick.requests) == 5 and slow.requests and sending.count("delivered") == 5,
        webhook(slow.url, "slow", timeout=60.0),
        webhook(quick.url, "quick"),
    )
    assert sending.count("dead") == 0


def test_a_restart_sends_what_was_being_sent(sending: Sending, inbox: Any) -> None:
    """Killed in mid-attempt: the message is still there, counted as attempted, and comes with the same id."""
    inbox.answers = ["hang"]
    sending.store.save_event(incident())
    sending.until(lambda: inbox.requests, webhook(inbox.url, timeout=60.0))
    [(waiting, _)] = sending.store.messages("pending")
    assert waiting.attempts == 1
    assert sending.store.postpone_message(waiting, 0.0, "")  # as if the lease were over
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url))
    assert inbox.ids == [waiting.id] * 2


def test_an_old_emotion_is_given_up_rather_than_sent(sending: Sending, inbox: Any) -> None:
    """How a user felt an hour ago is no reason to act now; an incident has no such limit."""
    old = {"turn_ended_at": time.time() - 4000, "emotion": "Joy", "intensity": 8.0}
    sending.store.save_event(Event("emotion_threshold", "tutor", time.time(), old))  # type: ignore[arg-type]
    sending.store.save_event(incident(since=time.time() - 4000))
    sending.until(lambda: sending.count("dead") == 1 and sending.count("delivered") == 1, webhook(inbox.url))
    assert [delivery.reason for delivery, _ in sending.store.messages("dead")] == ["stale"]
    assert len(inbox.requests) == 1


def test_a_webhook_is_told_only_what_it_wants(sending: Sending, inbox: Any) -> None:
    """By kind of event and by deployment."""
    for event in (
        incident("tutor"),
        incident("shop"),
        Event("emotion_drift", "tutor", time.time(), {"emotion": "Joy"}),
        Event("benchmark_paused", "tutor", time.time()),
    ):
        sending.store.save_event(event)
    wanted = webhook(inbox.url, groups=frozenset({"drift", "incidents"}), deployments=frozenset({"tutor"}))
    sending.until(lambda: sending.count("delivered") == 2, wanted)
    assert len(sending.store.messages()) == 2, "what was saved after the last one that is wanted has been looked at"
    told = sorted((json.loads(body)["type"], json.loads(body)["data"]["deployment"]) for *_, body in inbox.requests)
    assert told == [("emotion_drift", "tutor"), ("incident_opened", "tutor")]


def test_a_slack_webhook_gets_text_and_blocks(sending: Sending, inbox: Any) -> None:
    """Without a key there is no signature."""
    sending.store.save_event(incident(kind="regression"))
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url, slack=True, key=b""))
    [(_, headers, body)] = inbox.requests
    assert json.loads(body).keys() == {"text", "blocks"}
    assert "webhook-signature" not in headers


@pytest.mark.parametrize(
    ("attempts", "least", "most"), [(1, 5.0, 7.5), (2, 20.0, 22.5), (3, 80.0, 82.5), (9, 7200, 7200)]
)
def test_pauses_grow_fourfold_with_jitter_up_to_two_hours(attempts: int, least: float, most: float) -> None:
    """5 s, 20 s, 80 s, 320 s and so on."""
    made = webhook("http://127.0.0.1:9/", first_retry_seconds=5.0)
    found = [made.pause(attempts) for _ in range(50)]
    assert min(found) >= least
    assert max(found) <= most


def test_a_store_that_is_away_is_asked_again(sending: Sending, inbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, and the worker does not end."""
    real, failures = sending.store.claim_messages, iter([True, True])

    def claim(*arguments: Any, **named: Any) -> Any:
        if next(failures, False):
            raise StoreUnavailable("away", reason="locked")
        return real(*arguments, **named)

    monkeypatch.setattr(sending.store, "claim_messages", claim)
    monkeypatch.setattr("middleware.webhooks.sender._IDLE_SECONDS", 0.05)
    sending.store.save_event(incident())
    sending.until(lambda: sending.count("delivered") == 1, webhook(inbox.url))

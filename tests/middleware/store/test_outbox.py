"""Messages to webhooks are made once for each event, claimed by one owner at a time, and survive a kill."""

from collections.abc import Iterator

import pytest

from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from middleware.records.informed import Call
from middleware.store import Store


class Clock:
    """Unix seconds that a test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def outbox(store_url: str, clock: Clock) -> Iterator[Store]:
    """An open store on that clock, which has marked the present."""
    with Store(store_url, clock=clock) as store:
        store.save_event(Event("incident_opened", "old", clock.now))
        assert store.queue_messages(addressed) == 0
        yield store


def addressed(event: Event) -> list[tuple[str, str]]:
    """To one webhook; events of before are to none."""
    return [("app", f"msg-{event.id}")]


def say(store: Store, clock: Clock, kind: str = "incident_opened") -> int:
    """An event, with its messages made."""
    identity = store.save_event(Event(kind, "tutor", clock.now, {"points": -3.0}))
    store.queue_messages(addressed)
    return identity


def claimed(store: Store, limit: int = 10) -> list[str]:
    """Ids of what a worker gets now."""
    return [delivery.id for delivery, _ in store.claim_messages("app", lease_seconds=30.0, limit=limit)]


def test_each_event_after_the_first_look_makes_its_messages_once(outbox: Store, clock: Clock) -> None:
    """What happened before there was a webhook is not sent, and looking again makes nothing anew."""
    event = say(outbox, clock)
    assert outbox.queue_messages(addressed) == 0
    [(delivery, told)] = outbox.messages()
    assert (delivery.id, delivery.webhook, delivery.status, delivery.attempts) == (f"msg-{event}", "app", "pending", 0)
    assert told is not None
    assert (told.id, told.details) == (event, {"points": -3.0})


def test_an_event_that_became_visible_late_is_not_missed(outbox: Store, clock: Clock) -> None:
    """A look reads a few ids again, and what was sent long ago and forgotten is not sent again."""
    first = say(outbox, clock)
    seen: list[int] = []
    outbox.queue_messages(lambda event: (seen.append(event.id), [])[1])
    assert first in seen
    clock.now += 700
    seen.clear()
    outbox.queue_messages(lambda event: (seen.append(event.id), [])[1])
    assert seen == []


def test_a_claim_is_exclusive_until_its_lease_is_over(outbox: Store, clock: Clock) -> None:
    """A worker that was killed while sending has counted its attempt; the message is sent again after the lease."""
    event = say(outbox, clock)
    assert claimed(outbox) == [f"msg-{event}"]
    assert claimed(outbox) == []
    clock.now += 30
    [(again, _)] = outbox.claim_messages("app", lease_seconds=30.0, limit=10)
    assert again.attempts == 2
    assert outbox.finish_message(again, "delivered", "", 200)
    assert claimed(outbox) == []


def test_a_stalled_owner_cannot_write_afterwards(outbox: Store, clock: Clock) -> None:
    """Whoever lost its lease changes nothing any more."""
    say(outbox, clock)
    [(first, _)] = outbox.claim_messages("app", lease_seconds=1.0, limit=1)
    clock.now += 2
    [(second, _)] = outbox.claim_messages("app", lease_seconds=30.0, limit=1)
    assert not outbox.finish_message(first, "dead", "timeout")
    assert not outbox.postpone_message(first, clock.now, "timeout")
    assert outbox.finish_message(second, "delivered")


def test_postponed_messages_wait_for_their_time(outbox: Store, clock: Clock) -> None:
    """And the next time that anything is due is known."""
    say(outbox, clock)
    [(delivery, _)] = outbox.claim_messages("app", lease_seconds=30.0, limit=1)
    assert outbox.postpone_message(delivery, clock.now + 5, "server_error", 503)
    assert outbox.next_message_at(["app"]) == clock.now + 5
    assert outbox.next_message_at(["other"]) is None
    assert claimed(outbox) == []
    clock.now += 5
    assert len(claimed(outbox)) == 1
    [(waiting, _)] = outbox.messages("pending", "app")
    assert (waiting.reason, waiting.http_status, waiting.attempts) == ("server_error", 503, 2)


def test_dead_letters_are_kept_and_can_be_sent_again(outbox: Store, clock: Clock) -> None:
    """Only a dead letter can, and its attempts count anew under the same id."""
    event = say(outbox, clock)
    assert not outbox.resend_message(f"msg-{event}")
    [(delivery, _)] = outbox.claim_messages("app", lease_seconds=30.0, limit=1)
    outbox.finish_message(delivery, "dead", "server_error", 500)
    assert outbox.count_messages("app") == {"dead": 1}
    assert outbox.resend_message(f"msg-{event}")
    assert claimed(outbox) == [f"msg-{event}"]


def test_old_messages_go(outbox: Store, clock: Clock) -> None:
    """Delivered ones and dead letters by age, and of dead letters no more are kept than may be."""
    for _ in range(4):
        say(outbox, clock)
        clock.now += 1
    for number, (delivery, _) in enumerate(outbox.claim_messages("app", lease_seconds=30.0, limit=4)):
        outbox.finish_message(delivery, "delivered" if number == 0 else "dead")
        clock.now += 10
    outbox.prune_messages(delivered_before=clock.now - 5, dead_before=clock.now - 25, dead_kept=1)
    assert [delivery.status for delivery, _ in outbox.messages()] == ["dead"]


def probe(turn: int, intensity: float) -> ProbeResult:
    """A rating of one emotion."""
    return ProbeResult(
        "tutor", "c1", turn, "perception", "scored", {"Joy": intensity}, judge="m", at=float(turn), turn_ended_at=1.0
    )


def test_an_estimate_and_what_follows_from_it_are_saved_together(outbox: Store, clock: Clock) -> None:
    """The event has its id, and an estimate that is there already brings nothing about."""
    shown: list[list[int]] = []

    def follow(results: object) -> list[Event]:
        shown.append([result.turn for result in results])  # type: ignore[attr-defined]
        return [Event("emotion_threshold", "tutor", clock.now, {"turn": 2})]

    outbox.save_probe(probe(1, 4.0))
    events = outbox.save_estimate(probe(2, 8.0), follow)
    assert events is not None
    assert (shown, events[0].kind) == ([[1, 2]], "emotion_threshold")
    assert events[0] in outbox.events()
    assert outbox.save_estimate(probe(2, 9.0), follow) is None
    assert len(shown) == 1


def test_an_estimate_whose_event_cannot_be_saved_is_not_saved_either(outbox: Store) -> None:
    """Both or neither, so that a threshold is never crossed in silence."""

    def fail(_results: object) -> list[Event]:
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        outbox.save_estimate(probe(1, 8.0), fail)
    assert outbox.emotions_of("c1") == []


def test_calls_come_back_newest_first_and_once(outbox: Store) -> None:
    """A call that is there already stays as it was, and other deployments have their own."""
    first = Call("c1", 2, "tutor", "pull", 1.5, 10.0)
    later = Call("c1", 3, "tutor", "none", 0.0, 20.0)
    for call in (first, later, Call("c1", 2, "tutor", "stream", 9.0, 10.0), Call("c2", 2, "shop", "pull", 1.0, 30.0)):
        outbox.save_call(call)
    assert outbox.calls("tutor") == [later, first]
    assert outbox.calls("tutor", limit=1) == [later]

"""Events as a stream: replay, then live, and nobody waits for a slow reader."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from middleware.admin import EventFeed
from middleware.admin.feed import TooManySubscribers
from middleware.admin.stream import SlowReaders
from middleware.awareness.recent import Recent
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event

NOW = 1_794_500_000.0


def event(number: int) -> Event:
    """A numbered event without an id."""
    return Event("benchmark_paused", "tutor", float(number), {"number": number})


def messages(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The fields of each message of a stream of lines, comments left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if not line and fields:
            yield fields
            fields = {}
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value


def test_stored_events_come_first_then_live_ones(admin):
    """A reader that names its last id misses nothing and gets nothing twice."""
    for number in range(3):
        admin.publish(event(number))
    with admin.client() as client, client.stream("GET", "/api/v1/events", params={"since": 1}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        found = messages(stream.iter_lines())
        replayed = [next(found), next(found)]
        live = admin.publish(event(3))
        got = next(found)
    assert [message["id"] for message in replayed] == ["2", "3"]
    assert (got["id"], got["event"]) == (str(live.id), "benchmark_paused")
    assert json.loads(got["data"]) == {
        "id": 4,
        "kind": "benchmark_paused",
        "deployment": "tutor",
        "at": 3.0,
        "details": {"number": 3},
    }


def test_a_reconnecting_browser_resumes_by_its_header(admin):
    """Last-Event-ID counts for more than the parameter of the URL."""
    for number in range(3):
        admin.publish(event(number))
    with (
        admin.client() as client,
        client.stream("GET", "/api/v1/events?since=0", headers={"last-event-id": "2"}) as stream,
    ):
        assert next(messages(stream.iter_lines()))["id"] == "3"


def test_a_stream_begins_once_other_processes_are_followed(admin):
    """Its head comes after that, so that whoever has it misses nothing that the command line or a replica saves."""
    feed = admin.state.feed
    order = []

    def follow() -> None:
        order.append("followed")
        feed.followed.set()

    async def once_subscribed() -> None:
        await feed.wanted.wait()
        asyncio.get_running_loop().call_later(0.2, follow)

    feed.followed.clear()
    waiting = asyncio.run_coroutine_threadsafe(once_subscribed(), admin.loop)
    with admin.client() as client, client.stream("GET", "/api/v1/events") as stream:
        order.append("answered")
        assert stream.status_code == 200
    waiting.result(20)
    assert order == ["followed", "answered"]


def test_of_two_events_saved_at_once_both_are_told(admin):
    """Whichever of them is published first; one that the replay told already is not told again."""
    saved = [replace(event(number), id=admin.store.save_event(event(number))) for number in range(3)]
    with (
        admin.client() as client,
        client.stream("GET", "/api/v1/events") as live,
        client.stream("GET", "/api/v1/events?since=0") as replayed,
    ):
        told = messages(replayed.iter_lines())
        before = [next(told)["id"] for _ in saved]
        for one in reversed(saved):
            admin.loop.call_soon_threadsafe(admin.state.feed.publish, one)
        later = str(admin.publish(event(3)).id)
        assert [*before, next(told)["id"]] == ["1", "2", "3", later]
        found = messages(live.iter_lines())
        assert [next(found)["id"] for _ in range(4)] == ["3", "3", "3", later], "each with how far the reader is"


def test_too_many_streams_are_refused_before_they_start(serve):
    """The limit answers 503 with a remedy."""
    admin = serve(subscribers=1)
    admin.publish(event(0))
    with admin.client() as client:
        with client.stream("GET", "/api/v1/events?since=0") as stream:
            found = messages(stream.iter_lines())
            assert next(found)["id"] == "1"
            refused = client.get("/api/v1/events")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_subscribers")


def test_a_slow_subscriber_is_cut_and_others_go_on():
    """The queue is bounded: who does not keep up gets what is queued and then the end, counted once; nobody waits."""
    drops: list[int] = []

    async def scenario() -> list[Event | None]:
        feed = EventFeed(count_drop=lambda: drops.append(1), capacity=2)
        with feed.subscribe() as slow, feed.subscribe() as quick:
            taken = []
            for number in range(5):
                feed.publish(event(number))
                taken.append(await quick.next())
            assert slow.cut
            assert not quick.cut
            rest = [await slow.next(), await slow.next(), await slow.next()]
            assert [one.at for one in taken if one] == [0, 1, 2, 3, 4]
            return rest

    rest = asyncio.run(scenario())
    assert [one.at if one else None for one in rest] == [0, 1, None]
    assert len(drops) == 1


def test_a_closed_feed_ends_streams_at_once():
    """Stopping the listener does not wait for readers, early or late."""

    async def scenario() -> list[Event | None]:
        feed = EventFeed(count_drop=lambda: None)
        with feed.subscribe() as early:
            feed.close()
            ended = [await early.next()]
        with feed.subscribe() as late:
            return [*ended, await late.next()]

    assert asyncio.run(scenario()) == [None, None]


def test_the_feed_refuses_more_subscribers_than_it_may_have():
    """And takes the next one when one leaves."""
    feed = EventFeed(count_drop=lambda: None, subscribers=1)
    with feed.subscribe(), pytest.raises(TooManySubscribers), feed.subscribe():
        pass
    with feed.subscribe() as again:
        assert not again.cut


def test_stopping_ends_an_open_stream(serve):
    """A reader sees the end of the stream when the feed closes."""
    admin = serve()
    admin.publish(event(0))
    ended = threading.Event()
    with admin.client() as client, client.stream("GET", "/api/v1/events?since=0") as stream:
        found = messages(stream.iter_lines())
        next(found)
        admin.loop.call_soon_threadsafe(admin.state.feed.close)
        assert list(found) == []
        ended.set()
    assert ended.is_set()


def estimate(turn: int, conversation: str = "hashed-mine", deployment: str = "tutor", at: float = NOW) -> ProbeResult:
    """A perception, as control saves it."""
    return ProbeResult(
        deployment,
        conversation,
        turn,
        "perception",
        "scored",
        {"Joy": float(turn)},
        judge="small",
        at=at + turn,
        turn_ended_at=at + turn - 1,
    )


def tell(admin, result: ProbeResult) -> None:
    """Save and tell an estimate, as control does."""
    admin.store.save_probe(result)
    recent = Recent()
    recent.listeners.append(admin.state.feed.tell)
    admin.loop.call_soon_threadsafe(recent.take, result)


def test_each_new_estimate_is_told_to_who_asked(admin):
    """With all that the emotions route says of it; an unfiltered stream has none of them."""
    admin.publish(event(0))
    with (
        admin.client() as client,
        client.stream("GET", "/api/v1/events?type=emotions&since=0") as aware,
        client.stream("GET", "/api/v1/events?since=0") as plain,
    ):
        next(messages(plain_lines := plain.iter_lines()))
        tell(admin, estimate(3))
        admin.publish(event(1))
        got = next(messages(aware.iter_lines()))
        assert next(messages(plain_lines))["event"] == "benchmark_paused"
    told = json.loads(got["data"])
    assert (got["event"], told["kind"], told["deployment"], told["id"]) == ("emotions", "emotions", "tutor", 0)
    assert (told["details"]["conversation"], told["details"]["turn"]) == ("hashed-mine", 3)
    joy = told["details"]["emotions"]["Joy"]
    assert (joy["intensity"], joy["turn"], joy["judge"], joy["age_turns"]) == (3.0, 3, "small", 0)


def test_filters_by_type_deployment_and_conversation(admin):
    """What does not fit is neither replayed nor told; a conversation is found by the application's own id."""
    for kind, deployment, conversation in (
        ("emotion_threshold", "tutor", "hashed-mine"),
        ("emotion_threshold", "tutor", "hashed-other"),
        ("emotion_threshold", "shop", "hashed-mine"),
        ("incident_opened", "tutor", ""),
    ):
        admin.publish(Event(kind, deployment, NOW, {"conversation": conversation} if conversation else {}))

    def first(query: str, count: int = 1) -> list[str]:
        with admin.client() as client, client.stream("GET", f"/api/v1/events?since=0&{query}") as stream:
            found = messages(stream.iter_lines())
            return [next(found)["id"].partition(".")[0] for _ in range(count)]

    assert first("type=incident_opened") == ["4"]
    assert first("type=incident_opened&type=emotion_threshold", 4) == ["1", "2", "3", "4"]
    assert first("deployment=shop") == ["3"]
    assert first("conversation=mine", 2) == ["1", "3"]
    assert first("conversation=mine&deployment=shop") == ["3"]


def test_a_conversation_begins_with_what_is_known(admin):
    """A robot that connects is told the newest estimate at once, and then each new one, each once."""
    for turn in (1, 2):
        admin.store.save_probe(estimate(turn))
    with admin.client() as client, client.stream("GET", "/api/v1/events?conversation=mine") as stream:
        found = messages(stream.iter_lines())
        known = next(found)
        tell(admin, estimate(9, "hashed-other"))
        tell(admin, estimate(3))
        new = next(found)
    first, second = json.loads(known["data"])["details"], json.loads(new["data"])["details"]
    assert (first["turn"], second["turn"]) == (2, 3)
    assert first["emotions"]["Joy"]["trend"] == 1.0
    again = {"last-event-id": new["id"]}
    with admin.client(**again) as client, client.stream("GET", "/api/v1/events?conversation=mine") as stream:
        tell(admin, estimate(4))
        assert json.loads(next(messages(stream.iter_lines()))["data"])["details"]["turn"] == 4


def test_a_reconnecting_reader_gets_the_estimates_that_it_missed(admin):
    """By its Last-Event-ID, which holds the time of the last one, and beside it the last event."""
    admin.publish(event(0))
    with admin.client() as client, client.stream("GET", "/api/v1/events?since=0&type=emotions") as stream:
        tell(admin, estimate(1))
        last = next(messages(stream.iter_lines()))["id"]
    for turn, conversation in ((2, "hashed-mine"), (3, "hashed-other")):
        admin.store.save_probe(estimate(turn, conversation))
    with (
        admin.client(**{"last-event-id": last}) as client,
        client.stream("GET", "/api/v1/events?type=emotions&type=benchmark_paused") as stream,
    ):
        found = messages(stream.iter_lines())
        assert [json.loads(next(found)["data"])["details"]["turn"] for _ in range(2)] == [2, 3]
        admin.publish(event(1))
        assert next(found)["id"].startswith("2.")


def test_an_estimate_that_is_saved_late_is_told(admin):
    """Also where one of another conversation, whose judge answered later, was told before it."""
    admin.store.save_probe(estimate(5, "hashed-quick"))
    with (
        admin.client(**{"last-event-id": f"0.{round(NOW * 1e6)}"}) as client,
        client.stream("GET", "/api/v1/events?type=emotions") as stream,
    ):
        found = messages(stream.iter_lines())
        turns = [json.loads(next(found)["data"])["details"]["turn"]]
        tell(admin, estimate(5, "hashed-quick"))
        tell(admin, estimate(3, "hashed-slow"))
        tell(admin, estimate(6, "hashed-quick"))
        turns += [json.loads(next(found)["data"])["details"]["turn"] for _ in range(2)]
    assert turns == [5, 3, 6]


@pytest.mark.parametrize("odd", ["x", "1.", "-1", "1.2.3", "9" * 19])
def test_an_odd_last_event_id_is_refused(admin, odd):
    """422 rather than a replay of everything."""
    with admin.client(**{"last-event-id": odd}) as client:
        assert client.get("/api/v1/events").status_code == 422


def test_a_reader_that_takes_nothing_is_cut():
    """A stream whose bytes nobody takes ends after its limit, counted, and raises nothing."""
    drops: list[int] = []
    feed = EventFeed(count_drop=lambda: drops.append(1))

    async def app(_scope, _receive, send) -> None:
        await send({"type": "http.response.start"})

    async def stuck(_message) -> None:
        await asyncio.sleep(3600)

    async def scenario() -> None:
        readers = SlowReaders(app, feed, stuck_seconds=0.05)
        await readers({"type": "http", "path": "/api/v1/events"}, stuck, stuck)

    asyncio.run(scenario())
    assert drops == [1]

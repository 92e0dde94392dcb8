"""Events as a stream: replay, then live, and nobody waits for a slow reader."""

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from middleware.admin import EventFeed
from middleware.admin.feed import TooManySubscribers
from middleware.records.event import Event


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


def test_a_slow_subscriber_loses_events_and_is_told():
    """The queue is bounded; what does not fit is counted, and neither publisher nor others wait."""
    drops: list[int] = []

    async def scenario() -> list[Event | None]:
        feed = EventFeed(count_drop=lambda: drops.append(1), capacity=2)
        with feed.subscribe() as slow, feed.subscribe() as quick:
            taken = []
            for number in range(5):
                feed.publish(event(number))
                taken.append(await quick.next())
            assert slow.take_lost() == 3
            assert slow.take_lost() == 0
            feed.close()
            rest = [await slow.next(), await slow.next(), await slow.next()]
            assert [one.at for one in taken if one] == [0, 1, 2, 3, 4]
            return rest

    rest = asyncio.run(scenario())
    assert [one.at if one else None for one in rest] == [0, 1, None]
    assert len(drops) == 3


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
        assert again.take_lost() == 0


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

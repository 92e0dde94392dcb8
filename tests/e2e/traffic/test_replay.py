"""A request is sent to the upstream once; the one exception is a kept connection that closed before it answered."""

import json
from typing import Any

import pytest

GET = b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n"
HEAD = b"HEAD /v1/models HTTP/1.1\r\nHost: c\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def kept(relay: Any, upstream: Any) -> tuple[Any, Any]:
    """A client and an upstream connection that have had one exchange and are both kept."""
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    client.read_answer()
    return client, wire


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("request_bytes", [GET, HEAD], ids=["get", "head"])
def test_an_idempotent_request_is_replayed_once(relay: Any, upstream: Any, request_bytes: bytes, ending: str) -> None:
    """A kept connection that closes before a byte of the answer: the request goes once more, on a new connection."""
    client, wire = kept(relay, upstream)
    client.send(request_bytes)
    first = wire.read_head()
    getattr(wire, ending)()
    second = upstream.accept()
    assert second.read_head() == first
    second.send(PLAIN[:-2] if request_bytes is HEAD else PLAIN)
    assert client.read_answer(bodiless=request_bytes is HEAD).status == 200


def test_it_is_never_replayed_twice(relay: Any, upstream: Any) -> None:
    """Where the replay fails too, the answer is 502 and the upstream was asked twice, not more."""
    client, wire = kept(relay, upstream)
    client.send(GET)
    wire.read_head()
    wire.close()
    second = upstream.accept()
    second.read_head()
    second.close()
    answer = client.read_answer()
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (502, "upstream_closed")
    assert not upstream.pending()


def test_a_post_that_was_read_is_not_replayed(relay: Any, upstream: Any) -> None:
    """A POST on a kept connection that closes after reading it is 502: it may have been acted on."""
    client, wire = kept(relay, upstream)
    client.send(POST)
    wire.read_request()
    wire.close()
    answer = client.read_answer()
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (502, "upstream_closed")
    assert not upstream.pending()


def test_a_request_on_a_new_connection_is_not_replayed(relay: Any, upstream: Any) -> None:
    """A new connection that closes without an answer is 502, even for GET."""
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.close()
    assert client.read_answer().status == 502
    assert not upstream.pending()


def test_a_begun_answer_is_not_replayed(relay: Any, upstream: Any) -> None:
    """Once a byte of the answer came there is no replay: half a head is 502."""
    client, wire = kept(relay, upstream)
    client.send(GET)
    wire.read_head()
    wire.send(b"HTTP/1.1 2")
    wire.close()
    assert client.read_answer().status == 502
    assert not upstream.pending()


def test_an_interim_answer_is_an_answer(relay: Any, upstream: Any) -> None:
    """After a 1xx there is no replay either."""
    client, wire = kept(relay, upstream)
    client.send(GET)
    wire.read_head()
    wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    client.read_head()
    wire.close()
    answer = client.read_answer()
    assert answer.status == 502
    assert not upstream.pending()


@pytest.mark.parametrize("request_bytes", [GET, POST], ids=["get", "post"])
def test_a_kept_connection_that_closed_while_idle_is_not_used(relay: Any, upstream: Any, request_bytes: bytes) -> None:
    """An upstream that closes a kept connection in peace costs nobody anything: the next request opens another."""
    client, wire = kept(relay, upstream)
    wire.half_close()
    assert wire.ended() in {"end", "reset"}
    client.send(request_bytes)
    second = upstream.accept()
    second.read_request()
    second.send(PLAIN)
    assert client.read_answer().status == 200


def test_every_race_with_an_idle_close_ends_well(relay: Any, upstream: Any) -> None:
    """GETs sent at the very moment at which the upstream closes the kept connection are all answered."""
    client, wire = kept(relay, upstream)
    for _ in range(100):
        client.send(GET)
        wire.close()
        wire = upstream.accept()
        wire.read_head()
        wire.send(PLAIN)
        assert client.read_answer().status == 200


def test_a_post_that_races_with_an_idle_close_is_sent_at_most_once(relay: Any, upstream: Any) -> None:
    """POSTs at the very moment of the close are answered or 502, and no upstream ever reads one of them twice."""
    client, wire = kept(relay, upstream)
    for number in range(100):
        client.send(b"POST /%d HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}" % number)
        wire.close()
        wire = upstream.accept_unless_answered(client)
        if wire is None:
            assert client.read_answer().status == 502
            client, wire = kept(relay, upstream)
            continue
        assert wire.read_request().first_line == b"POST /%d HTTP/1.1" % number
        wire.send(PLAIN)
        assert client.read_answer().status == 200

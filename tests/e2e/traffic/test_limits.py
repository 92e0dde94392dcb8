"""Sizes, counts and times are limited, each by its setting, and what is over it costs nobody else anything."""

import json
import time
from typing import Any

import pytest

from middleware.records.relay import Limits, Timeouts

GET = b"GET / HTTP/1.1\r\nHost: c\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: c\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT = 0.6
LONG = 10.0


def code_of(answer: Any) -> str:
    """The stable code of an error of the relay's own."""
    assert answer.values(b"content-type") == [b"application/json"]
    return str(json.loads(answer.body)["error"]["code"])


def served(relay: Any, upstream: Any, wire: Any = None) -> Any:
    """Another client is served as ever; the upstream's end that it went over."""
    client = relay.ask(GET)
    wire = wire or upstream.accept()
    assert wire.read_head().first_line == b"GET / HTTP/1.1"
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    return wire


def drip(client: Any, piece: bytes, seconds: float) -> bool:
    """Send the piece ten times a second; whether the relay ended the connection before the time was up."""
    end = time.monotonic() + seconds
    client.sock.settimeout(0.1)
    while time.monotonic() < end:
        try:
            client.send(piece)
            if not client._more():
                return True
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return True
    return False


@pytest.mark.parametrize(
    "request_head",
    [
        GET[:-2] + b"X-Long: " + b"a" * 5000 + b"\r\n\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: c\r\n" + b"X: 1\r\n" * 900 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: c\r\n" + b"X-A: 1\r\n" * 40 + b"\r\n",
        GET[:-2] + b"X-Endless: " + b"a" * 100_000,
    ],
    ids=["header", "target", "many-and-long", "many", "endless"],
)
def test_a_head_over_the_limit_is_431(start: Any, request_head: bytes) -> None:
    """A head over its size or its count of lines is answered with 431 and close; the upstream hears nothing."""
    relay, upstream = start(limits=Limits(head_bytes=4096, headers=32))
    client = relay.ask(request_head)
    answer = client.read_answer()
    assert (answer.status, code_of(answer)) == (431, "head_too_large")
    client.ended()
    assert not upstream.pending()
    served(relay, upstream)


def test_a_head_under_the_limit_passes(start: Any) -> None:
    """Heads that just keep to the limits pass, again and again on the same connection."""
    relay, upstream = start(limits=Limits(head_bytes=4096, headers=32))
    client, wire = relay.dial(), None
    for head in (GET[:-2] + b"X-Long: " + b"a" * 3900 + b"\r\n\r\n", GET[:-2] + b"X: 1\r\n" * 31 + b"\r\n"):
        client.send(head)
        wire = wire or upstream.accept()
        wire.read_head()
        wire.send(PLAIN)
        assert client.read_answer().status == 200


def test_a_declared_body_over_the_limit_is_413(start: Any) -> None:
    """A length over the limit is answered with 413, readable while the client still sends; nothing goes upstream."""
    relay, upstream = start(limits=Limits(body_bytes=1000))
    client = relay.ask(POST + b"Content-Length: 2000000\r\n\r\n" + b"a" * 2_000_000)
    answer = client.read_answer()
    assert (answer.status, code_of(answer)) == (413, "body_too_large")
    client.ended()
    assert not upstream.pending()
    served(relay, upstream)


def test_a_chunked_body_over_the_limit_is_413(start: Any) -> None:
    """Chunks that add up to more than the limit end in 413 and close, and the upstream sees no whole request."""
    relay, upstream = start(limits=Limits(body_bytes=1000))
    client = relay.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n1f4\r\n" + b"a" * 500 + b"\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.read_chunk()
    client.send(b"1f5\r\n" + b"a" * 501 + b"\r\n0\r\n\r\n")
    answer = client.read_answer()
    assert (answer.status, code_of(answer)) == (413, "body_too_large")
    client.ended()
    rest, _ = wire.read_rest()
    assert not rest.endswith(b"0\r\n\r\n")
    served(relay, upstream)


@pytest.mark.parametrize("framed", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"])
def test_a_body_at_the_limit_passes(start: Any, framed: bytes) -> None:
    """A body of exactly the limit passes."""
    relay, upstream = start(limits=Limits(body_bytes=1000))
    end = b"\r\n0\r\n\r\n" if b"chunked" in framed else b""
    client = relay.ask(POST + framed + b"a" * 1000 + end)
    wire = upstream.accept()
    assert wire.read_request().body == b"a" * 1000
    wire.send(PLAIN)
    assert client.read_answer().status == 200


@pytest.mark.parametrize("answer", [b"X-Long: " + b"a" * 9000 + b"\r\n", b"X: 1\r\n" * 200])
def test_an_answer_head_over_the_limit_is_502(start: Any, answer: bytes) -> None:
    """An upstream's head over the limits is not passed on: 502 in its place."""
    relay, upstream = start(limits=Limits(head_bytes=4096, headers=32))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\n" + answer + b"Content-Length: 0\r\n\r\n")
    got = client.read_answer()
    assert (got.status, code_of(got)) == (502, "upstream_protocol")
    wire.ended()
    served(relay, upstream)


@pytest.mark.parametrize("piece", [b"", b"a"], ids=["silent", "dripping"])
def test_slow_loris_in_the_head(start: Any, piece: bytes) -> None:
    """A head that is not whole in time ends in 400 and close, however it drips; other clients are served meanwhile."""
    relay, upstream = start(timeouts=Timeouts(head=SHORT))
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\nX-Slow: ")
    wire = served(relay, upstream)
    if piece:
        assert drip(client, piece, LONG)
    else:
        answer = client.read_answer()
        assert (answer.status, code_of(answer)) == (400, "request_timeout")
        client.ended()
    served(relay, upstream, wire)
    assert not upstream.pending()


def test_a_client_that_never_speaks_is_ended(start: Any) -> None:
    """A connection on which nothing ever comes is closed in time."""
    relay, _ = start(timeouts=Timeouts(head=SHORT, keep_alive=SHORT))
    client = relay.dial()
    client.sock.settimeout(LONG)
    client.read_rest()


def test_slow_loris_in_the_body(start: Any) -> None:
    """An upload that pauses for too long ends in 400 and close, its upstream connection too; others are served."""
    relay, upstream = start(timeouts=Timeouts(body=SHORT))
    client = relay.ask(POST + b"Content-Length: 100\r\n\r\nsome")
    wire = upstream.accept()
    wire.read_head()
    other = served(relay, upstream)
    answer = client.read_answer()
    assert (answer.status, code_of(answer)) == (400, "request_timeout")
    client.ended()
    assert wire.read_rest()[0] == b"some"
    served(relay, upstream, other)


def test_a_slow_upload_that_goes_on_is_not_ended(start: Any) -> None:
    """Pauses shorter than the body's limit are fine, however long the whole takes, and no fault of the upstream."""
    relay, upstream = start(timeouts=Timeouts(body=60.0, first_byte=4.0, idle=4.0))
    client = relay.ask(POST + b"Content-Length: 25\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    for _ in range(25):
        time.sleep(0.18)
        client.send(b"a")
        assert wire.read(1) == b"a"
    wire.send(PLAIN)
    assert client.read_answer().status == 200


def test_an_idle_client_connection_is_closed(start: Any) -> None:
    """A kept connection on which nothing comes any more is ended quietly."""
    relay, upstream = start(timeouts=Timeouts(keep_alive=SHORT))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    client.read_answer()
    assert client.ended(LONG) == "end"


def test_keep_alive_does_not_cut_a_stream(start: Any) -> None:
    """An exchange that is under way is not idle: the keep-alive and head limits don't end it."""
    relay, upstream = start(timeouts=Timeouts(keep_alive=SHORT, head=SHORT, body=SHORT, upstream_keep_alive=SHORT))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    time.sleep(1.5)
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"


def test_an_idle_upstream_connection_is_closed(start: Any) -> None:
    """A pooled upstream connection that nobody uses is closed in time; the next request opens another."""
    relay, upstream = start(timeouts=Timeouts(upstream_keep_alive=SHORT))
    wire = served(relay, upstream)
    assert wire.ended(LONG) == "end"
    served(relay, upstream)


def test_an_upstream_that_hangs_before_its_head_is_504(start: Any) -> None:
    """No head in time: 504, the upstream's connection is ended, and other clients are served."""
    relay, upstream = start(timeouts=Timeouts(first_byte=3.5))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    answer = client.read_answer()
    assert (answer.status, code_of(answer)) == (504, "upstream_timeout")
    wire.ended()
    served(relay, upstream)


def test_a_head_that_drips_from_the_upstream_is_504(start: Any) -> None:
    """Half a head does not stop the first-byte limit."""
    relay, upstream = start(timeouts=Timeouts(first_byte=3.5))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nX-Half: ")
    assert client.read_answer().status == 504
    wire.ended()


@pytest.mark.parametrize("framed", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_an_upstream_that_falls_silent_is_cut(start: Any, framed: bytes) -> None:
    """Silence in mid-stream over the idle limit ends both connections; the client's answer stays unfinished."""
    relay, upstream = start(timeouts=Timeouts(idle=SHORT))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\n" + framed + b"\r\n\r\n5\r\nhello\r\n")
    client.read_head()
    client.read_until(b"hello\r\n")
    assert client.read_rest()[0] == b""
    wire.ended()
    served(relay, upstream)


def test_there_is_no_limit_on_the_whole(start: Any) -> None:
    """A stream that goes on slowly is never cut: it lasts longer than every limit."""
    relay, upstream = start(timeouts=Timeouts(4, 4, 4, 4, 4, 4, 4))
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(35):
        time.sleep(0.13)
        wire.send(b"2\r\nok\r\n")
    wire.send(b"0\r\n\r\n")
    assert client.read_answer().body == b"ok" * 35

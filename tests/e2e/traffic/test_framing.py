"""Trailers, interim answers, bodiless answers, HTTP/1.0, keep-alive and pipelining are framed correctly."""

import contextlib
from typing import Any

import pytest

GET = b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def asked(relay: Any, upstream: Any, request: bytes = GET) -> tuple[Any, Any]:
    """A client that has sent the request, and the upstream's end that has read its head."""
    client = relay.ask(request)
    wire = upstream.accept()
    wire.read_head()
    return client, wire


def again(client: Any, wire: Any) -> None:
    """The client's connection is still in step: another exchange passes on it, whichever way it goes upstream."""
    client.send(b"GET /again HTTP/1.1\r\nHost: c\r\n\r\n")
    assert wire.read_head().first_line == b"GET /again HTTP/1.1"
    wire.send(PLAIN)
    answer = client.read_answer()
    assert (answer.status, answer.body) == (200, b"ok")


def test_keep_alive_both_ways(relay: Any, upstream: Any) -> None:
    """Requests that follow each other on one client connection reuse one upstream connection."""
    client, wire = asked(relay, upstream)
    wire.send(PLAIN)
    client.read_answer()
    for _ in range(20):
        again(client, wire)
    assert not upstream.pending()


def test_connections_are_pooled_across_clients(relay: Any, upstream: Any) -> None:
    """A second client's request goes over the upstream connection that the first has given back."""
    client, wire = asked(relay, upstream)
    wire.send(PLAIN)
    client.read_answer()
    again(relay.dial(), wire)


def test_close_from_the_client_is_honoured(relay: Any, upstream: Any) -> None:
    """After ``Connection: close`` the client gets its answer and then the end."""
    client, wire = asked(relay, upstream, b"GET / HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n")
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    assert client.ended() == "end"


def test_close_from_the_upstream_is_honoured(relay: Any, upstream: Any) -> None:
    """An upstream that says ``Connection: close`` is not asked again on that connection; the client is served on."""
    client, wire = asked(relay, upstream)
    wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    assert client.read_answer().body == b"ok"
    assert wire.ended() in {"end", "reset"}
    other = relay.ask(GET)
    second = upstream.accept()
    second.read_head()
    second.send(PLAIN)
    assert other.read_answer().status == 200


def test_pipelined_requests_are_answered_in_order(relay: Any, upstream: Any) -> None:
    """Requests sent in one go are relayed one after the other and answered in their order."""
    wanted = [b"GET /%d HTTP/1.1\r\nHost: c\r\n\r\n" % number for number in range(5)]
    wanted[2] = b"POST /2 HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\nabc"
    wanted[3] = b"POST /3 HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
    client = relay.ask(b"".join(wanted))
    wire = upstream.accept()
    for number in range(5):
        seen = wire.read_request()
        assert seen.first_line.split()[1] == b"/%d" % number
        assert seen.body == {2: b"abc", 3: b"de"}.get(number, b"")
        assert bytes(wire.received[wire.taken :]) == b"", "the next request came before the answer to this one"
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
    assert [client.read_answer().body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_request_trailers_never_become_headers(relay: Any, upstream: Any) -> None:
    """Trailers of an upload are dropped or stay trailers; the head has none of them and the next request is whole."""
    client = relay.ask(
        b"POST /v1/files HTTP/1.1\r\nHost: c\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-other: 2\r\n\r\n"
    )
    wire = upstream.accept()
    head = wire.read_head()
    assert {name.lower() for name, _ in head.headers} <= {b"host", b"trailer", b"transfer-encoding"}
    assert head.values(b"host") == [upstream.authority]
    assert wire.read_chunk() == b"abc"
    assert wire.read_chunk() == b""
    while wire.read_until(b"\r\n") != b"\r\n":
        pass
    wire.send(PLAIN)
    client.read_answer()
    again(client, wire)


@pytest.mark.parametrize("line", [b"Host: evil", b"Content-Length: 9", b"Transfer-Encoding: chunked", b"Connection: x"])
def test_trailers_that_would_reframe_go_nowhere(relay: Any, upstream: Any, line: bytes) -> None:
    """A trailer with the name of a framing or routing header ends in 400 and close, or is dropped."""
    client = relay.ask(
        b"POST /v1/files HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
        + line
        + b"\r\n\r\n"
    )
    if wire := upstream.accept_unless_answered(client):
        assert wire.read_head().values(b"host") == [upstream.authority]
        rest = b""
        with contextlib.suppress(AssertionError):
            rest = wire.read_until(b"0\r\n\r\n")
            wire.send(PLAIN)
        assert line not in rest + bytes(wire.received)
    answer = client.read_answer()
    assert answer.status in {200, 400}
    if answer.status == 400:
        assert client.ended() == "end"


def test_response_trailers_end_the_body(relay: Any, upstream: Any) -> None:
    """An answer with trailers reaches the client whole; the trailers are no part of its head or body."""
    client, wire = asked(relay, upstream)
    wire.send(
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nSet-Cookie: evil=1\r\n\r\n"
    )
    answer = client.read_answer()
    assert answer.body == b"abc"
    assert not answer.values(b"x-sum")
    assert not answer.values(b"set-cookie")
    again(client, wire)


def test_interim_answers_pass_at_once(relay: Any, upstream: Any) -> None:
    """1xx answers reach the client before the final one is there, all of them and in order."""
    client, wire = asked(relay, upstream)
    for interim in (
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n",
    ):
        wire.send(interim)
        assert client.read(len(interim)) == interim
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    again(client, wire)


def test_interim_answers_are_not_for_http_1_0(relay: Any, upstream: Any) -> None:
    """A client of HTTP/1.0 gets the final answer only."""
    client, wire = asked(relay, upstream, b"GET / HTTP/1.0\r\nHost: c\r\n\r\n")
    wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN)
    answer = client.read_answer()
    assert (answer.status, answer.body) == (200, b"ok")
    assert client.ended() == "end"


def test_expect_continue_is_the_upstreams_to_grant(relay: Any, upstream: Any) -> None:
    """The expectation reaches the upstream, its 100 reaches the client once, and then the body flows."""
    client = relay.ask(b"POST / HTTP/1.1\r\nHost: c\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    wire = upstream.accept()
    assert wire.read_head().values(b"expect") == [b"100-continue"]
    wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.read_head().first_line == b"HTTP/1.1 100 Continue"
    client.send(b"abc")
    assert wire.read(3) == b"abc"
    wire.send(PLAIN)
    assert client.read_answer().status == 200
    again(client, wire)


def test_expect_continue_can_be_declined(relay: Any, upstream: Any) -> None:
    """An upstream that declines the body has its answer passed on without a 100 before it."""
    client = relay.ask(b"POST / HTTP/1.1\r\nHost: c\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
    answer = client.read_answer()
    assert (answer.status, answer.body) == (401, b"no")


@pytest.mark.parametrize("head", [b"Content-Length: 1234\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_head_has_no_body(relay: Any, upstream: Any, head: bytes) -> None:
    """The answer to HEAD keeps its framing headers and has no body; the connection stays in step."""
    client, wire = asked(relay, upstream, b"HEAD /v1/models HTTP/1.1\r\nHost: c\r\n\r\n")
    wire.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n" + head + b"\r\n")
    answer = client.read_answer(bodiless=True)
    assert answer.values(b"x-a") == [b"1"]
    if b"1234" in head:
        assert answer.values(b"content-length") == [b"1234"]
    again(client, wire)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n",
        b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n",
    ],
)
def test_bodiless_answers(relay: Any, upstream: Any, head: bytes) -> None:
    """204 and 304 end with their head, whatever length it names; the connection stays in step."""
    client, wire = asked(relay, upstream)
    wire.send(head + b"\r\n")
    answer = client.read_answer()
    assert answer.head == head + b"\r\n"
    again(client, wire)


@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
def test_http_1_0_client(relay: Any, upstream: Any, framing: str) -> None:
    """A client of HTTP/1.0 gets a body that it can read, never chunks, and then the end."""
    client = relay.ask(b"GET /v1/models HTTP/1.0\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(
        {
            "length": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
            "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n",
            "end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef",
        }[framing]
    )
    if framing == "end":
        wire.close()
    answer = client.read_answer()
    assert not answer.values(b"transfer-encoding")
    assert answer.body == b"abcdef"
    assert client.ended() == "end"


def test_http_1_0_keep_alive_is_never_ambiguous(relay: Any, upstream: Any) -> None:
    """HTTP/1.0 with keep-alive: either the connection is kept and said to be, or it ends after the answer."""
    client, wire = asked(relay, upstream, b"GET / HTTP/1.0\r\nHost: c\r\nConnection: keep-alive\r\n\r\n")
    wire.send(PLAIN)
    answer = client.read_answer()
    assert answer.body == b"ok"
    if b"keep-alive" in b"".join(answer.values(b"connection")).lower():
        client.send(b"GET /again HTTP/1.0\r\nHost: c\r\n\r\n")
        assert b"/again" in wire.read_head().first_line
        wire.send(PLAIN)
        assert client.read_answer().body == b"ok"
    assert client.ended() == "end"


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\n"])
def test_http_1_0_upstream(relay: Any, upstream: Any, head: bytes) -> None:
    """An answer of HTTP/1.0 reaches the client whole, and that upstream connection is not used again."""
    client, wire = asked(relay, upstream)
    wire.send(head + b"abcdef")
    wire.close()
    assert client.read_answer().body == b"abcdef"
    other = relay.ask(GET)
    second = upstream.accept()
    second.read_head()
    second.send(PLAIN)
    assert other.read_answer().status == 200


def test_an_early_answer_passes(relay: Any, upstream: Any) -> None:
    """An answer that comes before the upload's end reaches the client whole, and nobody else gets that connection."""
    client, wire = asked(relay, upstream, b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: 1000\r\n\r\nsome")
    wire.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    answer = client.read_answer()
    assert (answer.status, answer.body) == (413, b"big")
    other = relay.ask(GET)
    second = upstream.accept()
    assert second.read_head().first_line == b"GET /v1/models HTTP/1.1"
    second.send(PLAIN)
    assert other.read_answer().body == b"ok"


def test_empty_bodies_of_every_kind(relay: Any, upstream: Any) -> None:
    """A POST without any framing, with length 0, and with no chunks but the last: each is an empty body."""
    client = relay.dial()
    wire = None
    for framing in (b"", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"):
        client.send(b"POST / HTTP/1.1\r\nHost: c\r\n" + framing + b"\r\n" + (b"0\r\n\r\n" if b"T" in framing else b""))
        wire = wire or upstream.accept()
        seen = wire.read_request()
        assert seen.body == b""
        wire.send(PLAIN)
        assert client.read_answer().status == 200
    again(client, wire)


@pytest.mark.parametrize("splits", [1, 2, 3, 7])
def test_any_split_of_the_bytes_is_the_same_request(relay: Any, upstream: Any, splits: int) -> None:
    """However the bytes of two requests are cut, the upstream sees the same two requests."""
    data = (
        b"POST /a HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        b"POST /b HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\nde"
    )
    client = relay.dial()
    for at in range(0, len(data), splits):
        client.send(data[at : at + splits])
    wire = upstream.accept()
    for target, body in ((b"/a", b"abc"), (b"/b", b"de")):
        seen = wire.read_request()
        assert (seen.first_line.split()[1], seen.body) == (target, body)
        wire.send(PLAIN)
        assert client.read_answer().body == b"ok"

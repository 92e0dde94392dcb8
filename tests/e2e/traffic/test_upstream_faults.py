"""An upstream that is down, lies, breaks off or limits: what the client sees is true, and nothing is retried."""

import json
import socket
from typing import Any

import pytest

from middleware.records.relay import Timeouts
from tests.e2e.traffic.wire import Upstream

GET = b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT = b"data: {}\n\n"


def error_of(answer: Any) -> dict[str, Any]:
    """The error that the relay tells, checked for its shape."""
    assert answer.values(b"content-type") == [b"application/json"]
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "api_error"
    assert error["param"] is None
    return error


def asked(relay: Any, upstream: Any, request: bytes = POST) -> tuple[Any, Any]:
    """A client that has sent the request, and the upstream's end that has read it."""
    client = relay.ask(request)
    wire = upstream.accept()
    wire.read_request()
    return client, wire


@pytest.mark.parametrize(
    "request_bytes", [GET, POST, b"HEAD / HTTP/1.1\r\nHost: c\r\n\r\n"], ids=["get", "post", "head"]
)
def test_an_upstream_that_refuses_is_502(start: Any, refusing_port: int, request_bytes: bytes) -> None:
    """Nobody listens: 502 in the OpenAI shape, without a body for HEAD, and the client may go on asking."""
    relay, _ = start(target={"port": refusing_port})
    client = relay.dial()
    for _ in range(3):
        client.send(request_bytes)
        bodiless = request_bytes.startswith(b"HEAD")
        answer = client.read_answer(bodiless=bodiless)
        assert answer.status == 502
        assert bodiless or error_of(answer)["code"] == "upstream_unreachable"
        if b"close" in b"".join(answer.values(b"connection")):
            client.ended()
            client = relay.dial()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid", "bad..name"])
def test_a_name_that_does_not_resolve_is_502(start: Any, host: str) -> None:
    """DNS fails, or the name is none: 502 within the connect limit; the relay serves on."""
    relay, _ = start(target={"host": host, "port": 80}, timeouts=Timeouts(connect=15))
    for _ in range(2):
        answer = relay.ask(POST).read_answer()
        assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")


def test_an_upstream_that_never_accepts_is_given_up(start: Any) -> None:
    """A connection that is not made within the connect limit is answered as such, and its socket is given back."""
    upstream = Upstream(backlog=0)
    relay, _ = start(upstream=upstream, timeouts=Timeouts(connect=0.4))
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", upstream.port))
        fillers.append(filler)
    try:
        answer = relay.ask(POST).read_answer()
        assert (answer.status, error_of(answer)["code"]) == (504, "upstream_connect_timeout")
        relay.hang_up()
        relay.settle()
    finally:
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "upstream_closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "upstream_closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "upstream_protocol"),
        (b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nX-A: 1\nSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nX-A: 1\rSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 0\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "upstream_protocol"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "upstream_protocol"),
    ],
)
def test_no_proper_head_is_502(relay: Any, upstream: Any, said: bytes, code: str) -> None:
    """An upstream that ends or talks nonsense before a whole and proper head is 502; asked once, never again."""
    client, wire = asked(relay, upstream)
    wire.send(said)
    if code == "upstream_closed":
        wire.close()
    answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (502, code)
    other = relay.ask(GET)
    second = upstream.accept()
    assert second.read_head().first_line == b"GET /v1/models HTTP/1.1", "the broken request was sent again"
    second.send(PLAIN)
    assert other.read_answer().status == 200


def test_a_reset_before_the_head_is_502(relay: Any, upstream: Any) -> None:
    """A reset in place of an answer is 502."""
    client, wire = asked(relay, upstream)
    wire.reset()
    answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_closed")
    assert not upstream.pending()


def unfinished(client: Any, *, framing: str) -> None:
    """The client's stream ends, and can't be taken for a whole one."""
    rest, ending = client.read_rest()
    assert b"[DONE]" not in rest
    if framing == "chunked":
        assert not rest.endswith(b"0\r\n\r\n")
        assert b"\r\n0\r\n" not in rest
    if framing == "end":
        assert ending == "reset", "an end would say that the body is whole"


FRAMES = {
    "chunked": (b"Transfer-Encoding: chunked\r\n\r\n", b"a\r\n" + EVENT + b"\r\n"),
    "length": (b"Content-Length: 1000\r\n\r\n", EVENT),
    "end": (b"\r\n", EVENT),
}


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("framing", FRAMES)
def test_a_reset_in_mid_stream_aborts(relay: Any, upstream: Any, framing: str, times: int) -> None:
    """A reset in mid-stream: what came is passed on, then the client's connection is aborted, never ended cleanly."""
    client, wire = asked(relay, upstream)
    head, event = FRAMES[framing]
    wire.send(SSE + head)
    client.read_head()
    for _ in range(times):
        wire.send(event)
        client.read_until(EVENT)
    wire.reset()
    unfinished(client, framing=framing)


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_an_early_end_in_mid_stream_aborts(relay: Any, upstream: Any, framing: str, times: int) -> None:
    """An upstream that ends before its body does: the client's connection is aborted, with no end and no [DONE]."""
    client, wire = asked(relay, upstream)
    head, event = FRAMES[framing]
    wire.send(SSE + head + event * times)
    client.read_head()
    for _ in range(times):
        client.read_until(EVENT)
    wire.close()
    unfinished(client, framing=framing)


@pytest.mark.parametrize(
    "bad",
    [
        b"xyz\r\n",
        b"-5\r\nhello\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhelloX\r\n",
        b"5\nhello\n",
        b"5\r\nhel",
        b"5",
        b"0\r\nX-A: 1\r\n",
        b"0\r\nX A: 1\r\n\r\n",
        b"0\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=[
        "letters",
        "minus",
        "huge",
        "too-long",
        "bare-lf",
        "cut",
        "cut-size",
        "cut-trailer",
        "bad-trailer",
        "last",
        "head",
    ],
)
def test_a_bad_chunk_aborts(relay: Any, upstream: Any, bad: bytes) -> None:
    """A chunk that is malformed or cut short never becomes a clean end of the client's stream."""
    client, wire = asked(relay, upstream)
    head, event = FRAMES["chunked"]
    wire.send(SSE + head + event)
    client.read_head()
    client.read_until(EVENT + b"\r\n")
    wire.send(bad)
    wire.close()
    rest, _ = client.read_rest()
    assert b"0\r\n\r\n" not in rest
    assert b"[DONE]" not in rest


def test_an_upstream_that_says_too_much_is_not_believed(relay: Any, upstream: Any) -> None:
    """Bytes after an answer's end reach nobody: not this client, and not the next one on that connection."""
    client, wire = asked(relay, upstream)
    wire.send(PLAIN + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert client.read_answer().body == b"ok"
    other = relay.ask(GET)
    second = upstream.accept()
    second.read_head()
    second.send(PLAIN)
    assert other.read_answer().body == b"ok"


def test_an_answer_that_nobody_asked_for_reaches_nobody(relay: Any, upstream: Any) -> None:
    """What an upstream says on an idle connection is never the answer to a later request."""
    client, wire = asked(relay, upstream)
    wire.send(PLAIN)
    client.read_answer()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert wire.ended() in {"end", "reset"}
    other = relay.ask(GET)
    second = upstream.accept()
    second.read_head()
    second.send(PLAIN)
    assert other.read_answer().body == b"ok"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 418, 422, 425, 429, 500, 502, 503, 504, 529])
def test_errors_of_the_upstream_are_verbatim(relay: Any, upstream: Any, status: int) -> None:
    """429 with its Retry-After, and every other error, passes as it came; it is asked for once."""
    client, wire = asked(relay, upstream)
    body = b'{"error":{"message":"from the upstream","code":"theirs"}}'
    head = b"HTTP/1.1 %d Theirs\r\nRetry-After: 17\r\nx-ratelimit-remaining-tokens: 0\r\n" % status
    head += b"Content-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n" % len(body)
    wire.send(head + body)
    answer = client.read_answer()
    assert answer.head == head
    assert answer.body == body
    assert not upstream.pending()


def test_a_storm_of_errors_passes(relay: Any, upstream: Any) -> None:
    """Two hundred 500s in a row are two hundred 500s: no circuit opens, none is retried."""
    client, wire = asked(relay, upstream)
    for _ in range(200):
        wire.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 1\r\n\r\nx")
        answer = client.read_answer()
        assert (answer.status, answer.body) == (500, b"x")
        client.send(POST)
        wire.read_request()
    wire.send(PLAIN)
    assert client.read_answer().status == 200
    assert not upstream.pending()


def test_an_upstream_that_comes_back_is_used_at_once(start: Any, free_port: int) -> None:
    """After refusals, the first request that finds the upstream listening again is served."""
    relay, _ = start(target={"port": free_port})
    assert relay.ask(POST).read_answer().status == 502
    with socket.create_server(("127.0.0.1", free_port)) as listener:
        client = relay.ask(GET)
        wire, _ = listener.accept()
        with wire:
            wire.recv(65536)
            wire.sendall(PLAIN)
            assert client.read_answer().status == 200

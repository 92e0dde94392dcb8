"""Whatever ends an exchange early, bytes of one message are never taken for the next: nothing gets out of step."""

import contextlib
import random
import select
import threading
from typing import Any

import h11
import pytest

from middleware.records.relay import Limits, Timeouts

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: c\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: c\r\n\r\n"
MIB = 1024 * 1024


def posted(path: bytes = b"/", size: int = 1000) -> bytes:
    """The head of an upload that is longer than what follows it."""
    return b"POST " + path + b" HTTP/1.1\r\nHost: c\r\nContent-Length: %d\r\n\r\n" % size


def nothing_hidden(upstream: Any, client: Any) -> None:
    """The client's hidden request was neither answered nor passed on."""
    rest, _ = client.read_rest()
    assert b"HTTP/1.1" not in rest
    while upstream.pending():
        pass
    for wire in upstream._wires:
        wire.sock.setblocking(False)
        with contextlib.suppress(OSError):
            wire._more()
        assert b"hidden" not in wire.received


def test_the_rest_of_an_upload_after_our_error(start: Any, refusing_port: int) -> None:
    """After a 502 in the middle of an upload, the rest of its body is not read as a request."""
    relay, _ = start(target={"port": refusing_port})
    client = relay.ask(posted(size=len(HIDDEN) + 10) + b"0123456789")
    assert client.read_answer().status == 502
    try:
        client.send(HIDDEN + HIDDEN)
    except ConnectionError:
        return
    rest, _ = client.read_rest()
    assert rest.count(b"HTTP/1.1") <= 1, "the body was read as a request"


def test_the_rest_of_an_upload_after_an_early_answer(relay: Any, upstream: Any) -> None:
    """After an upstream's early answer, what the client still sends of its body is not read as a request."""
    client = relay.ask(posted(size=1000) + b"some")
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 413 Big\r\nContent-Length: 0\r\n\r\n")
    assert client.read_answer().status == 413
    try:
        client.send(HIDDEN * 20)
        client.half_close()
    except OSError:
        pass
    assert b"/hidden HTTP/1.1\r\nHost: " + upstream.authority not in wire.read_rest()[0]
    nothing_hidden(upstream, client)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_body_for_a_path_of_our_own(relay: Any, upstream: Any, method: bytes) -> None:
    """The body of a request to our own paths is not read as a request."""
    head = method + b" /-/eqwatch/live HTTP/1.1\r\nHost: c\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    client = relay.ask(head + HIDDEN)
    client.read_answer()
    client.half_close()
    nothing_hidden(upstream, client)


def test_requests_behind_close_are_ignored(relay: Any, upstream: Any) -> None:
    """What is pipelined behind ``Connection: close`` is not a request any more."""
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n" + HIDDEN)
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    nothing_hidden(upstream, client)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n" + PLAIN,
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n",
    ],
    ids=["204-length", "204-answer", "304-chunks", "crlf"],
)
def test_a_body_where_none_may_be(relay: Any, upstream: Any, answer: bytes) -> None:
    """Bytes behind a bodiless answer reach nobody: the next exchange is its own, or the answer was refused."""
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(answer)
    assert client.read_answer().status in {200, 204, 304, 502}
    other = relay.ask(GET)
    ready, _, _ = select.select([upstream._listener, wire.sock], [], [], 20)
    if wire.sock not in ready or not wire._more():
        wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
    assert other.read_answer().body == b"mine"


def test_head_of_a_refused_head_request_has_no_body(relay: Any, upstream: Any) -> None:
    """An error of our own to a HEAD that could be read has no body."""
    client = relay.ask(b"HEAD /../x HTTP/1.1\r\nHost: c\r\n\r\n")
    assert client.read_answer(bodiless=True).status == 400
    assert client.read_rest()[0] == b""


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_cut_stream_for_http_1_0(relay: Any, upstream: Any, ending: str) -> None:
    """A client of HTTP/1.0, to whom an end means a whole body, is reset where the upstream's stream was cut."""
    client = relay.ask(b"GET / HTTP/1.0\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    client.read_until(b"hello")
    getattr(wire, ending)()
    assert client.read_rest() == (b"", "reset")


def test_both_directions_at_once(relay: Any, upstream: Any) -> None:
    """Thirty megabytes go up while they come down again on the same exchange, with neither side waiting for an end."""
    size = 30 * MIB
    client = relay.ask(posted(size=size))
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)

    def echo() -> None:
        left = size
        while left:
            data = wire.sock.recv(65536)
            wire.send(data)
            left -= len(data)

    block = random.Random(5).randbytes(MIB)
    threads = [threading.Thread(target=echo), threading.Thread(target=lambda: [client.send(block) for _ in range(30)])]
    for thread in threads:
        thread.start()
    client.read_head()
    for _ in range(30):
        assert client.read(MIB) == block
        client.forget()
    for thread in threads:
        thread.join()


ENDLESS = {
    "extension": (b"5;", b"x" * 1000),
    "extensions": (b"5", b";a=b" * 1000),
    "zeros": (b"", b"0" * 1000),
    "trailer": (b"0\r\nX-A: ", b"x" * 1000),
    "trailers": (b"0\r\n", b"X-A: 1\r\n" * 100),
}


@pytest.mark.parametrize("side", ["client", "upstream"])
@pytest.mark.parametrize("case", ENDLESS)
def test_endless_framing_is_bounded(start: Any, case: str, side: str) -> None:
    """Chunk extensions, size lines and trailers that never end are refused before they cost memory or much time."""
    relay, upstream = start(limits=Limits(head_bytes=16384))
    begin, more = ENDLESS[case]
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    client = relay.ask(
        b"POST / HTTP/1.1\r\nHost: c\r\n" + (chunked if side == "client" else b"Content-Length: 0\r\n\r\n")
    )
    wire = upstream.accept()
    wire.read_head()
    source, reader = client, threading.Thread(target=client.skip_rest)
    if side == "upstream":
        source = wire
        wire.send(b"HTTP/1.1 200 OK\r\n" + chunked)
        client.read_head()
        reader.start()
    before = relay.memory()
    sent = 0
    try:
        source.send(begin)
        while sent < 32 * MIB:
            source.send(more * 16)
            sent += len(more) * 16
    except ConnectionError:
        pass
    # What the upstream pads its chunks with may be passed on like a body; a client's is refused.
    assert sent < 32 * MIB or side == "upstream", "it went on for ever"
    assert relay.memory() - before < 8 * MIB
    wire.close()
    if side == "upstream":
        reader.join()


SEED_REQUESTS = [
    b"POST /v1/a HTTP/1.1\r\nHost: c\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello",
    b"POST /v1/a HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;e=1\r\nabc\r\n0\r\n\r\n",
    b"GET /v1/a?b=c HTTP/1.1\r\nHost: c\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n",
]
NASTY = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b",",
    b"0",
    b"\x0b",
    b"\xff",
    b"/",
    b".",
    b";",
    b"chunked",
    b"\r\n ",
]


def mutated(rng: random.Random) -> bytes:
    """A good request with up to three small wounds."""
    data = bytearray(rng.choice(SEED_REQUESTS))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        size = rng.choice([0, 0, 1, 2])
        data[at : at + size] = rng.choice(NASTY) if rng.random() < 0.8 else b""
    return bytes(data)


def understood(data: bytes) -> tuple[int, bytes]:
    """What another, independent parser makes of what the upstream got: whole requests, and the bodies."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    body = b""
    while True:
        event = parser.next_event()
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        if isinstance(event, h11.EndOfMessage):
            assert not parser.trailing_data[0], parser.trailing_data
            return 1, body
        if event is h11.NEED_DATA:
            return 0, body


def test_wounded_requests_never_become_two(start: Any) -> None:
    """Of 200 requests with small wounds, each that reaches the upstream is one request to another parser too."""
    relay, upstream = start(timeouts=Timeouts(head=0.15, body=0.15))
    rng = random.Random(11)
    passed = 0
    for _ in range(200):
        request = mutated(rng)
        client = relay.ask(request)
        if wire := upstream.accept_unless_answered(client):
            select.select([client.sock], [], [], 0.05)
            while select.select([wire.sock], [], [], 0.02)[0]:
                if not wire._more():
                    break
            whole, body = understood(bytes(wire.received))
            passed += whole
            assert len(body) <= len(request)
            assert b"HTTP/1.1\r\n" not in body
            wire.close()
        else:
            assert client.read_answer().status in {400, 501}, request
        client.close()
    assert 10 < passed < 190

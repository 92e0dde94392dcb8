"""Heads reach the other side as sent, save for the documented rules."""

import random
from typing import Any

import pytest

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "REPORT", "QUERY"]
TARGETS = [
    "/",
    "/v1/chat/completions",
    "/v1/files/file-abc%2Fdef/content",
    "/v1/a%20b?x=%2e%2e%2f&y=../z&z=a//b",
    "/v1//double/slash",
    "/v1/...",
    "/v1/..a/a..b/.well-known/%2ehidden",
    "/v1/models?",
    "/v1/models?a=1&a=2&=&",
    "/v1/engines/gpt-4:generate;v=1,2@3!$'()*+",
    "/V1/Case/IS/kept?Q=%C3%A4",
    "/v1/x?redirect=http://evil.example//",
    "/" + "p" * 8000,
]
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("method", METHODS)
def test_any_method_passes(relay: Any, upstream: Any, method: str) -> None:
    """Any method reaches the upstream as sent."""
    line = f"{method} /v1/things/1 HTTP/1.1".encode()
    client = relay.ask(line + b"\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    assert wire.read_head().first_line == line
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"


@pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
def test_any_plain_target_passes(relay: Any, upstream: Any, target: str) -> None:
    """Path and query reach the upstream byte for byte, encoded slashes and doubled ones included."""
    line = f"GET {target} HTTP/1.1".encode()
    client = relay.ask(line + b"\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    assert wire.read_head().first_line == line
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"


def test_request_head_is_unchanged(relay: Any, upstream: Any) -> None:
    """Names with their case, values, duplicates and their order survive, and nothing is added."""
    headers = [
        (b"accept", b"text/event-stream"),
        (b"Authorization", b"Bearer sk-1"),
        (b"X-Twice", b"first"),
        (b"x-TWICE", b"second"),
        (b"Cookie", b"a=1; b=2"),
        (b"X-Empty", b""),
        (b"X-Latin", "müde".encode("latin-1")),
        (b"X-Utf8", "traurig 🙂".encode()),
        (b"X-Tab", b"a\tb"),
        (b"X-Colon", b"a:b: c"),
        (b"!#$%&'*+-.^_`|~9", b"odd but legal name"),
        (b"Cookie", b"c=3"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"2"),
        (b"x-twice", b"third"),
    ]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    client = relay.ask(b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\n" + lines + b"\r\n{}")
    wire = upstream.accept()
    seen = wire.read_request()
    assert [pair for pair in seen.headers if pair[0].lower() != b"host"] == headers
    assert seen.body == b"{}"
    wire.send(PLAIN)
    client.read_answer()


def test_response_head_is_unchanged(relay: Any, upstream: Any) -> None:
    """Status, reason, names with their case, duplicates and their order survive, and nothing is added."""
    head = (
        b"HTTP/1.1 299 Quite  Odd\r\nServer: x\r\nset-cookie: a=1\r\nX-Request-ID: 7\r\nSet-Cookie: b=2\r\n"
        b"X-Empty:\r\nX-Latin: m\xfcde\r\ndate: never\r\nContent-Length: 2\r\nSET-COOKIE: c=3\r\n\r\n"
    )
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(head + b"ok")
    answer = client.read_answer()
    assert answer.first_line == b"HTTP/1.1 299 Quite  Odd"
    sent = [line.partition(b":") for line in head.split(b"\r\n")[1:-2]]
    assert answer.headers == [(name, value.strip()) for name, _, value in sent]


@pytest.mark.parametrize(
    "status", [b"HTTP/1.1 200 ", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 599 \xfc", b"HTTP/1.1 301 M"]
)
def test_status_line_is_unchanged(relay: Any, upstream: Any, status: bytes) -> None:
    """The status line passes with its reason, an empty one too; redirects are passed on, not followed."""
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(status + b"\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n")
    answer = client.read_answer()
    assert answer.first_line == status
    assert answer.values(b"location") == [b"http://127.0.0.1:1/x"]


def test_hop_by_hop_request_headers_stop(relay: Any, upstream: Any) -> None:
    """Hop-by-hop headers and those that Connection names are not passed on; all others are."""
    client = relay.ask(
        b"GET /v1/models HTTP/1.1\r\nHost: c\r\nConnection: keep-alive, X-Named\r\nKeep-Alive: timeout=5\r\n"
        b"connection: x-too\r\nx-named: 1\r\nX-Too: 1\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
        b"X-Stays: 1\r\n\r\n"
    )
    wire = upstream.accept()
    seen = wire.read_head()
    names = {name.lower() for name, _ in seen.headers}
    assert names - {b"connection"} == {b"host", b"x-stays"}
    assert not any(b"x-" in value.lower() for value in seen.values(b"connection"))
    wire.send(PLAIN)
    client.read_answer()


def test_hop_by_hop_response_headers_stop(relay: Any, upstream: Any) -> None:
    """The upstream's hop-by-hop headers and those that its Connection names don't reach the client."""
    client = relay.ask(b"GET /v1/models HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(
        b"HTTP/1.1 200 OK\r\nConnection: X-Named, keep-alive\r\nKeep-Alive: timeout=5\r\nX-Named: 1\r\n"
        b"X-Stays: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = client.read_answer()
    assert answer.headers == [(b"X-Stays", b"1"), (b"Content-Length", b"2")]


def test_host_is_the_upstreams(relay: Any, upstream: Any) -> None:
    """A foreign Host goes nowhere: the upstream sees exactly one Host, its own."""
    client = relay.ask(b"GET / HTTP/1.1\r\nX-A: 1\r\nHoSt: evil.example\r\nX-Forwarded-Host: kept.example\r\n\r\n")
    wire = upstream.accept()
    seen = wire.read_head()
    assert seen.values(b"host") == [upstream.authority]
    assert seen.values(b"x-forwarded-host") == [b"kept.example"]
    wire.send(PLAIN)
    client.read_answer()


def test_own_headers_are_stripped(relay: Any, upstream: Any) -> None:
    """Request headers of ours never reach the upstream, whatever their case."""
    client = relay.ask(
        b"GET / HTTP/1.1\r\nHost: c\r\nX-EQWATCH-Opt-Out: 1\r\nx-eqwatch-deployment: tutor\r\n"
        b"x-eqwatch-conversation: c-1\r\nx-eqwatch-anything: 1\r\nx-eqwatches: kept\r\n\r\n"
    )
    wire = upstream.accept()
    seen = wire.read_head()
    assert {name.lower() for name, _ in seen.headers} == {b"host", b"x-eqwatches"}
    wire.send(PLAIN)
    client.read_answer()


@pytest.mark.parametrize("named", [b"Content-Length", b"content-length, close", b"Host", b"Transfer-Encoding"])
def test_connection_cannot_name_what_frames(relay: Any, upstream: Any, named: bytes) -> None:
    """Naming Host or a framing header in Connection is refused or changes nothing: the request stays whole."""
    client = relay.ask(b"POST / HTTP/1.1\r\nHost: c\r\nConnection: " + named + b"\r\nContent-Length: 5\r\n\r\nhello")
    if wire := upstream.accept_unless_answered(client):
        seen = wire.read_request()
        assert seen.body == b"hello"
        assert seen.values(b"host") == [upstream.authority]
        wire.send(PLAIN)
        assert client.read_answer().status == 200
    else:
        assert client.read_answer().status == 400


def test_base_path_is_put_before_the_target(start: Any) -> None:
    """A configured base path stands before every target, which is otherwise unchanged."""
    relay, upstream = start(target={"base_path": "/tenant/a"})
    client = relay.ask(b"GET /v1/models?x=%2F HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    assert wire.read_head().first_line == b"GET /tenant/a/v1/models?x=%2F HTTP/1.1"
    wire.send(PLAIN)
    assert client.read_answer().status == 200


def test_many_random_heads_pass(relay: Any, upstream: Any) -> None:
    """Two hundred random heads on one connection each way arrive as sent, in order."""
    rng = random.Random(3)
    client = relay.dial()
    wire = None
    for _ in range(200):
        headers = [(b"Host", b"c")] + [
            (bytes(rng.choices(b"abcXYZ-_019", k=rng.randint(1, 30))), bytes(rng.choices(range(0x21, 0x7F), k=40)))
            for _ in range(rng.randint(0, 40))
        ]
        head = b"GET /r HTTP/1.1\r\n" + b"".join(n + b":" + v + b"\r\n" for n, v in headers) + b"\r\n"
        client.send(head)
        wire = wire or upstream.accept()
        assert [pair for pair in wire.read_head().headers if pair[0].lower() != b"host"] == headers[1:]
        answer = b"HTTP/1.1 200 OK\r\n" + b"".join(n + b":" + v + b"\r\n" for n, v in headers[1:])
        wire.send(answer + b"Content-Length: 0\r\n\r\n")
        assert client.read_answer().headers == [*headers[1:], (b"Content-Length", b"0")]


def test_heads_that_never_repeat_cost_nothing_that_stays(relay: Any, upstream: Any) -> None:
    """Five thousand requests, each with a long head of its own, pass as sent and leave memory as it was."""
    client = relay.ask(b"GET /0 HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    before = 0
    for number in range(1, 5000):
        wire.read_head()
        wire.send(PLAIN)
        assert client.read_answer().status == 200
        name = b"X-Trace: " + b"%08d" % number * 1000
        client.send(b"GET /%d HTTP/1.1\r\nHost: c\r\n" % number + name + b"\r\n\r\n")
        client.forget()
        wire.forget()
        if number == 1000:
            before = relay.memory()
    assert wire.read_head().values(b"x-trace") == [b"00004999" * 1000]
    assert relay.memory() - before < 8 * 1024 * 1024

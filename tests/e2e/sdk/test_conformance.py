"""A table of raw requests sent to a real HTTP server directly and through the relay: the outcome is the same."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import pytest
import uvicorn

from middleware.records.relay import UpstreamTarget
from tests.e2e.traffic.relays import start_relay
from tests.e2e.traffic.wire import PATIENCE, Wire, wait_until

H = b"Host: h\r\n"
HOP = {b"connection", b"keep-alive", b"date", b"server", b"transfer-encoding"}
BIG = b"".join(b"%06d" % number for number in range(30_000))


def get(target: bytes, headers: bytes = b"", *, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """A request without a body."""
    return method + b" " + target + b" HTTP/" + version + b"\r\n" + H + headers + b"\r\n"


def post(body: bytes, headers: bytes = b"", *, target: bytes = b"/echo", method: bytes = b"POST") -> bytes:
    """A request with a length."""
    return method + b" " + target + b" HTTP/1.1\r\n" + H + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunks(*pieces: bytes, headers: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    """A request in chunks."""
    head = b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n" + headers + b"\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


REQUESTS: dict[str, bytes] = {
    "get": get(b"/echo"),
    "get-query": get(b"/echo?a=1&b=%20&a=2"),
    "get-empty-query": get(b"/echo?"),
    "get-encoded-slash": get(b"/echo/a%2Fb%2fc"),
    "get-double-slash": get(b"/echo//a///b"),
    "get-trailing-slash": get(b"/echo/"),
    "get-plus": get(b"/echo/a+b?c+d=e+f"),
    "get-percent-utf8": get(b"/echo/%F0%9F%99%82"),
    "get-semicolon": get(b"/echo;v=1/x;y"),
    "get-sub-delims": get(b"/echo/!$&'()*,=:@"),
    "get-tilde": get(b"/echo/~me/-._"),
    "get-long": get(b"/echo?" + b"q" * 5000),
    "get-with-body": post(b"body of a GET", method=b"GET"),
    "get-headers": get(b"/echo", b"X-A: 1\r\nx-a: 2\r\nX-B:\r\nX-C:   blanks   \r\n"),
    "get-many-headers": get(b"/echo", b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(60))),
    "get-long-header": get(b"/echo", b"X-Long: " + b"v" * 8000 + b"\r\n"),
    "get-cookie": get(b"/echo", b"Cookie: a=1; b=2\r\n"),
    "get-range": get(b"/echo", b"Range: bytes=0-4\r\n"),
    "get-conditional": get(b"/304", b'If-None-Match: "x"\r\n'),
    "get-accept-encoding": get(b"/echo", b"Accept-Encoding: gzip, br\r\n"),
    "get-authorization": get(b"/echo", b"Authorization: Bearer sk-1\r\n"),
    "get-latin-header": get(b"/echo", b"X-L: m\xfcde\r\n"),
    "options": get(b"/echo", method=b"OPTIONS"),
    "delete": get(b"/echo", method=b"DELETE"),
    "delete-with-body": post(b"x", method=b"DELETE"),
    "patch": post(b"patch", method=b"PATCH"),
    "put": post(b"put", method=b"PUT"),
    "head": get(b"/echo", method=b"HEAD"),
    "head-chunked": get(b"/chunked", method=b"HEAD"),
    "head-404": get(b"/404", method=b"HEAD"),
    "post-empty": post(b""),
    "post-no-length": get(b"/echo", method=b"POST"),
    "post-small": post(b"{}", b"Content-Type: application/json\r\n"),
    "post-binary": post(bytes(range(256))),
    "post-big": post(BIG),
    "post-crlf": post(b"\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    "post-leading-zeros": b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 0003\r\n\r\nabc",
    "post-form": post(b"a=1&b=2", b"Content-Type: application/x-www-form-urlencoded\r\n"),
    "post-expect": post(b"expected", b"Expect: 100-continue\r\n"),
    "chunked": chunks(b"abc", b"defg"),
    "chunked-none": chunks(),
    "chunked-many": chunks(*[b"x%d" % number for number in range(300)]),
    "chunked-big": chunks(BIG),
    "chunked-upper": b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "chunked-zeros": b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0003\r\nabc\r\n000\r\n\r\n",
    "chunked-crlf": chunks(b"\r\n0\r\n\r\n"),
    "200-empty": get(b"/empty"),
    "201": get(b"/201"),
    "204": get(b"/204"),
    "304": get(b"/304"),
    "301": get(b"/301"),
    "400": get(b"/400"),
    "401": get(b"/401"),
    "404": get(b"/404"),
    "418": get(b"/418"),
    "429": get(b"/429"),
    "500": get(b"/500"),
    "503": get(b"/503"),
    "answer-chunked": get(b"/chunked"),
    "answer-big": get(b"/big"),
    "answer-cookies": get(b"/cookies"),
    "answer-close": get(b"/echo", b"Connection: close\r\n"),
    "http-1.0": get(b"/echo", version=b"1.0"),
    "http-1.0-big": get(b"/big", version=b"1.0"),
    "pipeline": get(b"/echo/1") + post(b"two") + chunks(b"three") + get(b"/echo/4"),
    "bad-name": get(b"/echo", b"X A: 1\r\n"),
    "bad-colon": get(b"/echo", b"X-A : 1\r\n"),
    "bad-length": b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: x\r\n\r\nabc",
    "bad-length-twice": b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "bad-host-twice": b"GET /echo HTTP/1.1\r\n" + H + H + b"\r\n",
    "bad-host-missing": b"GET /echo HTTP/1.1\r\n\r\n",
    "bad-line": b"GET /echo\r\n\r\n",
    "bad-nul": get(b"/echo", b"X-A: \x00\r\n"),
}
ANSWERS = {"pipeline": 4}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Echo what came, or what the path asks for."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"].strip("/")
    status = int(path) if path.isdigit() else 200
    headers = [(b"content-type", b"application/json"), (b"X-Case", b"kept"), (b"retry-after", b"3")]
    pieces = [b"x" * 50_000] * 10 if path == "big" else [b"one", b"two", b"three"]
    if path == "cookies":
        headers += [(b"set-cookie", b"a=1"), (b"x", b"y"), (b"set-cookie", b"b=2")]
    if path not in {"big", "chunked"}:
        pieces = [b"" if path == "empty" or status in {204, 304} else _echo(scope, body)]
        headers += [] if status in {204, 304} else [(b"content-length", b"%d" % len(pieces[0]))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _echo(scope: Any, body: bytes) -> bytes:
    kept = [(k.decode(), v.decode("latin-1")) for k, v in scope["headers"] if k not in {b"host", b"connection"}]
    framing = {"content-length", "transfer-encoding"}
    return json.dumps(
        {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "parsed": sorted(parse_qs(scope["query_string"].decode()).items()),
            "headers": [pair for pair in kept if pair[0] not in framing],
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
    ).encode()


@dataclass
class Ways:
    """The two addresses that a request can be sent to."""

    direct: tuple[str, int]
    relay: tuple[str, int]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """A real HTTP server, and a relay in front of it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    config = uvicorn.Config(application, http="h11", lifespan="off", log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started, what="the server listens")
    port = listener.getsockname()[1]
    relay = start_relay(tmp_path_factory.mktemp("relay"), UpstreamTarget("http", "127.0.0.1", port))
    yield Ways(("127.0.0.1", port), relay.addresses[0])
    relay.stop()
    server.should_exit = True
    thread.join(PATIENCE)
    listener.close()


def outcome(address: tuple[str, int], name: str) -> list[Any]:
    """Statuses, heads and bodies of the answers, and whether the connection can be used on."""
    found: list[Any] = []
    with socket.create_connection(address, PATIENCE) as sock:
        wire = Wire(sock).send(REQUESTS[name])
        for _ in range(ANSWERS.get(name, 1)):
            answer = wire.read_answer(bodiless=name.startswith("head"))
            while answer.status < 200:
                answer = wire.read_answer()
            if name.startswith("bad"):
                return [answer.status // 100, wire.read_rest()[1] in {"end", "reset"}]
            kept = [(key.lower(), value) for key, value in answer.headers if key.lower() not in HOP]
            found.append((answer.status, kept, answer.body))
        if name.startswith("http-1.0") or name == "answer-close":
            return [*found, wire.read_rest()[0]]
        wire.send(get(b"/echo/again"))
        found.append(wire.read_answer().body)
    return found


@pytest.mark.parametrize("name", REQUESTS)
def test_same_outcome(ways: Ways, name: str) -> None:
    """The same request has the same outcome, and leaves the connection in the same state."""
    direct = outcome(ways.direct, name)
    assert outcome(ways.relay, name) == direct
    if not name.startswith("bad"):
        assert b"sha256" in direct[-1] or name.startswith("http-1.0") or name == "answer-close"

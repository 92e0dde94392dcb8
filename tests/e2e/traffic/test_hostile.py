"""Ambiguous, malformed and misdirected requests are refused with 400 and close, and nothing of them goes upstream."""

import json
from typing import Any

import pytest

from middleware.records.relay import Timeouts

HOST = b"Host: c\r\n"
GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: c\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HIDDEN = b"GET /admin HTTP/1.1\r\nHost: c\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

FRAMING = {
    "te-cl": POST + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + HIDDEN,
    "cl-te": POST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN,
    "cl-0-te": POST + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "cl-twice-same": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "cl-twice-different": POST + b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc" + HIDDEN,
    "cl-list-same": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "cl-list-different": POST + b"Content-Length: 3, 4\r\n\r\nabcd",
    "cl-plus": POST + b"Content-Length: +3\r\n\r\nabc",
    "cl-minus": POST + b"Content-Length: -3\r\n\r\nabc",
    "cl-hex": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "cl-underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "cl-decimal": POST + b"Content-Length: 3.0\r\n\r\nabc",
    "cl-blank-inside": POST + b"Content-Length: 3 3\r\n\r\nabc",
    "cl-empty": POST + b"Content-Length:\r\n\r\nabc",
    "cl-huge": POST + b"Content-Length: 99999999999999999999999999\r\n\r\nabc",
    "cl-2-to-64": POST + b"Content-Length: 18446744073709551617\r\n\r\na",
    "cl-fullwidth": POST + b"Content-Length: \xef\xbc\x93\r\n\r\nabc",
    "cl-space-before-colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "te-space-before-colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "te-twice": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "te-twice-other": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te-identity": POST + b"Transfer-Encoding: identity\r\n\r\nabc",
    "te-gzip": POST + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "te-gzip-chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te-chunked-identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "te-chunked-twice-in-one": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "te-xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "te-quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "te-parameter": POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "te-leading-comma": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "te-vertical-tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "te-form-feed": POST + b"Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n",
    "te-empty": POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "te-folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "te-nul": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "te-in-1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n",
}
HEADS = {
    "obs-fold-space": GET + HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "obs-fold-tab": GET + HOST + b"X-A: 1\r\n\t2\r\n\r\n",
    "fold-first-line": GET + b" X-A: 1\r\n" + HOST + b"\r\n",
    "bare-lf-line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare-lf-header": GET + HOST + b"X-A: 1\nX-B: 2\r\n\r\n",
    "bare-cr-value": GET + HOST + b"X-A: 1\rX-B: 2\r\n\r\n",
    "bare-cr-end": GET + HOST + b"X-A: 1\r\r\n\r\n",
    "bare-cr-name": GET + HOST + b"X-\rA: 1\r\n\r\n",
    "bare-cr-line": b"GET / HTTP/1.1\rHost: c\r\n\r\n",
    "nul-value": GET + HOST + b"X-A: 1\x002\r\n\r\n",
    "nul-name": GET + HOST + b"X\x00A: 1\r\n\r\n",
    "nul-target": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "nul-method": b"GE\x00T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "control-value": GET + HOST + b"X-A: 1\x012\r\n\r\n",
    "escape-value": GET + HOST + b"X-A: \x1b[31m\r\n\r\n",
    "del-value": GET + HOST + b"X-A: 1\x7f\r\n\r\n",
    "name-blank-inside": GET + HOST + b"X A: 1\r\n\r\n",
    "name-blank-before-colon": GET + HOST + b"X-A : 1\r\n\r\n",
    "name-tab-before-colon": GET + HOST + b"X-A\t: 1\r\n\r\n",
    "name-empty": GET + HOST + b": 1\r\n\r\n",
    "name-without-colon": GET + HOST + b"X-A\r\n\r\n",
    "name-latin": GET + HOST + b"X-\xc4: 1\r\n\r\n",
    "name-parentheses": GET + HOST + b"X(A): 1\r\n\r\n",
    "name-at": GET + HOST + b"X@A: 1\r\n\r\n",
    "name-control": GET + HOST + b"X\x01A: 1\r\n\r\n",
    "host-missing": GET + b"X-A: 1\r\n\r\n",
    "host-twice": GET + HOST + b"Host: d\r\n\r\n",
    "host-twice-same": GET + HOST + HOST + b"\r\n",
    "host-blank-before-colon": GET + b"Host : c\r\n\r\n",
    "host-twice-case": GET + HOST + b"hOST: d\r\n\r\n",
}
LINES = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "http-0.9": b"GET /\r\n\r\n",
    "http-2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http-2.0": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "http-1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "http-1.10": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "http-lower": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "http-1": b"GET / HTTP/1\r\n" + HOST + b"\r\n",
    "two-blanks": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "two-blanks-later": b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab": b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "trailing-blank": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    "leading-blank": b" GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no-method": b"/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "method-unknown": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "method-lower": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "method-odd": b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "blank-in-target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "answer-instead": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}
TARGETS = {
    "absolute-form": b"http://evil.example/x",
    "absolute-form-own": b"http://127.0.0.1/x",
    "absolute-https": b"https://evil.example/",
    "absolute-upper": b"HTTP://evil.example/",
    "scheme-other": b"file:///etc/passwd",
    "double-slash": b"//evil.example/x",
    "triple-slash": b"///evil.example/x",
    "asterisk": b"*",
    "no-slash": b"v1/models",
    "empty-query": b"?x=1",
    "authority": b"evil.example:80",
    "dots": b"/..",
    "dots-inside": b"/v1/../admin",
    "dots-last": b"/v1/..",
    "dots-query": b"/v1/..?x=1",
    "dot": b"/.",
    "dot-inside": b"/v1/./models",
    "dot-last": b"/v1/.",
    "dots-encoded": b"/v1/%2e%2e/admin",
    "dots-encoded-upper": b"/v1/%2E%2E/admin",
    "dots-half-encoded": b"/v1/.%2e/admin",
    "dots-other-half": b"/v1/%2e./admin",
    "dot-encoded": b"/v1/%2e/models",
    "dots-with-encoded-slash": b"/v1/..%2fadmin",
    "dots-after-encoded-slash": b"/v1/x%2f../admin",
    "dots-encoded-whole": b"/v1/x%2f%2e%2e%2fadmin",
    "dots-encoded-slash-last": b"/v1/x%2F..",
    "control": b"/v1/\x01",
    "tab": b"/v1/\t",
    "del": b"/v1/\x7f",
    "escape": b"/v1/\x1b[2J",
}


def refused(relay: Any, upstream: Any, request: bytes, *, status: int = 400, after: bool) -> dict[str, Any]:
    """Send the request as the first of a connection, or after one that was answered; what the error body says."""
    client = relay.dial()
    wire = None
    if after:
        client.send(b"GET /first HTTP/1.1\r\nHost: c\r\n\r\n")
        wire = upstream.accept()
        wire.read_head()
        wire.send(PLAIN)
        client.read_answer()
    client.send(request)
    answer = client.read_answer()
    assert answer.status == status, answer
    client.ended()
    # The next thing that the upstream hears is another client's request: nothing of this one got there.
    other = relay.ask(SENTINEL)
    wire = wire or upstream.accept()
    assert wire.read_head().first_line == b"GET /sentinel HTTP/1.1"
    wire.send(PLAIN)
    assert other.read_answer().body == b"ok"
    assert not upstream.pending()
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] is None
    return error


@pytest.mark.parametrize("after", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("case", FRAMING)
def test_ambiguous_framing_is_refused(relay: Any, upstream: Any, case: str, after: bool) -> None:
    """A body whose length could be read in two ways is refused, and so is every odd way to write a length."""
    assert refused(relay, upstream, FRAMING[case], after=after)["code"] in {"bad_framing", "bad_request"}


@pytest.mark.parametrize("after", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("case", HEADS)
def test_malformed_head_is_refused(relay: Any, upstream: Any, case: str, after: bool) -> None:
    """Folded lines, bare CR, LF and NUL, bad header names and anything but one Host are refused."""
    code = refused(relay, upstream, HEADS[case], after=after)["code"]
    assert code in ({"bad_host", "bad_request"} if case.startswith("host") else {"bad_request", "bad_target"})


@pytest.mark.parametrize("head", [GET + HOST + b"\n", b"GET / HTTP/1.1\nHost: c\n\n", b"GET / HTTP/1.1\rHost: c\r\r"])
def test_a_head_ended_by_bare_lines_is_no_head(start: Any, head: bytes) -> None:
    """A head that only bare CR or LF could end never counts as whole: 400 at the latest when the time is up."""
    relay, upstream = start(timeouts=Timeouts(head=0.3))
    client = relay.ask(head)
    assert client.read_answer().status == 400
    client.ended()
    assert not upstream.pending()


@pytest.mark.parametrize("case", LINES)
def test_malformed_request_line_is_refused(relay: Any, upstream: Any, case: str) -> None:
    """What is not a request line of HTTP/1.0 or HTTP/1.1 is refused."""
    assert refused(relay, upstream, LINES[case], after=False)["code"] in {"bad_request", "bad_target"}


@pytest.mark.parametrize("case", TARGETS)
def test_target_that_could_lead_elsewhere_is_refused(relay: Any, upstream: Any, case: str) -> None:
    """Absolute forms, ``//host``, dot segments raw or encoded, and control bytes are refused."""
    request = b"GET " + TARGETS[case] + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    assert refused(relay, upstream, request, after=False)["code"] in {"bad_target", "bad_request"}


@pytest.mark.parametrize(
    "body",
    [
        b"xyz\r\n",
        b"-1\r\na\r\n",
        b"0x3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"fffffffffffffffff\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcX\r\n",
        b"3\r\nabc\n",
        b"3;a\x00\r\nabc\r\n",
        b"3;\nabc\r\n",
        b"\r\n",
    ],
    ids=[
        "letters",
        "minus",
        "hex-prefix",
        "blank",
        "huge",
        "bare-lf",
        "too-long",
        "bare-lf-after",
        "nul",
        "lf-ext",
        "none",
    ],
)
def test_bad_chunk_never_ends_well(relay: Any, upstream: Any, body: bytes) -> None:
    """A malformed chunk is refused with 400 and close; an upstream that was asked already sees no whole request."""
    client = relay.ask(POST + CHUNKED + b"\r\n2\r\nok\r\n")
    wire = upstream.accept()
    wire.read_head()
    assert wire.read_chunk() == b"ok"
    client.send(body + b"0\r\n\r\n" + HIDDEN)
    answer = client.read_answer()
    assert answer.status == 400
    client.ended()
    rest, _ = wire.read_rest()
    assert b"0\r\n\r\n" not in rest
    assert b"admin" not in rest


def test_bytes_after_a_refusal_are_not_read_as_requests(relay: Any, upstream: Any) -> None:
    """What a client pipelines behind a refused request gets no answer and goes nowhere."""
    error = refused(relay, upstream, GET + b"\r\n" + HIDDEN * 3, after=False)
    assert error["code"] == "bad_host"


def test_a_good_request_before_a_bad_one_is_answered(relay: Any, upstream: Any) -> None:
    """A request that was pipelined before a refused one gets its answer first, and then the refusal comes."""
    client = relay.ask(b"GET /good HTTP/1.1\r\nHost: c\r\n\r\n" + HEADS["host-twice"])
    wire = upstream.accept()
    assert wire.read_head().first_line == b"GET /good HTTP/1.1"
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    assert client.read_answer().status == 400
    client.ended()


UPGRADES = {
    "websocket": b"GET /v1/realtime HTTP/1.1\r\nHost: c\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "h2c": b"GET / HTTP/1.1\r\nHost: c\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAM\r\n\r\n",
    "post": b"POST / HTTP/1.1\r\nHost: c\r\nConnection: keep-alive, upgrade\r\nupgrade: foo/2\r\n"
    b"Content-Length: 0\r\n\r\n",
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
}


@pytest.mark.parametrize("case", UPGRADES)
def test_upgrades_are_not_implemented(relay: Any, upstream: Any, case: str) -> None:
    """Websockets, other upgrades and CONNECT get an explicit 501 and go nowhere."""
    error = refused(relay, upstream, UPGRADES[case], status=501, after=False)
    assert error["code"] == "upgrade_unsupported"

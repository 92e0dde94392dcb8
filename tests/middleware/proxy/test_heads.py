"""The rules for heads, as pure functions."""

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.proxy.errors import Refusal, Refused
from middleware.proxy.heads import (
    CHUNKED,
    UNTIL_CLOSE,
    RequestHead,
    RequestRules,
    content_headers,
    read_request,
    read_response,
)

RULES = RequestRules(b"up.example:8000")
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


def request(*lines: bytes, first: bytes = LINE) -> bytes:
    return first + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def judged(*lines: bytes, first: bytes = LINE) -> RequestHead:
    return read_request(request(*lines, first=first), RULES)


def refusal(raw: bytes) -> Refusal:
    with pytest.raises(Refused) as caught:
        read_request(raw, RULES)
    return caught.value.refusal


def test_a_plain_head_passes_byte_for_byte_but_for_host() -> None:
    """Order, case, duplicates, spacing and odd bytes of the lines that no rule names stay as they were sent."""
    sent = request(b"X-b: 1", b"hOsT:  me", b"x-A:\t 2 ", b"X-b:", b"Cookie: \xff=1", b"content-LENGTH: 12")
    assert read_request(sent, RULES).forwarded == sent.replace(b"hOsT:  me", b"hOsT: up.example:8000")


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: x",
        b"Proxy-Authorization: Basic x",
        b"TE: trailers",
        b"Trailer: X-T",
        b"X-EQWatch-Deployment: tutor",
        b"x-eqwatch-anything: 1",
    ],
)
def test_hop_by_hop_and_own_headers_are_stripped(line: bytes) -> None:
    """Headers for this hop, and the relay's own, don't reach the upstream."""
    assert judged(b"Host: a", line, b"X-Kept: 1").forwarded == request(b"Host: up.example:8000", b"X-Kept: 1")


def test_headers_named_by_connection_are_stripped() -> None:
    """What Connection names is for this hop only, except for framing and routing."""
    head = judged(
        b"Connection: X-Hop, content-length , HOST,close", b"Host: a", b"x-hop: 1", b"X-Hop: 2", b"Content-Length: 3"
    )
    assert head.forwarded == request(b"Host: up.example:8000", b"Content-Length: 3")
    assert not head.keep_alive
    assert head.length == 3


def test_own_headers_are_understood() -> None:
    """Deployment, conversation, opt-out and credential are taken down on the way."""
    head = judged(
        b"Host: a",
        b"x-eqwatch-deployment: tutor",
        b"X-Eqwatch-Conversation: c-1",
        b"x-eqwatch-opt-out: 1",
        b"Authorization: Bearer k",
        b"Content-Type: application/json",
    )
    assert (head.deployment, head.conversation, head.opt_out) == (b"tutor", b"c-1", True)
    assert (head.credential, head.content_type) == (b"Bearer k", b"application/json")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (request(), Refusal.BAD_HOST),
        (request(b"Host: a", b"Host: a"), Refusal.BAD_HOST),
        (request(b"Host: a", b"Content-Length: 1", b"Content-Length: 1"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Content-Length: 1, 1"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Content-Length: +1"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Content-Length: 0x1"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Content-Length:"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Content-Length: 1" + b"0" * 20), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Content-Length: 1", b"Transfer-Encoding: chunked"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Transfer-Encoding: gzip, chunked"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Transfer-Encoding: xchunked"), Refusal.BAD_FRAMING),
        (request(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0\r\n"), Refusal.BAD_FRAMING),
        (request(b"Host: a", b"Transfer-Encoding : chunked"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b" folded: 1"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"X: 1", b"\tfolded"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"X: a\rb"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"X: a\nY: b"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"X: a\x00b"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"X\x01: a"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b": nameless"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"no colon"), Refusal.BAD_REQUEST),
        (request(b"Host: a", b"Expect: 200-ok"), Refusal.BAD_REQUEST),
        (request(b"Host: a", first=b"GET  / HTTP/1.1\r\n"), Refusal.BAD_REQUEST),
        (request(b"Host: a", first=b"GET / HTTP/2.0\r\n"), Refusal.BAD_REQUEST),
        (request(b"Host: a", first=b"GET / HTTP/1.1 \r\n"), Refusal.BAD_REQUEST),
        (request(b"Host: a", first=b"GET /\r\n"), Refusal.BAD_REQUEST),
        (request(b"Host: a", *(b"X: 1" for _ in range(128))), Refusal.HEAD_TOO_LARGE),
    ],
)
def test_ambiguous_heads_are_refused(raw: bytes, expected: Refusal) -> None:
    """Whatever two parsers might read in two ways passes neither."""
    assert refusal(raw) is expected


@pytest.mark.parametrize(
    "target",
    [
        b"http://evil.example/v1",
        b"//evil.example/v1",
        b"evil.example:443",
        b"*",
        b"/v1/../admin",
        b"/v1/..",
        b"/./v1",
        b"/v1/%2e%2E/admin",
        b"/v1/.%2e/admin",
        b"/v1/..;/admin",
        b"/v1/..%2fadmin",
        b"/v1/a%5c..%5cadmin",
        b"/v1\\..\\admin",
        b"/v1#fragment",
        b"/v1/\x7f",
        b"/v1/\xc3\xa4",
        b"/v1/\x00",
        b"",
    ],
)
def test_targets_that_could_leave_the_upstream_are_refused(target: bytes) -> None:
    """Only a plain absolute path without dot segments passes; the upstream comes from configuration alone."""
    assert refusal(request(b"Host: a", first=b"GET " + target + b" HTTP/1.1\r\n")) is Refusal.BAD_TARGET


@pytest.mark.parametrize(
    "target",
    [b"/", b"/v1/models/org%2Fname", b"/v1.1/x", b"/a...b/.well-known", b"/v1?q=../x&y=//z", b"/a//b", b"/a%2Eb"],
)
def test_harmless_targets_pass_raw(target: bytes) -> None:
    """Encoded slashes, dots inside names and anything legal in a query reach the upstream as sent."""
    first = b"GET " + target + b" HTTP/1.1\r\n"
    assert judged(b"Host: a", first=first).forwarded.startswith(first)


def test_upgrades_and_connect_are_told_apart() -> None:
    """An Upgrade header, and CONNECT, are marked so that they can be refused by name."""
    assert judged(
        b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", first=b"GET /v1/realtime HTTP/1.1\r\n"
    ).upgrade
    assert refusal(request(b"Host: a:1", first=b"CONNECT a:1 HTTP/1.1\r\n")) is Refusal.UPGRADE_UNSUPPORTED


def test_http_1_0_is_spoken_on_as_1_1() -> None:
    """A 1.0 client needs no Host, ends with its answer, and the upstream is asked in 1.1."""
    head = judged(b"X: 1", first=b"GET /v1 HTTP/1.0\r\n")
    assert head.forwarded == request(b"Host: up.example:8000", b"X: 1", first=b"GET /v1 HTTP/1.1\r\n")
    assert head.http10
    assert not head.keep_alive


def test_base_path_is_put_before_the_target() -> None:
    """An upstream below a prefix gets the prefix before every target."""
    raw = request(b"Host: a", first=b"GET /v1/models?x=1 HTTP/1.1\r\n")
    head = read_request(raw, RequestRules(b"up", b"/openai"))
    assert head.forwarded == request(b"Host: up", first=b"GET /openai/v1/models?x=1 HTTP/1.1\r\n")
    assert head.target == b"/v1/models?x=1"


def test_one_empty_line_before_the_request_is_ignored() -> None:
    """RFC 9112, 2.2: some clients end a body with a line end too many."""
    assert read_request(b"\r\n" + request(b"Host: a"), RULES).forwarded == request(b"Host: up.example:8000")
    assert refusal(b"\r\n\r\n" + request(b"Host: a")) is Refusal.BAD_REQUEST


TOKEN = st.text("abcXYZ012!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=20).map(
    lambda value: bytes(byte for byte in value if byte == 9 or (byte >= 32 and byte != 127))
)


@settings(deadline=None)
@given(st.lists(st.tuples(TOKEN, VALUE), max_size=12))
def test_llhttp_reads_what_the_rules_pass(fields: list[tuple[bytes, bytes]]) -> None:
    """Heads that pass are read by another parser with the same names and values: no room for two meanings."""
    fields = [(b"Q-" + name, value) for name, value in fields]
    sent = request(b"Host: a", *(name + b":" + value for name, value in fields), first=b"GET /x HTTP/1.1\r\n")
    seen: list[tuple[bytes, bytes]] = []

    class Listener:
        def on_header(self, name: bytes, value: bytes) -> None:
            seen.append((name, value))

    httptools.HttpRequestParser(Listener()).feed_data(read_request(sent, RULES).forwarded)
    assert [(name, value.strip(b" \t")) for name, value in seen[1:]] == [
        (name, value.strip(b" \t")) for name, value in fields
    ]


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 120))
def test_mutated_heads_are_refused_or_stay_one_head(junk: bytes, at: int) -> None:
    """Junk anywhere in a head never makes two heads of it, and never crashes the rules."""
    sent = request(b"Host: a", b"Content-Length: 4", b"X-Plain: value", b"Authorization: Bearer k")
    sent = sent[:at] + junk + sent[at:]
    try:
        head = read_request(sent, RULES)
    except Refused:
        return
    assert head.forwarded.count(b"\r\n\r\n") == 1
    assert b"\x00" not in head.forwarded
    assert not head.forwarded.replace(b"\r\n", b"").translate(None, bytes(set(range(256)) - {10, 13}))


def response(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
    return request(*lines, first=first)


def test_an_answers_head_passes_byte_for_byte() -> None:
    """Duplicates, order and case stay; only this hop's headers go."""
    sent = response(
        b"Set-Cookie: a=1", b"connection: Keep-Alive, x-hop", b"SET-cookie: b=2", b"X-Hop: 1", b"Content-Length: 5"
    )
    head = read_response(sent, len(sent), b"GET")
    assert (
        head.forward(sent + b"12345")
        == response(b"Set-Cookie: a=1", b"SET-cookie: b=2", b"Content-Length: 5") + b"12345"
    )
    assert (head.length, head.keep_alive) == (5, True)


@pytest.mark.parametrize(
    ("first", "lines", "method", "length"),
    [
        (b"HTTP/1.1 200 OK\r\n", [b"Content-Length: 7"], b"GET", 7),
        (b"HTTP/1.1 200 OK\r\n", [b"Content-Length: 7"], b"HEAD", 0),
        (b"HTTP/1.1 204 No Content\r\n", [], b"GET", 0),
        (b"HTTP/1.1 304 Not Modified\r\n", [b"Content-Length: 7"], b"GET", 0),
        (b"HTTP/1.1 100 Continue\r\n", [], b"POST", 0),
        (b"HTTP/1.1 200 OK\r\n", [b"Transfer-Encoding: chunked"], b"GET", CHUNKED),
        (b"HTTP/1.1 200 OK\r\n", [], b"GET", UNTIL_CLOSE),
        (b"HTTP/1.0 200 OK\r\n", [], b"GET", UNTIL_CLOSE),
    ],
)
def test_the_length_of_an_answer(first: bytes, lines: list[bytes], method: bytes, length: int) -> None:
    """RFC 9112, 6.3, for every way in which an answer may be framed."""
    sent = response(*lines, first=first)
    assert read_response(sent, len(sent), method).length == length


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 1", b"Content-Length: 1"],
        [b"Content-Length: 1", b"Transfer-Encoding: chunked"],
        [b"Content-Length: -1"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    ],
)
def test_ambiguous_answers_are_refused(lines: list[bytes]) -> None:
    """An answer whose end is unclear does not pass."""
    sent = response(*lines)
    with pytest.raises(Refused):
        read_response(sent, len(sent), b"GET")


def test_only_content_headers_are_picked() -> None:
    """The tap's allow-list, by name, in order, with duplicates; never the first line."""
    sent = response(b"Content-Type: a", b"Authorization: k", b"content-type: b ", b"CONTENT-ENCODING:\tgzip")
    found = [(b"content-type", b"a"), (b"content-type", b"b"), (b"content-encoding", b"gzip")]
    assert content_headers(sent) == found
    assert content_headers(b"HTTP/1.1 200 content-type: a\r\nX-Content-Type: b\r\nContent-Types: c\r\n\r\n") == []

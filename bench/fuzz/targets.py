"""What has to hold for any bytes. Each target takes one input and raises AssertionError where a rule is broken."""

from collections.abc import Callable
from itertools import pairwise

from middleware.proxy.errors import Refused
from middleware.proxy.framing import FramingError, ResponseFramer
from middleware.proxy.heads import RequestRules, read_request, read_response
from middleware.records.conversation import Transcript
from middleware.records.exchange import Exchange
from middleware.traffic.content import DecodedBody, decoded_body
from middleware.traffic.dialects import FLAGS, decode
from middleware.traffic.sse import SSEDecoder

__all__ = ["TARGETS"]

_RULES = RequestRules(b"upstream.example:8000")
_HOST = b"\r\nhost: upstream.example:8000\r\n"
_HOP_BY_HOP = (b"\nconnection:", b"\nkeep-alive:", b"\nproxy-connection:", b"\nupgrade:", b"\nx-eqwatch-")
_DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "other")
_CODINGS = (b"gzip", b"deflate", b"br", b"zstd", b"identity", b"zstd, gzip")
_METHODS = (b"GET", b"HEAD", b"POST", b"OPTIONS")
_MOST_DECODED = 256 * 1024
_CUT = b"\n--\n"


def request(data: bytes) -> None:
    """A head that passes names one host, carries no hop-by-hop line, and means the same when it is read again."""
    try:
        head = read_request(data, _RULES)
    except Refused:
        return
    sent = head.forwarded.lower()
    assert sent.count(b"\nhost:") == 1, "not one Host"
    assert _HOST in sent, "a foreign Host"
    assert not any(name in sent for name in _HOP_BY_HOP), "a line that must be stripped"
    assert sent.endswith(b"\r\n\r\n"), "no end"
    assert sent.count(b"\r\n\r\n") == 1, "two ends"
    assert sent.count(b"\r") == sent.count(b"\n") == sent.count(b"\r\n"), "a bare line end"
    assert b"\x00" not in sent, "a NUL"
    assert not (b"\ncontent-length:" in sent and b"\ntransfer-encoding:" in sent), "two framings"
    again = read_request(head.forwarded, _RULES)
    assert again.forwarded == head.forwarded, "read again, it is rewritten again"
    assert (again.method, again.target, again.length) == (head.method, head.target, head.length), "it means another"


def response(data: bytes) -> None:
    """An answer's head that passes loses only what must not pass, and its length is one that can be framed."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return
    method = _METHODS[len(data) % len(_METHODS)]
    try:
        ResponseFramer().begin(data[:end])  # the grammar of the lines is llhttp's, as in the relay
        head = read_response(data, end, method)
    except (Refused, *FramingError):
        return
    assert 0 <= head.status <= 999
    assert head.length >= -2
    if method == b"HEAD" or head.status in {204, 304} or head.status < 200:
        assert head.length == 0, "a body where none may be"
    passed = head.forward(data)
    assert passed.startswith(b"HTTP/1.1 "), "another version"
    assert passed.endswith(data[end:]), "the body's first bytes are lost"


def sse(data: bytes) -> None:
    """Any split of a stream gives the same events; the first byte seeds where it is cut."""
    if not data:
        return
    step, stream = data[0] % 7 + 1, data[1:]
    whole = SSEDecoder()
    events = whole.feed(stream)
    pieces = SSEDecoder()
    edges = [*range(0, len(stream), step), len(stream)]
    pieced = [event for a, b in pairwise(edges) for event in pieces.feed(stream[a:b])]
    assert pieced == events, "the split changed the events"
    assert pieces.pending == whole.pending, "the split changed what is pending"


def dialects(data: bytes) -> None:
    """A transcript with known flags, or a reason; never an exception. The first byte chooses dialect and media type."""
    if not data:
        return
    choice, (asked, _, answered) = data[0], data[1:].partition(_CUT)
    kind = b"text/event-stream" if choice & 4 else b"application/json"
    result = decode(_exchange(_DIALECTS[choice % 4], asked, answered, kind, complete=not choice & 8))
    if isinstance(result, Transcript):
        assert result.flags <= FLAGS, "a flag that nobody knows"
        assert any(message.role == "user" for message in result.messages), "nobody asked"
        assert result.reply is not None or "no_reply" in result.flags, "a missing reply without its flag"


def content(data: bytes) -> None:
    """Decoding ends within its caps whatever the coding claims."""
    if not data:
        return
    coding, body = _CODINGS[data[0] % len(_CODINGS)], data[1:]
    found = decoded_body([(b"content-encoding", coding)], body, max_bytes=_MOST_DECODED)
    if isinstance(found, DecodedBody):
        assert len(found.data) <= _MOST_DECODED, "over the cap"


def _exchange(dialect: str, asked: bytes, answered: bytes, kind: bytes, *, complete: bool) -> Exchange:
    return Exchange(
        deployment="default",
        dialect=dialect,
        method=b"POST",
        target=b"/v1",
        request_headers=[(b"content-type", b"application/json")],
        request_body=asked,
        request_truncated=False,
        status=200,
        response_headers=[(b"content-type", kind)],
        response_body=answered,
        response_truncated=False,
        complete=complete,
        conversation="",
        key_id="",
        started_at=0.0,
        first_byte_seconds=0.0,
        duration_seconds=0.0,
    )


TARGETS: dict[str, Callable[[bytes], None]] = {
    "request": request,
    "response": response,
    "sse": sse,
    "dialects": dialects,
    "content": content,
}

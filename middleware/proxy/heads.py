"""Pure rules for message heads: what is refused, what is stripped, what is set. Bytes in, bytes out, no I/O.

A head is judged as raw bytes, before and beside llhttp, which is laxer (RFC 9112 sections 2.2, 3, 5 and 6). Every line
that no rule names reaches the other side as it was sent: order, duplicates, case and spacing.
"""

import re
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from middleware.proxy.errors import Refusal, Refused

__all__ = [
    "CHUNKED",
    "UNTIL_CLOSE",
    "RequestHead",
    "RequestRules",
    "ResponseHead",
    "content_headers",
    "read_request",
    "read_response",
    "without_headers",
]

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELDS = rb"(?:" + _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+\r\n"
_REQUEST = re.compile(rb"(?:\r\n)?(" + _TOKEN + rb") (/[\x21\x22\x24-\x7e]*+|\*) HTTP/1\.([01])\r\n" + _FIELDS)
_REQUEST_LINE = re.compile(rb"(?:\r\n)?(" + _TOKEN + rb") ([^\r\n ]*) HTTP/1\.[01]\r\n")

# Only lines that a rule names are looked at one by one; one literal byte and the look-ahead keep the others cheap.
_REQUEST_NAMED = re.compile(
    rb"\n(?=[aceHhkptuxACEKPTUX])(host|content-length|content-type|connection|transfer-encoding|expect|upgrade|te|trailer|keep-alive"
    rb"|proxy-connection|proxy-authorization|authorization|api-key|x-api-key|x-eqwatch-[^:]*):([^\r]*)",
    re.IGNORECASE,
)
_RESPONSE_NAMED = re.compile(
    rb"\n(?=[ckptuCKPTU])(content-length|connection|transfer-encoding|upgrade|te|keep-alive|proxy-connection"
    rb"|proxy-authenticate):([^\r]*)",
    re.IGNORECASE,
)
_CONTENT_NAMED = re.compile(rb"\n(?=[cC])(content-type|content-encoding):([^\r]*)", re.IGNORECASE)
_ODD_TARGET = re.compile(rb"[.\\]|%2")
_DOT_SEGMENT = re.compile(rb"(?:/|\\|%2f|%5c)(?:\.|%2e){1,2}(?:/|\\|%2f|%5c|;|$)", re.IGNORECASE)
_MAX_DIGITS = 15
_OWS = b" \t"

_CREDENTIALS = frozenset({b"authorization", b"api-key", b"x-api-key"})
# Framing and routing are never stripped because a Connection header names them: that would change what the body is.
_PROTECTED = frozenset({b"host", b"content-length", b"transfer-encoding", b"content-type", b"close", b"keep-alive"})


class RequestRules(msgspec.Struct, frozen=True):
    """What the upstream is called, and where below it requests go. host: value of Host; base_path: '' or '/prefix'."""

    host: bytes
    base_path: bytes = b""
    max_headers: int = 128


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """A request head that may pass. length: bytes of the body, or CHUNKED. forwarded: the head for the upstream.

    keep_alive: the client would send more on this connection. upgrade: it asks for another protocol (or CONNECT).
    """

    method: bytes
    target: bytes
    http10: bool
    length: int
    keep_alive: bool
    upgrade: bool
    forwarded: bytes
    content_type: bytes
    deployment: bytes
    conversation: bytes
    opt_out: bool
    credential: bytes


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """An answer's head. length: bytes of the body, CHUNKED or UNTIL_CLOSE; keep_alive: of the upstream's connection.

    stripped: the lines that must not pass, each with the line ends before and after it.
    """

    status: int
    length: int
    keep_alive: bool
    stripped: list[bytes]
    old_version: bool

    def forward(self, sent: bytes) -> bytes:
        """The head, and whatever of the body follows it, as the client shall see it."""
        for line in self.stripped:
            sent = sent.replace(line, b"\r\n", 1)
        if self.old_version:
            return b"HTTP/1.1" + sent[8:]  # the version is each hop's own (RFC 9110, 2.5)
        return sent


class _Named:
    """What the lines of a request that rules name said, gathered in one pass over its head."""

    __slots__ = (
        "chunked",
        "connection",
        "content_type",
        "conversation",
        "credential",
        "deployment",
        "hosts",
        "length",
        "opt_out",
        "upgrade",
    )

    def __init__(self) -> None:
        self.hosts = 0
        self.length: bytes | None = None
        self.chunked = self.upgrade = self.opt_out = False
        self.connection = self.content_type = self.deployment = self.conversation = self.credential = b""

    def take(self, name: bytes, value: bytes) -> bool:
        """Take down what a line says; True where it passes on as it is."""
        if name == b"content-length":
            if self.length is not None:
                raise Refused(Refusal.BAD_FRAMING)
            self.length = value
            return True
        if name == b"content-type":
            self.content_type = value
            return True
        if name in _CREDENTIALS:
            self.credential = self.credential or value
            return True
        if name == b"host":
            self.hosts += 1
            return False
        if name == b"transfer-encoding":
            if self.chunked or value.lower() != b"chunked":
                raise Refused(Refusal.BAD_FRAMING)
            self.chunked = True
            return True
        return self._take_rare(name, value)

    def _take_rare(self, name: bytes, value: bytes) -> bool:
        if name == b"expect":
            if value.lower() != b"100-continue":
                raise Refused(Refusal.BAD_REQUEST)
            return True
        if name == b"connection":
            self.connection += value + b","
        elif name == b"upgrade":
            self.upgrade = True
        elif name == b"x-eqwatch-deployment":
            self.deployment = value
        elif name == b"x-eqwatch-conversation":
            self.conversation = value
        elif name == b"x-eqwatch-opt-out":
            self.opt_out = self.opt_out or value not in {b"0", b"false", b""}
        return False


def read_request(raw: bytes, rules: RequestRules) -> RequestHead:
    """Judge and rewrite a request head (through its empty line); raises Refused."""
    match = _REQUEST.fullmatch(raw)
    if match is None:
        raise Refused(_why_not(raw))
    method, target, minor = match.groups()
    http10 = minor == b"0"
    _check_target(method, target)
    if raw.count(b"\r\n") - 2 > rules.max_headers:
        raise Refused(Refusal.HEAD_TOO_LARGE)
    named = _Named()
    forwarded = raw
    for name, value in _REQUEST_NAMED.findall(raw):
        key = name.lower()
        if not named.take(key, value.strip(_OWS)):
            new = b"\r\n%s: %s\r\n" % (name, rules.host) if key == b"host" else b"\r\n"
            forwarded = forwarded.replace(b"\r\n%s:%s\r\n" % (name, value), new, 1)
    if named.hosts != 1 and (named.hosts or not http10):
        raise Refused(Refusal.BAD_HOST)
    if http10 or rules.base_path or raw[0] in b"\r":
        host = b"" if named.hosts else b"Host: " + rules.host + b"\r\n"
        forwarded = _request_line(method, target, rules) + host + forwarded[match.end(3) + 2 :]
    keep_alive = not http10
    if named.connection:
        tokens = _tokens(named.connection)
        keep_alive = keep_alive and b"close" not in tokens
        forwarded = without_headers(forwarded, tokens - _PROTECTED)
    return RequestHead(
        method,
        target,
        http10,
        _length(named.length, chunked=named.chunked, http10=http10),
        keep_alive,
        named.upgrade or method == b"CONNECT",
        forwarded,
        named.content_type,
        named.deployment,
        named.conversation,
        named.opt_out,
        named.credential,
    )


def read_response(data: bytes, end: int, method: bytes) -> ResponseHead:
    """Judge the head, data[:end], of an answer to a request with this method; raises Refused (UPSTREAM_PROTOCOL).

    The grammar of its lines is left to llhttp: whoever answers was configured, and each answer is judged.
    """
    version, code = data[:8], data[9:12]
    if not code.isdigit() or (version != b"HTTP/1.1" and version != b"HTTP/1.0"):
        raise Refused(Refusal.UPSTREAM_PROTOCOL)
    declared: bytes | None = None
    chunked = False
    connection = b""
    stripped = []
    for name, value in _RESPONSE_NAMED.findall(data, 0, end):
        key = name.lower()
        if key == b"content-length":
            if declared is not None:
                raise Refused(Refusal.UPSTREAM_PROTOCOL)
            declared = value.strip(_OWS)
        elif key == b"transfer-encoding":
            if chunked or value.strip(_OWS).lower() != b"chunked":
                raise Refused(Refusal.UPSTREAM_PROTOCOL)
            chunked = True
        else:
            if key == b"connection":
                connection += value.lower() + b","
            stripped.append(b"\r\n%s:%s\r\n" % (name, value))
    keep_alive = version == b"HTTP/1.1"
    if connection and connection != b" keep-alive,":
        tokens = _tokens(connection)
        keep_alive = b"close" not in tokens and (keep_alive or b"keep-alive" in tokens)
        stripped += _lines_of(data[:end], tokens - _PROTECTED)
    status = int(code)
    length = _response_length(status, method, declared, chunked=chunked)
    return ResponseHead(status, length, keep_alive, stripped, version == b"HTTP/1.0")


def content_headers(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Content-Type and Content-Encoding (lower case) of a head that has been judged, in order, with duplicates."""
    return [(name.lower(), value.strip(_OWS)) for name, value in _CONTENT_NAMED.findall(raw)]


def _why_not(raw: bytes) -> Refusal:
    """The code for a head that the grammar refuses: the target's fault is told apart, the rest is one kind."""
    line = _REQUEST_LINE.match(raw)
    if line is None:
        return Refusal.BAD_REQUEST
    if line[1] == b"CONNECT":
        return Refusal.UPGRADE_UNSUPPORTED
    plain = line[2].startswith(b"/") and re.fullmatch(rb"[\x21\x22\x24-\x7e]*", line[2])
    return Refusal.BAD_REQUEST if plain else Refusal.BAD_TARGET


def _check_target(method: bytes, target: bytes) -> None:
    if target.startswith(b"//") or (target == b"*" and method != b"OPTIONS"):
        raise Refused(Refusal.BAD_TARGET)
    if _ODD_TARGET.search(target):  # `in` would be slower: for bytes, it raises and catches an error each time
        path = target.partition(b"?")[0]
        if b"\\" in path or _DOT_SEGMENT.search(path):
            raise Refused(Refusal.BAD_TARGET)


def _request_line(method: bytes, target: bytes, rules: RequestRules) -> bytes:
    below = target if target == b"*" else rules.base_path + target
    return b"%s %s HTTP/1.1\r\n" % (method, below)


def _length(declared: bytes | None, *, chunked: bool, http10: bool) -> int:
    if chunked:
        if declared is not None or http10:
            raise Refused(Refusal.BAD_FRAMING)
        return CHUNKED
    if declared is None:
        return 0
    if not declared.isdigit() or len(declared) > _MAX_DIGITS:
        raise Refused(Refusal.BAD_FRAMING)
    return int(declared)


def _response_length(status: int, method: bytes, declared: bytes | None, *, chunked: bool) -> int:
    """RFC 9112, 6.3; what is ambiguous there is refused here."""
    if declared is not None and (chunked or not declared.isdigit() or len(declared) > _MAX_DIGITS):
        raise Refused(Refusal.UPSTREAM_PROTOCOL)
    if status < 200 or status == 204 or status == 304 or method == b"HEAD":
        return 0
    if chunked:
        return CHUNKED
    return UNTIL_CLOSE if declared is None else int(declared)


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip(_OWS).lower() for token in value.split(b",")} - {b""}


def without_headers(head: bytes, names: AbstractSet[bytes]) -> bytes:
    """The head without the lines of these (lower-case) names; the start line always stays."""
    if not names:
        return head
    first, *lines = head.split(b"\r\n")
    return b"\r\n".join([first, *(line for line in lines if line.partition(b":")[0].lower() not in names)])


def _lines_of(head: bytes, names: AbstractSet[bytes]) -> list[bytes]:
    """The header lines of these (lower-case) names, each with the line ends before and after it."""
    lines = head.split(b"\r\n")[1:] if names else []
    return [b"\r\n%s\r\n" % line for line in lines if line.partition(b":")[0].lower() in names]

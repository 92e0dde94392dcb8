"""The few answers that the relay gives by itself, in the OpenAI error shape. Pure: builds bytes, sends nothing."""

from enum import Enum
from http import HTTPStatus

import msgspec

__all__ = ["Refusal", "Refused", "error_response", "plain_response"]

_CLIENT = "invalid_request_error"
_SERVER = "api_error"


class Refusal(Enum):
    """Every error of the relay's own: HTTP status, error type, and what the client is told. Names are the codes."""

    BAD_REQUEST = (400, _CLIENT, "The request is not valid HTTP/1.1.")
    BAD_TARGET = (400, _CLIENT, "The request target must be a plain absolute path without dot segments.")
    BAD_HOST = (400, _CLIENT, "Exactly one Host header is needed.")
    BAD_FRAMING = (400, _CLIENT, "The length of the request body is ambiguous or malformed.")
    REQUEST_TIMEOUT = (400, _CLIENT, "The request did not arrive in time.")
    BODY_TOO_LARGE = (413, _CLIENT, "The request body is over the relay's limit.")
    HEAD_TOO_LARGE = (431, _CLIENT, "The request head is over the relay's limit.")
    UPGRADE_UNSUPPORTED = (501, _CLIENT, "Websockets, CONNECT and other upgrades are not relayed.")
    UPSTREAM_UNREACHABLE = (502, _SERVER, "The upstream can't be reached.")
    UPSTREAM_CLOSED = (502, _SERVER, "The upstream closed the connection before it answered.")
    UPSTREAM_PROTOCOL = (502, _SERVER, "The upstream's answer is not valid HTTP/1.1.")
    RELAY_CONNECTIONS = (503, _SERVER, "The relay holds as many client connections as it may.")
    UPSTREAM_CONNECTIONS = (503, _SERVER, "The relay holds as many upstream connections as it may.")
    RELAY_EXHAUSTED = (503, _SERVER, "The relay is out of file descriptors.")
    UPSTREAM_CONNECT_TIMEOUT = (504, _SERVER, "Connecting to the upstream took too long.")
    UPSTREAM_TIMEOUT = (504, _SERVER, "The upstream did not begin to answer in time.")

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return self.value[0]

    @property
    def code(self) -> str:
        """The stable, documented ``code`` of the error body."""
        return self.name.lower()


class Refused(Exception):
    """A request or an answer that must not pass."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def error_response(refusal: Refusal, *, close: bool, head_only: bool = False) -> bytes:
    """The whole HTTP answer for a refusal; without its body where the request was a HEAD."""
    status, kind, message = refusal.value
    error = {"message": message, "type": kind, "param": None, "code": refusal.code}
    body = msgspec.json.encode({"error": error})
    return plain_response(status, body, b"application/json", close=close, head_only=head_only)


def plain_response(status: int, body: bytes, media_type: bytes, *, close: bool, head_only: bool = False) -> bytes:
    """A whole HTTP/1.1 answer of the relay's own."""
    head = b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (
        status,
        HTTPStatus(status).phrase.encode(),
        media_type,
        len(body),
        b"Connection: close\r\n" if close else b"",
    )
    return head if head_only else head + body

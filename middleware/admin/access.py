"""Decides whether a request to the admin listener may pass: pure rules on headers, no I/O.

Default deny: reading needs the scope ``read``, handing in exchanges ``ingest``, kept content and everything else
``operate``. Without a token only loopback is served, and then Host and origin are checked, since any page in a browser
on this machine can reach loopback (DNS rebinding, CSRF).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from middleware.errors import ConfigurationError

__all__ = ["Access", "Refusal", "Scope", "is_local"]

Scope = Literal["read", "operate", "ingest"]

_SAFE_METHODS = frozenset({"GET", "HEAD"})
# Hands in exchanges: open to the token of pods and applications, which may do nothing else.
_INGESTING = frozenset({"/api/v1/exchanges", "/api/v1/observations", "/v1/traces"})
# Asks for something by POST only because the question does not fit into a URL.
_CONVERSATIONS = "/api/v1/conversations/"
_READING_POSTS = frozenset({"/api/v1/conversations/lookup"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request does not pass. status: 401, 403 or 421; challenge: ask for credentials."""

    status: int
    code: str
    message: str
    challenge: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """The policy of one listener. Tokens are kept as bytes and compared in constant time; empty means not set."""

    read_token: bytes = b""
    operate_token: bytes = b""
    ingest_token: bytes = b""

    @classmethod
    def for_listener(
        cls, listen: str, *, read_token: str = "", operate_token: str = "", ingest_token: str = ""
    ) -> Access:
        """The policy for ``HOST:PORT`` or ``unix:/path``; raises ConfigurationError for an open door to the network."""
        if not (read_token or operate_token) and not is_local(listen):
            raise ConfigurationError(
                f"admin.listen {listen!r} is reachable from outside and has no token: "
                "set EQWATCH_ADMIN_TOKEN, or listen on 127.0.0.1"
            )
        return cls(read_token.encode(), operate_token.encode(), ingest_token.encode())

    @property
    def open(self) -> bool:
        """No token is set: everybody on this machine may read and operate."""
        return not (self.read_token or self.operate_token or self.ingest_token)

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """None where the request may pass. headers: lower-case names."""
        needed = _needed(method, path)
        if self.open and not _is_loopback(_host_name(headers.get("host", ""))):
            return Refusal(
                421, "foreign_host", "Without a token this listener answers to localhost and 127.0.0.1 only."
            )
        if method not in _SAFE_METHODS and _is_cross_site(headers):
            return Refusal(403, "cross_site", "Requests that change or ask by POST must not come from another site.")
        if self.open:
            return None
        return self._token_refusal(needed, method, headers.get("authorization", ""))

    def _token_refusal(self, needed: Scope, method: str, authorization: str) -> Refusal | None:
        scheme, _, credentials = authorization.partition(" ")
        token = credentials.strip().encode() if scheme.lower() == "bearer" else b""
        if scheme.lower() == "basic" and method in _SAFE_METHODS:
            # For browsers, which can't navigate with a bearer token. Reading only, since a browser adds it unasked.
            token = _basic_password(credentials)
        can_operate = _equal(token, self.operate_token)
        can_read = _equal(token, self.read_token) or can_operate
        can_ingest = _equal(token, self.ingest_token) or can_operate
        if not (can_read or can_ingest):
            return Refusal(401, "unauthorized", "Send the admin token as 'Authorization: Bearer …'.", challenge=True)
        if needed == "operate" and not can_operate:
            return Refusal(403, "forbidden", "This needs the operate token (EQWATCH_ADMIN_OPERATE_TOKEN).")
        if needed == "ingest" and not can_ingest:
            return Refusal(403, "forbidden", "This needs the ingest token (EQWATCH_ADMIN_INGEST_TOKEN).")
        if needed == "read" and not can_read:
            return Refusal(403, "forbidden", "This needs the read token (EQWATCH_ADMIN_TOKEN).")
        return None


def _needed(method: str, path: str) -> Scope:
    if path in _INGESTING and method not in _SAFE_METHODS:
        return "ingest"
    if path.startswith(_CONVERSATIONS) and path.endswith("/content"):
        return "operate"  # what people said is not for everybody who may look at numbers
    return "read" if method in _SAFE_METHODS or path in _READING_POSTS else "operate"


def _equal(given: bytes, expected: bytes) -> bool:
    # Digests, because the comparison takes constant time only for equal lengths.
    same = hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(expected).digest())
    return bool(expected) and same


def _basic_password(credentials: str) -> bytes:
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True)
    except binascii.Error:
        return b""
    return decoded.partition(b":")[2]


def is_local(listen: str) -> bool:
    """Whether only this machine reaches ``HOST:PORT`` or ``unix:/path``."""
    if listen.startswith("unix:"):
        return True
    return _is_loopback(listen.rpartition(":")[0])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _host_name(authority: str) -> str:
    """The host of ``host[:port]``, lower case; IPv6 stays in its brackets."""
    authority = authority.strip().lower()
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]


def _is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another site sent this (https://web.dev/articles/fetch-metadata)."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return True
    origin = headers.get("origin")
    return origin is not None and origin.lower().partition("://")[2] != headers.get("host", "").lower()

"""One delivery of observations to the monitor over HTTP: it arrived, it may be tried again, or it never will."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import httpx2
import msgspec

from middleware.records.observation import Observation, Observations

__all__ = ["Delivered", "Delivery", "FailureReason", "Undelivered", "monitor_client"]

PATH = "/api/v1/observations"
_ANSWER_BYTES = 65_536

FailureReason = Literal[
    "timeout", "connection", "unavailable", "unauthorized", "other_salt", "too_large", "refused", "protocol"
]
_BY_STATUS: Mapping[int, FailureReason] = {
    401: "unauthorized",
    403: "unauthorized",
    408: "unavailable",
    409: "other_salt",
    413: "too_large",
    429: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the monitor did with the observations. dropped: number by reason."""

    accepted: int
    duplicates: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """again: worth another attempt with the same observations."""

    reason: FailureReason
    again: bool
    status: int | None = None


class _Answer(msgspec.Struct):
    accepted: int
    duplicates: int = 0
    dropped: dict[str, int] = {}


def monitor_client(*, timeout_seconds: float, verify: ssl.SSLContext | bool = True) -> httpx2.AsyncClient:
    """Nothing of the environment, no redirects, one connection that is kept."""
    return httpx2.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        verify=verify,
        limits=httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60.0),
        timeout=httpx2.Timeout(timeout_seconds),
    )


class Delivery:
    """Knows the monitor. salt: the fingerprint of ours. client: closed by whoever made it."""

    def __init__(self, client: httpx2.AsyncClient, *, url: str, token: str, salt: str) -> None:
        self._client = client
        self._url = url + PATH
        self._salt = salt
        self._headers = [
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("user-agent", "eqwatch"),
        ]
        if token:
            self._headers.append(("authorization", f"Bearer {token}"))

    async def deliver(self, observations: Sequence[Observation]) -> Delivered | Undelivered:
        """One attempt; never raises for what a network or a monitor can do."""
        body = msgspec.json.encode(Observations(tuple(observations), self._salt))
        request = httpx2.Request("POST", self._url, headers=self._headers, content=body)
        request.extensions = {"timeout": self._client.timeout.as_dict()}
        try:
            answer = await self._client.send(request)
        except httpx2.TimeoutException:
            return Undelivered("timeout", again=True)
        except httpx2.TransportError:
            return Undelivered("connection", again=True)
        if answer.status_code != 202:
            return _failed(answer.status_code)
        try:
            told = msgspec.json.decode(answer.content[:_ANSWER_BYTES], type=_Answer)
        except msgspec.DecodeError:
            return Undelivered("protocol", again=False, status=202)
        return Delivered(told.accepted, told.duplicates, told.dropped)


def _failed(status: int) -> Undelivered:
    reason = _BY_STATUS.get(status) or ("unavailable" if status >= 500 else "refused")
    return Undelivered(reason, again=reason == "unavailable", status=status)

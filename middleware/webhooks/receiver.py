"""One receiver, one attempt at a time: connects to an address that was checked, follows nothing, waits for no body."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from middleware.records.delivery import DeliveryReason
from middleware.webhooks.addresses import Network, is_allowed

__all__ = ["Answer", "Receiver", "Resolve", "resolved"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_PORTS = {"http": 80, "https": 443}
_LONGEST_WAIT_SECONDS = 7200.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended; reason is empty where the message was taken. wait_seconds: what the receiver asked for."""

    reason: DeliveryReason
    status: int | None = None
    wait_seconds: float | None = None


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, in the order of preference; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Receiver:
    """Where the messages of one webhook go. url: checked by the settings. Keeps no connection between attempts, so
    that each of them goes to an address that was judged for it."""

    def __init__(
        self,
        url: str,
        *,
        allowed: Sequence[Network],
        timeout_seconds: float,
        ca_file: str = "",
        resolve: Resolve = resolved,
    ) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._authority = parts.netloc.rpartition("@")[2]
        self._allowed = tuple(allowed)
        self._timeout = timeout_seconds
        self._resolve = resolve
        self._http = httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=ca_file or None),
            limits=httpx2.Limits(max_connections=32, max_keepalive_connections=0),
            timeout=timeout_seconds,
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._http.aclose()

    async def post(self, headers: dict[str, str], body: bytes) -> Answer:
        """Send once, within the time limit, whatever trickles in; never raises for anything that a receiver does."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            return Answer("timeout")
        except ssl.SSLError:
            return Answer("tls")
        except httpx2.ConnectError as error:
            return Answer("tls" if isinstance(_root(error), ssl.SSLError) else "connect")
        except httpx2.TransportError:
            return Answer("protocol")
        except OSError:  # of the name resolution
            return Answer("connect")

    async def _post(self, headers: dict[str, str], body: bytes) -> Answer:
        addresses = await self._resolve(self._host, self._port)
        encrypted = self._scheme == "https"
        if not addresses or not all(is_allowed(one, self._allowed, encrypted=encrypted) for one in addresses):
            return Answer("address_refused")
        # To the address itself, so that nobody resolves the name once more; the name stays in Host and in TLS.
        address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        request = httpx2.Request(
            "POST",
            f"{self._scheme}://{address}:{self._port}{self._target}",
            headers={
                "host": self._authority,
                "content-type": "application/json",
                "user-agent": "eqwatch",
                "connection": "close",
                **headers,
            },
            content=body,
            extensions={"timeout": self._http.timeout.as_dict(), "sni_hostname": self._host},
        )
        response = await self._http.send(request, stream=True, auth=None, follow_redirects=False)
        await response.aclose()  # what a receiver says is of no interest, and may have no end
        return _answer(response.status_code, response.headers.get("retry-after", ""))


def _answer(status: int, retry_after: str) -> Answer:
    wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    wait = None if wait is None else min(wait, _LONGEST_WAIT_SECONDS)
    if 200 <= status < 300:
        return Answer("", status)
    if status == 410:
        return Answer("gone", status)
    if status == 429:
        return Answer("rate_limited", status, wait)
    if status >= 500:
        return Answer("server_error", status, wait)
    return Answer("redirect" if 300 <= status < 400 else "client_error", status, wait)


def _root(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error

"""Asks a chat model on the sidecar's own behalf: one request, one answer or one UpstreamError. Never retries.

Nothing of the environment and nothing of an earlier answer goes into a request: no proxies, no netrc, no cookies, no
redirects, and the key goes to the configured origin only.
"""

import asyncio
import copy
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Self

import httpx2

from middleware.errors import ConfigurationError, UpstreamError
from middleware.tracing import NO_TRACING, Attributes, Tracing, chat_span
from middleware.upstream.completion import AllowanceField, Completion, Dialect, Messages, Question
from middleware.upstream.dialects import DIALECTS
from middleware.upstream.metering import Meter, Usage, estimate_of, usage_of
from middleware.upstream.url import normalise_upstream
from scorer.text_cleaning import without_reasoning

__all__ = ["UpstreamClient", "http_client"]

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HINTS = {
    401: "check EQWATCH_UPSTREAM_API_KEY",
    403: "the key may not use this model or path",
    404: "check the upstream URL and the model name",
}


def http_client(
    *, connections: int = 32, timeout_seconds: float = 120.0, verify: ssl.SSLContext | bool = True
) -> httpx2.AsyncClient:
    """An HTTP client fit for `UpstreamClient`: explicit limits and timeouts, no environment, a jar that stays empty."""
    return httpx2.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        verify=verify,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30.0),
        timeout=httpx2.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds), pool=None),
    )


class UpstreamClient:
    """Calls one upstream in one dialect. Closes the HTTP client only if it made it itself.

    base_url: origin or SDK-style URL that ends in ``/v1``. timeout_seconds: of a whole call, whatever trickles in.
    meter: allows each call and counts what it took; without one nothing is counted. tracing: a span for each call.
    now: the wall clock, for a Retry-After that is a date.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None,
        dialect: Dialect = "openai_chat",
        timeout_seconds: float = 120.0,
        allowance_field: AllowanceField = "max_tokens",
        http: httpx2.AsyncClient | None = None,
        meter: Meter | None = None,
        tracing: Tracing = NO_TRACING,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.base_url = normalise_upstream(base_url)
        self.dialect = dialect
        self._codec = DIALECTS[dialect]
        self._timeout_seconds = timeout_seconds
        self._allowance_field = allowance_field
        self._headers = [
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("user-agent", "eqwatch"),
            *self._codec.headers,
            *(self._codec.credentials(_checked_key(api_key)) if api_key else ()),
        ]
        self._owns_http = http is None
        self._http = http or http_client(timeout_seconds=timeout_seconds)
        self._meter = meter
        self.tracing = tracing
        self._now = now

    def __repr__(self) -> str:
        return f"UpstreamClient(base_url={self.base_url!r}, dialect={self.dialect!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, if they are this client's own."""
        if self._owns_http:
            await self._http.aclose()

    def metered(self, meter: Meter) -> Self:
        """The same client with another meter; it shares the connections, which stay with whoever made them."""
        twin = copy.copy(self)
        twin._meter = meter  # noqa: SLF001 - of the same class
        twin._owns_http = False  # noqa: SLF001
        return twin

    async def complete(
        self,
        messages: Messages,
        *,
        model: str,
        temperature: float,
        max_tokens: int,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask once. Raises UpstreamError whose reason says what failed; its text holds no key and no conversation.

        Raises CallRefused, before anything is sent, where the meter does not allow the call.
        """
        question = Question(messages, model, temperature, max_tokens, seed, schema, self._allowance_field)
        if self._meter is None:
            return await self._traced(question)
        estimate = estimate_of(question)
        reservation = await self._meter.reserve(estimate)
        usage = Usage(None, None)  # where the call is broken off: its cost may have been incurred
        try:
            completion = await self._traced(question)
            usage = usage_of(completion, estimate)
            return completion
        except UpstreamError as error:
            usage = usage_of(error, estimate)
            raise
        finally:
            reservation.settle(usage)

    async def _traced(self, question: Question) -> Completion:
        name, attributes = chat_span(
            self.base_url,
            self.dialect,
            model=question.model,
            temperature=question.temperature,
            max_tokens=question.max_tokens,
            seed=question.seed,
        )
        with self.tracing.span(name, attributes, client=True) as span:
            completion = await self._ask(question)
            span.set(_answered(completion))
            return completion

    async def _ask(self, question: Question) -> Completion:
        content = json.dumps(self._codec.encode(question)).encode()
        # Built here and not by the HTTP client, which would add its own default headers and its cookies.
        request = httpx2.Request("POST", self.base_url + self._codec.path, headers=self._headers, content=content)
        request.extensions = {"timeout": self._http.timeout.as_dict()}
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, headers, body = await self._exchange(request)
        except (TimeoutError, httpx2.TimeoutException) as error:
            if isinstance(error, httpx2.ConnectTimeout):
                raise UpstreamError("connect", f"{self.base_url} did not accept a connection in time") from None
            raise UpstreamError("timeout", f"{self.base_url} gave no answer in {self._timeout_seconds:g} s") from None
        except httpx2.ConnectError as error:
            raise UpstreamError("connect", f"{self.base_url} can't be reached: {error}") from None
        except httpx2.TransportError as error:
            raise UpstreamError("protocol", f"{self.base_url} broke the call off ({type(error).__name__})") from None
        latency = time.perf_counter() - started
        if not 200 <= status < 300:
            raise self._failure(status, headers, body)
        return self._completion(body, latency)

    async def _exchange(self, request: httpx2.Request) -> tuple[int, httpx2.Headers, bytes]:
        response = await self._http.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise UpstreamError("protocol", f"{self.base_url} sent more than {MAX_ANSWER_BYTES} bytes")
        finally:
            await response.aclose()
        return response.status_code, response.headers, bytes(body)

    def _completion(self, body: bytes, latency: float) -> Completion:
        try:
            decoded = json.loads(body)
            reply = self._codec.decode(decoded)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
            raise UpstreamError(
                "protocol", f"{self.base_url} answered something that is no {self.dialect} response"
            ) from None
        values = asdict(reply) | {"text": without_reasoning(reply.text)}
        return Completion(**values, latency_seconds=latency)

    def _failure(self, status: int, headers: httpx2.Headers, body: bytes) -> UpstreamError:
        code = _error_code(body)
        if any(code in value for _, value in self._headers):
            code = ""  # an upstream that echoes the key
        hint = _HINTS.get(status, "redirects are not followed" if 300 <= status < 400 else "")
        text = f"{self.base_url} answered {status}" + (f" ({code})" if code else "") + (f": {hint}" if hint else "")
        wait = _retry_after(headers, self._now)
        return UpstreamError(_reason(status), text, status=status, retry_after_seconds=wait)


def _answered(completion: Completion) -> Attributes:
    """What an answer says of itself, by its GenAI names; what it does not tell is left out."""
    known: dict[str, str | int | tuple[str, ...] | None] = {
        "gen_ai.response.model": completion.model,
        "gen_ai.response.finish_reasons": (completion.finish_reason,) if completion.finish_reason else None,
        "gen_ai.usage.input_tokens": completion.prompt_tokens,
        "gen_ai.usage.output_tokens": completion.completion_tokens,
        "openai.response.system_fingerprint": completion.system_fingerprint,
    }
    return {name: value for name, value in known.items() if value is not None and value != ""}


def _checked_key(key: str) -> str:
    if not _PRINTABLE.fullmatch(key):
        raise ConfigurationError("the API key holds spaces, line ends or other characters that no header may carry")
    return key


def _reason(status: int) -> str:
    if status == 429:
        return "rate_limited"
    if status >= 500:
        return "server_error"
    return "client_error" if status >= 400 else "protocol"


def _error_code(body: bytes) -> str:
    """The short machine-readable code of an error body. Its prose is not quoted: it may echo a key or the prompt."""
    try:
        error = json.loads(body)["error"]
        candidates = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return next((c for c in candidates if isinstance(c, str) and _ERROR_CODE.fullmatch(c)), "")


def _retry_after(headers: httpx2.Headers, now: Callable[[], datetime]) -> float | None:
    """Seconds to wait as the server asks: ``retry-after-ms`` (OpenAI), or Retry-After as seconds or date (RFC 9110)."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
            return float(value) * scale
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now()).total_seconds())

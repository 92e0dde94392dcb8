"""The client for the sidecar's own calls, against a raw loopback server."""

import asyncio
import json
import socket
from datetime import UTC, datetime

import httpx2
import pytest

from middleware.errors import ConfigurationError, UpstreamError
from middleware.upstream import Completion, UpstreamClient, http_client

KEY = "sk-test-4711"
OK = {"model": "m-1", "choices": [{"message": {"content": "Joy: 3"}, "finish_reason": "stop"}]}
MESSAGES = [{"role": "user", "content": "the-canary-question"}]


def answer(status: str, body: bytes, *headers: str):
    async def write(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return write


async def ask(client: UpstreamClient) -> Completion:
    return await client.complete(MESSAGES, model="m", temperature=0.01, max_tokens=60, seed=5)


async def ask_once(raw_upstream, handler, **options) -> Completion:
    # With an HTTP client of its own the limit of a whole call would be one of connecting too.
    async with raw_upstream(handler) as seen, http_client() as http:
        return await ask(UpstreamClient(base_url=seen.url, api_key=KEY, http=http, **options))


def fails(raw_upstream, handler, **options) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        asyncio.run(ask_once(raw_upstream, handler, **options))
    text = f"{caught.value} {caught.value!r} {caught.value.args}"
    assert KEY not in text
    assert "canary" not in text
    return caught.value


@pytest.mark.parametrize("suffix", ["", "/v1", "/v1/"])
def test_answer(raw_upstream, suffix: str) -> None:
    """An answer comes back with model and latency, whichever way the base URL is written."""

    async def scenario() -> None:
        handler = answer("200 OK", json.dumps(OK).encode())
        async with raw_upstream(handler) as seen, UpstreamClient(base_url=seen.url + suffix, api_key=KEY) as client:
            completion = await ask(client)
        assert (completion.text, completion.finish_reason, completion.model) == ("Joy: 3", "stop", "m-1")
        assert completion.latency_seconds > 0
        assert seen.heads[0].startswith("POST /v1/chat/completions HTTP/1.1\r\n")
        assert f"authorization: Bearer {KEY}" in seen.heads[0]
        assert json.loads(seen.bodies[0])["seed"] == 5

    asyncio.run(scenario())


def test_request_is_minimal(raw_upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither environment proxies nor cookies of an earlier answer nor the HTTP client's defaults reach a request."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    async def scenario() -> None:
        handler = answer("200 OK", json.dumps(OK).encode(), "set-cookie: session=someone; Path=/")
        async with raw_upstream(handler) as seen, UpstreamClient(base_url=seen.url, api_key=None) as client:
            await ask(client)
            await ask(client)
        names = {line.partition(":")[0].lower() for line in seen.heads[1].split("\r\n")[1:] if line}
        assert names == {"host", "accept", "content-type", "user-agent", "content-length"}

    asyncio.run(scenario())


def test_anthropic_headers(raw_upstream) -> None:
    """The Anthropic dialect sends its own credential and version headers, and no bearer token."""

    async def scenario() -> None:
        body = {"content": [{"type": "text", "text": "Joy: 3"}], "stop_reason": "end_turn", "model": "m-1"}
        handler = answer("200 OK", json.dumps(body).encode())
        options = {"api_key": KEY, "dialect": "anthropic_messages"}
        async with raw_upstream(handler) as seen, UpstreamClient(base_url=seen.url, **options) as client:
            assert (await ask(client)).text == "Joy: 3"
        assert f"x-api-key: {KEY}" in seen.heads[0]
        assert "anthropic-version: 2023-06-01" in seen.heads[0]
        assert "authorization" not in seen.heads[0].lower()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("400 Bad Request", "client_error"),
        ("401 Unauthorized", "client_error"),
        ("404 Not Found", "client_error"),
        ("429 Too Many Requests", "rate_limited"),
        ("500 Oops", "server_error"),
        ("503 Busy", "server_error"),
        ("529 Overloaded", "server_error"),
    ],
)
def test_status(raw_upstream, status: str, reason: str) -> None:
    """Each class of error status has one reason, and the text quotes the error code but none of the prose."""
    body = {"error": {"message": f"Incorrect key {KEY} for the-canary-question", "code": "some_code"}}
    error = fails(raw_upstream, answer(status, json.dumps(body).encode()))
    assert (error.reason, error.status) == (reason, int(status[:3]))
    assert "some_code" in str(error)


def test_echoed_key_as_code(raw_upstream) -> None:
    """A key that the upstream puts where the error code belongs is not repeated."""
    error = fails(raw_upstream, answer("401 Unauthorized", json.dumps({"error": {"code": KEY}}).encode()))
    assert "EQWATCH_UPSTREAM_API_KEY" in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after: 7", 7.0),
        ("retry-after-ms: 1500", 1.5),
        ("retry-after: Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("retry-after: Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("retry-after: soon", None),
        ("retry-after: -5", None),
        ("x-other: 1", None),
    ],
)
def test_retry_after(raw_upstream, header: str, seconds: float | None) -> None:
    """What the server asks for as a wait is read from seconds, milliseconds or a date, and is None otherwise."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    error = fails(raw_upstream, answer("429 Slow Down", b"", header), now=lambda: now)
    assert error.retry_after_seconds == seconds


def test_redirect_is_not_followed(raw_upstream) -> None:
    """A redirect is an error of the protocol: the key stays with the configured origin."""

    async def scenario() -> None:
        async with raw_upstream(answer("200 OK", json.dumps(OK).encode())) as elsewhere:
            handler = answer("307 Temporary Redirect", b"", f"location: {elsewhere.url}/v1/chat/completions")
            async with raw_upstream(handler) as seen, UpstreamClient(base_url=seen.url, api_key=KEY) as client:
                with pytest.raises(UpstreamError) as caught:
                    await ask(client)
        assert caught.value.reason == "protocol"
        assert elsewhere.heads == []

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": {"code": "x"}}', b"\xff\xfe", b"[" * 100_000])
def test_not_an_answer(raw_upstream, body: bytes) -> None:
    """A 200 whose body is no answer of the dialect is an error of the protocol."""
    assert fails(raw_upstream, answer("200 OK", body)).reason == "protocol"


def test_answer_too_large(raw_upstream) -> None:
    """An answer without end is cut off at the size limit."""

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n")
        for _ in range(9):
            writer.write(b" " * 1024 * 1024)
            await writer.drain()

    error = fails(raw_upstream, flood)
    assert error.reason == "protocol"
    assert "more than" in str(error)


def test_broken_off(raw_upstream) -> None:
    """A connection that closes in the middle of the answer is an error of the protocol."""

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    assert fails(raw_upstream, half).reason == "protocol"


def test_silence_times_out(raw_upstream) -> None:
    """An upstream that never answers is a timeout."""

    async def hang(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    assert fails(raw_upstream, hang, timeout_seconds=0.1).reason == "timeout"


def test_trickle_times_out(raw_upstream) -> None:
    """The limit is on the whole call: an answer that trickles in forever is a timeout too."""

    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    assert fails(raw_upstream, trickle, timeout_seconds=0.2).reason == "timeout"


def test_nobody_listens() -> None:
    """A refused connection has the reason connect."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def scenario() -> None:
            async with UpstreamClient(base_url=url, api_key=KEY) as client:
                await ask(client)

        with pytest.raises(UpstreamError) as caught:
            asyncio.run(scenario())
    assert caught.value.reason == "connect"


def test_key_that_no_header_may_carry() -> None:
    """A key with a line end is refused without being shown."""
    with pytest.raises(ConfigurationError) as caught:
        UpstreamClient(base_url="http://127.0.0.1:1", api_key="sk-secret\r\nx-evil: 1")
    assert "sk-secret" not in str(caught.value)


def test_repr_hides_the_key() -> None:
    """Neither repr nor str of a client shows the key."""

    async def scenario() -> None:
        async with UpstreamClient(base_url="http://127.0.0.1:1/v1", api_key=KEY) as client:
            assert repr(client) == "UpstreamClient(base_url='http://127.0.0.1:1', dialect='openai_chat')"

    asyncio.run(scenario())


def test_borrowed_http_client_stays_open(raw_upstream) -> None:
    """An HTTP client that was passed in is not closed with the upstream client."""

    async def scenario() -> None:
        async with http_client() as http:
            assert isinstance(http, httpx2.AsyncClient)
            async with raw_upstream(answer("200 OK", json.dumps(OK).encode())) as seen:
                for _ in range(2):
                    async with UpstreamClient(base_url=seen.url, api_key=KEY, http=http) as client:
                        assert (await ask(client)).text == "Joy: 3"
            assert not http.is_closed

    asyncio.run(scenario())

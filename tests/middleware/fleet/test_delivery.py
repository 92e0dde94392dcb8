"""One delivery over a real connection: what the monitor's answers and a network's failures mean."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from middleware.fleet.delivery import Delivered, Delivery, Undelivered, monitor_client
from middleware.records.conversation import Message, Transcript
from middleware.records.observation import Observation, Observations, Trace

SEEN = Observation(
    "tutor",
    Transcript("openai_chat", "m", (Message("user", "grüß dich"),), None, False, flags=frozenset({"no_reply"})),
    Trace(before=(b"\x00\xff",), after=(b"\x01",), asked=b"\x02", user_turns=1),
    id="one",
    conversation="eq_" + "0" * 32,
    at=100.5,
)


@pytest.fixture
def monitor() -> Iterator[Callable[..., tuple[str, list[Any]]]]:
    """Starts a server that gives one answer; its URL and the requests that it got."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(status: int, body: bytes = b"{}", hang: bool = False) -> tuple[str, list[Any]]:
        got: list[Any] = []
        release = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                got.append((self.path, dict(self.headers.items()), data))
                if hang:
                    release.wait(20)
                    return
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.release = release
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}", got

    yield start
    for server, thread in servers:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def deliver(url: str, timeout_seconds: float = 20.0) -> Delivered | Undelivered:
    async def once() -> Delivered | Undelivered:
        async with monitor_client(timeout_seconds=timeout_seconds) as client:
            return await Delivery(client, url=url, token="the token", salt="fingerprint").deliver([SEEN])

    return asyncio.run(once())


def test_the_monitor_gets_all_of_it_with_the_token(monitor: Callable[..., tuple[str, list[Any]]]) -> None:
    """What was sent is what was observed, and the counts of the answer come back."""
    url, got = monitor(202, json.dumps({"accepted": 0, "duplicates": 1, "dropped": {"queue_full": 2}}).encode())
    assert deliver(url) == Delivered(0, 1, {"queue_full": 2})
    ((path, headers, body),) = got
    assert path == "/api/v1/observations"
    assert headers["authorization"] == "Bearer the token"
    assert headers["content-type"] == "application/json"
    assert msgspec.json.decode(body, type=Observations) == Observations((SEEN,), "fingerprint")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, Undelivered("unauthorized", again=False, status=401)),
        (403, Undelivered("unauthorized", again=False, status=403)),
        (404, Undelivered("refused", again=False, status=404)),
        (409, Undelivered("other_salt", again=False, status=409)),
        (413, Undelivered("too_large", again=False, status=413)),
        (422, Undelivered("refused", again=False, status=422)),
        (429, Undelivered("unavailable", again=True, status=429)),
        (502, Undelivered("unavailable", again=True, status=502)),
        (301, Undelivered("refused", again=False, status=301)),
        (202, Undelivered("protocol", again=False, status=202)),
    ],
)
def test_each_answer_is_tried_again_or_not(
    monitor: Callable[..., tuple[str, list[Any]]], status: int, expected: Undelivered
) -> None:
    """Only what a later attempt can change; a 202 that says nothing is no success."""
    url, _ = monitor(status, b"[]")
    assert deliver(url) == expected


def test_a_network_that_fails_is_worth_another_attempt(monitor: Callable[..., tuple[str, list[Any]]]) -> None:
    """Nobody listens, or nobody answers in time."""
    with socket.socket() as silent:  # bound, so that nobody else can listen there, and does not listen itself
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert deliver(f"http://127.0.0.1:{port}") == Undelivered("connection", again=True)
    url, _ = monitor(202, hang=True)
    assert deliver(url, timeout_seconds=0.3) == Undelivered("timeout", again=True)

"""A loopback judge that answers as a test scripts it, and turns to probe."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from middleware.metrics import Metrics
from middleware.records.conversation import Message, Transcript, Turn

Reply = tuple[int, dict[str, str], str]


def completion(text: str, finish_reason: str = "stop", usage: dict[str, int] | None = None) -> Reply:
    """A chat completion with this text."""
    body = {
        "model": "judge-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
    }
    if usage is not None:
        body["usage"] = usage
    return 200, {}, json.dumps(body)


@dataclass
class Judge:
    """requests: bodies in order. answer: what to say to one. at_once: most calls that were under way together."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Reply] = lambda _: completion("{}")
    at_once: int = 0
    open_now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def _handler(judge: Judge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with judge.lock:
                judge.requests.append(body)
                judge.open_now += 1
                judge.at_once = max(judge.at_once, judge.open_now)
            try:
                status, headers, text = judge.answer(body)
            finally:
                with judge.lock:
                    judge.open_now -= 1
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    return Handler


@pytest.fixture
def judge() -> Iterator[Judge]:
    """A running judge."""
    scripted = Judge()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(scripted)) as server:
        server.daemon_threads = True
        scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield scripted
        server.shutdown()
        thread.join()


@pytest.fixture
def metrics() -> Metrics:
    """Metrics on a registry of their own."""
    return Metrics(CollectorRegistry())


class Purse:
    """A budget of so many calls."""

    def __init__(self, calls: int = 1000) -> None:
        self.calls = calls

    async def allows(self, calls: int, _deployment: str = "") -> bool:
        return calls <= self.calls


def turn(text: str = "I don't get it.", reply: str | None = "Let me explain.", number: int = 1) -> Turn:
    """A turn of a tutor's conversation."""
    answer = None if reply is None else Message("assistant", reply)
    transcript = Transcript("openai_chat", "small", (Message("user", text),), answer, streamed=False)
    return Turn("tutor", f"eq_{number}", number, transcript, 1_800_000_000.0)


async def soon(condition: Callable[[], bool]) -> None:
    """Wait until it is true; the test's own time limit ends a wait in vain."""
    while not condition():
        await asyncio.sleep(0.002)


@pytest.fixture
def kit() -> Any:
    """The helpers above, since test modules can't import each other."""

    class Kit:
        completion = staticmethod(completion)
        turn = staticmethod(turn)
        soon = staticmethod(soon)
        Purse = Purse

    return Kit

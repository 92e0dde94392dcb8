"""A real receiver on loopback that answers as a test says and keeps what it got."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Inbox:
    """What came in: headers (lower-case names), body and time of each request. answers: status of each, then 200."""

    url: str = ""
    answers: list[int | str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """The ids of the messages, in order."""
        return [headers["webhook-id"] for _, headers, _ in self.requests]


@contextmanager
def receiving() -> Iterator[Inbox]:
    """A receiver; "hang" as an answer holds the request until it is released."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = inbox.answers.pop(0) if inbox.answers else 200  # before anybody sees the request and goes on
            inbox.times.append(time.monotonic())
            inbox.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if answer == "hang":
                inbox.released.wait(60)
                self.close_connection = True
                return
            self.send_response(int(answer))
            for name, value in inbox.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        inbox.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        try:
            yield inbox
        finally:
            inbox.released.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def receivers() -> Iterator[Callable[[], Inbox]]:
    """Starts receivers; ends them all."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(receiving())


@pytest.fixture
def inbox(receivers: Callable[[], Inbox]) -> Inbox:
    """One receiver."""
    return receivers()

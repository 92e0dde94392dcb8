"""A loopback server that official SDKs talk to, and that keeps what passed as exchanges."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from middleware.records.exchange import Exchange

DIALECTS = {
    "/v1/chat/completions": "openai_chat",
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic_messages",
}


@dataclass
class Recorder:
    """What to answer next, and what was exchanged. chunks are written and flushed one by one."""

    url: str = ""
    chunks: list[bytes] = field(default_factory=list)
    content_type: str = "application/json"
    content_encoding: str = ""
    exchanges: list[Exchange] = field(default_factory=list)

    def answer(self, *chunks: bytes, content_type: str = "application/json", content_encoding: str = "") -> None:
        self.chunks = list(chunks)
        self.content_type = content_type
        self.content_encoding = content_encoding

    def record(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> list[tuple[str, str]]:
        answer_headers = [("content-type", self.content_type), ("transfer-encoding", "chunked")]
        if self.content_encoding:
            answer_headers.append(("content-encoding", self.content_encoding))
        self.exchanges.append(
            Exchange(
                deployment="tutor",
                dialect=DIALECTS.get(path.partition("?")[0], "other"),
                method=b"POST",
                target=path.encode(),
                request_headers=[pair for pair in headers if pair[0].startswith(b"content-")],
                request_body=body,
                request_truncated=False,
                status=200,
                response_headers=[(name.encode(), value.encode()) for name, value in answer_headers],
                response_body=b"".join(self.chunks),
                response_truncated=False,
                complete=True,
                conversation="",
                key_id="",
                started_at=1_800_000_000.0,
                first_byte_seconds=0.1,
                duration_seconds=0.5,
            )
        )
        return answer_headers


def handler(recorder: Recorder) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
            answer_headers = recorder.record(self.path, headers, body)
            self.send_response(200)
            for name, value in answer_headers:
                self.send_header(name, value)
            self.end_headers()
            for chunk in recorder.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    return Handler


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A running server."""
    kept = Recorder()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(kept)) as server:
        server.daemon_threads = True
        kept.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield kept
        server.shutdown()
        thread.join()

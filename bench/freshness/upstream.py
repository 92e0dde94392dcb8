"""A chat API on loopback whose every answer takes a stated time: the fast judge, and the model that talks."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["answering"]


@contextmanager
def answering(seconds: float, judged: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Its URL. A question about emotions gets intensities, anything else a sentence.

    judged: called just before intensities are sent.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            judging = "--- conversation" in asked["messages"][-1]["content"]
            text = json.dumps({"Confusion": 6, "Curiosity": 3}) if judging else "Let us look at the next step."
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            body = json.dumps({"model": asked["model"], "choices": [choice]}).encode()
            time.sleep(seconds)
            if judging:
                judged()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a sidecar that ends asks no more
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()

"""A deployment with `anchor_only = true`: emotions are there, and no model is called for them."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytest.importorskip("tokenizers", reason="the anchor extra is not installed: pip install 'eqwatch[anchor]'")
pytestmark = pytest.mark.timeout(500)

CONFIG = """
[[deployments]]
name = "robot"
kind = "companion"
purpose = "end-to-end test of the anchor alone"
anchor_only = true
sample_rate = 1.0
"""


@pytest.fixture
def counted_upstream() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A chat API on loopback; its URL, and every body that it ever got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            message = {"index": 0, "message": {"role": "assistant", "content": "I'm here."}, "finish_reason": "stop"}
            data = json.dumps({"model": "small", "choices": [message]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", got
        finally:
            server.shutdown()
            thread.join()


def test_turns_are_rated_without_any_call(
    counted_upstream: tuple[str, list[dict[str, Any]]],
    start_sidecar: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    """Two turns through the relay: each is estimated by the anchor, in the right direction, and the upstream got the
    user's two requests and nothing else, with no key configured and none needed."""
    upstream, got = counted_upstream
    sidecar = start_sidecar(upstream, CONFIG)
    assert b"OPENBLAS_NUM_THREADS=" in Path(f"/proc/{sidecar.control_pid()}/environ").read_bytes(), "beside traffic"
    headers = {"x-eqwatch-deployment": "robot", "x-eqwatch-conversation": "evening-1"}
    path = "/api/v1/conversations/evening-1/emotions"
    messages = [{"role": "user", "content": "I'm all alone here, nobody has called me for weeks."}]
    with httpx2.Client(base_url=sidecar.data, headers=headers, trust_env=False, timeout=60) as client:

        def say() -> None:
            answer = client.post("/v1/chat/completions", json={"model": "small", "messages": messages})
            assert answer.status_code == 200

        say()
        first = eventually(
            lambda: (told := sidecar.json(path)) and told["emotions"] and told,
            seconds=90,
            what="the first turn is estimated",
        )
        assert {reading["judge"] for reading in first["emotions"].values()} == {"anchor"}
        assert set(first["emotions"]) == {"Loneliness", "Distress", "Calm", "Joy"}
        lonely = {emotion: reading["intensity"] for emotion, reading in first["emotions"].items()}
        assert lonely["Loneliness"] > max(lonely["Joy"], lonely["Calm"]) + 2

        messages += [
            {"role": "assistant", "content": "I'm here."},
            {"role": "user", "content": "Guess what, my sister just rang! She's coming to visit, I'm so happy!!"},
        ]
        say()

    def second() -> Any:
        told = sidecar.json(path)
        return told if told and told["emotions"]["Joy"]["turn"] == 2 else None

    happy = eventually(second, seconds=90, what="the second turn is estimated")["emotions"]
    assert happy["Joy"]["intensity"] > lonely["Joy"] + 2
    assert len(got) == 2, "the user's own requests, and no call for awareness"
    counted = "eqwatch_probe_intensity_count"
    eventually(lambda: sidecar.sum_of(counted) >= 8, seconds=90, what="the intensities are exported")

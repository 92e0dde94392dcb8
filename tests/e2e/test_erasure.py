"""What is under way while a conversation is erased leaves nothing of it behind."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.timeout(400)

CONFIG = """
[[deployments]]
name = "tutor"
purpose = "end-to-end test of erasure"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
"""
NAMED = {"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": "lesson-7"}


@dataclass
class HeldUpstream:
    """A chat model that answers at once, and a probe only once `release` is set. probes: how many came."""

    release: threading.Event = field(default_factory=threading.Event)
    probes: int = 0

    def answer(self, asked: str) -> str:
        """What the model says to this request."""
        if "Confusion" not in asked:
            return "Let us look at it again."
        self.probes += 1
        self.release.wait(120)
        return "Confusion: 7\nCuriosity: 2"


@pytest.fixture
def upstream() -> Iterator[tuple[HeldUpstream, str]]:
    held = HeldUpstream()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = held.answer(self.rfile.read(int(self.headers["content-length"])).decode())
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            body = json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: standard error is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield held, f"http://127.0.0.1:{server.server_port}"
    held.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_probe_that_is_under_way_while_its_conversation_is_erased_is_not_saved(
    upstream: tuple[HeldUpstream, str], start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Neither the API nor a table knows of it afterwards; what the conversation says later is new, and is followed."""
    held, url = upstream
    sidecar = start_sidecar(url, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator", EQWATCH_PROBE_CONCURRENCY="1")
    path = "/api/v1/conversations/lesson-7"

    def say(*texts: str) -> None:
        messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(texts)]
        asked = {"model": "m", "messages": messages}
        answer = httpx2.post(f"{sidecar.data}/v1/chat/completions", json=asked, headers=NAMED, timeout=60)
        assert answer.status_code == 200

    def scored() -> float:
        key = 'eqwatch_probe_conversations_total{deployment="tutor",outcome="scored"}'
        return float(sidecar.metrics().get(key, 0.0))

    said = ["It moves to the left and I can't see why.", "Let us look at it again.", "I still don't get it."]
    say(said[0])
    eventually(lambda: held.probes == 1, seconds=60, what="the turn's probe is under way")
    erased = httpx2.delete(f"{sidecar.admin}{path}", timeout=60)
    assert erased.status_code == 200
    held.release.set()
    eventually(lambda: scored() == 1, seconds=60, what="the probe is answered")
    say(*said)
    emotions = eventually(
        lambda: (told := sidecar.json(f"{path}/emotions")) and told["emotions"] and told,
        seconds=60,
        what="the new turn is followed",
    )
    assert {reading["turn"] for reading in emotions["emotions"].values()} == {2}
    eventually(lambda: scored() == 2, seconds=60, what="the new turn's probes are answered")
    sidecar.stop()
    with sqlite3.connect(sidecar.data_dir / "eqwatch.db") as database:
        turns = {turn for (turn,) in database.execute("SELECT turn FROM probes")}
    database.close()
    assert turns == {2}, "of the erased turn nothing is saved"

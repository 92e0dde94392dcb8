"""Benchmark text never meets user traffic: a canary in every item is looked for wherever users' bytes pass."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

pytestmark = pytest.mark.timeout(400)

CANARY = "xylocarpus-canary-7319"
OPERATOR, CLIENT = "operator-key-of-the-test", "client-key-of-the-test"
EMOTIONS = ("Resigned", "Relieved", "Content", "Amused")


class Asked(NamedTuple):
    """One request as the upstream got it."""

    connection: int
    headers: str
    body: str


@contextmanager
def model() -> Iterator[tuple[str, list[Asked]]]:
    """A chat API that recites what it was asked, and sets a cookie with it: the worst model for a leak."""
    got: list[Asked] = []
    connections = itertools.count()  # an address is used again once its connection is closed

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.number = next(connections)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            got.append(Asked(self.number, str(self.headers), body))
            asked = json.loads(body)
            text = "\n".join(f"{emotion}: 5" for emotion in EMOTIONS) + "\n" + asked["messages"][-1]["content"]
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            data = json.dumps({"model": asked["model"], "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("set-cookie", f"session={CANARY if CANARY in body else 'user'}; Path=/")
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


def items_with_canary(folder: Path) -> Path:
    items = [
        {
            "id": f"desk-{number}",
            "dialogue_id": f"desk-{number}",
            "dialogue": [{"speaker": "Guest", "text": f"The room {number} is fine. Really. {CANARY}."}],
            "subject": "Guest",
            "emotions": list(EMOTIONS),
            "reference_fullscale": [6, 5, 2, 0],
            "rationale": "A test.",
            "tags": {"branch": "perception"},
        }
        for number in range(1, 5)
    ]
    pack = {"schema": 1, "name": "desk", "title": "Desk", "version": "1", "language": "en", "description": "A test."}
    path = folder / "desk.json"
    path.write_text(json.dumps({**pack, "items": items}))
    return path


def test_text_of_the_benchmark_is_in_no_request_and_no_answer_of_a_user(
    start_sidecar: Callable[..., Any], eventually: Callable[..., Any], tmp_path: Path
) -> None:
    """While batches run, probes as well: own calls have their own connections, key and cookies, and the canary is in no
    request of a user, no answer, no log and no metric."""
    config = f"""
[benchmark]
model = "small"
items = ["{items_with_canary(tmp_path)}"]
batch = 4
interval = "200ms"
[[deployments]]
name = "tutor"
purpose = "end-to-end test of leaks"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
"""
    with model() as (upstream, got):
        sidecar = start_sidecar(upstream, config, EQWATCH_UPSTREAM_API_KEY=OPERATOR)
        eventually(lambda: sum(CANARY in asked.body for asked in got) >= 4, seconds=90, what="a batch was asked")
        headers = {"authorization": f"Bearer {CLIENT}", "x-eqwatch-deployment": "tutor"}
        answers = []
        with httpx2.Client(base_url=sidecar.data, headers=headers, trust_env=False, timeout=60) as client:
            for number in range(20):
                messages = [{"role": "user", "content": f"User says {number}"}]
                answers.append(client.post("/v1/chat/completions", json={"model": "small", "messages": messages}))
        asked_of_users = sum(CLIENT in asked.headers for asked in got)
        eventually(
            lambda: any("User says" in asked.body and OPERATOR in asked.headers for asked in got),
            seconds=60,
            what="a probe was asked",
        )
        metrics = httpx2.get(f"{sidecar.admin}/metrics", trust_env=False, timeout=60).text
        log = sidecar.log.read_text()
        seen = list(got)

    assert asked_of_users == len(answers) == 20
    own = [asked for asked in seen if OPERATOR in asked.headers]
    users = [asked for asked in seen if CLIENT in asked.headers]
    assert len(own) + len(users) == len(seen)
    assert not [asked for asked in users if CANARY in asked.body + asked.headers or OPERATOR in asked.headers]
    assert not [asked for asked in own if CLIENT in asked.headers or "cookie" in asked.headers.lower()]
    assert not {asked.connection for asked in own} & {asked.connection for asked in users}
    # A probe shows a judge what the user said, and nothing of an item.
    assert not [asked for asked in own if CANARY in asked.body and "User says" in asked.body]
    assert not [answer for answer in answers if CANARY in answer.text + str(answer.headers)]
    assert CANARY not in metrics
    assert CANARY not in log

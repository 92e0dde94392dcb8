"""Through the real sidecar: an application is told of a bored student, by webhook, header, stream and pull."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import openai
import pytest
from standardwebhooks.webhooks import Webhook

pytestmark = pytest.mark.timeout(500)

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3A="
CONFIG = """
[relay]
emotions_header = true
[probe]
answer_format = "json_schema"
[[deployments]]
name = "tutor"
purpose = "end-to-end test of webhooks"
emotions = ["Boredom", "Curiosity"]
sample_rate = 1.0
thresholds = ["boredom >= 7 for 2 turns, again below 5"]
[[webhooks]]
name = "app"
url = "{app}"
secret = "{secret}"
allow_networks = ["127.0.0.0/8"]
first_retry = "200ms"
attempts = 3
[[webhooks]]
name = "chat"
url = "{chat}"
format = "slack"
send = ["emotions", "incidents"]
allow_networks = ["127.0.0.0/8"]
first_retry = "200ms"
attempts = 2
timeout_seconds = 1
"""
BOREDOM = {1: 8, 2: 8, 3: 8, 4: 3, 5: 9, 6: 9}


@contextmanager
def server(answer: Callable[[bytes, dict[str, str]], tuple[int, bytes] | None]) -> Iterator[str]:
    """A server on loopback; None as an answer means that it hangs until the end."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = answer(body, {name.lower(): value for name, value in self.headers.items()})
            if found is None:
                over.wait(120)
                self.close_connection = True
                return
            self.send_response(found[0])
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(found[1])))
            self.end_headers()
            self.wfile.write(found[1])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.daemon_threads = True
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}"
        finally:
            over.set()
            made.shutdown()
            thread.join()


def model(body: bytes, _headers: dict[str, str]) -> tuple[int, bytes]:
    """Answers the student, and knows how bored they are at each step."""
    asked = json.loads(body)
    prompt = asked["messages"][-1]["content"]
    text = "Let us go on."
    if "--- conversation" in prompt:
        step = int(prompt.rsplit("step ", 1)[1].split(".")[0])
        text = json.dumps({"Boredom": BOREDOM[step], "Curiosity": 2})
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return 200, json.dumps({"model": asked["model"], "choices": [choice]}).encode()


class Lesson:
    """One conversation through the relay, which waits for each estimate."""

    def __init__(self, sidecar: Any, name: str, eventually: Callable[..., Any]) -> None:
        self._sidecar = sidecar
        self._name = name
        self._eventually = eventually
        self._messages: list[dict[str, str]] = []

    def step(self, number: int) -> None:
        """One turn of the student."""
        self._messages.append({"role": "user", "content": f"This is step {number}."})
        headers = {"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": self._name}
        body = {"model": "small", "messages": self._messages}
        answer = httpx2.post(f"{self._sidecar.data}/v1/chat/completions", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200
        self._messages.append(answer.json()["choices"][0]["message"])

        def known() -> bool:
            told = self._sidecar.json(f"/api/v1/conversations/{self._name}/emotions")
            return bool(told) and told["emotions"].get("Boredom", {}).get("turn") == number

        self._eventually(known, seconds=60, what=f"the estimate of turn {number}")


def test_a_threshold_reaches_the_application_and_survives_a_kill(
    start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Told at the second bored turn and not at the third; again only after the boredom went; over a killed control; the
    conversation is recognised by its id; the hung chat receiver delays nothing and ends as a dead letter."""
    got: list[tuple[dict[str, str], bytes]] = []

    def app(body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        got.append((headers, body))
        return (503, b"") if len(got) == 2 else (200, b"")

    with server(model) as upstream, server(app) as app_url, server(lambda *_: None) as chat_url:
        config = CONFIG.format(app=app_url, chat=chat_url, secret=SECRET)
        sidecar = start_sidecar(upstream, config, EQWATCH_UPSTREAM_API_KEY="operator")
        lesson = Lesson(sidecar, "lesson-7", eventually)
        lesson.step(1)
        assert got == []
        lesson.step(2)
        eventually(lambda: got, seconds=60, what="the first webhook")
        lesson.step(3)
        lesson.step(4)

        def delivered() -> int:
            found = sidecar.json("/api/v1/webhooks/messages?status=delivered&webhook=app")
            return len(found or ())

        # Killed before that is saved, it would come a second time, under the same id.
        eventually(lambda: delivered() == 1, seconds=60, what="the first crossing is delivered")
        sidecar.wait_for_control(other_than=sidecar.kill_control())
        lesson.step(5)
        lesson.step(6)
        eventually(lambda: delivered() == 2, seconds=60, what="both crossings are delivered, the second after a 503")
        bodies = [Webhook(SECRET).verify(body, headers) for headers, body in got]
        assert [body["data"]["turn"] for body in bodies] == [2, 6, 6]
        assert len({headers["webhook-id"] for headers, _ in got}) == 2
        first = bodies[0]
        assert (first["type"], first["data"]["intensity"], first["data"]["turns"]) == ("emotion_threshold", 8.0, 2)
        assert 0 <= first["data"]["age_seconds"] < 120
        lookup = httpx2.post(f"{sidecar.admin}/api/v1/conversations/lookup", json={"conversation": "lesson-7"})
        assert lookup.json() == {"conversation": first["data"]["conversation"]}
        assert all(b"lesson-7" not in body and b"This is step" not in body for _, body in got)

        def dead() -> Any:
            return sidecar.json("/api/v1/webhooks/messages?status=dead&webhook=chat")

        # What was under way when control was killed is asked for again once its lease has ended.
        eventually(lambda: len(dead() or ()) == 2, seconds=150, what="dead letters of the chat")
        assert {letter["reason"] for letter in dead()} == {"timeout"}
        resent = httpx2.post(f"{sidecar.admin}/api/v1/webhooks/messages/{dead()[0]['id']}/resend")
        assert resent.status_code == 202
        eventually(lambda: len(dead() or ()) == 2, seconds=60, what="it died again")
        listed = {one["name"]: one for one in sidecar.json("/api/v1/webhooks")}
        assert (listed["app"]["send"][0], listed["chat"]["dead"], listed["app"]["dead"]) == ("emotions", 2, 0)
        by_webhook = 'eqwatch_awareness_reads_total{channel="webhook",outcome="found"}'
        eventually(lambda: sidecar.metrics().get(by_webhook, 0) >= 1, seconds=60, what="it counts as read")
        samples = sidecar.metrics()
        assert samples['eqwatch_awareness_calls_total{deployment="tutor",outcome="informed"}'] >= 1
        assert samples['eqwatch_awareness_reads_total{channel="header",outcome="found"}'] >= 1
        assert samples['eqwatch_awareness_age_seconds_count{deployment="tutor"}'] >= 3
        text = sidecar.log.read_text()
        assert not [secret for secret in (SECRET[6:20], app_url, chat_url, "This is step") if secret in text]


def test_the_next_response_carries_the_last_turns_estimate(
    stack: ExitStack, start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Read with the official SDK: on responses of a request that names its conversation, on no other, and never on the
    first; streamed or not, the body is the upstream's."""
    deployment = CONFIG.partition("[[webhooks]]")[0]
    with server(model) as upstream:
        sidecar = start_sidecar(upstream, deployment, EQWATCH_UPSTREAM_API_KEY="operator")
        client = stack.enter_context(
            openai.OpenAI(base_url=f"{sidecar.data}/v1", api_key="client", max_retries=0, timeout=60)
        )
        named = {"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": "sdk-1"}

        def ask(step: int, headers: dict[str, str]) -> Any:
            message = {"role": "user", "content": f"This is step {step}."}
            return client.chat.completions.with_raw_response.create(
                model="small", messages=[message], extra_headers=headers
            )

        first = ask(1, named)
        assert "x-eqwatch-emotions" not in first.headers

        def told() -> Any:
            found = sidecar.json("/api/v1/conversations/sdk-1/emotions")
            return found and found["emotions"]

        eventually(told, seconds=60, what="the first estimate")
        second = eventually(
            lambda: (answer := ask(1, named)) and "x-eqwatch-emotions" in answer.headers and answer,
            seconds=60,
            what="a response that carries the header",
        )
        value = second.headers["x-eqwatch-emotions"]
        assert re.fullmatch(
            r'boredom=8\.0(;trend=0\.0)?, curiosity=2\.0(;trend=0\.0)?, turn=\d+, judge="small", age=\d+', value
        )
        assert second.parse().choices[0].message.content == "Let us go on."
        assert second.http_response.content == first.http_response.content
        other = ask(1, {**named, "x-eqwatch-conversation": "sdk-2"})
        assert "x-eqwatch-emotions" not in other.headers
        unnamed = ask(1, {"x-eqwatch-deployment": "tutor"})
        assert "x-eqwatch-emotions" not in unnamed.headers


def test_a_webhook_into_the_own_network_is_refused_by_default(
    start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Without allow_networks, https to loopback is never connected to: the message says why, and nobody was called."""
    called: list[bytes] = []
    with server(lambda body, _: (called.append(body), (200, b""))[1]) as url:
        config = f"""
[[webhooks]]
name = "app"
url = "{url.replace("http", "https")}"
secret = "{SECRET}"
first_retry = "100ms"
attempts = 2
"""
        sidecar = start_sidecar("http://127.0.0.1:9", config)
        declared = {"deployment": "default", "from_model": "a", "to_model": "b"}
        answer = httpx2.post(f"{sidecar.admin}/api/v1/upgrades", json=declared)
        assert answer.status_code == 202

        def dead() -> Any:
            return sidecar.json("/api/v1/webhooks/messages?status=dead")

        [letter] = eventually(dead, seconds=60, what="a dead letter")
        assert (letter["reason"], letter["event"]["kind"]) == ("address_refused", "upgrade_declared")
    assert called == []

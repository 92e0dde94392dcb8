"""What leaves for the upstream, byte by byte, and what of its answer is read: reasoning, allowance, system prompt."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from middleware.benchmark.item_sets import load
from middleware.store import Store

Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers
WRONG = "Perhaps Hopeful: 0, or 10?\n"


class Recorder(ThreadingHTTPServer):
    """An upstream that keeps every request as it came and gives each model its own way of thinking aloud."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw)
        recorder = self.server
        assert isinstance(recorder, Recorder)
        recorder.raw.append(raw)
        recorder.bodies.append(body)
        prompt = body["messages"][-1]["content"]
        # The places of the emotions vary, so that the answers are no constant ones.
        names = [line.split(":")[0] for line in prompt.split("\n") if line.endswith(": <score>")]
        answer = "\n".join(f"{name}: {(3 * place + len(prompt)) % 11}" for place, name in enumerate(names))
        message: dict[str, Any] = {"role": "assistant", "content": answer}
        usage: dict[str, Any] = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}
        if body["model"] == "marks":
            message["content"] = f"<think>\n{WRONG}</think>\n\n{answer}"
        if body["model"] == "field":
            message["reasoning_content"] = WRONG
            usage |= {"completion_tokens": 120, "completion_tokens_details": {"reasoning_tokens": 100}}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = json.dumps({"model": body["model"], "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(eqwatch: Eqwatch, upstream: Recorder, folder: Path, model: str, *more: object, **environment: str) -> Any:
    result = eqwatch(
        *("run", "--upstream", upstream.url, "--model", model, "--items", "starter", "--json"),
        *("--data-dir", folder, *more),
        **environment,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_reasoning_is_no_part_of_an_answer(eqwatch: Eqwatch, upstream: Recorder, tmp_path: Path) -> None:
    """Thoughts in marks or in a field of their own change no score and are not kept; their tokens are counted."""
    plain, marks, field = (run(eqwatch, upstream, tmp_path, model) for model in ("plain", "marks", "field"))
    assert plain["outcomes"] == marks["outcomes"] == field["outcomes"] == {"scored": 24}
    assert plain["item_scores"] == marks["item_scores"] == field["item_scores"]
    assert [report["tokens"]["reasoning"] for report in (plain, marks, field)] == [0, 0, 2400]
    with Store(f"sqlite:///{tmp_path / 'eqwatch.db'}") as store:
        for report in (marks, field):
            texts = [result.text for result in store.item_results(report["run_id"])]
            assert len(texts) == 24
            assert not [text for text in texts if "think" in text or "Perhaps" in text]


def test_a_model_may_think_on_top_of_its_answer(eqwatch: Eqwatch, upstream: Recorder, tmp_path: Path) -> None:
    """The allowance of a call is that of the answer and that of the reasoning; it is part of the protocol."""
    usual = run(eqwatch, upstream, tmp_path, "plain", "--limit", 1)
    thoughtful = run(eqwatch, upstream, tmp_path, "plain", "--limit", 1, "--reasoning-tokens", 2000)
    assert [body["max_tokens"] for body in upstream.bodies] == [60, 2060]
    assert usual["protocol"] != thoughtful["protocol"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_allowance_goes_under_the_name_that_the_model_knows(
    eqwatch: Eqwatch, upstream: Recorder, tmp_path: Path, field: str
) -> None:
    """Reasoning models refuse `max_tokens`; the setting names the field, and only that one is sent."""
    report = run(eqwatch, upstream, tmp_path, "plain", "--limit", 1, EQWATCH_UPSTREAM_TOKEN_LIMIT_FIELD=field)
    (raw,) = upstream.raw
    assert raw.count(f'"{field}":'.encode()) == 1
    assert raw.count(b'_tokens":') == 1
    assert "60" in report["protocol"].split("|"), "how the field is called is not what is asked"


def test_a_request_is_what_the_protocol_says_and_nothing_else(
    eqwatch: Eqwatch, upstream: Recorder, tmp_path: Path
) -> None:
    """Model, one message, temperature and allowance; a seed only where one is set."""
    run(eqwatch, upstream, tmp_path, "plain", "--limit", 1)
    run(eqwatch, upstream, tmp_path, "plain", "--limit", 1, "--seed", 7)
    assert set(upstream.bodies[0]) == {"model", "messages", "temperature", "max_tokens"}
    assert upstream.bodies[0]["temperature"] == 0.01
    assert set(upstream.bodies[1]) - set(upstream.bodies[0]) == {"seed"}
    item = load("starter", tmp_path).items[0]
    (message,) = upstream.bodies[0]["messages"]
    assert message["role"] == "user"
    assert item.dialogue in message["content"]


def test_the_system_prompt_is_asked_under_and_is_part_of_the_protocol(
    eqwatch: Eqwatch, upstream: Recorder, tmp_path: Path
) -> None:
    """From the settings, as text or as file: the same first message, the same key; another text is another protocol."""
    text, file = "You are a patient tutor.", tmp_path / "system.txt"
    file.write_text(text)
    create = ("baseline", "create", "--upstream", upstream.url, "--model", "plain", "--items", "starter", "--passes", 5)
    ways = ({}, {"SYSTEM_PROMPT": text}, {"SYSTEM_PROMPT_FILE": str(file)}, {"SYSTEM_PROMPT": "Be brief."})
    made = []
    for number, way in enumerate(ways):
        upstream.bodies.clear()
        settings = {f"EQWATCH_BENCHMARK_{name}": value for name, value in way.items()}
        result = eqwatch(*create, "--json", "--data-dir", tmp_path / str(number), **settings)
        assert result.returncode == 0, result.stderr
        firsts = {(body["messages"][0]["role"], len(body["messages"])) for body in upstream.bodies}
        assert firsts == {("system", 2) if way else ("user", 1)}
        if way:
            said = {body["messages"][0]["content"] for body in upstream.bodies}
            assert said == {"Be brief." if way.get("SYSTEM_PROMPT") == "Be brief." else text}
        document = eqwatch("baseline", "export", 1, "--data-dir", tmp_path / str(number))
        made.append(json.loads(document.stdout)["protocol"]["system_prompt_sha256"])
    assert made[0] == ""
    assert made[1] == made[2]
    assert len(set(made)) == 3
    other = eqwatch(
        *("baseline", "accept", 1, "--data-dir", tmp_path / "1", "--config", _config(tmp_path, "Be brief.")),
    )
    assert other.returncode == 2
    assert "system_prompt_sha256" in other.stderr


def _config(folder: Path, system_prompt: str) -> Path:
    file = folder / "eqwatch.toml"
    file.write_text(
        '[upstream]\nurl = "http://127.0.0.1:9"\n'
        f'[benchmark]\nmodel = "plain"\nitems = ["starter"]\nsystem_prompt = "{system_prompt}"\n'
    )
    return file

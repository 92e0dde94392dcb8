"""A scripted user whose feelings are known at every turn: all numbers come out as computed by hand."""

import json
import math
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import numpy as np
import pytest

pytestmark = pytest.mark.timeout(600)

STUDENTS, STEPS = 20, 4
AT_A_TIME = 4
RATINGS = ("perception", "again", "anticipation", "expressed", "expressed again")
"""Of each turn."""
SHIFT = 4.0
CONFIG = """
[judge]
url = "{judge}"
model = "pinned-1"
concurrency = 8
[probe]
concurrency = 8
[budget]
tokens_per_day = 100000000
[emotions]
censored_after = "15s"
update_interval = "1s"
retest_share = 1.0
reference_conversations = 20
window_conversations = 20
least_conversations = 15
false_alarm_probability = 0.2
[[deployments]]
name = "tutor"
purpose = "end-to-end test of the answer key"
emotions = ["Confusion", "Curiosity"]
model = "small"
judges = ["reference"]
sample_rate = 1.0
"""


def feels(student: int, step: int) -> dict[str, float]:
    """What the user really feels; students 100 and up feel what those below feel, and the model has changed."""
    number = student % 100
    return {
        "Confusion": float((number * 7 + step * 3 + (number * step) % 5) % 7),
        "Curiosity": float((number * 5 + step * 4 + (number + step) ** 2) % 7),
    }


def perceives(student: int, step: int) -> dict[str, float]:
    """The model under test sees it exactly; once it has changed, everything is four points too strong."""
    return {name: value + (SHIFT if student >= 100 else 0.0) for name, value in feels(student, step).items()}


def predicts(student: int, step: int) -> dict[str, float]:
    """It foresees confusion, on a scale of its own, and says 2 for curiosity whatever happens. Who leaves is in
    distress by its prediction."""
    confusion = 0.5 * feels(student, step + 1)["Confusion"] + 1.0 if step < STEPS else 9.0
    return {"Confusion": confusion, "Curiosity": 2.0}


def loss(rated: dict[str, float], reference: dict[str, float]) -> float:
    """EQ-Bench v2 for two emotions, written down a second time."""
    total = 0.0
    for name, value in rated.items():
        d = abs(value - reference[name])
        total += 0.0 if d == 0 else 6.5 / (1 + math.exp(-1.2 * (d - 4))) if d <= 5 else d
    return 10.0 * total * 2.0 * 0.7477


@contextmanager
def model(answer: Callable[[str], dict[str, float] | str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A chat API on loopback; its URL, and the bodies that it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append(body)
            found = answer(body["messages"][-1]["content"])
            text = found if isinstance(found, str) else json.dumps(found)
            message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            data = json.dumps({"model": body["model"], "choices": [message]}).encode()
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


def place(prompt: str) -> tuple[int, int]:
    """Which student is at which step, by the last words that are shown."""
    student, step = re.findall(r"student (\d+) at step (\d+)", prompt)[-1]
    return int(student), int(step)


def tutor(prompt: str) -> dict[str, float] | str:
    """The model under test: it teaches, perceives and predicts."""
    student, step = place(prompt)
    if "--- conversation" not in prompt:
        return f"Well done, student {student} at step {step}."
    return predicts(student, step) if "After reading" in prompt else perceives(student, step)


def converse(sidecar: Any, student: int) -> None:
    """One conversation of four steps, through the relay."""
    headers = {"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": f"student-{student}"}
    messages: list[dict[str, str]] = []
    with httpx2.Client(base_url=sidecar.data, headers=headers, trust_env=False, timeout=120) as client:
        for step in range(1, STEPS + 1):
            messages.append({"role": "user", "content": f"I am student {student} at step {step}."})
            answer = client.post("/v1/chat/completions", json={"model": "small", "messages": messages})
            assert answer.status_code == 200
            messages.append(answer.json()["choices"][0]["message"])


def rated(sidecar: Any) -> int:
    """Readable ratings in the store."""
    with closing(sqlite3.connect(f"file:{sidecar.data_dir / 'eqwatch.db'}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM probes WHERE outcome = 'scored'").fetchone()[0])


def teach(sidecar: Any, first: int, eventually: Callable[..., Any]) -> dict[str, Any]:
    """Twenty conversations; the report once all of them are over and looked at.

    Some at a time, so that on a slow machine too all that is asked about a conversation is known when it is over.
    """
    done = 1 + first // 100
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for begin in range(0, STUDENTS, AT_A_TIME):
            students = range(first + begin, first + begin + AT_A_TIME)
            list(pool.map(lambda student: converse(sidecar, student), students))
            expected = ((done - 1) * STUDENTS + begin + AT_A_TIME) * STEPS * len(RATINGS)
            eventually(lambda: rated(sidecar) == expected, seconds=60, what=f"{expected} ratings")  # noqa: B023

    def over() -> Any:
        report = sidecar.json("/api/v1/deployments/tutor/emotions")
        sessions = next(iter(report["drift"]), {}) if report else {}
        count = sessions.get("reference_conversations", 0) + sessions.get("current_conversations", 0)
        return report if count == done * STUDENTS else None

    return dict(eventually(over, seconds=150, what=f"{done * STUDENTS} conversations are over and looked at"))


def test_a_scripted_user_is_measured_as_computed_by_hand(
    start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Perception, anticipation, skill, relief, censoring and agreement; then the model changes, over a killed control,
    and drift says that it was the model."""
    with model(tutor) as (upstream, asked), model(lambda prompt: feels(*place(prompt))) as (judge, judged):
        sidecar = start_sidecar(upstream, CONFIG.format(judge=judge), EQWATCH_UPSTREAM_API_KEY="operator")
        report = teach(sidecar, 0, eventually)

        told = sidecar.json("/api/v1/conversations/student-3/emotions")
        assert {e: told["emotions"][e]["intensity"] for e in feels(3, 4)} == perceives(3, 4)
        assert {e: told["anticipated"][e]["intensity"] for e in feels(3, 4)} == predicts(3, 4)

        # Curiosity: a constant adds nothing. Confusion: foreseen exactly, at half scale, so nothing is left to lose.
        assert report["skill"]["Confusion"]["value"] == pytest.approx(1.0)
        assert report["skill"]["Curiosity"]["value"] == pytest.approx(0.0, abs=1e-9)
        assert report["skill"]["Confusion"]["turns"] == STUDENTS * (STEPS - 1)
        pairs = [(student, step) for student in range(STUDENTS) for step in range(1, STEPS)]
        expected = np.mean([loss(predicts(*pair), feels(pair[0], pair[1] + 1)) for pair in pairs])
        assert report["anticipation_loss"]["mean"] == pytest.approx(expected)
        assert report["agreement"]["reference"]["loss"]["mean"] == 0.0
        assert report["agreement"]["reference"]["means"] == "change_signal"
        assert report["retest_ratio"]["reference"] == 1.0

        # Each student leaves after the last step, with a predicted distress of 9; nobody else does.
        censoring = report["censoring"]
        assert (censoring["followed"], censoring["censored"], censoring["share"]) == (60, 20, 0.25)
        assert (censoring["bands"][-1]["turns"], censoring["bands"][-1]["censored"]) == (20, 20)
        nexts = [feels(student, step + 1)["Confusion"] for student, step in pairs]
        bounds = report["next_intensity"]["Confusion"]
        assert bounds["observed"] == pytest.approx(np.mean(nexts))
        assert bounds["lowest"] == pytest.approx(np.mean(nexts) * 0.75)
        assert bounds["highest"] == pytest.approx(np.mean(nexts) * 0.75 + 10.0 * 0.25)
        assert report["relief"]["Confusion"]["change"] == pytest.approx(0.0, abs=1e-9)  # by construction of a fit

        sidecar.wait_for_control(other_than=sidecar.kill_control())
        later = teach(sidecar, 100, eventually)

    drift = {(one["signal"], one["emotion"]): one for one in later["drift"]}
    for emotion in ("Confusion", "Curiosity"):
        assert drift["perception", emotion]["distance"] == pytest.approx(SHIFT)
        assert drift["perception", emotion]["active"]
        assert drift["reference", emotion]["distance"] == pytest.approx(0.0)
        assert not drift["reference", emotion]["active"]
    assert later["cause"] == "model"
    agreement = later["agreement"]["reference"]["loss"]["mean"]
    assert agreement == pytest.approx(10.0 * 2 * 6.5 / 2.0 * 2.0 * 0.7477)
    # The new students feel what the first ones felt: against the frozen line, nothing is left.
    before = np.array([feels(*pair)["Confusion"] for pair in pairs])
    change = np.array(nexts) - before
    beyond = change - np.polyval(np.polyfit(before, change, 1), before)
    assert later["relief"]["Confusion"]["change"] == pytest.approx(beyond.mean(), abs=1e-9)
    assert later["relief"]["Confusion"]["observed"] == pytest.approx(change.mean())

    samples = sidecar.metrics()
    assert samples['eqwatch_drift_active{deployment="tutor",emotion="Confusion"}'] == 1
    assert samples['eqwatch_anticipation_skill_ratio{deployment="tutor",emotion="Confusion"}'] == pytest.approx(1.0)
    with closing(sqlite3.connect(sidecar.data_dir / "eqwatch.db")) as database:
        events = [
            json.loads(row[0]) for row in database.execute("SELECT details FROM events WHERE kind = 'emotion_drift'")
        ]
    assert sorted((event["signal"], event["emotion"], event["cause"]) for event in events) == [
        ("perception", "Confusion", "model"),
        ("perception", "Curiosity", "model"),
    ]
    # The judge saw neither replies to the turn that it rates nor anything that the model under test said of it.
    assert {body["model"] for body in judged} == {"pinned-1"}
    assert {body["model"] for body in asked} == {"small"}
    last = [body["messages"][-1]["content"].rsplit("User: ", 1)[1] for body in judged]
    assert not [text for text in last if "Assistant:" in text or "Well done" in text]

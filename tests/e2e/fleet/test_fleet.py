"""Pods come and go, the next turn reaches another one, and one monitor knows all of it."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

pytestmark = pytest.mark.timeout(600)

SECRET = "heliotrope"  # a word that no log, metric or table may hold
MAIL = "mara.lind@example.org"
MODEL = "tutor-model-1"
DEPLOYMENTS = """
[[deployments]]
name = "tutor"
purpose = "end-to-end test of a fleet"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
[deployments.match]
models = ["tutor-model-1"]
"""
POD = "[monitor]\nretry_seconds = 5\n[admin]\n" + DEPLOYMENTS
EMOTIONS = {"Confusion": 7.0, "Curiosity": 2.0}


@pytest.fixture
def upstream(start_fake_upstream: Callable[..., str], tmp_path: Path) -> str:
    """A scripted chat model that also answers probes."""
    script = tmp_path / "script.json"
    rules = [
        {"when": f"{SECRET}.*fraction", "replies": [f"Which part of {SECRET} is unclear to you?", "Let us go slowly."]},
        {"when": "feels|feel", "scores": EMOTIONS},
    ]
    script.write_text(json.dumps({"models": [MODEL], "rules": rules, "default": ["I see. Tell me more about it."]}))
    return start_fake_upstream("--script", str(script))


def ask(data: str, messages: list[Any], **headers: str) -> str:
    with (
        OpenAI(base_url=f"{data}/v1", api_key="client-key-of-the-test", default_headers=headers, timeout=60) as client,
        client.chat.completions.create(model=MODEL, messages=messages, stream=True) as chunks,
    ):
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def said(messages: list[Any], reply: str, next_: str) -> list[Any]:
    return [*messages, {"role": "assistant", "content": reply}, {"role": "user", "content": next_}]


def test_turns_on_two_pods_are_one_conversation_at_the_monitor(
    fleet: Any, upstream: str, eventually: Callable[..., Any]
) -> None:
    """Turn 2 is known as turn 2, and nothing that was said is in a log, a scrape or the store; a dead monitor costs
    counted drops and nothing else, is found again, and knows the conversation still."""
    key = {"EQWATCH_UPSTREAM_API_KEY": "operator-key-of-the-test"}
    config = f'[upstream]\nurl = "{upstream}"\n' + DEPLOYMENTS
    with fleet.monitor(config, **key) as monitor:
        url, port = monitor.admin, int(monitor.admin.rpartition(":")[2])
        one, two = (fleet.pod(upstream, url, POD) for _ in range(2))

        messages: list[Any] = [
            {"role": "system", "content": f"You teach {SECRET}."},
            {"role": "user", "content": f"My {SECRET} fraction is wrong, write to {MAIL}."},
        ]

        def told(turn: int) -> Any:
            found = monitor.post("/api/v1/conversations/lookup", {"messages": messages})
            if found.status_code != 200:
                return None
            seen = monitor.json(f"/api/v1/conversations/{found.json()['conversation']}/emotions")
            return seen if seen and seen["emotions"] and seen["turn"] == turn else None

        reply = ask(one.data, messages)
        eventually(lambda: told(1), seconds=60, what="the first turn's emotions are served by the monitor")
        messages = said(messages, reply, f"I still don't get the {SECRET} fraction.")
        second = ask(two.data, messages)
        seen = eventually(lambda: told(2), seconds=60, what="the second turn's emotions are served by the monitor")
        assert {name: reading["intensity"] for name, reading in seen["emotions"].items()} == EMOTIONS
        assert {reading["turn"] for reading in seen["emotions"].values()} == {2}
        assert seen["deployment"] == "tutor"
        database = fleet.folder / "monitor-data" / "eqwatch.db"
        with closing(sqlite3.connect(database)) as opened:
            rows = opened.execute("SELECT DISTINCT conversation, turn FROM probes WHERE kind = 'perception'").fetchall()
        assert sorted(turn for _, turn in rows) == [1, 2]
        assert len({conversation for conversation, _ in rows}) == 1
        for pod in (one, two):
            # The monitor knows before the pod has its answer, and the relay's numbers are as old as its last answer.
            for known in (
                'eqwatch_requests_total{code="200",deployment="default",dialect="openai_chat"}',
                'eqwatch_observed_exchanges_total{deployment="tutor",outcome="chosen"}',
                'eqwatch_forwarded_exchanges_total{outcome="accepted"}',
            ):
                eventually(lambda pod=pod, key=known: pod.sample(key) == 1, seconds=60, what=known)
            samples = pod.samples()
            assert not [
                name for name in samples if name.startswith(("eqwatch_bench", "eqwatch_drift", "eqwatch_probe"))
            ]
        assert monitor.sample('eqwatch_arrived_exchanges_total{outcome="accepted",source="observer"}') == 2
        assert 'eqwatch_queue_depth{queue="exchanges"}' not in monitor.samples()

        def places() -> list[int]:
            with closing(sqlite3.connect(database)) as opened:
                return [turn for (turn,) in opened.execute("SELECT turn FROM places ORDER BY id")]

        eventually(lambda: places() == [1, 2], seconds=30, what="both places are kept")
        (conversation,) = {conversation for conversation, _ in rows}
        os.kill(monitor.child.pid, signal.SIGKILL)
        eventually(lambda: not monitor.alive(), seconds=30, what="the monitor is gone")

    for _ in range(3):
        assert ask(one.data, [{"role": "user", "content": "Hello, is anybody at home in there?"}])
    lost = 'eqwatch_dropped_total{queue="forward",reason="monitor_away"}'
    eventually(lambda: one.sample(lost) == 3, seconds=60, what="what waited too long is dropped and counted")
    assert one.json("/-/ready") is None, "readiness of the observer says so"
    assert two.json("/-/ready") is not None, "who had nothing to report knows nothing of it"

    with fleet.monitor(config, port, **key) as monitor:
        messages = said(messages, second, "Thank you, that is much better than before.")
        assert ask(one.data, messages)
        taken = 'eqwatch_arrived_exchanges_total{outcome="accepted",source="observer"}'
        eventually(lambda: monitor.sample(taken) == 1, seconds=60, what="the pod goes on with the new monitor")
        eventually(lambda: one.json("/-/ready"), seconds=60, what="the pod has the monitor's answer, and is ready")
        eventually(
            lambda: (told := monitor.json(f"/api/v1/conversations/{conversation}/emotions")) and told["turn"] == 3,
            seconds=60,
            what="the third turn is known as such by a monitor that did not see the first two",
        )
        scrapes = [pod.get("/metrics").text for pod in (one, two, monitor)]
        assert ask(two.data, [{"role": "user", "content": "Good night, that was all for today."}])
        two.stop()
        eventually(lambda: monitor.sample(taken) == 2, seconds=60, what="a pod that ends tells its last turn")
        one.stop()

    assert not (fleet.folder / "never-made").exists(), "a pod keeps nothing"
    logs = {path.name: path.read_text() for path in fleet.folder.glob("*.log") if "fake-upstream" not in path.name}
    assert len(logs) == 4
    stored = b"".join(path.read_bytes() for path in (fleet.folder / "monitor-data").rglob("*") if path.is_file())
    for forbidden in (
        SECRET,
        MAIL,
        "fraction",
        "client-key-of-the-test",
        "operator-key-of-the-test",
        "ingest-token-of-the-test",
    ):
        assert forbidden not in "".join(scrapes), forbidden
        assert forbidden.encode() not in stored, forbidden
        assert not [name for name, text in logs.items() if forbidden in text], forbidden

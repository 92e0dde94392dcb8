"""One turn of a real conversation, followed from the SDK to the API that tells the application what was seen."""

import base64
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from middleware.demo.model_server import MODEL_NAME

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("real-model")]

CONFIG = """
[[deployments]]
name = "tutor"
kind = "tutoring"
purpose = "end-to-end test of the probes"
sample_rate = 1.0
"""
SECRET_TEXT = "heliotrope"  # a word that no log, metric or table may hold


def ask(sidecar: Any, messages: list[Any], *, stream: bool, conversation: str = "lesson-7") -> str:
    with OpenAI(
        base_url=f"{sidecar.data}/v1",
        api_key="client-key-of-the-test",
        default_headers={"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": conversation},
        timeout=120,
    ) as client:
        if not stream:
            answer = client.chat.completions.create(model=MODEL_NAME, messages=messages, max_tokens=24)
            return answer.choices[0].message.content or ""
        with client.chat.completions.create(model=MODEL_NAME, messages=messages, max_tokens=24, stream=True) as chunks:
            return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def intensities(told: Any) -> dict[str, float]:
    return {emotion: reading["intensity"] for emotion, reading in told["emotions"].items()}


def test_a_turn_is_followed_from_the_sdk_to_the_application_over_a_killed_control(
    real_model: str, start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Relay, probe, store, scrape and API agree, control is killed in between, and traffic does not notice."""
    sidecar = start_sidecar(real_model, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key-of-the-test")
    messages: list[Any] = [{"role": "user", "content": f"I still don't get fractions, {SECRET_TEXT}. It's no use."}]
    first = ask(sidecar, messages, stream=True)
    assert first

    path = "/api/v1/conversations/lesson-7/emotions"
    seen = eventually(
        lambda: (told := sidecar.json(path)) and told["emotions"] and told,
        seconds=120,
        what="the first turn's emotions are served",
    )
    assert set(seen["emotions"]) == {"Confusion", "Boredom", "Frustration", "Curiosity"}
    assert all(0 <= reading["intensity"] <= 10 for reading in seen["emotions"].values())

    killed = sidecar.kill_control()
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "Hello? Are you still there?"}]
    # In another conversation: control may be back before the answer is, and then learns of it.
    assert ask(sidecar, messages, stream=False, conversation="lesson-8"), "traffic goes on while control is dead"
    sidecar.wait_for_control(other_than=killed)
    restored = sidecar.json(path)
    assert intensities(restored) == intensities(seen), "what was known before the kill is served after it"

    messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Then again, slowly please."}]
    assert ask(sidecar, messages, stream=True)
    later = eventually(
        lambda: (told := sidecar.json(path)) and min(r["turn"] for r in told["emotions"].values()) == 3 and told,
        seconds=120,
        what="the third turn's emotions are served after the restart",
    )

    # The relay's numbers are as old as its last answer where it is slow.
    requests = 'eqwatch_requests_total{code="200",deployment="tutor",dialect="openai_chat"}'
    metrics = eventually(
        lambda: (m := sidecar.metrics()).get(requests, 0) >= 3 and m, seconds=60, what="the relay's numbers"
    )
    assert metrics[requests] == 3
    assert metrics['eqwatch_worker_restarts_total{worker="control"}'] >= 1
    eventually(
        lambda: sidecar.sum_of("eqwatch_probe_intensity_count") >= 4, seconds=120, what="the intensities are exported"
    )

    with sqlite3.connect(sidecar.data_dir / "eqwatch.db") as database:
        rows = database.execute("SELECT turn, outcome, emotions FROM probes WHERE kind = 'perception'").fetchall()
    database.close()
    assert {turn for turn, outcome, _ in rows if outcome == "scored"} >= {1, 3}
    stored = json.loads(next(e for turn, outcome, e in rows if turn == 3 and outcome == "scored"))
    assert stored == intensities(later)


def test_no_key_and_no_text_is_written_anywhere(
    real_model: str, start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Logs, metrics, the store's file and the status page hold neither a key nor a word of the conversation."""
    sidecar = start_sidecar(real_model, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key-of-the-test")
    ask(sidecar, [{"role": "user", "content": f"My {SECRET_TEXT} died and I can't do any maths."}], stream=False)
    eventually(
        lambda: sidecar.json("/api/v1/conversations/lesson-7/emotions"),
        seconds=120,
        what="the turn's emotions are served",
    )
    sidecar.stop()
    written = {path: path.read_bytes() for path in sidecar.data_dir.rglob("*") if path.is_file()}
    written[sidecar.log] = sidecar.log.read_bytes()
    for path, data in written.items():
        for forbidden in (SECRET_TEXT, "client-key-of-the-test", "operator-key-of-the-test", "lesson-7"):
            assert forbidden.encode() not in data, f"{forbidden} in {path.name}"


def test_kept_content_is_sealed_in_every_file_and_erased_on_demand(
    real_model: str, start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """With the key it is read through the API, redacted; no file holds a word of it; erased, no file knows the id."""
    key = base64.urlsafe_b64encode(b"0123456789abcdef0123456789abcdef").decode()
    sidecar = start_sidecar(
        real_model,
        CONFIG,
        EQWATCH_UPSTREAM_API_KEY="operator-key-of-the-test",
        EQWATCH_STORE_KEEP_CONTENT="true",
        EQWATCH_STORE_CONTENT_KEY=key,
    )
    ask(sidecar, [{"role": "user", "content": f"My {SECRET_TEXT} died. Write to ada@example.org"}], stream=False)
    path = "/api/v1/conversations/lesson-7"
    kept = eventually(lambda: sidecar.json(f"{path}/content"), seconds=120, what="the turn is kept")
    assert kept["turns"][0]["user"] == f"My {SECRET_TEXT} died. Write to [email]"
    emotions = eventually(lambda: sidecar.json(f"{path}/emotions"), seconds=120, what="the emotions are served")
    with httpx2.Client(base_url=sidecar.admin, trust_env=False, timeout=60) as client:
        erased = client.delete(path).json()
        assert erased["content"] == 1
        assert erased["scores"] >= 1
        assert client.get(f"{path}/content").status_code == client.get(f"{path}/emotions").status_code == 404
    sidecar.stop()
    written = {file: file.read_bytes() for file in sidecar.data_dir.rglob("*") if file.is_file()}
    written[sidecar.log] = sidecar.log.read_bytes()
    for file, data in written.items():
        for forbidden in (SECRET_TEXT, "ada@example.org", key, emotions["id"]):
            assert forbidden.encode() not in data, f"{forbidden} in {file.name}"

"""Who is probed and who pays for it, in the running product: each deployment has its own rate, opt-outs and budget."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from middleware.demo.processes import eqwatch_command

pytestmark = pytest.mark.timeout(400)

CONFIG = """
[probe]
opt_out_paths = ["/private"]
opt_out_key_ids = ["KEY_ID"]
[[deployments]]
name = "tutor"
purpose = "end-to-end test of a deployment's budget"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
tokens_per_day = 2000
[deployments.match]
models = ["tutor-model"]
[[deployments]]
name = "robot"
purpose = "end-to-end test of a deployment without one"
emotions = ["Loneliness", "Calm"]
sample_rate = 1.0
[deployments.match]
models = ["robot-model"]
[[deployments]]
name = "shop"
emotions = ["Interest", "Annoyance"]
sample_rate = 1.0
[deployments.match]
models = ["shop-model"]
"""
TURNS = 6
OPTED_OUT, SALT = "key-of-a-tenant-who-opted-out", "a salt of the test alone"


@pytest.fixture
def upstream(start_fake_upstream: Callable[..., str], tmp_path: Path) -> str:
    """A chat model that also answers probes of two sets of emotions."""
    script = tmp_path / "script.json"
    rules = [
        {"when": "Confusion", "scores": {"Confusion": 7.0, "Curiosity": 2.0}},
        {"when": "Loneliness", "scores": {"Loneliness": 6.0, "Calm": 3.0}},
    ]
    models = ["tutor-model", "robot-model", "shop-model"]
    script.write_text(json.dumps({"models": models, "rules": rules, "default": ["I see."]}))
    return start_fake_upstream("--script", str(script))


@pytest.mark.usefixtures("within_a_day")
def test_a_deployment_that_spent_its_budget_is_left_alone_while_others_are_probed(
    upstream: str, start_sidecar: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Known by the model alone; turns over the cap, without a purpose, and opted out are counted by reason, and nobody
    who opted out is asked about."""
    told = subprocess.run(
        eqwatch_command("config", "key-id"),
        input=f"{OPTED_OUT}\n",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "EQWATCH_SALT": SALT},
    )
    config = CONFIG.replace("KEY_ID", told.stdout.strip())
    sidecar = start_sidecar(upstream, config, EQWATCH_UPSTREAM_API_KEY="operator", EQWATCH_SALT=SALT)

    def say(model: str, number: int, prefix: str = "", **headers: str) -> None:
        messages = [{"role": "user", "content": f"Case {number}: it moves to the left and I can't see why."}]
        url = f"{sidecar.data}{prefix}/v1/chat/completions"
        answer = httpx2.post(url, json={"model": model, "messages": messages}, headers=headers, timeout=60)
        assert answer.status_code in ((200, 404) if prefix else (200,))

    def counted() -> dict[tuple[str, str], float]:
        found, samples = {}, sidecar.metrics()
        for deployment in ("tutor", "robot", "shop", "default"):
            for outcome in ("scored", "budget", "not_configured", "opted_out"):
                key = f'eqwatch_probe_conversations_total{{deployment="{deployment}",outcome="{outcome}"}}'
                if (value := samples.get(key, 0.0)) > 0:
                    found[deployment, outcome] = value
        return found

    say("tutor-model", 0, **{"x-eqwatch-opt-out": "1"})
    say("shop-model", 0)
    say("tutor-model", 0, "/private")
    say("tutor-model", 0, authorization=f"Bearer {OPTED_OUT}")
    for number in range(1, TURNS + 1):
        say("tutor-model", number)
        say("robot-model", number)
    found = eventually(
        lambda: (now := counted()) and sum(now.values()) >= 2 * TURNS + 3 and now,
        seconds=90,
        what="every turn is probed or counted",
    )
    assert found["robot", "scored"] == TURNS
    assert 1 <= found["tutor", "scored"] < TURNS
    assert found["tutor", "scored"] + found["tutor", "budget"] == TURNS
    assert found["shop", "not_configured"] == 1
    assert sum(value for (_, outcome), value in found.items() if outcome == "opted_out") == 2
    # The relay's numbers are as old as its last answer where it is slow.
    dropped = 'eqwatch_dropped_total{queue="tap",reason="opt_out"}'
    assert eventually(lambda: sidecar.metrics().get(dropped), seconds=60, what="the relay's count") == 1

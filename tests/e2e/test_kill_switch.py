"""The kill switch and the budget in the running product: nothing of its own is asked, and users notice nothing."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPLAY = Path(__file__).resolve().parents[2] / "examples" / "replay"
CONFIG = """
[benchmark]
model = "assistant"
items = ["starter"]
batch = 24
interval = "300ms"
concurrency = 1
"""
pytestmark = pytest.mark.timeout(400)


def post(url: str, body: Any = None) -> Any:
    data = json.dumps(body).encode() if body is not None else b""
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def asked(upstream: str) -> int:
    with urllib.request.urlopen(upstream.removesuffix("/v1") + "/-/stats", timeout=60) as answer:
        return int(json.loads(answer.read())["requests"])


def test_the_kill_switch(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """In the middle of a batch at most the call under way is finished; a killed control stays stopped until resumed."""
    upstream = start_fake_upstream(
        *("--items", "starter", "--latency", "100"),
        *("--replay", f"assistant={REPLAY / 'scripted-strong.json'}"),
    )
    sidecar = start_sidecar(upstream, CONFIG, EQWATCH_UPSTREAM_API_KEY="operator-key")
    eventually(lambda: asked(upstream) > 3, seconds=60, what="a batch is under way")

    assert post(f"{sidecar.admin}/api/v1/calls/pause") == {"paused": True, "stopped_by": ["operator"]}
    eventually(
        lambda: "paused" in sidecar.json("/api/v1/verdicts")[0]["detail"], seconds=60, what="the verdict says why"
    )
    stopped_at = asked(upstream)
    assert sidecar.metrics()['eqwatch_calls_paused{reason="operator"}'] == 1

    body = {"model": "assistant", "messages": [{"role": "user", "content": "Hello"}]}
    answer = post(f"{sidecar.data}/v1/chat/completions", body)
    assert answer["choices"][0]["message"]["content"]
    killed = sidecar.kill_control()
    sidecar.wait_for_control(other_than=killed)
    assert sidecar.json("/api/v1/calls") == {"paused": True, "stopped_by": ["operator"]}
    skipped = "batch_skipped"
    eventually(lambda: sidecar.log.read_text().count(skipped) >= 3, seconds=60, what="slots pass without a batch")
    assert asked(upstream) == stopped_at + 1  # the user's own

    assert post(f"{sidecar.admin}/api/v1/calls/resume") == {"paused": False, "stopped_by": []}
    eventually(lambda: asked(upstream) > stopped_at + 24, seconds=60, what="the batch goes on")


@pytest.mark.usefixtures("within_a_day")
def test_a_small_budget_stops_the_benchmark(
    start_sidecar: Callable[..., Any], start_fake_upstream: Callable[..., str], eventually: Callable[..., Any]
) -> None:
    """Batches stop at the cap of the day, the verdict says so, and what is left is exported; no call goes over it."""
    upstream = start_fake_upstream("--items", "starter", "--replay", f"assistant={REPLAY / 'scripted-strong.json'}")
    budget = """
[budget]
tokens_per_day = 30000
price_per_million_prompt_tokens = 10.0
price_per_million_completion_tokens = 30.0
currency = "EUR"
"""
    config = CONFIG.replace("concurrency = 1", "concurrency = 8") + budget
    sidecar = start_sidecar(upstream, config, EQWATCH_UPSTREAM_API_KEY="operator-key")

    def detail() -> str:
        return str(sidecar.json("/api/v1/verdicts")[0]["detail"])

    eventually(lambda: "today's budget of 30000" in detail(), seconds=90, what="the verdict says that it is used up")
    # No call is under way any more: what is used has its last value. What is left is looked up now and then.
    used = sidecar.sum_of("eqwatch_tokens_total")
    assert 10_000 < used <= 30_000
    metrics = eventually(
        lambda: (m := sidecar.metrics()).get('eqwatch_token_budget_remaining{window="day"}') == 30_000 - used and m,
        seconds=90,
        what="what is left is exported",
    )
    prompt = metrics['eqwatch_tokens_total{purpose="benchmark",type="prompt"}']
    completion = metrics['eqwatch_tokens_total{purpose="benchmark",type="completion"}']
    money = metrics['eqwatch_spend_total{currency="EUR"}']
    assert money == pytest.approx((10 * prompt + 30 * completion) / 1e6, abs=1e-3)

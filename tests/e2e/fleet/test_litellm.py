"""examples/litellm: LiteLLM's hooks, called with what LiteLLM gives them, against a real monitor.

LiteLLM itself is too large for the tests: its base class is replaced by a typed one with the same hooks.
"""

import asyncio
import importlib.util
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

EXAMPLE = Path(__file__).parents[3] / "examples" / "litellm" / "eqwatch_callback.py"
INGEST = "ingest-token-of-the-test"
CONFIG = """
[[deployments]]
name = "tutor"
purpose = "end-to-end test of a callback"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
[deployments.match]
models = ["tutor-model-1"]
"""


class CustomLogger:
    """LiteLLM's base class of callbacks, as far as the example uses it."""

    def __init__(self) -> None:
        pass

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Called after each call."""

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Called after each asynchronous call."""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example as a module."""
    base = ModuleType("litellm.integrations.custom_logger")
    base.CustomLogger = CustomLogger
    for name in ("litellm", "litellm.integrations"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, base.__name__, base)
    spec = importlib.util.spec_from_file_location("eqwatch_callback", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answered(text: str | None) -> Any:
    """As LiteLLM's ModelResponse shows it."""
    return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=text, role="assistant"))])


def call(text: str, number: int, **metadata: Any) -> dict[str, Any]:
    """The kwargs of a hook, as far as LiteLLM's own differ from call to call."""
    return {
        "model": "tutor-model-1",
        "messages": [{"role": "user", "content": text}],
        "litellm_call_id": f"call-{number}",
        "litellm_params": {"metadata": metadata, "api_base": "http://127.0.0.1:1"},
        "call_type": "completion",
        "stream": False,
    }


def test_chats_through_litellm_are_known_to_the_monitor(
    example: ModuleType,
    fleet: Any,
    start_fake_upstream: Callable[..., str],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Synchronous and asynchronous calls, by metadata, proxy header or model; embeddings, repetitions and opt-outs are
    no new exchange, and one odd exchange costs none of the others."""
    now = datetime.now(UTC)
    config = f'[upstream]\nurl = "{start_fake_upstream()}"\n' + CONFIG
    with fleet.monitor(config, EQWATCH_UPSTREAM_API_KEY="operator-key-of-the-test") as monitor:
        monkeypatch.setenv("EQWATCH_MONITOR_URL", monitor.admin)
        monkeypatch.setenv("EQWATCH_MONITOR_TOKEN", INGEST)
        # A delivery that is given up and repeated would count as a duplicate.
        monkeypatch.setattr(example, "_TIMEOUT_SECONDS", 60.0)
        callback = example.EqwatchCallback()
        named = call("I still don't get it.", 1, eqwatch_deployment="tutor", eqwatch_conversation="lesson-7")
        callback.log_success_event(named, answered("Which part?"), now, now)
        asyncio.run(callback.async_log_success_event(call("And now?", 2), answered(None), now, now))
        by_header = call("No, not I.", 3)
        by_header["litellm_params"]["proxy_server_request"] = {"headers": {"X-Eqwatch-Opt-Out": "1"}}
        callback.log_success_event(by_header, answered("Sure."), now, now)
        callback.log_success_event(call("a" * 5, 4) | {"messages": ["no object"] * 6000}, None, now, now)
        callback.log_success_event({"model": "m", "input": ["text"]}, SimpleNamespace(data=[]), now, now)
        odd = call("x", 5)
        odd["messages"] = odd["messages"] * 6000
        callback.log_success_event(odd, answered("Sure."), now, now)
        callback.close(60)
        assert (callback.sent, callback.dropped) == (3, 1)
        again = example.EqwatchCallback()
        again.log_success_event(named, answered("Which part?"), now, now)
        again.close(60)

        told = eventually(
            lambda: monitor.json("/api/v1/conversations/lesson-7/emotions"), seconds=60, what="the emotions are served"
        )
        assert (told["deployment"], told["turn"]) == ("tutor", 1)
        counted = {
            outcome: monitor.sample(f'eqwatch_arrived_exchanges_total{{outcome="{outcome}",source="api"}}')
            for outcome in ("accepted", "duplicate", "opted_out")
        }
        assert counted == {"accepted": 2, "duplicate": 1, "opted_out": 1}


def test_a_monitor_that_is_away_or_refuses_costs_counted_drops(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, new_port: Callable[[], int]
) -> None:
    """A call never waits for it, and what can't be an address is said at once."""
    monkeypatch.setattr(example, "_FIRST_PAUSE_SECONDS", 0.01)
    callback = example.EqwatchCallback(f"http://127.0.0.1:{new_port()}", "")
    now = datetime.now(UTC)
    for number in range(3):
        callback.log_success_event(call("hello", number), answered("Yes."), now, now)
    callback.close(60)
    assert (callback.sent, callback.dropped) == (0, 3)
    with pytest.raises(ValueError, match="EQWATCH_MONITOR_URL"):
        example.EqwatchCallback("monitor:8081")

"""`eqwatch fake-upstream` as a process."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from middleware.errors import EqwatchError

Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - a type for readers


def ask(url: str, content: str) -> str:
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=30) as client:
        messages = [{"role": "user", "content": content}]
        return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


def test_upgrade_by_time(eqwatch: Eqwatch, fake_upstream: Callable[..., Any], strong: Path, tmp_path: Path) -> None:
    """With two recordings and --switch-after 0 the second one answers from the start."""
    weak = tmp_path / "weak.json"
    answers = json.loads(strong.read_text()) | {"raw_inference": {"marketing-001a": "Hopeful: 0"}}
    weak.write_text(json.dumps(answers))
    prompt = json.loads(eqwatch("items", "show", "marketing", "marketing-001a", "--json").stdout)["prompt"]
    replay = ("--items", "marketing", "--replay", f"m={strong}", "--replay", f"m={weak}")
    with fake_upstream(*replay) as url:
        assert ask(url, prompt).startswith("Hopeful: 7")
    with fake_upstream(*replay, "--switch-after", 0) as url:
        assert ask(url, prompt) == "Hopeful: 0"


def test_script_and_faults(fake_upstream: Callable[..., Any], tmp_path: Path) -> None:
    """A script answers conversations, and faults strike as told."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"rules": [{"when": "hello", "replies": ["Good day."]}], "default": ["Hm."]}))
    with fake_upstream("--script", script, "--fault", "429:every=3", "--noise", "low", "--latency", 1) as url:
        assert [ask(url, "Hello there"), ask(url, "What?")] == ["Good day.", "Hm."]
        with pytest.raises(openai.RateLimitError):
            ask(url, "Hello there")


def test_ends_on_sigterm(start_eqwatch: Callable[..., Any]) -> None:
    """SIGTERM ends the server, even with a request that hangs."""
    with start_eqwatch("fake-upstream", "--port", 0, "--fault", "hang") as process:
        url = process.stdout.readline().split()[1]
        host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            body = b'{"model": "m", "messages": []}'
            head = ["POST /v1/chat/completions HTTP/1.1", "Host: x", "Content-Type: application/json"]
            client.sendall("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}


def test_port_is_taken(eqwatch: Eqwatch) -> None:
    """A taken port gives exit code 2 and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = eqwatch("fake-upstream", "--port", taken.getsockname()[1])
    assert result.returncode == 2
    assert "choose another --port" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--replay", "gpt-4"), "write MODEL=FILE"),
        (("--replay", "gpt-4=/absent.json"), "can't be read"),
        (("--items", "nothing"), "choose from bundled"),
        (("--fault", "earthquake"), "choose from 429"),
        (("--noise", "loud"), "choose low, mid or high"),
        (("--script", "/absent.json"), "can't be read"),
    ],
)
def test_wrong_use(in_process: Callable[..., str], arguments: tuple[str, ...], expected: str) -> None:
    """Wrong use is refused with the fix before anything is served."""
    with pytest.raises(EqwatchError, match=expected):
        in_process("fake-upstream", "--port", 0, *arguments)


@pytest.mark.parametrize(
    "command",
    ["run", "score", "fake-upstream", "items list", "items show", "items check", "items import", "items fetch"],
)
def test_help_has_an_example(in_process: Callable[..., str], command: str) -> None:
    """The help of each command shows how it is used."""
    assert f"Example: eqwatch {command} " in in_process(*command.split(), "--help").replace("\n", " ") + " "

"""One run: turns through a real sidecar, and when each estimate was told and could be read."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from middleware.demo.processes import Child, eqwatch_command, free_port, running

__all__ = ["Freshness", "measured"]

CONFIG = """
[probe]
concurrency = 4
[[deployments]]
name = "tutor"
purpose = "measure how fresh estimates are"
emotions = ["Confusion", "Curiosity"]
sample_rate = 1.0
anchor_only = {anchor_only}
"""
_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds from the end of each turn, sorted: until the stream told its estimate, until the pull had it.

    told_at, read_at: monotonic seconds at which the stream told each one, and the pull had it, sorted.
    """

    streamed: list[float]
    pulled: list[float]
    told_at: list[float]
    read_at: list[float]


def measured(upstream: str, folder: Path, *, anchor_only: bool, conversations: int, turns: int) -> Freshness:
    """Turns come one after another, each once the estimate of the one before was read."""
    with ExitStack() as last, ExitStack() as stack:
        data, admin = stack.enter_context(_sidecar(upstream, folder, anchor_only=anchor_only))
        client = stack.enter_context(httpx2.Client(trust_env=False, timeout=60))
        told: dict[tuple[str, int], float] = {}
        stop, connected = threading.Event(), threading.Event()
        listener = threading.Thread(target=_listen, args=(admin, told, stop, connected), daemon=True)
        listener.start()
        last.callback(listener.join)  # it ends with the sidecar's stream
        stack.callback(stop.set)
        assert connected.wait(_WAIT_SECONDS), "the stream did not open"
        ended: dict[tuple[str, int], float] = {}
        read: dict[tuple[str, int], float] = {}
        for number in range(conversations):
            name = f"freshness-{number}"
            found = client.post(f"{admin}/api/v1/conversations/lookup", json={"conversation": name}).json()
            messages: list[dict[str, str]] = []
            for turn in range(1, turns + 1):
                messages.append({"role": "user", "content": f"I am lost at step {turn}: why does it move to the left?"})
                answer = client.post(
                    f"{data}/v1/chat/completions",
                    json={"model": "small", "messages": messages},
                    headers={"x-eqwatch-deployment": "tutor", "x-eqwatch-conversation": name},
                )
                ended[found["conversation"], turn] = time.monotonic()
                messages.append(answer.json()["choices"][0]["message"])
                read[found["conversation"], turn] = _until_pulled(client, admin, name, turn)
        limit = time.monotonic() + _WAIT_SECONDS
        while len(told) < len(ended) and time.monotonic() < limit:
            time.sleep(0.05)
        assert told.keys() == ended.keys(), f"{len(told)} of {len(ended)} turns were told"
        streamed, pulled = (sorted(at[key] - end for key, end in ended.items()) for at in (told, read))
        return Freshness(streamed, pulled, sorted(told.values()), sorted(read.values()))


def _until_pulled(client: httpx2.Client, admin: str, name: str, turn: int) -> float:
    limit = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < limit:
        answer = client.get(f"{admin}/api/v1/conversations/{name}/emotions")
        now = time.monotonic()
        if answer.status_code == 200 and any(one["turn"] == turn for one in answer.json()["emotions"].values()):
            return now
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"no estimate of turn {turn} within {_WAIT_SECONDS:.0f} s")


def _listen(admin: str, told: dict[tuple[str, int], float], stop: threading.Event, connected: threading.Event) -> None:
    url = f"{admin}/api/v1/events?type=emotions&deployment=tutor"
    # A sidecar that ends cuts its streams; a turn that was not told by then is missed by who asked.
    with (
        suppress(httpx2.TransportError),
        httpx2.Client(trust_env=False, timeout=None) as client,
        client.stream("GET", url) as stream,
    ):
        connected.set()
        for line in stream.iter_lines():
            if stop.is_set():
                return
            if line.startswith("data: "):
                details = json.loads(line[6:])["details"]
                told.setdefault((details["conversation"], details["turn"]), time.monotonic())


@contextmanager
def _sidecar(upstream: str, folder: Path, *, anchor_only: bool) -> Iterator[tuple[str, str]]:
    folder.mkdir(parents=True)
    (folder / "eqwatch.toml").write_text(CONFIG.format(anchor_only=str(anchor_only).lower()))
    port = free_port(0)
    command = eqwatch_command(
        *("serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{port}"),
        *("--data-dir", str(folder / "data"), "--config", str(folder / "eqwatch.toml")),
    )
    child = Child("sidecar", command, log=folder / "log", environment={"EQWATCH_UPSTREAM_API_KEY": "operator"})
    with running(child):
        host, data_port = child.ready(_WAIT_SECONDS)
        admin = f"http://127.0.0.1:{port}"
        limit = time.monotonic() + _WAIT_SECONDS
        with httpx2.Client(trust_env=False, timeout=10) as client:
            while time.monotonic() < limit:
                with suppress(httpx2.TransportError):
                    if client.get(f"{admin}/-/ready").status_code == 200:
                        break
                time.sleep(0.1)
        yield f"http://{host}:{data_port}", admin

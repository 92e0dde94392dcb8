"""Real processes for the end-to-end tests: the sidecar, a scripted upstream, a real llama.cpp server."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from middleware.demo.processes import Child, eqwatch_command, running
from tests.ports import unused_port

READY_SECONDS = 120.0
# Of the relay's drain and of control's end, on a machine that stands still for a while.
STOP_SECONDS = 60.0
_DAYS_END_SECONDS = 100
# On a shared machine a relay that waits for a processor would pass over the very exchange that a test is about.
NEVER_BUSY = {"EQWATCH_RELAY_TAP_BUSY_PROCESSOR_SHARE": "0"}


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true value of the condition; fails with ``what`` where it is not true after the time is up."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return value


def get(url: str) -> tuple[int, str]:
    """Status and body; 0 where nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return 0, ""


@dataclass
class Sidecar:
    """A running ``eqwatch serve`` and where it listens."""

    child: Child
    data: str
    admin: str
    log: Path
    data_dir: Path = field(default_factory=Path)

    def metrics(self) -> dict[str, float]:
        """Every sample of a scrape, keyed as it is written."""
        samples = {}
        for line in get(f"{self.admin}/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                samples[key] = float(value)
        return samples

    def sum_of(self, name: str) -> float:
        """The sum of a family's samples over all labels."""
        return sum(v for k, v in self.metrics().items() if k == name or k.startswith(name + "{"))

    def json(self, path: str) -> Any:
        """A JSON answer of the admin API, or None where it is not 200."""
        status, body = get(f"{self.admin}{path}")
        return json.loads(body) if status == 200 else None

    def stop(self) -> None:
        """End it in order: what waited is written, and no file changes any more."""
        assert self.child.stop(STOP_SECONDS) == 0

    def control_pid(self) -> int:
        """The process id of the control child, 0 while there is none."""
        listed = subprocess.run(
            ["pgrep", "-P", str(self.child.pid), "-f", "middleware.control"],
            capture_output=True,
            text=True,
            check=False,
        )
        return int(listed.stdout.split()[0]) if listed.stdout.split() else 0

    def kill_control(self) -> int:
        """SIGKILL control and return the process id that it had."""
        pid = self.control_pid()
        assert pid, "control runs"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_control(self, *, other_than: int = 0) -> None:
        """Until a control process answers its health path."""
        wait_until(
            lambda: self.control_pid() not in {0, other_than} and get(f"{self.admin}/-/healthy")[0] == 200,
            seconds=READY_SECONDS,
            what="control answers its health path",
        )


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what the test started, in reverse order."""
    with ExitStack() as exit_stack:
        yield exit_stack


@pytest.fixture
def start_sidecar(stack: ExitStack, tmp_path: Path) -> Callable[..., Sidecar]:
    """Starts ``eqwatch serve`` in front of an upstream, with a configuration file's text and environment."""

    def start(upstream: str, config: str = "", *, wait: bool = True, **environment: str) -> Sidecar:
        folder = tmp_path / f"sidecar-{unused_port()}"
        folder.mkdir()
        (folder / "eqwatch.toml").write_text(config)
        admin = unused_port()
        log = folder / "log"
        command = eqwatch_command(
            *("serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{admin}"),
            *("--data-dir", str(folder / "data"), "--config", str(folder / "eqwatch.toml")),
        )
        child = stack.enter_context(running(Child("sidecar", command, log=log, environment=NEVER_BUSY | environment)))
        host, port = child.ready(READY_SECONDS)
        sidecar = Sidecar(child, f"http://{host}:{port}", f"http://127.0.0.1:{admin}", log, folder / "data")
        if wait:
            sidecar.wait_for_control()
        return sidecar

    return start


@pytest.fixture
def start_fake_upstream(stack: ExitStack, tmp_path: Path) -> Callable[..., str]:
    """Starts ``eqwatch fake-upstream`` with the given arguments; its base URL."""

    def start(*arguments: str) -> str:
        log = tmp_path / f"fake-upstream-{unused_port()}.log"
        command = eqwatch_command("fake-upstream", "--port", "0", *arguments)
        child = stack.enter_context(running(Child("fake-upstream", command, log=log)))
        return child.ready(READY_SECONDS)[0]

    return start


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real llama.cpp server with a real small chat model."""
    pytest.importorskip("xllamacpp", reason="the demo extra is not installed: pip install 'eqwatch[demo]'")
    command = [sys.executable, "-P", "-m", "middleware.demo.model_server"]
    child = Child("model-server", command, log=tmp_path_factory.mktemp("model") / "log")
    with running(child):
        yield child.ready(READY_SECONDS)[0]


@pytest.fixture
def within_a_day() -> None:
    """Begins after midnight (UTC) where that is near: a budget of the day would begin anew in mid-test."""
    left = 86_400 - time.time() % 86_400
    if left < _DAYS_END_SECONDS:
        time.sleep(left)


@pytest.fixture
def new_port() -> Callable[[], int]:
    """`unused_port`, for tests, which can't import from here."""
    return unused_port


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`wait_until`, for tests, which can't import from here."""
    return wait_until

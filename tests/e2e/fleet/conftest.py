"""A fleet of real processes: sidecars that report, one monitor, one upstream that is asked by both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from middleware.demo.processes import Child, eqwatch_command, running

SALT = "one salt for the whole fleet"
INGEST, READ = "ingest-token-of-the-test", "read-token-of-the-test"
READY_SECONDS = 60.0
# Of the relay's drain and of control's end, on a machine that stands still for a while.
STOP_SECONDS = 60.0


@dataclass
class Process:
    """A running command of eqwatch and its admin listener."""

    child: Child
    admin: str
    log: Path
    data: str = ""
    verify: Any = True
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> httpx2.Response | None:
        """An answer of the admin listener, or None where nobody listens."""
        try:
            with httpx2.Client(trust_env=False, timeout=30, verify=self.verify, headers=self.headers) as client:
                return client.get(self.admin + path)
        except httpx2.TransportError:
            return None

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """An answer to a JSON body."""
        with httpx2.Client(trust_env=False, timeout=60, verify=self.verify, headers=self.headers | headers) as client:
            return client.post(self.admin + path, json=body)

    def json(self, path: str) -> Any:
        """The body of a 200, or None."""
        answer = self.get(path)
        return answer.json() if answer is not None and answer.status_code == 200 else None

    def alive(self) -> bool:
        """Whether the admin listener answers."""
        answer = self.get("/-/healthy")
        return answer is not None and answer.status_code == 200

    def samples(self) -> dict[str, float]:
        """Every sample of a scrape, keyed as it is written."""
        answer = self.get("/metrics")
        lines = answer.text.splitlines() if answer is not None else []
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {key: float(value) for key, _, value in pairs}

    def sample(self, key: str) -> float:
        """One sample; 0 where there is none."""
        return self.samples().get(key, 0.0)

    def stop(self) -> None:
        """End it in order."""
        assert self.child.stop(STOP_SECONDS) == 0


@dataclass
class Fleet:
    """Starts processes in one folder. environment: of all of them."""

    folder: Path
    stack: ExitStack
    new_port: Callable[[], int]
    wait: Callable[..., Any]
    environment: dict[str, str]

    @contextmanager
    def monitor(
        self, config: str, port: int = 0, *extra: str, verify: Any = True, **environment: str
    ) -> Iterator[Process]:
        """`eqwatch monitor`, ended with the block."""
        name = f"monitor-{self.new_port()}"
        port = port or self.new_port()
        file, log = self.folder / f"{name}.toml", self.folder / f"{name}.log"
        file.write_text(config)
        command = eqwatch_command(
            *("monitor", "--admin-listen", f"127.0.0.1:{port}", "--data-dir", str(self.folder / "monitor-data")),
            *("--config", str(file), *extra),
        )
        given = {**self.environment, "EQWATCH_ADMIN_INGEST_TOKEN": INGEST, "EQWATCH_ADMIN_TOKEN": READ, **environment}
        with running(Child(name, command, log=log, environment=given)) as child:
            scheme = "http" if verify is True else "https"
            process = Process(child, f"{scheme}://127.0.0.1:{port}", log, verify=verify)
            process.headers = {"authorization": f"Bearer {READ}"}
            self.wait(process.alive, seconds=READY_SECONDS, what=f"the monitor answers: {log}")
            yield process

    def pod(self, upstream: str, monitor: str, config: str, **environment: str) -> Process:
        """`eqwatch serve --monitor`, ended with the test."""
        port = self.new_port()
        name = f"pod-{port}"
        file, log = self.folder / f"{name}.toml", self.folder / f"{name}.log"
        file.write_text(config)
        command = eqwatch_command(
            *("serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{port}"),
            *("--monitor", monitor, "--config", str(file), "--data-dir", str(self.folder / "never-made")),
        )
        given = {**self.environment, "EQWATCH_MONITOR_TOKEN": INGEST, **environment}
        child = self.stack.enter_context(running(Child(name, command, log=log, environment=given)))
        host, data_port = child.ready(READY_SECONDS)
        process = Process(child, f"http://127.0.0.1:{port}", log, f"http://{host}:{data_port}")
        # The relay's answer to control comes after control's credit, without which it would pass over an exchange.
        heard = "eqwatch_relay_start_time_seconds"
        self.wait(lambda: heard in process.samples(), seconds=READY_SECONDS, what="control has heard of its relay")
        return process


@pytest.fixture
def fleet(tmp_path: Path, stack: ExitStack, eventually: Callable[..., Any], new_port: Callable[[], int]) -> Fleet:
    """Nothing runs yet; every process of it has the same salt and an operator key."""
    environment = {
        "EQWATCH_SALT": SALT,
        "EQWATCH_LOG_LEVEL": "debug",
        # On a shared machine a relay that waits for a processor would pass over the very exchange of the test.
        "EQWATCH_RELAY_TAP_BUSY_PROCESSOR_SHARE": "0",
    }
    return Fleet(tmp_path, stack, new_port, eventually, environment)

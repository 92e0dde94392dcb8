"""A real Prometheus on recorded data: blocks made by promtool, a server that scrapes nothing, and its query API."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from middleware.demo.processes import free_port

__all__ = ["Prometheus", "missing", "serving"]

_READY_SECONDS = 120.0


class Prometheus:
    """Queries against a running server."""

    def __init__(self, url: str, client: httpx2.Client) -> None:
        self.url = url
        self._client = client

    def at(self, expr: str, time_: float) -> list[Any]:
        """The instant vector, as Prometheus writes it; raises ValueError with its own words where it refuses."""
        return self._asked("query", query=expr, time=time_)

    def over(self, expr: str, begins: float, ends: float, step: float) -> list[Any]:
        """The matrix."""
        return self._asked("query_range", query=expr, start=begins, end=ends, step=step)

    def _asked(self, path: str, **parameters: object) -> list[Any]:
        answer = self._client.post(f"{self.url}/api/v1/{path}", data=parameters).json()
        if answer["status"] != "success":
            raise ValueError(f"{answer['error']}: {parameters['query']}")
        result: list[Any] = answer["data"]["result"]
        return result


def missing() -> str:
    """What the machine lacks for this; empty where it lacks nothing."""
    lacking = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} missing: install Debian's prometheus" if lacking else ""


@contextmanager
def serving(exposition: Path, folder: Path) -> Iterator[Prometheus]:
    """A server whose database holds the exposition; ended by its id."""
    data = folder / "tsdb"
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(exposition), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n", encoding="utf-8")
    port = free_port(0)
    log = (folder / "prometheus.log").open("wb")
    server = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(timeout=60, trust_env=False) as client:
            _until_ready(client, url, server, folder / "prometheus.log")
            yield Prometheus(url, client)
    finally:
        server.terminate()
        server.wait(timeout=60)
        log.close()


def _until_ready(client: httpx2.Client, url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _READY_SECONDS
    while time.monotonic() < ends and server.poll() is None:
        try:
            if client.get(f"{url}/-/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"prometheus is not ready: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")

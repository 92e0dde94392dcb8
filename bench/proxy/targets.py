"""The proxies that are compared: how each is started on a free port in front of the mock, and which processes it is."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.proxy import account, loads
from bench.proxy.native import stopped
from middleware.demo.processes import free_port

__all__ = ["PROXY_CPU", "Running", "Site", "StartError", "Target", "launched", "nginx", "peers"]

PROXY_CPU = 1
_START_SECONDS = 90.0
_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
{user}
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_timeout 300s; keepalive_requests 1000000000;
  client_body_buffer_size 64k; client_max_body_size 64m;
  upstream mock {{
    server 127.0.0.1:{upstream};
    keepalive 2048; keepalive_requests 1000000000; keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 600s; proxy_next_upstream off;
    }}
  }}
}}
"""


class StartError(RuntimeError):
    """A proxy did not start; the text ends with what it wrote."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where targets are started: a folder for their files, the port of the mock, and the product as installed.

    product: what `install_compiled` made; None where only the sources are there.
    """

    folder: Path
    upstream: int
    product: Path | None = None

    def installed(self) -> dict[str, str]:
        """The environment in which Python runs the installed product rather than the sources."""
        return {} if self.product is None else {"PYTHONPATH": str(self.product)}


@dataclass(frozen=True, slots=True)
class Running:
    """A started proxy. own_process: only `pid` itself counts as its cost, not the processes below it."""

    port: int
    pid: int
    own_process: bool = False

    def pids(self) -> list[int]:
        """The processes whose CPU and memory are the proxy's."""
        return [self.pid] if self.own_process else account.tree(self.pid)

    def others(self) -> list[int]:
        """The processes below that are told separately (control)."""
        return account.descendants(self.pid) if self.own_process else []


@dataclass(frozen=True, slots=True)
class Target:
    """One column of the comparison. loads: names of the loads to run, or empty for all."""

    name: str
    start: Callable[[Site], AbstractContextManager[Running]]
    loads: frozenset[str] = frozenset()
    streams: bool = True
    """Whether memory per open stream and cancellation are measured too."""


@contextmanager
def launched(
    command: list[str],
    port: int,
    *,
    own_process: bool = False,
    environment: dict[str, str] | None = None,
) -> Iterator[Running]:
    """Run the command pinned to the proxies' CPU until the block ends; yields once it answers 200 through the mock."""
    env = {**os.environ, **(environment or {})}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=env, preexec_fn=_to_proxy_cpu)
        with stopped(process, seconds=10):
            try:
                _wait_until_answering(port, process)
            except StartError as error:
                raise StartError(f"{error}\n{_tail(log)}") from None
            account.pin(account.tree(process.pid), PROXY_CPU)
            yield Running(port, process.pid, own_process)
            if process.poll() is not None:
                raise RuntimeError(f"{command!r} ended with {process.returncode}\n{_tail(log)}")


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")[-1500:]


def _to_proxy_cpu() -> None:
    if PROXY_CPU in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {PROXY_CPU})


def _wait_until_answering(port: int, process: subprocess.Popen[bytes]) -> None:
    name = " ".join(str(part) for part in process.args) if isinstance(process.args, list) else str(process.args)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartError(f"{name} ended with {process.returncode} at its start")
        if _answers(port):
            return
        time.sleep(0.05)
    raise StartError(f"{name} did not answer within {_START_SECONDS:.0f} s")


def _answers(port: int) -> bool:
    body = loads.request_body(stream=False, wish="")
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(head.encode() + body)
            return s.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def nginx() -> Target:
    """nginx `proxy_pass` without response buffering: one worker, keep-alive on both sides."""

    @contextmanager
    def start(site: Site) -> Iterator[Running]:
        port = free_port(0)
        folder = site.folder / f"nginx-{port}"
        folder.mkdir()
        # A worker of a root master changes its user and could then not enter a private temporary folder.
        user = "user root;" if os.geteuid() == 0 else ""
        conf = folder / "nginx.conf"
        conf.write_text(_NGINX.format(folder=folder, upstream=site.upstream, port=port, user=user))
        with launched(["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(conf)], port) as running:
            yield running

    return Target("nginx", start)


def peers(python: str) -> tuple[list[Target], list[str]]:
    """The Python peers that can run, and why the others are left out. python: interpreter with aiohttp, LiteLLM."""
    found, skipped = (
        [Target("uvloop, bytes only", _own("byte_pipe")), Target("FastAPI + httpx2", _own("fastapi_httpx2"))],
        [],
    )
    has_aiohttp = subprocess.run([python, "-c", "import aiohttp"], capture_output=True, check=False).returncode == 0
    if has_aiohttp:
        found.append(Target("aiohttp", _aiohttp(python)))
    else:
        skipped.append(f"aiohttp: not installed for {python} (--peer-python names another interpreter)")
    beside = Path(python).parent / "litellm"
    litellm = str(beside) if beside.exists() else shutil.which("litellm")
    if litellm:
        found.append(Target("LiteLLM", _litellm(litellm)))
    else:
        skipped.append("LiteLLM: no litellm command beside --peer-python or on the PATH")
    return found, skipped


def _own(module: str) -> Callable[[Site], AbstractContextManager[Running]]:
    @contextmanager
    def start(site: Site) -> Iterator[Running]:
        port = free_port(0)
        command = [sys.executable, "-P", "-m", f"bench.proxy.peers.{module}", str(port), str(site.upstream)]
        with launched(command, port) as running:
            yield running

    return start


def _aiohttp(python: str) -> Callable[[Site], AbstractContextManager[Running]]:
    @contextmanager
    def start(site: Site) -> Iterator[Running]:
        port = free_port(0)
        script = Path(__file__).parent / "peers" / "aiohttp_proxy.py"
        with launched([python, str(script), str(port), str(site.upstream)], port) as running:
            yield running

    return start


def _litellm(command: str) -> Callable[[Site], AbstractContextManager[Running]]:
    @contextmanager
    def start(site: Site) -> Iterator[Running]:
        port = free_port(0)
        config = site.folder / f"litellm-{port}.yaml"
        model = f"{{model: openai/bench-1, api_base: 'http://127.0.0.1:{site.upstream}/v1', api_key: none}}"
        config.write_text(f"model_list:\n  - model_name: bench-1\n    litellm_params: {model}\n")
        arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        quiet = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            # Its own switch for local use: it listens on the loopback only, and a key check would only add to its cost.
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        with launched([command, *arguments], port, environment=quiet) as running:
            yield running

    return start

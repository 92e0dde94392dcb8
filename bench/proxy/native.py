"""The C parts: compiling them, and running the mock upstream and the load generator as child processes."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.proxy import loads
from bench.proxy.loads import Load

__all__ = ["CLIENT_CPU", "LoadError", "Native", "compile_native", "missing_tools", "stopped"]

CLIENT_CPU = 0
_SOURCES = Path(__file__).parent / "csrc"


class LoadError(Exception):
    """The load generator gave no figures: the proxy refused connections or closes them without end."""


def missing_tools() -> list[str]:
    """Programs that the bench needs and that this machine lacks."""
    return [tool for tool in ("gcc", "nginx") if shutil.which(tool) is None]


def compile_native(folder: Path) -> "Native":
    """Compile both C programs into the folder."""
    for name in ("mock_upstream", "load_generator"):
        command = ["gcc", "-O2", "-std=gnu11", "-Wall", "-o", str(folder / name), str(_SOURCES / f"{name}.c")]
        subprocess.run(command, check=True)
    return Native(folder)


@contextmanager
def stopped(process: subprocess.Popen[Any], seconds: float = 5.0) -> Iterator[None]:
    """End the process, by its id, when the block is left."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@dataclass(frozen=True, slots=True)
class Mock:
    """A running mock upstream."""

    port: int
    pid: int

    def stats(self) -> dict[str, int]:
        """Its counts: requests, cancelled, active, connections."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=5) as answer:
            found: dict[str, int] = json.load(answer)
        return found


@dataclass(frozen=True, slots=True)
class Native:
    """The compiled programs in their folder, which also takes the request bodies."""

    folder: Path

    @contextmanager
    def mock(self) -> Iterator[Mock]:
        """A mock upstream on a free port of 127.0.0.1, ended with the block."""
        process = subprocess.Popen(
            [str(self.folder / "mock_upstream"), "0"], stdout=subprocess.PIPE, text=True, preexec_fn=_to_client_cpu
        )
        with stopped(process):
            assert process.stdout is not None
            yield Mock(int(process.stdout.readline()), process.pid)

    def start_load(self, load: Load, port: int) -> subprocess.Popen[str]:
        """Start the load generator against a port; `finish_load` reads what it found."""
        options = {
            "port": port,
            "body": loads.body(load, self.folder),
            "connections": load.connections,
            "seconds": load.seconds,
            "warmup": load.warmup,
            "rate": load.rate,
            "spread": load.spread_ms,
            "vary": int(load.vary),
        }
        command = [str(self.folder / "load_generator")]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_to_client_cpu
        )

    def run_load(self, load: Load, port: int) -> Mapping[str, float]:
        """Run one load to its end; raises LoadError."""
        return finish_load(self.start_load(load, port), load)


def finish_load(process: subprocess.Popen[str], load: Load) -> Mapping[str, float]:
    """Wait for the load generator and return its figures; raises LoadError."""
    try:
        out, err = process.communicate(timeout=load.seconds + load.warmup + 60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LoadError(f"{load.name}: no end") from None
    if process.returncode != 0:
        raise LoadError(f"{load.name}: {err.strip()}")
    found: Mapping[str, float] = json.loads(out)
    return found


def _to_client_cpu() -> None:
    if CLIENT_CPU in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {CLIENT_CPU})

"""The installed command as a process, and a fake upstream as another one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from middleware.cli.app import command_line

COMMAND = str(Path(sys.executable).with_name("eqwatch"))
Eqwatch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def eqwatch() -> Eqwatch:
    """Runs `eqwatch ARGUMENTS` to its end."""

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=_environment(environment),
            check=False,
        )

    return run


@pytest.fixture
def in_process() -> Callable[..., str]:
    """Runs the same command in this process, which is faster: returns standard output, errors come as exceptions."""

    def run(*arguments: object, exit_code: int = 0, columns: int | None = 120) -> str:
        """columns: of the terminal; None where there is none."""
        result = CliRunner(env={"COLUMNS": None if columns is None else str(columns)}).invoke(
            command_line(), [*map(str, arguments)], catch_exceptions=False
        )
        assert result.exit_code == exit_code, result.output
        return result.stdout

    return run


@pytest.fixture(scope="session")
def start_eqwatch() -> Callable[..., Any]:
    """A context manager around `eqwatch ARGUMENTS` as a process that goes on; ended by its id at the latest."""

    @contextmanager
    def start(*arguments: object, **environment: str) -> "Iterator[subprocess.Popen[str]]":
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(environment),
            # A test runner in the background has SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    return start


@pytest.fixture(scope="session")
def fake_upstream(start_eqwatch: Callable[..., Any]) -> Callable[..., Any]:
    """A context manager around a running `eqwatch fake-upstream`; gives its base URL."""

    @contextmanager
    def serve(*arguments: object) -> Iterator[str]:
        with start_eqwatch("fake-upstream", "--port", 0, *arguments) as process:
            line = process.stdout.readline()
            assert line.startswith("ready http://127.0.0.1:"), process.stderr.read()
            yield line.split()[1]

    return serve


@pytest.fixture
def strong(tmp_path: Path) -> Path:
    """Recorded answers to four bundled items, of which the last has no numbers."""
    answers = {
        "marketing-001a": "Hopeful: 7\nDismissed: 2\nSatisfied: 1\nAmused: 0",
        "marketing-001b": "Hopeful: 1\nDismissed: 6\nSatisfied: 3\nHurt: 6",
        "marketing-002a": "Anxious: 7\nAmused: 3\nProud: 1\nRelieved: 0",
        "marketing-002b": "I would rather not.",
    }
    file = tmp_path / "strong.json"
    file.write_text(json.dumps({"model": "strong", "revise": False, "raw_inference": answers}))
    return file


def _environment(extra: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EQWATCH_")}
    return inherited | {"COLUMNS": "120", "NO_COLOR": "1"} | extra

"""The example applications as a user runs them: their own configuration, a real model, a real sidecar."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture
def example_module() -> Callable[[str], ModuleType]:
    """Loads one of the example applications, such as ``tutor/tutor.py``."""

    def load(path: str) -> ModuleType:
        name = f"example_{Path(path).stem}"
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


class Application:
    """A running example: lines go to its standard input, what it says is read from a file."""

    def __init__(self, process: "subprocess.Popen[str]", said: Path) -> None:
        self.process = process
        self._said = said

    def type(self, line: str) -> None:
        """One message of the user."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    @property
    def said(self) -> str:
        """Everything so far, both streams."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    def finish(self) -> int:
        """End of input; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(120)


@pytest.fixture
def start_example(stack: Any, tmp_path: Path) -> Callable[..., Application]:
    """Runs an example as a process of its own, ended with the test."""

    def start(path: str, *arguments: str) -> Application:
        said = tmp_path / "said.txt"
        out = stack.enter_context(said.open("w"))
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / path), *arguments],  # as a user would: its own folder is on the path
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        stack.callback(process.wait, 60)
        stack.callback(process.kill)
        return Application(process, said)

    return start


@pytest.fixture
def looked_at(eventually: Callable[..., Any]) -> Callable[[Any, str, int], None]:
    """Waits until the application could know what was felt in this turn of its conversation."""

    def wait(sidecar: Any, conversation: str, turn: int) -> None:
        path = f"/api/v1/conversations/{conversation}/emotions"

        def known() -> bool:
            body = sidecar.json(path)
            return body is not None and any(one["turn"] >= turn for one in body["emotions"].values())

        eventually(known, seconds=120, what=f"turn {turn} of {conversation} is answered and looked at")

    return wait


@pytest.fixture
def example_config() -> Callable[[str], str]:
    """The configuration that an example ships."""
    return lambda name: (EXAMPLES / name / "eqwatch.toml").read_text(encoding="utf-8")

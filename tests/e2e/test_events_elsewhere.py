"""A baseline that is accepted on the command line reaches who listens to the running sidecar."""

import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from middleware.demo.processes import eqwatch_command

REPLAY = Path(__file__).resolve().parents[2] / "examples" / "replay"
pytestmark = pytest.mark.timeout(400)


def test_accepting_a_baseline_is_heard_live(start_sidecar: Callable[..., Any]) -> None:
    """Without a restart and without asking anew."""
    sidecar = start_sidecar("http://127.0.0.1:9")
    answers = [part for _ in range(5) for part in ("--answers", str(REPLAY / "scripted-strong.json"))]
    baseline(sidecar, "create", "--items", "starter", *answers)
    with urllib.request.urlopen(f"{sidecar.admin}/api/v1/events", timeout=60) as stream:
        baseline(sidecar, "accept", "1")
        data = next(line for line in stream if line.startswith(b"data:"))
    heard = json.loads(data.removeprefix(b"data:"))
    assert heard["kind"] == "baseline_accepted"
    assert heard["details"]["model"] == "scripted-strong"


def baseline(sidecar: Any, *arguments: str) -> None:
    command = eqwatch_command("baseline", *arguments, "--data-dir", str(sidecar.data_dir))
    subprocess.run(command, capture_output=True, timeout=120, check=True)

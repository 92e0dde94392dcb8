"""The official OpenAI SDK for Node through the relay: the same values and the same error classes as direct."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "openai@7.57.0"
SCRIPT = Path(__file__).with_name("outcomes.mjs")
OPERATIONS = ["chat", "stream", "responses", "embeddings", "file"]
SCENARIOS = ["401", "404", "409", "429", "500", "503", "cut"]
CASES = [(name, "ok") for name in OPERATIONS] + [
    (n, s) for s in SCENARIOS for n in ("chat", "stream") if (n, s) != ("chat", "cut")
]
CASES += [("chat", "hang")]
pytestmark = pytest.mark.timeout(700)
OURS = [("stream", "reset"), ("stream", "close"), ("stream", "hang")]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with the SDK in it."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    (tmp_path / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", PACKAGE],
        cwd=tmp_path,
        check=True,
        timeout=300,
        capture_output=True,
    )
    return tmp_path


def outcomes(package: Path, cases: list[tuple[str, str, str]]) -> list[Any]:
    """What the SDK gave for each case."""
    command = ["node", str(SCRIPT), str(package), json.dumps(cases)]
    done = subprocess.run(command, check=True, timeout=300, capture_output=True)
    found: list[Any] = json.loads(done.stdout)
    assert len(found) == len(cases)
    return found


def test_the_node_sdk(places: Any, package: Path) -> None:
    """Chat, streams, embeddings, downloads, errors, cut streams and time-outs come out the same as direct."""
    direct = outcomes(package, [(name, places.direct, scenario) for name, scenario in CASES])
    assert [found[0] == "value" for found in direct] == [scenario == "ok" for _, scenario in CASES]
    through = outcomes(package, [(name, places.relay, scenario) for name, scenario in CASES])
    assert dict(zip(CASES, through, strict=True)) == dict(zip(CASES, direct, strict=True))
    ours = outcomes(
        package, [(name, places.impatient if scenario == "hang" else places.relay, scenario) for name, scenario in OURS]
    )
    assert [found[:3] for found in ours] == [
        ["InternalServerError", 502, "upstream_closed"],
        ["InternalServerError", 502, "upstream_closed"],
        ["InternalServerError", 504, "upstream_timeout"],
    ]

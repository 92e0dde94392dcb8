"""The short form of the fuzzing: every reader of foreign bytes, from the committed corpus."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "bench" / "fuzz" / "corpus"
RUNS = 20_000


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_seeds(target: str) -> None:
    """Each target has seeds, and every rule holds for each of them."""
    seeds = sorted((CORPUS / target).iterdir())
    assert len(seeds) >= 8
    for seed in seeds:
        TARGETS[target](seed.read_bytes())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_fuzzing(target: str, tmp_path: Path) -> None:
    """Thousands of inputs grown from the seeds under coverage guidance break no rule."""
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python: coverage-guided fuzzing is left out")
    command = [sys.executable, "-P", "-m", "bench.fuzz", target, "--runs", str(RUNS), "--minutes", "2", "--keep"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    tried = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    assert tried is not None
    assert int(tried[1]) >= 1000

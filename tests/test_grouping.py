"""What costs much to set up is set up once: tests of a group run in one worker of the parallel suite."""

import os
import subprocess
import sys
from pathlib import Path

PARTS = """
import pathlib, pytest

@pytest.mark.xdist_group("costly")
@pytest.mark.parametrize("number", range(8))
def test_part(number, worker_id):
    (pathlib.Path(__file__).parent / f"{number}.txt").write_text(worker_id)
"""


def test_a_group_runs_in_one_worker(tmp_path: Path) -> None:
    """As `scripts/test` distributes; a pytest that pytest-xdist does not know loses groups without a word."""
    for name in ("test_one.py", "test_other.py"):
        (tmp_path / name.removesuffix(".py")).mkdir()
        (tmp_path / name.removesuffix(".py") / name).write_text(PARTS)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-n2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--import-mode", "importlib", "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workers = [file.read_text() for file in tmp_path.glob("*/*.txt")]
    assert len(workers) == 16
    assert len(set(workers)) == 1

"""`python -m bench.delays` runs tests while what is done in threads begins and ends late."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.delays.__main__ import main

PARTS = """
import asyncio, subprocess, sys
import sitecustomize

def test_what_runs_in_a_thread_waits_before_and_after():
    pauses = []
    sitecustomize._sleep = pauses.append
    assert asyncio.run(asyncio.to_thread(divmod, 7, 4)) == (1, 3)
    assert len(pauses) == {pauses}

def test_also_in_processes_below():
    code = "import sitecustomize; print(sitecustomize.__file__)"
    said = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip().endswith("bench/delays/hook/sitecustomize.py")
"""


@pytest.mark.parametrize(("probability", "pauses"), [("1", 2), ("0", 0)])
def test_work_in_threads_is_late(tmp_path: Path, probability: str, pauses: int) -> None:
    """As often as was asked for, in pytest and in what it starts; arguments that are not ours are pytest's."""
    (tmp_path / "test_parts.py").write_text(PARTS.replace("{pauses}", str(pauses)))
    ours = ["--probability", probability, "--mean", "0"]
    assert (
        main([*ours, "-n0", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)])
        == 0
    )


def test_a_test_that_fails_is_told_by_the_exit_code(tmp_path: Path) -> None:
    """As pytest tells it."""
    (tmp_path / "test_parts.py").write_text("def test_it():\n    assert False\n")
    assert main(["-n0", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]) == 1


@pytest.mark.parametrize("wrong", [("--probability", "2"), ("--mean", "-1")])
def test_a_wrong_number_is_named(wrong: tuple[str, str]) -> None:
    """With its option, its value and what to give."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench.delays", *wrong], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"{wrong[0]} is {float(wrong[1])}: give " in done.stderr

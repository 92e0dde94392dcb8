"""The demonstration, as a new user runs it."""

import subprocess

import pytest

from middleware.demo.processes import eqwatch_command

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("real-model")]


def test_the_demonstration_shows_every_step() -> None:
    """`eqwatch demo --once` exits with 0, every step has shown something, and it says what is real and what is not."""
    pytest.importorskip("xllamacpp", reason="the demo extra is not installed: pip install 'eqwatch[demo]'")
    done = subprocess.run(eqwatch_command("demo", "--once"), capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for step in ("benchmark: shown", "conversations: shown", "upgrade: shown"):
        assert step in done.stdout
    assert "scripted: what the users say" in done.stdout
    assert "scripted: both models" in done.stdout
    assert "real: llama.cpp" in done.stdout
    assert "regressed" in done.stdout
    assert "/metrics" in done.stdout

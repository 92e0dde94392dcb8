"""`eqwatch run`, killed again and again, resumed by the same command each time."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, func, select

from bench.kills.parts import Outcome, requests_at, until, upstream
from bench.kills.seen import Seen, answers_in
from middleware.demo.processes import eqwatch_command
from middleware.store.schema import item_results

__all__ = ["kill_runs"]

ITEMS = 24
CONCURRENCY = 4
# Calls under way, and as many answers that wait to be saved.
_LOST_PER_KILL = 2 * CONCURRENCY
# As in serving.py: by answers, not by the clock.
_MOST_ANSWERS_OF_A_LIFE = 24
_LONGEST_MOMENT_SECONDS = 0.1


def kill_runs(folder: Path, kills: int, rng: random.Random, tell: Callable[[str], None]) -> Outcome:
    """So many SIGKILLs within one run, then its end; the report is held against that of a run that nobody killed."""
    passes = 4 * kills  # more than all lives ask together, also where a kill comes late
    with upstream(folder, "--latency", "50") as url:
        command = _command(url, folder / "killed", passes)
        seen = Seen(f"sqlite:///{folder / 'killed' / 'eqwatch.db'}")
        problems: list[str] = []
        for number in range(kills):
            _one_life(command, seen.url, rng)
            problems += seen.look()
            tell(f"run: kill {number + 1} of {kills}, {seen.count(item_results)} answers acknowledged")
        acknowledged = seen.count(item_results)
        report = _finished(command)
        calls = requests_at(url)
        problems += seen.look()
        clean = _finished(_command(url, folder / "clean", 1))
    wanted = {outcome: count * passes for outcome, count in clean["outcomes"].items()}
    attempts = _attempts(seen.url)
    checks = {
        f"outcomes are {report['outcomes']}, not {wanted}": report["outcomes"] == wanted,
        f"the score is {report['score']}, not {clean['score']}": abs(report["score"] - clean["score"]) < 0.01,
        f"{calls} calls for {ITEMS * passes} answers": calls <= ITEMS * passes + kills * _LOST_PER_KILL,
        f"{calls} calls, but only {attempts} counted": calls <= attempts,
    }
    problems += [words for words, held in checks.items() if not held]
    figures = {"answers": ITEMS * passes, "acknowledged before the last kill": acknowledged, "calls": calls}
    return Outcome("eqwatch run", kills, figures | {"attempts counted": attempts}, tuple(problems))


def _command(url: str, data_dir: Path, passes: int) -> list[str]:
    return eqwatch_command(
        *("run", "--upstream", url, "--model", "assistant", "--items", "starter", "--passes", str(passes)),
        *("--concurrency", str(CONCURRENCY), "--data-dir", str(data_dir), "--json"),
    )


def _one_life(command: list[str], store_url: str, rng: random.Random) -> None:
    """Start the run, let it save some answers, kill it a moment later."""
    enough = answers_in(store_url) + rng.randint(0, _MOST_ANSWERS_OF_A_LIFE)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: process.poll() is not None or answers_in(store_url) >= enough, "the run saves answers")
        time.sleep(rng.uniform(0.0, _LONGEST_MOMENT_SECONDS))
    finally:
        process.kill()
        _, said = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the run ended before it was killed, with exit code {process.returncode}: {said[-1000:]}")


def _finished(command: list[str]) -> dict[str, Any]:
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ended.stdout))


def _attempts(url: str) -> int:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(select(func.sum(item_results.c.attempts))).scalar_one())
    finally:
        engine.dispose()

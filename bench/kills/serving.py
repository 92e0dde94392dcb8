"""`eqwatch serve`, its control killed again and again while it asks batches and users talk through it."""

import json
import os
import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, func, select

from bench.kills.parts import READY_SECONDS, REPLAY, Outcome, get, until, upstream
from bench.kills.replay import differences
from bench.kills.seen import Seen, answers_in
from middleware.demo.processes import Child, eqwatch_command, free_port
from middleware.demo.upgrade import switch_models
from middleware.store.schema import baselines, budget_windows, events, item_results, probes, runs

__all__ = ["kill_control"]

_CONFIG = """
[benchmark]
model = "assistant"
items = ["starter"]
batch = 12
interval = "150ms"
commissioning_passes = 5
concurrency = 6
[budget]
tokens_per_day = 2000000000
[store]
url = {url}
[[deployments]]
name = "tutor"
kind = "tutoring"
purpose = "a study of kills"
sample_rate = 1.0
"""
# A life ends a moment after a random number of answers: the study does not depend on the machine's speed.
_MOST_ANSWERS_OF_A_LIFE = 40
_LONGEST_MOMENT_SECONDS = 0.2


def kill_control(folder: Path, store_url: str, kills: int, rng: random.Random, tell: Callable[[str], None]) -> Outcome:
    """So many SIGKILLs of control and, so that no back-off slows the study down, of its relay; the model gets worse in
    the middle, so that baselines, evidence and incidents are all on their way when a kill comes."""
    config = folder / "eqwatch.toml"
    config.write_text(_CONFIG.format(url=json.dumps(store_url)))
    weaker = ("--replay", f"assistant={REPLAY / 'scripted-weak.json'}", "--fingerprint", "fp_always")
    weaker += ("--noise", "mid", "--latency", "20")
    seen, problems = Seen(store_url), []
    with upstream(folder, *weaker) as url:
        for number in range(kills):
            if number == kills // 2:
                switch_models(url)
            _one_life(_Serving(folder, config, url), store_url, rng, number)
            problems += seen.look()
            tell(f"serve: kill {number + 1} of {kills}, {seen.count(item_results)} answers acknowledged")
        _last_life(folder, config, url)
        problems += seen.look()
    different, batches = differences(store_url, config, folder / "data")
    told, spent, counted = seen.count(events), *_tokens(store_url)
    if spent > counted:
        problems.append(f"{spent} tokens were spent and {counted} counted")
    figures = {
        "batches": batches,
        "answers": seen.count(item_results),
        "finished runs": seen.count(runs),
        "baselines": seen.count(baselines),
        "events": told,
        "probes": seen.count(probes),
        "tokens of answers": spent,
        "tokens counted": counted,
    }
    return Outcome(f"eqwatch serve on {store_url.partition(':')[0]}", kills, figures, (*problems, *different))


class _Serving:
    """One life of `eqwatch serve`. admin, data: where it listens."""

    def __init__(self, folder: Path, config: Path, upstream_url: str) -> None:
        self.admin = f"http://127.0.0.1:{free_port(0)}"
        command = eqwatch_command(
            *("serve", "--upstream", upstream_url, "--listen", "127.0.0.1:0"),
            *("--admin-listen", self.admin.removeprefix("http://"), "--data-dir", str(folder / "data")),
            *("--config", str(config)),
        )
        key = {"EQWATCH_UPSTREAM_API_KEY": "operator-key"}
        self.child = Child("serve", command, log=folder / "serve.log", environment=key)
        host, port = self.child.ready(READY_SECONDS)
        self.data = f"http://{host}:{port}"
        until(self._is_healthy, "control answers")

    def _is_healthy(self) -> bool:
        try:
            return get(f"{self.admin}/-/healthy") is not None
        except OSError:
            return False
        except ValueError:  # it answers, if not in JSON
            return True

    def talk(self, conversation: str) -> None:
        """One turn of a user."""
        body = {"model": "assistant", "messages": [{"role": "user", "content": "Nobody called today. I feel alone."}]}
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.data}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={
                "content-type": "application/json",
                "x-eqwatch-deployment": "tutor",
                "x-eqwatch-conversation": conversation,
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()

    def kill(self) -> None:
        """Control first; its relay only so that nothing waits for a back-off."""
        listed = subprocess.run(
            ["pgrep", "-P", str(self.child.pid), "-f", "middleware.control"], capture_output=True, text=True, check=True
        )
        os.kill(int(listed.stdout.split()[0]), signal.SIGKILL)
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.stop()


def _one_life(serving: _Serving, store_url: str, rng: random.Random, number: int) -> None:
    try:
        enough = answers_in(store_url) + rng.randint(0, _MOST_ANSWERS_OF_A_LIFE)
        serving.talk(f"conversation-{number}")
        until(lambda: answers_in(store_url) >= enough, "batches are asked")
        time.sleep(rng.uniform(0.0, _LONGEST_MOMENT_SECONDS))
    finally:
        serving.kill()


def _last_life(folder: Path, config: Path, url: str) -> None:
    """What was open is resumed and finished; then it ends as a deployment ends it."""
    serving = _Serving(folder, config, url)
    try:
        finished = [len(get(f"{serving.admin}/api/v1/runs?limit=500"))]
        until(lambda: len(get(f"{serving.admin}/api/v1/runs?limit=500")) >= min(500, finished[0] + 2), "batches go on")
    finally:
        serving.child.stop()


def _tokens(store_url: str) -> tuple[int, int]:
    """Tokens of all answers in the store, and what the budget of the days says was given out."""
    engine = create_engine(store_url)
    try:
        with engine.connect() as connection:
            of_answers = sum(
                int(
                    connection.execute(select(func.sum(table.c.prompt_tokens + table.c.completion_tokens))).scalar()
                    or 0
                )
                for table in (item_results, probes)
            )
            days = select(func.sum(budget_windows.c.tokens)).where(budget_windows.c.name.like("day%"))
            return of_answers, int(connection.execute(days).scalar() or 0)
    finally:
        engine.dispose()

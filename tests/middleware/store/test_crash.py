"""A writer that is killed at random moments loses and doubles nothing that it acknowledged."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine, text

from middleware.store import Store

ROUNDS = 8


def test_nothing_acknowledged_is_lost_or_doubled_when_the_writer_is_killed(store_url: str) -> None:
    """A real process, SIGKILL after a random number of its lines, resumed each time on the same store."""
    script = Path(__file__).with_name("writer.py")
    chance = random.Random(17)
    attempted: dict[str, int] = {}
    saved: set[str] = set()
    for _ in range(ROUNDS):
        with subprocess.Popen([sys.executable, str(script), store_url], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 40)):
                _record(process.stdout.readline(), attempted, saved)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                _record(line, attempted, saved)
        assert process.returncode == -signal.SIGKILL

    store = Store(store_url)
    assert store.open().set_aside is None
    results = store.item_results("r")
    found = [result.item_id for result in results]
    assert len(found) == len(set(found))
    assert len(saved) > ROUNDS
    assert saved <= set(found)
    # The last result of a round may be stored without having been acknowledged; no more than that.
    assert len(found) - len(saved) <= ROUNDS
    for result in results:
        assert result.score == float(result.item_id.removeprefix("item-")) + 1
    store.close()
    engine = create_engine(store_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT item_id, attempts FROM item_results"))
        attempts = {str(item): int(count) for item, count in rows}
    engine.dispose()
    assert all(attempts[item] >= count for item, count in attempted.items())  # spend is never under-counted


def _record(line: str, attempted: dict[str, int], saved: set[str]) -> None:
    if not line.endswith("\n"):
        return
    what, item = line.split()
    if what == "saved":
        assert item not in saved, "an acknowledged item was asked again"
        saved.add(item)
    else:
        attempted[item] = attempted.get(item, 0) + 1

"""How long a pass takes that waits for the upstream alone: `python -m bench.concurrency [--seconds N] [--calls N]`.

171 items at concurrency 16 against an upstream that takes 1 s for each call are 11 rounds: 11 s at least, 12 s at most.
Counted from the moment the run begins to the moment it is closed in the store; the start of the process is not in it.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from middleware.demo.processes import Child, eqwatch_command, running
from middleware.store import Store

__all__ = ["main"]

ITEMS = 171
_READY_SECONDS = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: within the bound, which is one second over what the rounds take; 1: not."""
    parser = argparse.ArgumentParser(prog="python -m bench.concurrency", description="A pass at a slow upstream.")
    parser.add_argument("--seconds", type=float, default=1.0, help="that the upstream takes for a call")
    parser.add_argument("--calls", type=int, default=16, help="at once")
    options = parser.parse_args(arguments)
    rounds = math.ceil(ITEMS / options.calls)
    bound = rounds * options.seconds + 1.0
    with tempfile.TemporaryDirectory(prefix="eqwatch-concurrency-") as name:
        took = measured(Path(name), options.seconds, options.calls)
    print(
        f"{ITEMS} items at concurrency {options.calls}, {options.seconds:g} s a call: {took:.2f} s "
        f"({rounds} rounds; at most {bound:.0f} s)"
    )
    return 0 if took <= bound else 1


def measured(folder: Path, seconds: float, calls: int) -> float:
    """Seconds from the beginning of the run to its end. Raises RuntimeError where an item was not answered."""
    command = eqwatch_command("fake-upstream", "--port", "0", "--items", "bundled", "--latency", str(1000 * seconds))
    with running(Child("fake-upstream", command, log=folder / "upstream.log")) as child:
        url = child.ready(_READY_SECONDS)[0]
        ended = subprocess.run(
            eqwatch_command(
                *("run", "--upstream", url, "--model", "any", "--items", "bundled", "--limit", str(ITEMS)),
                *("--concurrency", str(calls), "--data-dir", str(folder), "--json"),
            ),
            capture_output=True,
            text=True,
            check=True,
        )
    report = json.loads(ended.stdout)
    if sum(report["outcomes"].values()) != ITEMS or "api_error" in report["outcomes"]:
        raise RuntimeError(f"not every item was answered: {report['outcomes']}")
    with Store(f"sqlite:///{folder / 'eqwatch.db'}") as store:
        run = store.run(report["run_id"])
    if run is None or run.finished_at is None:
        raise RuntimeError("the run was not closed")
    return run.finished_at - run.started_at


if __name__ == "__main__":
    sys.exit(main())

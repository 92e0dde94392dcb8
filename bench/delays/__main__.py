"""`python -m bench.delays [--probability P] [--mean SECONDS] [pytest's arguments]`: a part of the suite with delays."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]

HOOK = Path(__file__).parent / "hook"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of pytest. A test that fails only because its limits are short for such delays is no finding."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.delays",
        description="Runs tests while work in threads begins and ends late, in every process that they start.",
        epilog="Other arguments go to pytest.",
    )
    parser.add_argument(
        "--probability", type=float, default=0.2, help="of a delay, before and after each piece of work"
    )
    parser.add_argument("--mean", type=float, default=0.06, help="of a delay, in seconds; five times as much at most")
    options, others = parser.parse_known_args(arguments)
    if not 0.0 <= options.probability <= 1.0:
        parser.error(f"--probability is {options.probability}: give a number from 0 to 1")
    if options.mean < 0.0:
        parser.error(f"--mean is {options.mean}: give seconds, 0 or more")
    paths = [str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
    delays = {"BENCH_DELAYS": f"{options.probability},{options.mean}", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "--tb=short", *others]
    return subprocess.run(command, env=os.environ | delays, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""`python -P -m bench.freshness`: how fresh estimates are, for the model as judge and for the anchor alone."""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from bench.freshness.measure import Freshness, measured
from bench.freshness.upstream import answering


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=10)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--judge-seconds", type=float, default=0.05, help="how long the judge takes for an answer")
    chosen = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(f"{chosen.conversations} conversations of {chosen.turns} turns, one after another")
    print("\n| judge | way | p50 ms | p95 ms | worst ms |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, answering(chosen.judge_seconds) as upstream:
        for name, anchor_only in ((f"model, {chosen.judge_seconds * 1000:g} ms", False), ("anchor only", True)):
            found = measured(
                upstream,
                Path(folder) / name.split(",")[0].replace(" ", "-"),
                anchor_only=anchor_only,
                conversations=chosen.conversations,
                turns=chosen.turns,
            )
            _show(name, found)


def _show(name: str, found: Freshness) -> None:
    for way, seconds in (("stream", found.streamed), ("pull", found.pulled)):
        p50, p95 = (seconds[min(len(seconds) - 1, int(share * len(seconds)))] for share in (0.5, 0.95))
        print(f"| {name} | {way} | {p50 * 1000:.0f} | {p95 * 1000:.0f} | {seconds[-1] * 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()

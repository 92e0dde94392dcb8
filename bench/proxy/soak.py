"""The long form: the relay under mixed load for an hour, and whether its memory grows.

    python -m bench.proxy.soak [--minutes 60] [--json FILE]

Each slice runs steady JSON, paced streams, large answers and refused calls side by side, then a burst on 64
connections, then clients that leave. Resident memory of the relay process is read when a slice has ended and nothing is
under way, told every ten minutes, and a line is fitted to what follows the first sixth of the time.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.proxy import account, streams
from bench.proxy.figures import slope
from bench.proxy.loads import Load
from bench.proxy.native import Mock, Native, finish_load, missing_tools
from bench.proxy.relay import CONTROL_RATE, relay
from bench.proxy.session import session
from bench.proxy.targets import Running

__all__ = ["main"]

_TELL_MINUTES = 10.0
_BESIDE = (
    Load("soak json", 32, 12.0, 0.0, rate=400),
    Load("soak streams", 50, 12.0, 0.0, stream=True, wish="delay=20 pace=20 chunks=150", spread_ms=3000),
    Load("soak large", 4, 12.0, 0.0, rate=20, wish="bytes=500000"),
    Load("soak refused", 4, 12.0, 0.0, rate=20, wish="status=429"),
)
_REFUSED = "soak refused"
_BURST = Load("soak burst", 64, 2.0, 0.0)

Point = tuple[float, float]


def _slice(native: Native, mock: Mock, running: Running) -> tuple[int, int]:
    """One slice of mixed load; returns requests and errors (429 where it was asked for is none)."""
    requests = errors = 0
    started = [(load, native.start_load(load, running.port)) for load in _BESIDE]
    started.append((_BURST, native.start_load(_BURST, running.port)))
    for load, process in started:
        figures = finish_load(process, load)
        requests += int(figures["requests"])
        errors += int(figures["errors"] + figures["stalled"])
        if load.name == _REFUSED:
            errors -= int(figures["requests"])
    for stream in (True, False):
        found = streams.cancelled(mock, running.port, stream=stream)
        requests += found.running
        errors += found.running - found.cancelled
    return requests, errors


def soak(native: Native, mock: Mock, running: Running, minutes: float) -> dict[str, object]:
    """Run slices until the time is over; returns memory over time (minutes, KiB), requests and errors."""
    begun = time.monotonic()
    points: list[Point] = []
    requests = errors = 0
    told = 0.0
    while (minute := (time.monotonic() - begun) / 60) < minutes:
        more, wrong = _slice(native, mock, running)
        requests, errors = requests + more, errors + wrong
        minute = (time.monotonic() - begun) / 60
        points.append((minute, float(account.resident_kib(running.pids()))))
        if minute - told >= _TELL_MINUTES or len(points) == 1:
            told = minute
            grown = points[-1][1] - points[0][1]
            print(
                f"minute {minute:5.1f}: {points[-1][1]:,.0f} KiB, {grown:+,.0f} since the first slice, "
                f"{requests:,} requests, {errors} errors",
                flush=True,
            )
    return {"points": points, "requests": requests, "errors": errors}


def growth(points: Sequence[Point], minutes: float) -> tuple[float, float] | None:
    """KiB per hour and its standard error, from what follows the first sixth; None for too few points."""
    later = [p for p in points if p[0] > minutes / 6]
    if len(later) < 3:
        return None
    per_minute, error = slope(later)
    return per_minute * 60, error * 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; returns 1 if there were errors."""
    parser = argparse.ArgumentParser(prog="python -m bench.proxy.soak", description="Memory of the relay over an hour.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write what was found here")
    options = parser.parse_args(arguments)
    missing = missing_tools()
    if missing:
        raise SystemExit(f"needs {' and '.join(missing)} on the PATH")
    with session([], random.Random(0), print) as s, relay(tap=0.1, control=CONTROL_RATE)(s.site) as running:
        found = soak(s.native, s.mock, running, options.minutes)
    points = found["points"]
    assert isinstance(points, list)
    fitted = growth(points, options.minutes)
    if fitted:
        print(f"growth {fitted[0]:+,.0f} KiB per hour, standard error {fitted[1]:,.0f}; {found['errors']} errors")
    else:
        print(f"too short for a slope; {found['errors']} errors")
    if options.json:
        options.json.write_text(json.dumps({**found, "growth_kib_per_hour": fitted}))
    return 1 if found["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())

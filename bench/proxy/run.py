"""Command of the proxy bench: `python -m bench.proxy`, or this file run as a script. See README.md beside it."""

import argparse
import random
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":  # as a script: import the project from its root, not the modules beside this file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from rich.console import Console

from bench.proxy import machine
from bench.proxy.loads import LOADS, Load, quickened
from bench.proxy.measure import DIRECT
from bench.proxy.native import missing_tools
from bench.proxy.page import put_section
from bench.proxy.relay import variants
from bench.proxy.report import Report, load_report, save_report
from bench.proxy.session import session
from bench.proxy.tables import as_markdown, show
from bench.proxy.targets import Target, nginx, peers

__all__ = ["main"]

_OPEN_FILES = 20_000
_PARTS = ("loads", "streams", "faults")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.proxy", description="Proxies side by side on one mock upstream."
    )
    parser.add_argument("--rounds", type=int, default=6, help="rounds of all loads (default 6)")
    parser.add_argument(
        "--tries", type=int, default=3, help="tries of memory and cancellation, on fresh processes (default 3)"
    )
    parser.add_argument("--pairs", type=int, default=12, help="paired rounds for each fault of control (default 12)")
    parser.add_argument(
        "--seed", type=int, default=None, help="seed of the random order (default: from the clock; printed)"
    )
    parser.add_argument("--parts", default=",".join(_PARTS), help=f"comma-separated, of {', '.join(_PARTS)}")
    parser.add_argument("--loads", default="", help="names of loads, comma-separated (default all)")
    parser.add_argument("--targets", default="", help="names of targets, semicolon-separated (default all)")
    parser.add_argument("--quick", action="store_true", help="a fifth of each load's time: a look, not a measurement")
    parser.add_argument(
        "--peer-python", default=sys.executable, help="interpreter that has aiohttp or LiteLLM installed"
    )
    parser.add_argument("--json", type=Path, help="write everything that was found here")
    parser.add_argument("--from-json", type=Path, help="measure nothing; show what an earlier run wrote")
    parser.add_argument("--markdown", type=Path, help="put the tables between the markers of this page")
    return parser


def _targets(options: argparse.Namespace) -> tuple[list[Target], list[str]]:
    relays, without = variants()
    others, skipped = peers(options.peer_python)
    found, skipped = [nginx(), *relays, *others], [*without, *skipped]
    if options.targets:
        names = [name.strip() for name in options.targets.split(";")]
        unknown = set(names) - {t.name for t in found}
        if unknown:
            raise SystemExit(f"no target {', '.join(sorted(unknown))}; there are: {'; '.join(t.name for t in found)}")
        found = [t for t in found if t.name in names]
    return found, skipped


def _loads(options: argparse.Namespace) -> Sequence[Load]:
    names = [name.strip() for name in options.loads.split(",")] if options.loads else [load.name for load in LOADS]
    unknown = set(names) - {load.name for load in LOADS}
    if unknown:
        raise SystemExit(f"no load {', '.join(sorted(unknown))}; there are: {', '.join(load.name for load in LOADS)}")
    chosen = [load for load in LOADS if load.name in names]
    return [quickened(load, 0.2) for load in chosen] if options.quick else chosen


def _measure(options: argparse.Namespace, arguments: Sequence[str]) -> Report:
    missing = missing_tools()
    if missing:
        raise SystemExit(f"needs {' and '.join(missing)} on the PATH")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    parts = options.parts.split(",")
    targets, skipped = _targets(options)
    loads = _loads(options)
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    report = Report(
        date=datetime.now(UTC).date().isoformat(),
        command=_command(arguments),
        seed=seed,
        rounds=options.rounds,
        machine=machine.describe(),
        targets=[DIRECT, *(t.name for t in targets)],
        skipped=skipped,
    )
    _tell(f"seed {seed}, {options.rounds} rounds")
    for reason in skipped:
        _tell(f"left out: {reason}")
    with session(targets, random.Random(seed), _tell) as running:
        todo = {
            "streams": lambda: running.streams(report, options.tries),
            "loads": lambda: running.rounds(report, options.rounds, loads),
            "faults": lambda: running.faults(report, options.pairs),
        }
        for part in (name for name in todo if name in parts):
            try:
                todo[part]()
            except RuntimeError as error:  # what was measured before is still worth showing
                _tell(f"{part}: {error}")
                report.skipped.append(f"{part}, at least in part: {str(error).splitlines()[0]}")
            if options.json:
                save_report(report, options.json)
    return report


def _command(arguments: Sequence[str]) -> str:
    """The command as a reader can repeat it: without the folders of this machine."""
    told = (Path(argument).name if Path(argument).is_absolute() else argument for argument in arguments)
    return shlex.join(["python", "-m", "bench.proxy", *told])


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or read, then show and write; returns the exit code (0: whatever the figures say)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    report = load_report(options.from_json) if options.from_json else _measure(options, arguments)
    show(report, Console())
    if options.markdown:
        put_section(options.markdown, as_markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

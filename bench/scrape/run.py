"""Runs 1,000 streams through the relay, in turn with and without a scraper, and prints what either one sees."""

import argparse
import gc
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from bench.proxy.loads import Load
from bench.proxy.native import LoadError, compile_native, missing_tools
from bench.proxy.targets import launched
from bench.scrape.control import filled
from middleware.demo.processes import free_port
from middleware.metrics import render
from middleware.records.relay import DeploymentMatch, Listener, RelayConfig, Tap, UpstreamTarget

__all__ = ["main", "quantile"]

_ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@dataclass
class Scrapes:
    """What one scraper saw. milliseconds: of each scrape, request to last byte."""

    milliseconds: list[float] = field(default_factory=list)
    bytes: int = 0
    lines: int = 0


@contextmanager
def scraping(url: str, interval: float) -> Iterator[Scrapes]:
    """Scrape as Prometheus does, in a thread, until the block ends."""
    found, ended = Scrapes(), threading.Event()

    def work() -> None:
        while not ended.wait(interval):
            request = urllib.request.Request(url, headers={"accept": _ACCEPT})  # noqa: S310 - loopback
            began = time.perf_counter()
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                body = answer.read()
            found.milliseconds.append((time.perf_counter() - began) * 1000)
            found.bytes, found.lines = len(body), body.count(b"\n")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def quantile(values: Sequence[float], share: float) -> float:
    """The value under which that share of them lies; nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables; exit code 2 where a tool is missing."""
    options = _options(arguments)
    if missing := missing_tools():
        print(f"needs {' and '.join(missing)}", file=sys.stderr)
        return 2
    load = Load(
        f"{options.streams} streams",
        options.streams,
        options.seconds,
        3.0,
        stream=True,
        wish=f"pace=500 chunks={int(2 * options.seconds + 20)}",
        spread_ms=500,
    )
    rng = random.Random(options.seed)
    delays: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    scrapes: list[Scrapes] = []
    with tempfile.TemporaryDirectory() as folder:
        native = compile_native(Path(folder))
        with native.mock() as mock, _relay(Path(folder), mock.port, options) as (port, admin):
            url = f"http://127.0.0.1:{admin}/metrics"
            _until_up(url)
            for _ in range(options.rounds):
                for scraped in rng.sample([False, True], 2):
                    if scraped:
                        with scraping(url, options.interval) as found:
                            delays[True].append(dict(native.run_load(load, port)))
                        scrapes.append(found)
                    else:
                        delays[False].append(dict(native.run_load(load, port)))
    _tell(options, delays, scrapes)
    return 0


@contextmanager
def _relay(folder: Path, upstream: int, options: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """The data port and the admin port of a running relay with its control."""
    port, admin = free_port(0), free_port(0)
    config = RelayConfig(
        upstream=UpstreamTarget("http", "127.0.0.1", upstream),
        listeners=(Listener("127.0.0.1", port),),
        tap=Tap(rate=0.1),
        deployments=tuple(DeploymentMatch(f"deployment-{number}") for number in range(options.deployments)),
    )
    path = folder / "relay.json"
    path.write_bytes(msgspec.json.encode(config))
    sizes = map(str, (admin, options.deployments, options.emotions, options.item_sets))
    command = [sys.executable, "-P", "-m", "bench.scrape.relay_process", str(path), *sizes]
    with launched(command, port):
        yield port, admin


def _until_up(url: str) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.1)
    raise LoadError(f"nobody answers {url}")


def _tell(options: argparse.Namespace, delays: dict[bool, list[dict[str, float]]], scrapes: Sequence[Scrapes]) -> None:
    taken = [value for found in scrapes for value in found.milliseconds]
    cpu = _cpu_milliseconds(filled(options.deployments, emotions=options.emotions, item_sets=options.item_sets))
    print(f"{options.deployments} deployments, {options.streams} streams of 2 chunks a second, {options.rounds} rounds")
    print(f"scrape: {scrapes[-1].lines} lines, {scrapes[-1].bytes / 1024:.0f} KiB, {len(taken)} scrapes")
    print(f"scrape, ms of CPU: p50 {quantile(cpu, 0.5):.1f}  max {max(cpu):.1f}")
    print(f"scrape, ms: p50 {quantile(taken, 0.5):.1f}  p99 {quantile(taken, 0.99):.1f}  max {max(taken):.1f}")
    names = [name for name in delays[True][0] if name.startswith("chunk_delay")]
    print(f"{'median over rounds':<22} {'not scraped':>12} {'scraped':>12}")
    for name in ("measured_chunks", "errors", "stalled", *names):
        without, with_ = (statistics.median(one[name] for one in delays[scraped]) for scraped in (False, True))
        print(f"{name:<22} {without:>12.3f} {with_:>12.3f}")


def _cpu_milliseconds(registry: CollectorRegistry, times: int = 50) -> list[float]:
    """Of writing control's families, alone in this process; the first time is left out."""
    found = []
    gc.collect()
    gc.freeze()  # as control does it
    for _ in range(times + 1):
        began = time.process_time()
        render(registry, _ACCEPT)
        found.append((time.process_time() - began) * 1000)
    return found[1:]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scrape", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--deployments", type=int, default=20)
    parser.add_argument("--emotions", type=int, default=4, help="of each deployment, 10 at most")
    parser.add_argument("--item-sets", type=int, default=1, help="of each deployment, 2 at most")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each round")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between scrapes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)

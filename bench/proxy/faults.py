"""Control killed, stopped, or never granting credit while the relay is under load: errors, and the change of CPU."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from bench.proxy import account
from bench.proxy.figures import Change, paired_change
from bench.proxy.loads import Load
from bench.proxy.measure import Sample, measure
from bench.proxy.native import Mock, Native
from bench.proxy.relay import CONTROL_RATE, relay
from bench.proxy.report import FaultResult
from bench.proxy.targets import Running, Site

__all__ = ["FAULTS", "LOAD", "run_faults"]

LOAD = Load("json c=64", 64, 2.0, 0.5)
_HEALTHY = "healthy"
_ATTACH_SECONDS = 120.0
_KILL_EVERY_SECONDS = 0.5
_SETTLE_SECONDS = 0.8


def run_faults(
    native: Native, mock: Mock, site: Site, rounds: int, rng: random.Random, tell: Callable[[str], None]
) -> list[FaultResult]:
    """On one relay, each round measures healthy control and every fault in random order; pairs are within a round."""
    samples: dict[str, list[Sample]] = {name: [] for name in (_HEALTHY, *FAULTS)}
    with relay(tap=0.1, control=CONTROL_RATE)(site) as running:
        for number in range(1, rounds + 1):
            tell(f"faults of control, round {number} of {rounds}")
            for name in rng.sample(list(samples), len(samples)):
                _wait_for_control(running)
                with FAULTS.get(name, _healthy)(running) as meanwhile:
                    samples[name].append(measure(native, mock, LOAD, running, meanwhile))
    return [_result(name, samples[_HEALTHY], samples[name]) for name in FAULTS]


def _result(name: str, healthy: list[Sample], faulty: list[Sample]) -> FaultResult:
    whole = [(h, f) for h, f in zip(healthy, faulty, strict=True) if not h.failure and not f.failure]
    changes: list[Change | None] = [None, None]
    if len(whole) > 1:
        changes = [
            paired_change([h.cpu_us or 0 for h, _ in whole], [f.cpu_us or 0 for _, f in whole]),
            paired_change([h.figures["p99_us"] for h, _ in whole], [f.figures["p99_us"] for _, f in whole]),
        ]
    told = [f.figures for f in faulty]
    return FaultResult(
        fault=name,
        cpu_change=changes[0],
        p99_change=changes[1],
        requests=int(sum(t.get("requests", 0) for t in told)),
        errors=int(sum(t.get("errors", 0) for t in told)) + sum(1 for f in faulty if f.failure),
        stalled=int(sum(t.get("stalled", 0) for t in told)),
    )


def _wait_for_control(running: Running) -> int:
    """The id of the control process once it runs; the relay restarts a killed one with a growing pause."""
    deadline = time.monotonic() + _ATTACH_SECONDS
    while time.monotonic() < deadline:
        found = running.others()
        if found:
            time.sleep(_SETTLE_SECONDS)
            return found[0]
        time.sleep(0.05)
    raise RuntimeError("the relay did not bring control back")


@contextmanager
def _healthy(_: Running) -> Iterator[None]:
    yield None


@contextmanager
def _killed(running: Running) -> Iterator[Callable[[], None]]:
    """SIGKILL to control again and again, as soon as the relay has brought it back."""

    def kill_again() -> None:
        deadline = time.monotonic() + LOAD.warmup + LOAD.seconds - 0.1
        while time.monotonic() < deadline:
            for pid in running.others():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_KILL_EVERY_SECONDS)

    yield kill_again


@contextmanager
def _told(running: Running, first: signal.Signals, last: signal.Signals) -> Iterator[None]:
    control = account.descendants(running.pid)[0]
    os.kill(control, first)
    try:
        yield None
    finally:
        os.kill(control, last)


@contextmanager
def _stopped(running: Running) -> Iterator[None]:
    with _told(running, signal.SIGSTOP, signal.SIGCONT):
        yield None


@contextmanager
def _never_granting(running: Running) -> Iterator[None]:
    with _told(running, signal.SIGUSR1, signal.SIGUSR2):
        yield None


FAULTS: dict[str, Callable[[Running], AbstractContextManager[Callable[[], None] | None]]] = {
    "killed again and again": _killed,
    "stopped (SIGSTOP)": _stopped,
    "never granting credit": _never_granting,
}
"""Each fault by name: entered before the load, its callable run beside it."""

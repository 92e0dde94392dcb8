"""The bars that the relay must clear, each as a function of a report, with the number that it is held against."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.proxy.report import Report
from bench.proxy.summary import MEASURES, figure

__all__ = ["TAP_ALL", "TAP_TENTH", "Outcome", "outcomes"]

TAP_TENTH = "relay, tap 10 %"
TAP_ALL = "relay, tap 100 %"
PLAIN = "relay"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One bar: found is None where the run did not measure it."""

    bar: str
    limit: str
    found: str | None
    met: bool | None


def _at_most(bar: str, limit: float, found: float | None, unit: str) -> Outcome:
    if found is None:
        return Outcome(bar, f"<= {limit:g} {unit}", None, None)
    return Outcome(bar, f"<= {limit:g} {unit}", f"{found:.2f} {unit}", found <= limit)


def _ratio(report: Report, load: str, target: str, key: str) -> float | None:
    found = figure(report, load, target, MEASURES[key]).ratio
    return found.median if found else None


def _added_ratio(report: Report, load: str, target: str) -> float | None:
    """Ratio of the medians: a single round's added p99 of nginx can be next to nothing."""
    own = figure(report, load, target, MEASURES["added_p99"]).value
    nginx = figure(report, load, "nginx", MEASURES["added_p99"]).value
    return own.median / nginx.median if own and nginx and nginx.median > 0 else None


_RATIO_BARS: tuple[tuple[str, float, Callable[[Report], float | None]], ...] = (
    ("CPU per request, 64 connections, 10 % tapped", 1.5, lambda r: _ratio(r, "json c=64", TAP_TENTH, "cpu")),
    ("CPU per request, 64 connections, all tapped", 1.6, lambda r: _ratio(r, "json c=64", TAP_ALL, "cpu")),
    ("the first again, no two heads equal", 1.5, lambda r: _ratio(r, "json c=64 varied", TAP_TENTH, "cpu")),
    ("CPU per SSE chunk, 50 streams x 50/s", 1.3, lambda r: _ratio(r, "sse 50x50/s", TAP_TENTH, "cpu")),
    ("chunk delay p99, same load", 1.5, lambda r: _ratio(r, "sse 50x50/s", TAP_TENTH, "chunk_p99")),
    ("added p99 at 1,000 requests/s", 1.5, lambda r: _added_ratio(r, "json 1000/s", TAP_TENTH)),
)


def outcomes(report: Report) -> Iterator[Outcome]:
    """Every bar with what this run found."""
    for bar, limit, take in _RATIO_BARS:
        yield _at_most(bar, limit, take(report), "x nginx")
    memory = report.memory.get(TAP_TENTH)
    yield _at_most("memory per open stream, 1,000 open", 12, max(memory) if memory else None, "KiB")
    for kind, found in (("streamed", report.streamed), ("not yet answered", report.waiting)):
        tries = found.get(TAP_TENTH, [])
        worst = min(tries, key=lambda c: c.cancelled, default=None)
        told = f"{worst.cancelled}/{worst.running}" if worst else None
        met = all(c.cancelled >= c.running >= 20 for c in tries) if tries else None
        yield Outcome(f"upstream cancelled within 0.7 s, {kind}", "20/20", told, met)
    for fault in report.faults:
        if fault.cpu_change is None:
            continue
        bound, wrong = fault.cpu_change.high, fault.errors + fault.stalled
        told = f"{wrong} errors, upper bound {bound:+.1f} %"
        yield Outcome(f"control {fault.fault}", "0 errors, < 8 % CPU", told, wrong == 0 and bound < 8)

"""From a report to figures: per load and target the spread over rounds, and the ratio to nginx round by round. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.proxy.figures import Spread, spread
from bench.proxy.measure import DIRECT, Sample
from bench.proxy.report import Report

__all__ = ["MEASURES", "Figure", "Measure", "figure", "measured_loads"]

NGINX = "nginx"
Taker = Callable[[Sample, Sample | None], float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One column: how it is taken from a sample and the direct one of the same round, and its unit."""

    key: str
    title: str
    take: Taker
    ratio: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of one target under one load, and the same as multiples of nginx in the same rounds."""

    value: Spread | None
    ratio: Spread | None


def _figure_of(name: str) -> Taker:
    return lambda sample, _: sample.figures.get(name)


def _quantile_of(name: str) -> Taker:
    """A quantile; the load generator tells 0 where it has seen nothing to take one of, which is no figure."""
    return lambda sample, _: sample.figures.get(name) or None


def _added(name: str) -> Taker:
    def take(sample: Sample, direct: Sample | None) -> float | None:
        if direct is None or sample.target == DIRECT:
            return None
        own, base = _quantile_of(name)(sample, None), _quantile_of(name)(direct, None)
        return None if own is None or base is None else own - base

    return take


MEASURES = {
    m.key: m
    for m in (
        Measure("cpu", "CPU µs", lambda s, _: s.cpu_us),
        Measure("control", "control's CPU µs", lambda s, _: s.control_us, ratio=False),
        Measure("rps", "requests/s", _figure_of("requests_per_second")),
        Measure("added_p50", "added p50 µs", _added("p50_us")),
        Measure("added_p99", "added p99 µs", _added("p99_us")),
        Measure("added_first", "added p50 to first chunk µs", _added("first_chunk_p50_us")),
        Measure("chunk_p99", "chunk delay p99 µs", _quantile_of("chunk_delay_p99_us")),
        Measure("errors", "errors", lambda s, _: _errors(s), ratio=False),
        Measure("foreign", "other CPU use", lambda s, _: s.foreign, ratio=False),
    )
}
"""All measures by key."""


def _errors(sample: Sample) -> float | None:
    if sample.failure:
        return None
    return sample.figures["errors"] + sample.figures["stalled"]


def measured_loads(report: Report) -> list[str]:
    """Names of the loads that the report holds, in order of first appearance."""
    return list(dict.fromkeys(s.load for s in report.samples))


def figure(report: Report, load: str, target: str, measure: Measure) -> Figure:
    """The spread over rounds of one measure, and of its ratio to nginx in the same round, where nginx is above zero."""
    samples = {(s.target, s.round): s for s in report.samples if s.load == load}
    values, ratios = [], []
    for (name, number), sample in samples.items():
        if name != target:
            continue
        direct = samples.get((DIRECT, number))
        value = measure.take(sample, direct)
        if value is None:
            continue
        values.append(value)
        yardstick = samples.get((NGINX, number))
        base = measure.take(yardstick, direct) if yardstick else None
        if measure.ratio and target != DIRECT and base is not None and base > 0:
            ratios.append(value / base)
    return Figure(spread(values), spread(ratios))


def ratios_of(values: Iterable[float], yardstick: Iterable[float]) -> Spread | None:
    """Ratios of two lists pair by pair, as far as both go."""
    return spread([v / n for v, n in zip(values, yardstick, strict=False) if n > 0])

"""Maps the relay's numbers to metric families at a scrape.

The relay owns these counters, so they go on rising through a restart of control. This collector keeps none: no
snapshot, no samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf

import structlog
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from middleware.metrics.catalogue import Family, family
from middleware.records.exchange import RelayCounters, RelayHistogram, RelaySnapshot

__all__ = ["RelayCollector"]

_log = structlog.get_logger(__name__)
_Labelled = Sequence[tuple[list[str], RelayHistogram]]


class RelayCollector(Collector):
    """A prometheus-client collector over the latest `RelaySnapshot`.

    snapshot: returns it without waiting, or None before the first one arrived. A family that the catalogue does not
    know, or that is malformed, is left out and logged once: one wrong number must not cost the whole scrape.
    """

    def __init__(self, snapshot: Callable[[], RelaySnapshot | None]) -> None:
        self._snapshot = snapshot
        self._complained: set[str] = set()

    def describe(self) -> Iterable[Metric]:
        """Nothing: families shared with control are merged by exposition.py, so no name is claimed here."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The families of the snapshot, in its order."""
        snapshot = self._snapshot()
        if snapshot is None:
            return
        start = family("relay_start_time_seconds")
        yield GaugeMetricFamily(start.full_name, start.help, snapshot.started_at)
        for counters in snapshot.counters:
            yield from self._mapped(counters.name, partial(_plain, counters=counters))
        for name, labels, values in snapshot.histograms:
            yield from self._mapped(name, partial(_histogram, names=labels, values=values))

    def _mapped(self, name: str, make: Callable[[Family], Metric]) -> Iterable[Metric]:
        try:
            yield make(family(name))
        except (KeyError, ValueError) as error:
            if name not in self._complained:
                self._complained.add(name)
                _log.warning("relay_metric_left_out", name=name, error=repr(error))


def _plain(entry: Family, counters: RelayCounters) -> Metric:
    if entry.type == "counter":
        made: Metric = CounterMetricFamily(entry.full_name, entry.help)
        name = entry.full_name
    elif entry.type == "gauge":
        made = GaugeMetricFamily(entry.full_name, entry.help)
        name = entry.full_name
    else:
        raise ValueError(f"{entry.name} is a {entry.type}, but came as a plain value")
    for values, number in counters.values:
        made.add_sample(name, _labels(counters.labels, values), number)
    return made


def _histogram(entry: Family, names: list[str], values: _Labelled) -> Metric:
    if entry.type != "histogram":
        raise ValueError(f"{entry.name} is a {entry.type}, but came as a histogram")
    made = HistogramMetricFamily(entry.full_name, entry.help)
    for label_values, histogram in values:
        labels = _labels(names, label_values)
        total = 0
        bounds = [*histogram.bounds, inf]
        for bound, count in zip(bounds, histogram.counts, strict=True):
            total += count
            made.add_sample(
                f"{entry.full_name}_bucket", {**labels, "le": "+Inf" if bound == inf else repr(float(bound))}, total
            )
        made.add_sample(f"{entry.full_name}_count", labels, total)
        made.add_sample(f"{entry.full_name}_sum", labels, histogram.sum)
    return made


def _labels(names: list[str], values: list[str]) -> dict[str, str]:
    return dict(zip(names, values, strict=True))

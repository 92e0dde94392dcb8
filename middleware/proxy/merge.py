"""Adds up the numbers of several relay processes. Pure."""

from collections.abc import Iterable

from middleware.records.exchange import RelayCounters, RelayHistogram, RelaySnapshot

__all__ = ["merged", "without_gauges"]

# What is a level now, not a count so far: it ends with its process.
_GAUGES = frozenset({"inflight_requests", "open_connections"})


def merged(snapshots: Iterable[RelaySnapshot]) -> RelaySnapshot:
    """The sum of at least one snapshot, label by label, with the earliest start; bounds are equal by construction."""
    every = list(snapshots)
    values: dict[str, dict[tuple[str, ...], float]] = {}
    labels: dict[str, list[str]] = {}
    histograms: dict[str, dict[tuple[str, ...], RelayHistogram]] = {}
    for snapshot in every:
        for counters in snapshot.counters:
            labels[counters.name] = counters.labels
            totals = values.setdefault(counters.name, {})
            for key, value in counters.values:
                totals[tuple(key)] = totals.get(tuple(key), 0.0) + value
        for name, names, rows in snapshot.histograms:
            labels[name] = names
            sums = histograms.setdefault(name, {})
            for key, histogram in rows:
                sums[tuple(key)] = _added(sums.get(tuple(key)), histogram)
    return RelaySnapshot(
        min(snapshot.started_at for snapshot in every),
        [
            RelayCounters(name, labels[name], [(list(key), value) for key, value in totals.items()])
            for name, totals in values.items()
        ],
        [(name, labels[name], [(list(key), one) for key, one in sums.items()]) for name, sums in histograms.items()],
    )


def without_gauges(snapshot: RelaySnapshot) -> RelaySnapshot:
    """What of a process that has ended still counts."""
    counters = [one for one in snapshot.counters if one.name not in _GAUGES]
    return RelaySnapshot(snapshot.started_at, counters, snapshot.histograms)


def _added(sum_so_far: RelayHistogram | None, one: RelayHistogram) -> RelayHistogram:
    if sum_so_far is None:
        return one
    counts = [a + b for a, b in zip(sum_so_far.counts, one.counts, strict=True)]
    return RelayHistogram(one.bounds, counts, sum_so_far.sum + one.sum)

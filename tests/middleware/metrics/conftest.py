"""A registry in which every family of the catalogue has data."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from middleware.metrics import CATALOGUE, Metrics, RelayCollector
from middleware.records.exchange import RelayCounters, RelayHistogram, RelaySnapshot


@pytest.fixture
def relay_snapshot() -> RelaySnapshot:
    """Every family that the relay feeds, with one series each."""
    relay = [entry for entry in CATALOGUE if entry.source != "control" and entry.name != "relay_start_time_seconds"]
    plain = [entry for entry in relay if entry.type != "histogram"]
    return RelaySnapshot(
        started_at=1_700_000_000.0,
        counters=[RelayCounters(e.name, list(e.labels), [([f"{n}_a" for n in e.labels], 3.0)]) for e in plain],
        histograms=[
            (e.name, list(e.labels), [([f"{n}_a" for n in e.labels], RelayHistogram([0.01, 0.1], [2, 1, 1], 0.75))])
            for e in relay
            if e.type == "histogram"
        ],
    )


@pytest.fixture
def full_registry(relay_snapshot: RelaySnapshot) -> CollectorRegistry:
    """A registry with the relay's families and one series of each of control's."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    registry.register(RelayCollector(lambda: relay_snapshot))
    for entry in CATALOGUE:
        if entry.source == "relay":
            continue
        made = getattr(metrics, entry.name)
        child = made.labels(**{name: f"{name}_b" for name in entry.labels}) if entry.labels else made
        match child:
            case Counter():
                child.inc(2)
            case Gauge():
                child.set(1.5)
            case Histogram():
                child.observe(4.0)
            case Info():
                child.info(dict.fromkeys(entry.info, "x"))
    return registry

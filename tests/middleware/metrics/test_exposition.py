"""The scrape's text is what the library would write, byte for byte."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from middleware.metrics import render
from middleware.metrics.exposition import exemplar, merged

ACCEPTS = {
    "none": "",
    "openmetrics": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "prometheus 3": (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1"
    ),
    "dots": "text/plain;version=1.0.0;escaping=dots",
    "values": "application/openmetrics-text;version=1.0.0;escaping=values",
}


class Families(Collector):
    """Families as a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        """As given."""
        return self.families


@pytest.mark.parametrize("accept", ACCEPTS.values(), ids=ACCEPTS)
def test_every_family_is_written_as_the_library_writes_it(full_registry: CollectorRegistry, accept: str) -> None:
    """Each kind of family, in each format that can be negotiated."""
    encode, content_type = choose_encoder(accept)
    expected = encode(Families(merged(full_registry)))
    assert render(full_registry, accept) == (expected, content_type)
    assert render(full_registry, accept) == (expected, content_type), "the second time, from what is remembered"


@pytest.mark.parametrize("accept", ACCEPTS.values(), ids=ACCEPTS)
def test_odd_texts_and_numbers_are_written_as_the_library_writes_them(accept: str) -> None:
    """Quotes, line ends and backslashes in help and labels; infinities, not-a-number, large and small values."""
    registry = CollectorRegistry()
    gauge = Gauge("odd", 'a "quoted"\nhelp \\ of two lines', ["text"], registry=registry)
    numbers = (float("inf"), float("-inf"), float("nan"), 1e6, 123456789.125, 1e21, -1e9, 0.1, -0.0, 5e-324, 3)
    for number, value in enumerate(numbers):
        gauge.labels(f'{number} "\\\n{{}},=').set(value)
    Counter("plain", "A counter.", registry=registry).inc()
    histogram = Histogram("took_seconds", "A histogram.", ["z", "a"], registry=registry, buckets=(0.5, 1e7))
    histogram.labels("1", "2").observe(0.25, exemplar("4bf92f3577b34da6a3ce929d0e0e4736"))
    encode, content_type = choose_encoder(accept)
    assert render(registry, accept) == (encode(Families(merged(registry))), content_type)


def test_an_exemplar_carries_the_trace_id_alone() -> None:
    """And only where OpenMetrics is spoken."""
    registry = CollectorRegistry()
    histogram = Histogram("took_seconds", "A histogram.", registry=registry)
    histogram.observe(0.25, exemplar("4bf92f3577b34da6a3ce929d0e0e4736"))
    histogram.observe(2.0, exemplar(""))
    opened = render(registry, ACCEPTS["openmetrics"])[0].decode()
    assert opened.count(" # {") == 1
    assert ' # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.25 ' in opened
    assert "trace_id" not in render(registry, "")[0].decode()

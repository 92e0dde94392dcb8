"""Renders a registry for a scrape: OpenMetrics or the plain text format, as the scraper asks.

Families of one name that come from control and from the relay are merged, families without data are left out, and so
are ``_created`` samples, which Prometheus would store as series of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

__all__ = ["exemplar", "merged", "render"]


def exemplar(trace_id: str) -> dict[str, str] | None:
    """What an observation may carry: the id of the trace that it was made in, and nothing else."""
    return {"trace_id": trace_id} if trace_id else None


class _Families(Collector):
    """The given families as a registry, which is what the encoders take."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families as given."""
        return self._families


def merged(registry: Collector) -> list[Metric]:
    """All families with data, one per name, sorted by name."""
    by_name: dict[str, Metric] = {}
    for metric in registry.collect():
        samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
        if not samples:
            continue
        known = by_name.get(metric.name)
        if known is None:
            known = by_name[metric.name] = Metric(metric.name, metric.documentation, metric.type, metric.unit)
        known.samples.extend(samples)
    return [by_name[name] for name in sorted(by_name)]


def render(registry: Collector, accept: str) -> tuple[bytes, str]:
    """The scrape's body and its content type, by the request's Accept header. Pure CPU work; no I/O."""
    encode, content_type = choose_encoder(accept)
    return encode(_Families(merged(registry))), content_type

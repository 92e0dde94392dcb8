"""Every number that the sidecar exports: the catalogue, the objects that are fed, and their rendering for a scrape."""

from middleware.metrics.catalogue import CATALOGUE, PREFIX, Family, family
from middleware.metrics.exposition import encoded, exemplar, merged, render
from middleware.metrics.registry import Metrics
from middleware.metrics.relay import RelayCollector

__all__ = [
    "CATALOGUE",
    "PREFIX",
    "Family",
    "Metrics",
    "RelayCollector",
    "encoded",
    "exemplar",
    "family",
    "merged",
    "render",
]

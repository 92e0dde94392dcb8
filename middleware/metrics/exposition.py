"""Renders a registry for a scrape: OpenMetrics or the plain text format, as the scraper asks.

Families of one name that come from control and from the relay are merged, families without data are left out, and so
are ``_created`` samples, which Prometheus would store as series of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

__all__ = ["encoded", "exemplar", "merged", "render"]

_OTHER_ESCAPING = ("dots", "values")
_SUFFIX = {"counter": "_total", "info": "_info"}


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
    return encoded(merged(registry), accept)


def encoded(families: list[Metric], accept: str) -> tuple[bytes, str]:
    """The same of families that were read already. In any thread."""
    encode, content_type = choose_encoder(accept)
    if any(f"escaping={scheme}" in content_type for scheme in _OTHER_ESCAPING):
        return encode(_Families(families)), content_type
    openmetrics = content_type.startswith("application/openmetrics-text")
    return _text(families, openmetrics=openmetrics), content_type


# The library's encoders look at each letter of each name and label of each sample, two thirds of a scrape's time. Names
# here are plain by the catalogue, and the same labels come at every scrape. Tested to give the same bytes.


def _text(families: Iterable[Metric], *, openmetrics: bool) -> bytes:
    lines: list[str] = []
    for metric in families:
        name, kind = metric.name, metric.type
        if not openmetrics and kind in _SUFFIX:
            name, kind = name + _SUFFIX[kind], "gauge" if kind == "info" else kind
        about = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
        if openmetrics:
            about = about.replace('"', r"\"")
        lines.append(f"# HELP {name} {about}\n# TYPE {name} {kind}\n")
        for sample in metric.samples:
            series = _series(sample.name, tuple(sample.labels.items()))
            extra = _exemplar(sample.exemplar) if openmetrics and sample.exemplar is not None else ""
            lines.append(f"{series} {_number(sample.value)}{extra}\n")
    if openmetrics:
        lines.append("# EOF\n")
    return "".join(lines).encode()


def _number(value: float) -> str:
    """As Go writes it, which the library knows for large and odd ones."""
    text = repr(value)
    if len(text) < 8 and text[-1].isdigit() and isinstance(value, float):
        return text
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


@lru_cache(maxsize=65_536)
def _series(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    """As it stands in a line. The cache is as bounded as the labels are: they come from closed sets."""
    return f"{name}{{{_pairs(labels)}}}" if labels else name


def _exemplar(found: Exemplar) -> str:
    at = "" if found.timestamp is None else f" {found.timestamp}"
    return f" # {{{_pairs(found.labels.items())}}} {_number(found.value)}{at}"


def _pairs(labels: Iterable[tuple[str, str]]) -> str:
    escaped = ((key, value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")) for key, value in labels)
    return ",".join(f'{key}="{value}"' for key, value in sorted(escaped))

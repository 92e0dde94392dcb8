"""PromQL from the metric catalogue: selectors and the few shapes of expression that the dashboards are made of.

A name that the catalogue does not know raises KeyError, so a metric that is renamed can't leave an empty panel behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from middleware.metrics.catalogue import family

__all__ = [
    "BY_SET",
    "Query",
    "alone",
    "average",
    "growth",
    "largest",
    "latest",
    "of",
    "per_second",
    "quantile",
    "smallest",
    "verdict",
]

BY_SET = ("deployment", "item_set")
# What the variables of every dashboard filter; the two first labels are Prometheus's own, on every series.
_FILTERS = {"job": "$job", "instance": "$instance", "deployment": "$deployment", "model_version": "$model"}
_OWN = ("job", "instance")
_PARTS = ("_bucket", "_sum", "_count")
_VERDICTS = {"pass": 1, "undecided": 2, "regressed": 3}


@dataclass(frozen=True, slots=True)
class Query:
    """legend: of its series, as Grafana writes it; in a table the name of its column. unit, states, decimals: of
    that column."""

    expr: str
    legend: str = ""
    unit: str = ""
    states: str = ""
    decimals: int | None = None


def of(name: str, *matchers: str) -> str:
    """The selector of a family; name as in the catalogue, for a histogram with ``_bucket``, ``_sum`` or ``_count``."""
    part = next((part for part in _PARTS if name.endswith(part) and _is_histogram(name.removesuffix(part))), "")
    entry = family(name.removesuffix(part))
    if entry.type == "histogram" and not part:
        raise ValueError(f"{name} is a histogram: name its _bucket, _sum or _count")
    labels = (*_OWN, *entry.labels, *entry.info)
    filters = [f'{label}=~"{variable}"' for label, variable in _FILTERS.items() if label in labels]
    return f"{entry.full_name}{part}{{{', '.join([*filters, *matchers])}}}"


def _is_histogram(name: str) -> bool:
    try:
        return family(name).type == "histogram"
    except KeyError:
        return False


def _by(labels: Sequence[str]) -> str:
    return f"by ({', '.join(labels)})"


def smallest(name: str, labels: Sequence[str] = BY_SET, *matchers: str) -> str:
    """One series for each group. A gauge has one owner; in the moment where two report, the worse one is shown."""
    return f"min {_by(labels)} ({of(name, *matchers)})"


def largest(name: str, labels: Sequence[str] = BY_SET, *matchers: str) -> str:
    """The same of a gauge whose large values are the worse ones."""
    return f"max {_by(labels)} ({of(name, *matchers)})"


def latest(info: str, labels: Sequence[str], extra: Sequence[str]) -> str:
    """An info metric as exactly one series for each group, with its extra labels, while it is being replaced too."""
    return f"topk {_by(labels)} (1, max {_by((*labels, *extra))} ({of(info)}))"


def per_second(counter: str, labels: Sequence[str], *matchers: str) -> str:
    """Rate of a counter of traffic, which moves all the time."""
    return f"sum {_by(labels)} (rate({of(counter, *matchers)}[$__rate_interval]))"


def growth(counter: str, labels: Sequence[str], *matchers: str, window: str = "$window") -> str:
    """Growth of a counter that moves with batches or probes, over a window that holds some."""
    return f"sum {_by(labels)} (increase({of(counter, *matchers)}[{window}]))"


def quantile(share: float, histogram: str, labels: Sequence[str] = (), *, window: str = "$__rate_interval") -> str:
    """A quantile of a histogram over all instances. window: ``$window`` for what moves with batches or probes."""
    change = "rate" if window == "$__rate_interval" else "increase"
    groups = _by(("le", *labels))
    return f"histogram_quantile({share:g}, sum {groups} ({change}({of(histogram + '_bucket')}[{window}])))"


def average(histogram: str, labels: Sequence[str]) -> str:
    """Mean of a histogram over the window; no value where nothing was observed."""
    total, number = (growth(histogram + part, labels) for part in ("_sum", "_count"))
    return f"{total} / ({number} > 0)"


def verdict() -> str:
    """The verdict on the newest upgrade as a number: 0 none in force, 1 pass, 2 undecided, 3 regressed."""
    parts = [f"{weight} * {largest('upgrade_verdict', BY_SET, _is(name))}" for name, weight in _VERDICTS.items()]
    return " + ".join(parts)


def _is(name: str) -> str:
    return f'verdict="{name}"'


def alone(expr: str, worst: str = "max") -> str:
    """One number over everything that is selected."""
    return f"{worst}({expr})"

"""Pieces of PromQL and of alert texts, with every metric and label checked against the catalogue. Evaluates nothing.

A metric or label that was renamed raises KeyError or ValueError as soon as the rules are imported.
"""

from collections.abc import Sequence

from middleware.metrics.catalogue import Family, family

__all__ = [
    "BY_DEPLOYMENT",
    "BY_SET",
    "SCOPE",
    "figure",
    "found",
    "held",
    "metric",
    "moment",
    "place",
    "select",
    "summed",
]

SCOPE = ("cluster", "namespace", "job")
"""Labels that Prometheus adds and that tell installations apart; where one is not in use, it is simply absent."""

BY_DEPLOYMENT = (*SCOPE, "deployment")
BY_SET = (*BY_DEPLOYMENT, "item_set")
_TARGET = frozenset({*SCOPE, "instance", "le"})
_PARTS = ("_bucket", "_sum", "_count")


def metric(name: str) -> str:
    """The name as Prometheus stores it; a histogram is read by its parts, such as ``proxy_overhead_seconds_count``."""
    entry, part = _entry(name)
    return entry.full_name + part


def select(name: str, **matchers: str) -> str:
    """A selector. matchers: label = value; a value that begins with ~ or !~ is a regular expression."""
    if unknown := set(matchers) - set(_entry(name)[0].labels):
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}")
    found = [_matcher(label, value) for label, value in matchers.items()]
    return metric(name) + (f"{{{','.join(found)}}}" if found else "")


def held(name: str, by: Sequence[str] = BY_SET, **matchers: str) -> str:
    """The gauge, whichever replica exports it just now: without the labels of one process."""
    return f"max by ({_labels(name, by)}) ({select(name, **matchers)})"


def summed(name: str, window: str, by: Sequence[str], **matchers: str) -> str:
    """How much a counter rose within the window, over all replicas."""
    return f"sum by ({_labels(name, by)}) (increase({select(name, **matchers)}[{window}]))"


def place(*labels: str) -> str:
    """Opens an alert's text: remembers where it fired, so that `figure` can look up more about the same place."""
    known = (*SCOPE, *labels)
    matchers = ",".join(f"{label}=%q" for label in known)
    values = " ".join(f"$labels.{label}" for label in known)
    return f"{{{{ $at := printf `{matchers}` {values} }}}}"


def figure(name: str, form: str = "%.1f", **matchers: str) -> str:
    """In an alert's text: the metric's value at the place, or ``unknown`` where it has none."""
    return _looked_up(name, f"value | printf `{form}`", matchers)


def moment(name: str, **matchers: str) -> str:
    """In an alert's text: the time that a timestamp gauge holds."""
    if not name.endswith("_timestamp_seconds"):
        raise ValueError(f"{name} is no time")
    return _looked_up(name, "value | humanizeTimestamp", matchers)


def _looked_up(name: str, shown: str, matchers: dict[str, str]) -> str:
    selector = select(name, **matchers)
    head, _, rest = selector.partition("{")
    return found(f"max({head}{{%s{',' + rest if rest else '}'})", shown)


def found(query: str, shown: str, at: str = "$at") -> str:
    """In an alert's text: the first value of a query, in which ``%s`` stands for the place, or ``unknown``."""
    value = f"{{{{ . | first | {shown} }}}}"
    return f"{{{{ with query (printf `{query}` {at}) }}}}{value}{{{{ else }}}}unknown{{{{ end }}}}"


def _entry(name: str) -> tuple[Family, str]:
    for part in _PARTS:
        try:
            entry = family(name.removesuffix(part)) if name.endswith(part) else None
        except KeyError:
            entry = None
        if entry is not None and entry.type == "histogram":
            return entry, part
    entry = family(name)
    if entry.type == "histogram":
        raise ValueError(f"{name} is a histogram: read one of its parts, {', '.join(_PARTS)}")
    return entry, ""


def _matcher(label: str, value: str) -> str:
    for operator in ("!~", "~"):
        if value.startswith(operator):
            sign = "!~" if operator == "!~" else "=~"
            return f'{label}{sign}"{value.removeprefix(operator)}"'
    return f'{label}="{value}"'


def _labels(name: str, by: Sequence[str]) -> str:
    if unknown := set(by) - set(_entry(name)[0].labels) - _TARGET:
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}")
    return ", ".join(by)

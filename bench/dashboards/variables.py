"""Puts values in place of Grafana's variables, as Grafana does before it asks Prometheus."""

import re
from collections.abc import Mapping

__all__ = ["EVERYTHING", "substituted"]

# What a dashboard shows when it is opened on the recorded day: everything, with counters over an hour.
EVERYTHING: Mapping[str, str] = {
    "job": ".+",
    "instance": ".+",
    "deployment": ".+",
    "model": ".+",
    "window": "1h",
    "datasource": "prometheus",
    "status_page": "http://127.0.0.1:8081",
    "__rate_interval": "10m",
    "__interval": "5m",
    "__range": "8h",
}
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def substituted(text: str, values: Mapping[str, str] = EVERYTHING) -> str:
    """The text with every variable replaced; KeyError for one that has no value."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)

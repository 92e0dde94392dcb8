"""Reads the admin listener of a sidecar as an application would: the API and the metrics."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from middleware.demo.processes import StartError

__all__ = ["AdminClient"]


class AdminClient:
    """url: of the admin listener, on loopback and without a token."""

    def __init__(self, url: str) -> None:
        self.url = url

    def json(self, path: str) -> Any:
        """A JSON answer, or None where it is not there (yet)."""
        body = self._get(path)
        return None if body is None else json.loads(body)

    def metric(self, name: str) -> float | None:
        """The first sample of that name, or None."""
        return next(iter(self._values(name, {})), None)

    def sum_of(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels."""
        return sum(self._values(name, labels))

    def _values(self, name: str, labels: Mapping[str, str]) -> list[float]:
        return [
            sample.value
            for family in text_string_to_metric_families(self._get("/metrics") or "")
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def wait_until_healthy(self, seconds: float) -> None:
        """Until control answers; raises StartError."""
        end = time.monotonic() + seconds
        while self._get("/-/healthy") is None:
            if time.monotonic() > end:
                raise StartError(f"the admin listener {self.url} did not answer within {seconds:.0f} s")
            time.sleep(0.1)

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - loopback
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

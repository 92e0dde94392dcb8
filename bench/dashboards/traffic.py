"""Scripted traffic through the relay's real counters."""

import numpy as np

from middleware.proxy.counters import Counters

__all__ = ["Traffic"]

_DIALECT = "openai_chat"


class Traffic:
    """Owns the counters of one relay. Answers get slower in the seventh hour, when the upstream has a bad moment."""

    def __init__(self, deployments: tuple[str, ...], started_at: float, rng: np.random.Generator) -> None:
        self.counters = Counters(started_at)
        self._deployments = deployments
        self._rng = rng

    def minute(self, hour: float, seconds: float) -> None:
        """A stretch of traffic; fewer requests at its ends than in the middle of the day."""
        counters, rng = self.counters, self._rng
        bad = 6.5 <= hour < 6.9
        for place, name in enumerate(self._deployments):
            busy = (0.25 + 0.12 * place) * (1.0 + 0.6 * np.sin(hour / 8.0 * np.pi))
            for _ in range(int(rng.poisson(busy * seconds))):
                self._request(name, bad)
        counters.inflight = int(rng.poisson(6.0))
        counters.open_clients = 18 + int(rng.poisson(4.0))
        counters.open_upstreams = 9 + int(rng.poisson(3.0))
        for _ in range(int(seconds * 2)):
            counters.lag.observe(float(rng.exponential(0.00015)))
        if rng.random() < 0.3:
            counters.count(counters.cancellations, self._deployments[0])
        if rng.random() < 0.05:
            counters.count(counters.refusals, "request_too_large")
        if rng.random() < 0.02:
            counters.count(counters.observer_errors, "tap")

    def _request(self, deployment: str, bad: bool) -> None:
        counters, rng = self.counters, self._rng
        cell = counters.cell(deployment, _DIALECT)
        code = int(rng.choice((502, 429))) if rng.random() < (0.2 if bad else 0.002) else 200
        cell.codes[code] = cell.codes.get(code, 0) + 1
        if code == 502:
            counters.count(counters.failures, "reset")
        first = float(rng.gamma(3.0, 0.12)) * (4.0 if bad else 1.0)
        cell.first_byte.observe(first)
        cell.duration.observe(first + float(rng.gamma(4.0, 0.9)))
        counters.overhead.observe(float(rng.gamma(4.0, 0.00003)))
        counters.received_bytes += int(rng.integers(600, 4_000))
        counters.sent_bytes += int(rng.integers(1_000, 9_000))

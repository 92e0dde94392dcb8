"""The relay's numbers: plain integers and bisected lists in the path, turned into records only when control asks."""

from bisect import bisect_left
from collections.abc import Iterable

from middleware.records.exchange import RelayCounters, RelayHistogram, RelaySnapshot

__all__ = ["CANCELLED_CODE", "Cell", "Counters", "Histogram"]

# requests_total's code for a request whose client left before the answer's head came.
CANCELLED_CODE = 499

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_SMALL_SECONDS = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0)


class Histogram:
    """Counts by upper bound, in seconds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def record(self) -> RelayHistogram:
        """The counts so far, as sent to control."""
        return RelayHistogram(list(self.bounds), list(self.counts), self.sum)


class Cell:
    """The numbers of one deployment and dialect."""

    __slots__ = ("codes", "deployment", "dialect", "duration", "first_byte")

    def __init__(self, deployment: str, dialect: str) -> None:
        self.deployment = deployment
        self.dialect = dialect
        self.codes: dict[int, int] = {}
        self.first_byte = Histogram(_SECONDS)
        self.duration = Histogram(_SECONDS)


class Counters:
    """All numbers of one relay process. Written by its protocols on the loop's thread only."""

    __slots__ = (
        "_cells",
        "accepted",
        "cancellations",
        "drops",
        "failures",
        "inflight",
        "lag",
        "observer_errors",
        "open_clients",
        "open_upstreams",
        "overhead",
        "received_bytes",
        "refusals",
        "restarts",
        "sent_bytes",
        "started_at",
    )

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self._cells: dict[tuple[str, str], Cell] = {}
        self.inflight = 0
        self.accepted = 0
        self.open_clients = 0
        self.open_upstreams = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.cancellations: dict[str, int] = {}
        self.failures: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.drops: dict[str, int] = {}
        self.restarts: dict[str, int] = {}
        self.observer_errors: dict[str, int] = {}
        self.overhead = Histogram(_SMALL_SECONDS)
        self.lag = Histogram(_SMALL_SECONDS)

    def cell(self, deployment: str, dialect: str) -> Cell:
        """The numbers of this deployment (a configured name or ``default``) and dialect (a closed set)."""
        key = (deployment, dialect)
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = Cell(deployment, dialect)
        return found

    @staticmethod
    def count(table: dict[str, int], name: str, number: int = 1) -> None:
        """Add to a name of a table."""
        table[name] = table.get(name, 0) + number

    def snapshot(self) -> RelaySnapshot:
        """Everything at this instant."""
        cells = self._cells.values()
        requests = [
            ([cell.deployment, cell.dialect, str(code)], float(n)) for cell in cells for code, n in cell.codes.items()
        ]
        return RelaySnapshot(
            self.started_at,
            [
                RelayCounters("requests_total", ["deployment", "dialect", "code"], requests),
                _labelled("client_cancellations_total", "deployment", self.cancellations.items()),
                _labelled("upstream_failures_total", "reason", self.failures.items()),
                _labelled("refusals_total", "code", self.refusals.items()),
                _labelled(
                    "transfer_bytes_total", "type", (("request", self.received_bytes), ("response", self.sent_bytes))
                ),
                RelayCounters(
                    "dropped_total", ["queue", "reason"], [(["tap", k], float(n)) for k, n in self.drops.items()]
                ),
                _labelled("worker_restarts_total", "worker", self.restarts.items()),
                _labelled("observer_errors_total", "observer", self.observer_errors.items()),
                RelayCounters("inflight_requests", [], [([], float(self.inflight))]),
                RelayCounters(
                    "open_connections",
                    ["side"],
                    [(["client"], float(self.open_clients)), (["upstream"], float(self.open_upstreams))],
                ),
            ],
            [
                (
                    "time_to_first_byte_seconds",
                    ["deployment", "dialect"],
                    [([c.deployment, c.dialect], c.first_byte.record()) for c in cells],
                ),
                (
                    "request_duration_seconds",
                    ["deployment", "dialect"],
                    [([c.deployment, c.dialect], c.duration.record()) for c in cells],
                ),
                ("proxy_overhead_seconds", [], [([], self.overhead.record())]),
                ("event_loop_lag_seconds", [], [([], self.lag.record())]),
            ],
        )


def _labelled(name: str, label: str, values: Iterable[tuple[str, int]]) -> RelayCounters:
    return RelayCounters(name, [label], [([value], float(n)) for value, n in values])

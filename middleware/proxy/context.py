"""What all connections of one relay share: settings, numbers, the pool, the observers. Wired by the relay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from middleware.proxy.answers import Answers
from middleware.proxy.counters import Counters
from middleware.proxy.deployments import Deployments
from middleware.proxy.heads import RequestRules
from middleware.records.exchange import RelaySnapshot
from middleware.records.relay import Limits, RelayConfig, Timeouts

if TYPE_CHECKING:
    from middleware.proxy.connection import ClientConnection
    from middleware.proxy.pool import Pool
    from middleware.proxy.tap import Tap

__all__ = ["SWEEP_SLICES", "Context"]

SWEEP_SLICES = 8

AccessLog = Callable[[dict[str, Any]], None]
FaultLog = Callable[[str, BaseException], None]


class Context:
    """One for each relay process, owned by it. clock: monotonic seconds; wall: Unix seconds.

    draining: no new work on old connections.
    """

    __slots__ = (
        "access_log",
        "admitted",
        "answers",
        "awareness",
        "clients",
        "clock",
        "counters",
        "deployments",
        "draining",
        "fault_log",
        "limits",
        "max_clients",
        "pool",
        "rules",
        "tap",
        "timeouts",
        "wall",
    )

    def __init__(
        self,
        config: RelayConfig,
        *,
        clock: Callable[[], float],
        counters: Counters,
        fault_log: FaultLog,
        access_log: AccessLog | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.limits: Limits = config.limits
        self.timeouts: Timeouts = config.timeouts
        self.max_clients = config.limits.connections
        self.admitted = 0
        self.rules = RequestRules(host_of(config), config.upstream.base_path.encode(), config.limits.headers)
        self.deployments = Deployments(config.deployments, config.key_salt, identify_clients=config.identify_clients)
        self.clock = clock
        self.wall = wall
        self.counters = counters
        self.fault_log = fault_log
        self.access_log = access_log
        # In slices, by the order of arrival, so that a sweep need not look at all of them at once.
        self.clients: tuple[set[ClientConnection], ...] = tuple(set() for _ in range(SWEEP_SLICES))
        self.draining = False
        # Filled by AwarenessUpdate: conversation -> header value, and when its age began by `clock`, or None.
        # The table is None while the response header is switched off.
        self.awareness: dict[bytes, tuple[bytes, float | None]] | None = {} if config.awareness_header else None
        self.answers = Answers()
        self.pool: Pool
        self.tap: Tap | None = None

    def snapshot(self) -> RelaySnapshot:
        """All numbers at this instant."""
        if self.tap is not None:
            self.tap.settle()
        return self.counters.snapshot()

    def contained(self, observer: str, error: Exception) -> None:
        """An observer failed: count it and log it once for each observer; traffic goes on."""
        table = self.counters.observer_errors
        if observer not in table:
            self.fault_log(observer, error)
        self.counters.count(table, observer)


def host_of(config: RelayConfig) -> bytes:
    """The value of Host for the upstream: without the port where it is the scheme's own."""
    target = config.upstream
    host = f"[{target.host}]" if ":" in target.host else target.host
    own = {"http": 80, "https": 443}.get(target.scheme)
    return (host if target.port == own else f"{host}:{target.port}").encode()

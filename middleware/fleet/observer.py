"""From the relay's exchanges to observations that wait for the monitor. No failure leaves this room."""

import asyncio
import secrets
import traceback
from collections.abc import Callable

import msgspec
import structlog

from middleware.metrics import Metrics
from middleware.records.conversation import Skipped
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation

__all__ = ["Observer"]

_log = structlog.get_logger(__name__)


class Observer:
    """Takes exchanges in order. pick: decodes, samples, redacts (traffic.selecting.Picking.pick_exchange), in a thread.

    forward: queues an observation, without waiting. new_id: names one for all attempts to deliver it.
    """

    def __init__(
        self,
        exchanges: asyncio.Queue[Exchange],
        *,
        pick: Callable[[Exchange], Observation | Skipped],
        forward: Callable[[Observation], object],
        metrics: Metrics,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._exchanges = exchanges
        self._pick = pick
        self._forward = forward
        self._metrics = metrics
        self._new_id = new_id

    async def run(self) -> None:
        """Observe until cancelled."""
        while True:
            exchange = await self._exchanges.get()
            try:
                await self._take(exchange)
            finally:
                self._exchanges.task_done()
                self._metrics.queue_depth.labels(queue="exchanges").set(self._exchanges.qsize())

    async def drained(self, seconds: float) -> None:
        """Wait, while `run` runs, until nothing waits, at most so long: a pod that ends still tells its last turns."""
        try:
            async with asyncio.timeout(seconds):
                await self._exchanges.join()
        except TimeoutError:
            _log.warning("exchanges_not_observed", waiting=self._exchanges.qsize())

    async def _take(self, exchange: Exchange) -> None:
        try:
            picked = await asyncio.to_thread(self._pick, exchange)
        except Exception as error:  # noqa: BLE001  one odd exchange must not stop the others
            # Neither the error's text nor local variables are logged: they may hold what was said.
            where = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("exchange_not_observed", error=type(error).__name__, where=f"{where.filename}:{where.lineno}")
            self._count(exchange.deployment, "error")
            return
        if isinstance(picked, Skipped):
            self._count(picked.deployment, picked.reason)
            if picked.detail:
                self._metrics.dropped_total.labels(queue="decode", reason=picked.detail).inc()
            return
        self._count(picked.deployment, "chosen")
        self._forward(msgspec.structs.replace(picked, id=self._new_id()))

    def _count(self, deployment: str, outcome: str) -> None:
        self._metrics.observed_exchanges_total.labels(deployment=deployment, outcome=outcome).inc()

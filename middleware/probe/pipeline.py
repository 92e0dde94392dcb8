"""From the queue of exchanges to probed turns. What is not probed is counted by reason; no failure leaves this room."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from middleware.metrics import Metrics
from middleware.records.conversation import ProbeResult, Skipped, Turn
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation

__all__ = ["Pipeline"]

_log = structlog.get_logger(__name__)
_Heard = TypeVar("_Heard", Exchange, Observation)


class Pipeline:
    """Takes exchanges in order, in a thread, and probes chosen turns concurrently. Owns the queue of waiting turns.

    intake: decodes, recognises and samples (traffic.intake.Intake.take). probe: ProbeWorker.probe. concurrency: probes
    that are under way at once, at most; waiting: turns that may wait for one, more are counted as ``queue_full``.
    observations, place: what was chosen before it came here, and what gives it its place (Intake.place).
    also: is shown each chosen turn before it is probed, without waiting: the answer key.
    """

    def __init__(
        self,
        exchanges: asyncio.Queue[Exchange],
        *,
        intake: Callable[[Exchange], Turn | Skipped],
        observations: asyncio.Queue[Observation] | None = None,
        place: Callable[[Observation], Turn | Skipped] | None = None,
        probe: Callable[[Turn], Awaitable[list[ProbeResult] | Skipped]],
        metrics: Metrics,
        concurrency: int = 2,
        waiting: int = 256,
        also: Callable[[Turn], object] = lambda _: None,
    ) -> None:
        self._exchanges = exchanges
        self._intake = intake
        self._observations: asyncio.Queue[Observation] = asyncio.Queue(1) if observations is None else observations
        self._place = place
        self._probe = probe
        self._metrics = metrics
        self._concurrency = concurrency
        self._also = also
        self._turns: asyncio.Queue[Turn] = asyncio.Queue(waiting)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_all(self._exchanges, self._intake, "exchanges"), name="probe-intake")
            if self._place is not None:
                group.create_task(self._take_all(self._observations, self._place, "arrivals"), name="probe-arrivals")
            for number in range(self._concurrency):
                group.create_task(self._probe_all(), name=f"probe-{number}")

    async def drained(self) -> None:
        """Wait, while `run` runs, until every exchange that was put in has been dealt with."""
        await self._exchanges.join()
        await self._observations.join()
        await self._turns.join()

    async def _take_all(
        self, queue: asyncio.Queue[_Heard], intake: Callable[[_Heard], Turn | Skipped], name: str
    ) -> None:
        while True:
            heard = await queue.get()
            try:
                await self._take(heard, intake)
            finally:
                queue.task_done()
                self._metrics.queue_depth.labels(queue=name).set(queue.qsize())

    async def _take(self, heard: _Heard, intake: Callable[[_Heard], Turn | Skipped]) -> None:
        try:
            taken = await asyncio.to_thread(intake, heard)
        except Exception as error:  # noqa: BLE001  one odd exchange must not stop the others
            self._failed(heard.deployment, error)
            return
        if isinstance(taken, Skipped):
            self._skip(taken)
            return
        self._also(taken)
        try:
            self._turns.put_nowait(taken)
        except asyncio.QueueFull:
            self._skip(Skipped(taken.deployment, "queue_full"))
            self._metrics.dropped_total.labels(queue="probe", reason="full").inc()
        self._metrics.queue_depth.labels(queue="probe").set(self._turns.qsize())

    async def _probe_all(self) -> None:
        while True:
            turn = await self._turns.get()
            self._metrics.queue_depth.labels(queue="probe").set(self._turns.qsize())
            try:
                done = await self._probe(turn)
                if isinstance(done, Skipped):
                    self._skip(done)
            except Exception as error:  # noqa: BLE001  a failed probe must not stop the others
                self._failed(turn.deployment, error)
            finally:
                self._turns.task_done()

    def _failed(self, deployment: str, error: Exception) -> None:
        # Neither the error's text nor local variables are logged: they may hold what was said.
        where = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("probe_failed", error=type(error).__name__, where=f"{where.filename}:{where.lineno}")
        self._skip(Skipped(deployment, "error"))

    def _skip(self, skipped: Skipped) -> None:
        labels = {"deployment": skipped.deployment, "outcome": skipped.reason}
        self._metrics.probe_conversations_total.labels(**labels).inc()
        if skipped.detail:
            self._metrics.dropped_total.labels(queue="decode", reason=skipped.detail).inc()

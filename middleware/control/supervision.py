"""Keeps background workers alive: a worker that fails is logged with its traceback, counted, and started again."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from middleware.records.worker import WorkerFailures

__all__ = ["Supervisor", "Worker"]

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
# A worker that ran this long without failing starts its back-off anew.
_HEALTHY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Worker:
    """name is a metric label, from a closed set; run serves until cancelled."""

    name: str
    run: Callable[[], Awaitable[None]]


class Supervisor:
    """Owns the state of each worker: ``running``, or why it waits to be started again."""

    def __init__(
        self,
        workers: list[Worker],
        *,
        count_restart: Callable[[str], None],
        rng: random.Random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._workers = workers
        self._count_restart = count_restart
        self._rng = rng
        self._clock = clock
        self._state = {worker.name: "starting" for worker in workers}
        self._failures = {worker.name: WorkerFailures() for worker in workers}

    @property
    def states(self) -> dict[str, str]:
        """Worker -> ``starting``, ``running`` or ``restarting: ErrorType``."""
        return dict(self._state)

    @property
    def failures(self) -> dict[str, WorkerFailures]:
        """Worker -> its restarts and the newest reason."""
        return dict(self._failures)

    async def run(self) -> None:
        """All workers, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(self._keep(worker), name=worker.name)

    async def _keep(self, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._state[worker.name] = "running"
            started = loop.time()
            try:
                await worker.run()
                reason = "ended"
            except Exception as error:  # noqa: BLE001 - the supervisor is where any failure of a worker ends
                _log.exception("worker_failed", worker=worker.name)
                reason = type(error).__name__
            self._state[worker.name] = f"restarting: {reason}"
            self._failures[worker.name] = WorkerFailures(
                self._failures[worker.name].restarts + 1, reason, self._clock()
            )
            self._count_restart(worker.name)
            if loop.time() - started > _HEALTHY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * self._rng.uniform(0.8, 1.2))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

"""A worker that fails is started again, counted and shown, and hurts no other worker."""

import asyncio
import contextlib
import random

from middleware.control.supervision import Supervisor, Worker
from middleware.records.worker import WorkerFailures


def test_a_failing_worker_is_restarted_and_its_sibling_goes_on() -> None:
    """Failure, restart and count; the sibling never notices; the state tells what happened."""

    async def scenario() -> None:
        restarts: list[str] = []
        attempts: list[int] = []
        recovered = asyncio.Event()
        sibling_started: list[int] = []

        async def fragile() -> None:
            attempts.append(1)
            if len(attempts) == 1:
                raise RuntimeError("broken")
            recovered.set()
            await asyncio.Event().wait()

        async def steady() -> None:
            sibling_started.append(1)
            await asyncio.Event().wait()

        supervisor = Supervisor(
            [Worker("fragile", fragile), Worker("steady", steady)],
            count_restart=restarts.append,
            rng=random.Random(1),
            clock=lambda: 17.0,
        )
        running = asyncio.ensure_future(supervisor.run())
        while not restarts:
            await asyncio.sleep(0)
        assert supervisor.states == {"fragile": "restarting: RuntimeError", "steady": "running"}
        failed = {"fragile": WorkerFailures(1, "RuntimeError", 17.0), "steady": WorkerFailures()}
        assert supervisor.failures == failed
        await asyncio.wait_for(recovered.wait(), 30)
        assert supervisor.states["fragile"] == "running"
        assert (restarts, sibling_started) == (["fragile"], [1])
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(scenario())


def test_a_worker_that_returns_is_started_again() -> None:
    """Workers serve until cancelled: an end without an error is a failure too."""

    async def scenario() -> None:
        restarts: list[str] = []

        async def short() -> None:
            return

        supervisor = Supervisor([Worker("short", short)], count_restart=restarts.append, rng=random.Random(1))
        running = asyncio.ensure_future(supervisor.run())
        while not restarts:
            await asyncio.sleep(0)
        assert supervisor.states == {"short": "restarting: ended"}
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(scenario())

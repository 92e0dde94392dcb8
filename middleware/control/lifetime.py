"""How long a control process runs: until its relay is gone, or a signal says so."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog

from middleware.control.link import RelayClosedError

__all__ = ["until_stopped"]

_log = structlog.get_logger(__name__)
# A relay that ends closes its side before it sends the signal; what it said last may still be in the socket.
_LAST_WORDS_SECONDS = 1.0


async def _nothing() -> None:
    return None


async def until_stopped(
    relay: Callable[[], Awaitable[None]] | None,
    workers: Callable[[], Awaitable[None]],
    ending: Callable[[], Awaitable[None]] = _nothing,
) -> int:
    """Run workers until the relay is gone (it ended, or it starts control anew) or a signal says so; the exit code.

    relay: serves its end of the socket; None where there is no relay. ending: awaited before the workers are stopped,
    after the last that the relay had to say where it is the relay that ends.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def until_relay_closes(serve: Callable[[], Awaitable[None]]) -> None:
        try:
            await serve()
        except* (RelayClosedError, ConnectionError):
            _log.info("relay_closed")
        finally:
            stop.set()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(workers))]
        served = [group.create_task(until_relay_closes(relay))] if relay is not None else []
        await stop.wait()
        if served:
            await asyncio.wait(served, timeout=_LAST_WORDS_SECONDS)
        await ending()
        for task in (*tasks, *served):
            task.cancel()
    return 0


async def _awaited(run: Callable[[], Awaitable[None]]) -> None:
    await run()

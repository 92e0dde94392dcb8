"""Runs the admin app on its own listener, as one worker among the others."""

import asyncio
import contextlib
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from middleware.control.listening import bound
from middleware.settings.schema import AdminSettings

__all__ = ["AdminServer"]

_DRAIN_SECONDS = 3
_TICKS_A_SECOND = 10
"""What uvicorn's tick counter counts; it renews the date header at every tenth."""


class _Server(uvicorn.Server):
    """Leaves signals to the composition root, and ticks once a second where uvicorn ticks ten times."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    def install_signal_handlers(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """End `serve` after the requests under way."""
        self.should_exit = True
        self._stopped.set()

    async def main_loop(self) -> None:
        """uvicorn's own, which wakes an idle process ten times a second to see whether it shall end."""
        seconds = 0
        while not await self.on_tick(seconds * _TICKS_A_SECOND):
            seconds += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), timeout=1.0)


class AdminServer:
    """Listens where the settings say, over TLS where they name a certificate.

    closing is called before open streams are waited for.
    """

    def __init__(self, app: FastAPI, settings: AdminSettings, *, closing: Callable[[], None]) -> None:
        self._listen = settings.listen
        self._closing = closing
        self._config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            ssl_certfile=settings.certificate or None,
            ssl_keyfile=settings.certificate_key or None,
        )

    async def run(self) -> None:
        """Serve until cancelled; open streams are ended first."""
        server = _Server(self._config)
        with bound(self._listen) as listener:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[listener]))
                try:
                    await asyncio.shield(serving)
                except asyncio.CancelledError:
                    self._closing()
                    server.stop()
                    await asyncio.wait({serving})
                    raise

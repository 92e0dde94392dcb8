"""Runs the admin app on its own listener, as one worker among the others."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from email.utils import formatdate

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.control.listening import bound
from middleware.settings.schema import AdminSettings

__all__ = ["AdminServer"]

_DRAIN_SECONDS = 3


class _Server(uvicorn.Server):
    """Leaves signals to the composition root, and sleeps where uvicorn ticks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield

    def stop(self) -> None:
        """End `serve` after the requests under way."""
        self.should_exit = True
        self._stopped.set()

    async def main_loop(self) -> None:
        """In place of uvicorn's own, which wakes an idle process to see whether it shall end and to renew the date."""
        await self._stopped.wait()


def _dated(app: ASGIApp) -> ASGIApp:
    """The app, with the date in each answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                message = {**message, "headers": [date, *message.get("headers", ())]}
            await send(message)

        await app(scope, receive, send_dated)

    return answer


class AdminServer:
    """Listens where the settings say, over TLS where they name a certificate.

    closing is called before open streams are waited for.
    """

    def __init__(self, app: FastAPI, settings: AdminSettings, *, closing: Callable[[], None]) -> None:
        self._listen = settings.listen
        self._closing = closing
        self._config = uvicorn.Config(
            _dated(app),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
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

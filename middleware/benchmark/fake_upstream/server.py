"""Runs the fake upstream on a socket and says when it is ready."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from middleware.benchmark.fake_upstream.connection import BreakableProtocol
from middleware.errors import ConfigurationError

__all__ = ["FakeServer", "bind", "serve_app"]


class FakeServer(uvicorn.Server):
    """uvicorn on a socket that is bound already, so that the address is known and free. Stop it by ``should_exit``."""

    def __init__(self, app: FastAPI, listener: socket.socket, ready: Callable[[str], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BreakableProtocol,
                log_config=None,
                access_log=False,
                lifespan="off",
                # Longer than any client keeps an idle connection, so that none is closed just as it is used again.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        self._listener = listener
        self._tell = ready

    @property
    def url(self) -> str:
        """The SDK-style base URL."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"

    def serve_listener(self) -> None:
        """Serve until told to stop; then the socket is closed."""
        with self._listener:
            self.run(sockets=[self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so once requests are answered."""
        await super().startup(sockets=sockets)
        self._tell(self.url)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 picks a free one. Raises ConfigurationError where the address is taken or not ours."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"can't listen on {host}:{port}: {error.strerror}; choose another --port") from None
    return listener


def serve_app(app: FastAPI, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ready is told the base URL once requests are answered."""
    FakeServer(app, bind(host, port), ready).serve_listener()

"""Access to the TCP connection below a request, which ASGI hides: needed to break it as real networks do."""

import asyncio
import socket
import struct

from fastapi import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["BreakableProtocol", "abort", "gone"]

_STATE = "eqwatch_transport"


class BreakableProtocol(HttpToolsProtocol):
    """uvicorn's protocol that hands its transport on to the application in the request's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport of this connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _STATE: transport}


def abort(request: Request) -> None:
    """Reset the connection: the client sees ECONNRESET, not a clean end."""
    transport: asyncio.Transport = request.scope["state"][_STATE]
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def gone(request: Request) -> None:
    """Wait until the client has left or the connection is broken."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

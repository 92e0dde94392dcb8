"""The admin listener's socket, apart from what is served on it: `eqwatch serve` tries it before anything starts."""

import socket
from pathlib import Path

__all__ = ["bound"]


def bound(listen: str) -> socket.socket:
    """The listening socket; raises OSError naming the address. uvicorn itself would end the process instead."""
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        return listener
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    return socket.create_server((host.strip("[]"), int(port)), family=family)

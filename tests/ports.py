"""Ports for programs that are told a number and bind it themselves, some time later."""

import random
import socket
from pathlib import Path

__all__ = ["unused_port"]

_ANY = random.SystemRandom()  # not pytest's: parallel workers must not draw the same numbers
_LOWEST, _FIRST_EPHEMERAL = 10_000, 32_768


def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, outside the range from which the system gives ports to whoever asks
    for any: between this answer and its use no connection and no other listener gets it by chance."""
    while True:
        port = _ANY.randrange(_LOWEST, _first_ephemeral())
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def _first_ephemeral() -> int:
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return _FIRST_EPHEMERAL
    return lowest if lowest > 2 * _LOWEST else _FIRST_EPHEMERAL

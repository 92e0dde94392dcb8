"""A stand-in for the control process: takes exchanges from the relay at a fixed rate and does nothing with them.

    python -m bench.proxy.control [RATE]        (started by the relay, which hands over the socket in EQWATCH_RELAY_FD)

Grants at most RATE exchanges a second and holds no more credit open than one second's worth. SIGUSR1 stops granting,
SIGUSR2 goes on. Asks for a snapshot every five seconds, as a scrape does. Ends when the relay closes the socket.
"""

import os
import select
import signal
import socket
import sys
import time

from middleware.records.exchange import Credit, Exchange, SnapshotRequest
from middleware.records.link import FrameBuffer, decode_from_relay, encode_frame

__all__ = ["Granting", "main"]

_TICK_SECONDS = 0.1
_SNAPSHOT_SECONDS = 5.0


class Granting:
    """Decides how much credit to grant: pure, so that its two limits are plain to see."""

    def __init__(self, per_second: int) -> None:
        self.enabled = True
        self._per_tick = max(1, round(per_second * _TICK_SECONDS))
        self._most = per_second
        self._open = 0

    def taken(self) -> None:
        """One exchange came."""
        self._open = max(0, self._open - 1)

    def next(self) -> int:
        """Credit to grant at this tick, 0 for none."""
        if not self.enabled:
            return 0
        grant = min(self._per_tick, self._most - self._open)
        self._open += grant
        return grant


def main(per_second: int) -> None:
    """Serve the socket until the relay closes it."""
    granting = Granting(per_second)
    signal.signal(signal.SIGUSR1, lambda *_: setattr(granting, "enabled", False))
    signal.signal(signal.SIGUSR2, lambda *_: setattr(granting, "enabled", True))
    frames = FrameBuffer()
    next_tick = time.monotonic()
    next_snapshot = next_tick + _SNAPSHOT_SECONDS
    with socket.socket(fileno=int(os.environ["EQWATCH_RELAY_FD"])) as link:
        link.setblocking(True)
        while True:
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + _TICK_SECONDS
                grant = granting.next()
                if grant:
                    link.sendall(encode_frame(Credit(grant)))
            if now >= next_snapshot:
                next_snapshot = now + _SNAPSHOT_SECONDS
                link.sendall(encode_frame(SnapshotRequest()))
            readable, _, _ = select.select([link], [], [], max(0.0, next_tick - time.monotonic()))
            if not readable:
                continue
            data = link.recv(262144)
            if not data:
                return
            for payload in frames.feed(data):
                if isinstance(decode_from_relay(payload), Exchange):
                    granting.taken()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)

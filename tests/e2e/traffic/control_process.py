"""A control process that does one thing wrong, or nothing but what the test says. Arguments: how, and a path.

``hand-over`` gives its end of the relay's socket to the test (over the Unix socket PATH) and lives on.
"""

import os
import random
import signal
import socket
import sys
import time

from middleware.records.exchange import AwarenessUpdate, Credit
from middleware.records.link import FrameBuffer, encode_frame


def main(how: str, path: str) -> None:
    """Behave as told."""
    if how == "exit":
        sys.exit(1)
    relay = socket.socket(fileno=int(os.environ["EQWATCH_RELAY_FD"]))
    relay.setblocking(True)
    if how == "hand-over":
        with socket.socket(socket.AF_UNIX) as test:
            test.connect(path)
            socket.send_fds(test, [b"x"], [relay.fileno()])
            relay.close()
            test.recv(1)
        return
    {
        "silent": silent,
        "deaf": deaf,
        "garbage": garbage,
        "flood": flood,
        "obedient": obedient,
        "deaf-to-term": stubborn,
    }[how](relay)


def silent(_relay: socket.socket) -> None:
    """Read nothing, say nothing, grant nothing."""
    signal.pause()


def stubborn(_relay: socket.socket) -> None:
    """The same, and do not end when asked to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)


def deaf(relay: socket.socket) -> None:
    """Ask for everything, read nothing."""
    relay.sendall(encode_frame(Credit(10**9)))
    signal.pause()


def garbage(relay: socket.socket) -> None:
    """Say nonsense until the relay has had enough, then come back for more."""
    rng = random.Random(1)
    relay.sendall(encode_frame(Credit(1000)) + b"\x00\x00\x00\x05\xc1junk" + rng.randbytes(1000))
    while True:
        relay.sendall(rng.randbytes(4096))


def flood(relay: socket.socket) -> None:
    """Endless awareness for endless conversations."""
    number = 0
    while True:
        number += 1
        relay.sendall(b"".join(encode_frame(AwarenessUpdate(f"c-{number}-{n}", "Joy=1" * 200)) for n in range(100)))


def obedient(relay: socket.socket) -> None:
    """Take every exchange."""
    relay.sendall(encode_frame(Credit(100)))
    frames = FrameBuffer()
    while data := relay.recv(65536):
        for _ in frames.feed(data):
            relay.sendall(encode_frame(Credit(1)))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
    except (ConnectionError, BrokenPipeError):
        sys.exit(0)

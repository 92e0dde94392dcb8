"""A time limit on the client's side for PostgreSQL: a frozen server keeps no limit of its own.

When the time is up the socket is shut down, so that the driver, which waits for an answer, sees a lost connection.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.exc import DisconnectionError

__all__ = ["check_alive", "within"]


@contextmanager
def within(seconds: float, connection: Any) -> Iterator[None]:
    """Cut the psycopg connection if the block takes longer; the block then fails as for any lost connection."""
    lock = threading.Lock()
    done = False

    def cut() -> None:
        with lock:  # not after the block: another transaction may use the connection by then
            if not done and not connection.closed:
                with socket.socket(fileno=os.dup(connection.fileno())) as duplicate, suppress(OSError):
                    duplicate.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            done = True


def check_alive(seconds: float, connection: Any) -> None:
    """Ask the server for a sign of life; raises DisconnectionError, on which the pool opens another connection.

    Instead of the pool's own ping, which would wait for a frozen server without end.
    """
    try:
        with within(seconds, connection):
            connection.execute("SELECT 1")
            connection.rollback()
    except connection.Error as error:
        raise DisconnectionError("the server gave no sign of life") from error

"""Whether transactions may begin: a store closes once those that are under way have ended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from middleware.errors import StoreUnavailable

__all__ = ["Door"]


class Door:
    """Owns whether the store is open, and how many transactions are under way. Used from any thread.

    A worker that is cancelled leaves a thread behind, which goes on with its transaction while the store is closed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = False
        self._inside = 0

    def open(self) -> None:
        """Let transactions in."""
        with self._changed:
            self._open = True

    def close(self) -> None:
        """Let no more in, and wait until the last one has ended; each has a limit of its own."""
        with self._changed:
            self._open = False
            self._changed.wait_for(lambda: not self._inside)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """For the time of a transaction; raises StoreUnavailable (``closed``)."""
        with self._changed:
            if not self._open:
                raise StoreUnavailable("the store is not open", reason="closed")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

"""Whether the last transactions worked: what readiness tells, without asking the store anything."""

from collections.abc import Iterator
from contextlib import contextmanager

from middleware.errors import StoreUnavailable

__all__ = ["Health"]


class Health:
    """Owns the reason of the last failure, for reading and writing apart: a full disk can still be read."""

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    @property
    def failing(self) -> str:
        """Why the newest transaction of either kind failed, or empty."""
        return next(iter(list(self._failing.values())), "")  # a copy: other threads change it meanwhile

    @contextmanager
    def noted(self, kind: str) -> Iterator[None]:
        """Take note of how a transaction ends."""
        try:
            yield
        except StoreUnavailable as error:
            self._failing[kind] = error.reason
            raise
        self._failing.pop(kind, None)

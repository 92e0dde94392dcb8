"""Remembers the last request head of a connection, so that the same head is not judged twice.

SDKs send the same head with every request of a connection, but for its Content-Length: what is compared is every byte
before and after that number.
"""

from __future__ import annotations

from middleware.proxy.counters import Cell
from middleware.proxy.heads import RequestHead
from middleware.records.relay import DeploymentMatch

__all__ = ["Memo"]

_LENGTH_LINE = b"\r\nContent-Length: "
_MAX_DIGITS = 15


class Memo:
    """One judged head with a Content-Length, and where its requests belong."""

    __slots__ = (
        "_after",
        "_before",
        "_forwarded_after",
        "_forwarded_before",
        "_same_after",
        "_start",
        "_stop",
        "cell",
        "head",
        "key_id",
        "match",
    )

    def __init__(self, raw: bytes, head: RequestHead, cell: Cell, match: DeploymentMatch, key_id: str) -> None:
        self.head = head
        self.cell = cell
        self.match = match
        self.key_id = key_id
        self._before, self._after = _around_length(raw)
        self._forwarded_before, self._forwarded_after = _around_length(head.forwarded)
        self._same_after = self._after == self._forwarded_after
        self._start = len(self._before)
        self._stop = self._start + _MAX_DIGITS + len(self._after)

    @classmethod
    def of(cls, raw: bytes, head: RequestHead, cell: Cell, match: DeploymentMatch, key_id: str) -> Memo | None:
        """A memo, or None where the head has no Content-Length as SDKs write it."""
        if head.length < 0 or _LENGTH_LINE not in raw or _LENGTH_LINE not in head.forwarded:
            return None
        return cls(raw, head, cell, match, key_id)

    def match_whole(self, data: bytes, limit: int) -> int:
        """Where the body begins, if the data is the same head with its whole body (within the limit), else 0."""
        if not data.startswith(self._before):
            return 0
        stop = data.find(self._after, self._start, self._stop)
        digits = data[self._start : stop]
        if stop < 0 or not digits.isdigit():
            return 0
        end = stop + len(self._after)
        length = int(digits)
        return end if length == len(data) - end and length <= limit else 0

    def forward(self, data: bytes, end: int) -> bytes:
        """What to send upstream for data that matched."""
        if self._same_after:
            return self._forwarded_before + data[self._start :]
        digits = data[self._start : end - len(self._after)]
        return b"".join((self._forwarded_before, digits, self._forwarded_after, data[end:]))


def _around_length(head: bytes) -> tuple[bytes, bytes]:
    start = head.index(_LENGTH_LINE) + len(_LENGTH_LINE)
    return head[:start], head[head.index(b"\r\n", start) :]

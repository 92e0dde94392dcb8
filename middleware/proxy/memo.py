"""Remembers the last request head of a connection, so that the same head is not judged twice.

SDKs send the same head with every request of a connection, but for its Content-Length and, where calls are traced, the
ids of the request: what is compared is every byte around these. An id may only be of letters, digits and dashes and as
long as the one that was judged, in a line that no rule names: whatever it says, the judgement would be the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from middleware.proxy.counters import Cell
from middleware.proxy.heads import RequestHead
from middleware.records.relay import DeploymentMatch

__all__ = ["Memo"]

_LENGTH_LINE = b"\r\nContent-Length: "
_MAX_DIGITS = 15
_MAX_IDS = 4
# Lines that carry an id: no rule looks at them, and neither does the tap.
_ID_LINE = re.compile(
    rb"(?i:traceparent|idempotency-key|request-id|(?!x-eqwatch-|x-api-key)x-[a-z0-9-]{1,64}): ([0-9A-Za-z-]{4,128})"
)


class Memo:
    """One judged head with a Content-Length, and where its requests belong. raw: the head as it came."""

    __slots__ = ("_forwarded", "_last", "_literals", "cell", "head", "key_id", "match", "raw")

    def __init__(
        self,
        raw: bytes,
        head: RequestHead,
        cell: Cell,
        match: DeploymentMatch,
        key_id: str,
        ids: Sequence[bytes],
    ) -> None:
        self.raw = raw
        self.head = head
        self.cell = cell
        self.match = match
        self.key_id = key_id
        # What stands before each hole, with the hole's size; 0 for the number after Content-Length.
        *self._literals, (self._last, _) = _around_holes(raw, ids)
        self._forwarded = [literal for literal, _ in _around_holes(head.forwarded, ids)]

    @classmethod
    def of(
        cls, raw: bytes, head: RequestHead, cell: Cell, match: DeploymentMatch, key_id: str, before: Memo | None
    ) -> Memo | None:
        """A memo, or None where the head has no Content-Length as SDKs write it.

        before: the connection's last memo, which the head did not match; ids in which they differ may differ again.
        """
        if head.length < 0 or _LENGTH_LINE not in raw or _LENGTH_LINE not in head.forwarded:
            return None
        ids = _changed_ids(before.raw, raw) if before is not None else []
        # An id that does not pass on, or stands there twice, can't be put in its place.
        usable = all(raw.count(line) == head.forwarded.count(line) == 1 for line in ids)
        return cls(raw, head, cell, match, key_id, ids if usable else [])

    def repeat(self, data: bytes, limit: int) -> tuple[bytes, int] | None:
        """What to send upstream, and where the body begins, if the data is the same head with its whole body (within
        the limit); else None."""
        if len(self._literals) > 1:
            return self._repeat_with_ids(data, limit)
        before = self._literals[0][0]
        if not data.startswith(before):
            return None
        at = len(before)
        stop = data.find(self._last, at, at + _MAX_DIGITS + len(self._last))
        digits = data[at:stop]
        if stop < 0 or not digits.isdigit():
            return None
        end = stop + len(self._last)
        length = int(digits)
        if length != len(data) - end or length > limit:
            return None
        first, last = self._forwarded
        return (first + data[at:] if last == self._last else b"".join((first, digits, last, data[end:]))), end

    def _repeat_with_ids(self, data: bytes, limit: int) -> tuple[bytes, int] | None:
        at = 0
        digits = b""
        wire: list[bytes] = []
        for (literal, size), forwarded in zip(self._literals, self._forwarded, strict=False):
            if not data.startswith(literal, at):
                return None
            at += len(literal)
            if size:
                hole = data[at : at + size]
                if not hole.replace(b"-", b"").isalnum():
                    return None
            else:
                hole = digits = data[at : data.find(b"\r", at, at + _MAX_DIGITS + 1)]
                if not digits.isdigit():
                    return None
            at += len(hole)
            wire += (forwarded, hole)
        if not data.startswith(self._last, at):
            return None
        end = at + len(self._last)
        length = int(digits)
        if length != len(data) - end or length > limit:
            return None
        wire += (self._forwarded[-1], data[end:])
        return b"".join(wire), end


def _changed_ids(before: bytes, now: bytes) -> list[bytes]:
    """The lines of the second head that differ from the first in an id alone; none where anything else differs."""
    old, new = before.split(b"\r\n"), now.split(b"\r\n")
    if len(old) != len(new):
        return []
    changed = []
    for was, line in zip(old, new, strict=True):
        if was != line and not line.startswith(_LENGTH_LINE[2:]):
            known, match = _ID_LINE.fullmatch(was), _ID_LINE.fullmatch(line)
            if (
                known is None
                or match is None
                or known.span(1) != match.span(1)
                or was[: match.start(1)] != line[: match.start(1)]
            ):
                return []
            changed.append(b"\r\n%s\r\n" % line)
    return changed if len(changed) <= _MAX_IDS else []


def _around_holes(head: bytes, ids: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """The head cut at its holes: each literal with the size of the hole after it, the last one with 0."""
    start = head.index(_LENGTH_LINE) + len(_LENGTH_LINE)
    holes = [(start, head.index(b"\r\n", start), 0)]
    for line in ids:
        at = head.index(line)
        value = at + line.index(b": ") + 2
        end = at + len(line) - 2
        holes.append((value, end, end - value))
    literals = []
    done = 0
    for begin, end, size in sorted(holes):
        literals.append((head[done:begin], size))
        done = end
    return [*literals, (head[done:], 0)]

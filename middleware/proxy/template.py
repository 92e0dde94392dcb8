"""A judged head as a template: the same head with another length, or with other ids, is known without judging it anew.

SDKs send one head with every request of a connection, and servers one with every answer, but for its Content-Length and
for ids, times and counts in lines that no rule looks at. What is compared is every byte around these. Such a value may
only be of visible ASCII and blanks, and as long as the one that was judged: whatever it says, the judgement would be
the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

__all__ = ["Template"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})(?![0-9])", re.IGNORECASE)
_MAX_DIGITS = 15
# Lines that no rule names, neither of the relay nor of the tap.
_FREE_LINE = re.compile(
    rb"(?i:traceparent|tracestate|idempotency-key|request-id|date|age|cf-ray|(?:openai|anthropic)-[a-z0-9-]{1,64}"
    rb"|(?!x-eqwatch-|x-api-key)x-[a-z0-9-]{1,64}): ([!-~](?:[ -~]{0,126}[!-~])?)"
)
_VISIBLE = bytes(range(0x20, 0x7F))


class Template:
    """Of one head with a Content-Length. raw: as it came; varying: names of the lines whose values may vary."""

    __slots__ = ("_first", "_forwarded", "_forwarded_first", "_last", "_pieces", "_same", "raw", "varying")

    def __init__(self, raw: bytes, forwarded: bytes, values: Sequence[bytes]) -> None:
        self.raw = raw
        self.varying = frozenset(_name(line) for line in values)
        pieces, self._last = _around_holes(raw, values)
        forwarded_pieces, self._forwarded = _around_holes(forwarded, values)
        self._first = pieces[0][0]
        self._forwarded_first = forwarded_pieces[0][0]
        # What stands before each hole, with the hole's size, 0 for the number; none where that is the only hole.
        self._pieces = (
            [(*piece, passed[0]) for piece, passed in zip(pieces, forwarded_pieces, strict=True)]
            if len(pieces) > 1
            else []
        )
        self._same = raw == forwarded

    @classmethod
    def of(cls, raw: bytes, forwarded: bytes, before: Template | None, *, most: int) -> Template | None:
        """A template, or None where the head has no Content-Length, or does not pass it on.

        before: the last template, which the head did not match; where the two differ they may differ again. most: how
        many values may vary; where more do, none may.
        """
        if _LENGTH.search(raw) is None or _LENGTH.search(forwarded) is None:
            return None
        values = _changed_values(before.raw, raw, before.varying, most) if before is not None else []
        # A line that does not pass on, or stands there twice, can't be put in its place.
        usable = len(set(values)) == len(values) and all(raw.count(v) == forwarded.count(v) == 1 for v in values)
        return cls(raw, forwarded, values if usable else [])

    def fill(self, data: bytes) -> tuple[bytes, int] | None:
        """What to send on, and where the body begins, if the data is such a head with its whole body; else None."""
        if not data.startswith(self._first):
            return None
        if self._pieces:
            return self._fill_pieces(data)
        at = len(self._first)
        stop = data.find(b"\r", at, at + _MAX_DIGITS + 1)
        if stop < 0:
            return None
        digits = data[at:stop]
        last = self._last
        if not digits.isdigit() or not data.startswith(last, stop):
            return None
        end = stop + len(last)
        if int(digits) != len(data) - end:
            return None
        if self._same:
            return data, end
        if self._forwarded == last:
            return self._forwarded_first + data[at:], end
        return b"".join((self._forwarded_first, digits, self._forwarded, data[end:])), end

    def _fill_pieces(self, data: bytes) -> tuple[bytes, int] | None:
        at = 0
        digits = b""
        wire: list[bytes] = []
        for piece, size, passed in self._pieces:
            if not data.startswith(piece, at):
                return None
            at += len(piece)
            if size:
                hole = data[at : at + size]
                if hole.translate(None, _VISIBLE):
                    return None
            else:
                stop = data.find(b"\r", at, at + _MAX_DIGITS + 1)
                if stop < 0:
                    return None
                hole = digits = data[at:stop]
                if not digits.isdigit():
                    return None
            at += len(hole)
            wire += (passed, hole)
        if not data.startswith(self._last, at):
            return None
        end = at + len(self._last)
        if int(digits) != len(data) - end:
            return None
        if self._same:
            return data, end
        wire += (self._forwarded, data[end:])
        return b"".join(wire), end


def _changed_values(before: bytes, now: bytes, varying: AbstractSet[bytes], most: int) -> list[bytes]:
    """The lines of the second head, with the line ends around them, whose value differs from the first or has varied
    before; none where anything else differs."""
    old, new = before.split(b"\r\n"), now.split(b"\r\n")
    if len(old) != len(new):
        return []
    changed = []
    for was, line in zip(old, new, strict=True):
        if was == line and _name(line) not in varying:
            continue
        if _name(was) != _name(line):
            return []
        if _FREE_LINE.fullmatch(line):
            changed.append(b"\r\n%s\r\n" % line)
        elif was != line and line[:15].lower() != b"content-length:":
            return []
    return changed if len(changed) <= most else []


def _name(line: bytes) -> bytes:
    return line.strip(b"\r\n").partition(b":")[0]


def _around_holes(head: bytes, values: Sequence[bytes]) -> tuple[list[tuple[bytes, int]], bytes]:
    """Each literal before a hole with the hole's size, 0 for the number's; and the literal at the end."""
    length = _LENGTH.search(head)
    assert length is not None  # noqa: S101 - whoever asks has looked
    holes = [(*length.span(1), 0)]
    for line in values:
        at = head.index(line)
        value = at + line.index(b": ") + 2
        end = at + len(line) - 2
        holes.append((value, end, end - value))
    literals = []
    done = 0
    for begin, end, size in sorted(holes):
        literals.append((head[done:begin], size))
        done = end
    return literals, head[done:]

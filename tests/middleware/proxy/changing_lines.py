"""Header lines that change in their values, for tests of what is remembered of heads."""

from collections.abc import Iterable, Sequence

__all__ = ["changed"]


def changed(lines: Sequence[bytes], changes: Iterable[tuple[int, bytes]]) -> list[bytes]:
    """The lines with other values: each change names a line, counted round, and its new value."""
    new = list(lines)
    for at, value in changes:
        if new:
            at %= len(new)
            new[at] = new[at].partition(b": ")[0] + b": " + value
    return new

"""When a batch is due: arithmetic on wall-clock slots. Reads no clock and remembers nothing.

A slot is a time ``offset + k * interval`` (Unix seconds, UTC), so all replicas name the same slot alike and a lease can
be taken on it. Missed slots are not made up for: after any gap there is at most one catch-up.
"""

import hashlib
import math

__all__ = ["due_slot", "next_slot", "slot_offset"]


def slot_offset(name: str, interval_seconds: float) -> float:
    """A deployment's own place within the interval, so that deployments do not all call at once; 0 <= x < interval."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    return share * interval_seconds


def due_slot(*, last: float | None, now: float, interval_seconds: float, offset: float = 0.0) -> float | None:
    """The latest slot at or before now, if it has not been run; None otherwise.

    last: the slot that was run last, or None. A last that lies more than an interval ahead comes from a clock that
    was wrong then; waiting for it could take years, so it does not count.
    """
    slot = _latest(now, interval_seconds, offset)
    if last is None or slot > last + interval_seconds * 1e-6 or last > now + interval_seconds:
        return slot
    return None


def next_slot(*, now: float, interval_seconds: float, offset: float = 0.0) -> float:
    """The first slot after now."""
    return _latest(now, interval_seconds, offset) + interval_seconds


def _latest(now: float, interval_seconds: float, offset: float) -> float:
    if interval_seconds <= 0:
        raise ValueError(f"an interval is above zero, not {interval_seconds}")
    return offset + math.floor((now - offset) / interval_seconds) * interval_seconds

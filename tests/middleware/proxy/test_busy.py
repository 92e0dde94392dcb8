"""When the relay has no time to spare for copies."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.proxy.busy import Load, asked_seconds, is_busy


def tells_waiting() -> bool:
    told = Path("/proc/thread-self/schedstat")
    return told.exists() and any(map(int, told.read_bytes().split()))


SHARES = st.floats(0.0, 1.5)


@pytest.mark.parametrize(
    ("share", "limit", "already", "expected"),
    [
        (0.69, 0.7, False, False),
        (0.7, 0.7, False, True),
        (0.6, 0.7, True, True),
        (0.48, 0.7, True, False),
        (1.0, 0.0, False, False),
        (1.0, 0.0, True, False),
    ],
)
def test_the_rule(share: float, limit: float, already: bool, expected: bool) -> None:
    """Busy from the limit on, no longer busy well below it; a limit of 0 is never reached."""
    assert is_busy(share, limit, already=already) is expected


@given(st.lists(SHARES, min_size=1), st.floats(0.01, 1.0))
def test_what_moves_within_the_band_changes_nothing(shares: list[float], limit: float) -> None:
    """It turns busy only at or above the limit, and free only below seven tenths of it."""
    now = False
    for share in shares:
        before, now = now, is_busy(share, limit, already=now)
        if now and not before:
            assert share >= limit
        if before and not now:
            assert share < limit * 0.7


def test_a_measure_is_over_the_time_since_the_last_one() -> None:
    """Looks that come too soon change nothing and lose nothing; a pause without a look is measured as a whole."""
    used = 10.0
    load = Load(0.7, lambda: used, 100.0)
    used += 0.1
    assert not load.look(100.1)
    used += 0.28
    assert load.look(100.5)
    assert load.look(100.6)
    used += 0.9
    assert not load.look(110.5)


def test_without_a_limit_it_is_never_busy() -> None:
    """However much the relay uses."""
    used = 0.0
    load = Load(0.0, lambda: used, 0.0)
    used = 5.0
    assert not load.look(5.0)


def test_what_is_used_is_asked_for() -> None:
    """The time that this thread works counts."""
    before = asked_seconds()
    used = time.thread_time() + 0.05
    while time.thread_time() < used:
        pass
    assert asked_seconds() - before >= 0.05


@pytest.mark.skipif(not tells_waiting(), reason="needs a kernel that tells how long a thread waited")
def test_what_is_waited_for_counts_too() -> None:
    """Beside another process on the same processor the thread asks for more than it gets."""
    allowed = os.sched_getaffinity(0)
    one = {min(allowed)}
    rival = subprocess.Popen(
        [sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, one)
    )
    try:
        os.sched_setaffinity(0, one)
        asked, used, end = asked_seconds(), time.thread_time(), time.monotonic() + 30
        while asked_seconds() - asked < time.thread_time() - used + 0.05:
            assert time.monotonic() < end, "the rival took nothing"
    finally:
        os.sched_setaffinity(0, allowed)
        rival.kill()
        rival.wait()

"""When a batch is due, with clocks that jump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.benchmark.schedule import due_slot, next_slot, slot_offset

HOUR = 3600.0
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z, a whole number of hours


def test_first_slot_is_due_at_once() -> None:
    """With no history the current slot is due."""
    assert due_slot(last=None, now=NOON + 5, interval_seconds=HOUR) == NOON


def test_slot_runs_once() -> None:
    """A slot that has been run is not due again until the next one begins."""
    assert due_slot(last=NOON, now=NOON + 3599, interval_seconds=HOUR) is None
    assert due_slot(last=NOON, now=NOON + 3600, interval_seconds=HOUR) == NOON + HOUR


def test_at_most_one_catch_up() -> None:
    """After days of sleep one slot is due, not one for each that was missed."""
    now, last, due = NOON + 3 * 86400 + 10, NOON, []
    while (slot := due_slot(last=last, now=now, interval_seconds=HOUR)) is not None:
        due.append(slot)
        last = slot
    assert due == [NOON + 3 * 86400]


def test_small_jump_back_waits() -> None:
    """A clock that is set back by less than an interval runs nothing twice."""
    assert due_slot(last=NOON, now=NOON - 1800, interval_seconds=HOUR) is None


def test_wrong_future_does_not_block() -> None:
    """A slot that was run while the clock stood in the far future does not silence the schedule for years."""
    wrong = NOON + 10 * 365 * 86400
    assert due_slot(last=wrong, now=NOON + 1, interval_seconds=HOUR) == NOON


@given(
    now=st.floats(0, 4e9),
    interval=st.floats(1, 1e6),
    name=st.text(max_size=10),
)
def test_slots_are_around_now(now: float, interval: float, name: str) -> None:
    """The due slot is the last one before now and the next slot is one interval later, whatever the offset."""
    offset = slot_offset(name, interval)
    assert 0 <= offset < interval
    slot = due_slot(last=None, now=now, interval_seconds=interval, offset=offset)
    assert slot is not None
    assert now - interval - 1e-3 <= slot <= now + 1e-3
    assert next_slot(now=now, interval_seconds=interval, offset=offset) == pytest.approx(slot + interval)


def test_deployments_are_spread() -> None:
    """Different deployments have different places within the interval."""
    assert len({slot_offset(name, HOUR) for name in ("marketing", "tutoring", "companion")}) == 3


def test_interval_above_zero() -> None:
    """An interval of zero is an error and not an endless schedule."""
    with pytest.raises(ValueError, match="above zero"):
        due_slot(last=None, now=NOON, interval_seconds=0)

"""Own calls give way to user traffic."""

import pytest

from middleware.benchmark.yielding import Load, YieldRule


def quiet(*, in_flight: int = 0, answered: float = 0.0, troubled: float = 0.0, since: float = 1.0) -> Load:
    return Load(in_flight, answered, troubled, since)


@pytest.mark.parametrize(
    ("in_flight", "calls"), [(0, 8), (15, 8), (16, 4), (31, 4), (32, 2), (63, 2), (64, 0), (900, 0)]
)
def test_heavy_traffic_lowers_the_ceiling(in_flight: int, calls: int) -> None:
    """From half the limit on half as many, from the limit on a quarter, at twice the limit none."""
    assert YieldRule(8, yield_from=32).ceiling(quiet(in_flight=in_flight), 0.0) == calls


def test_one_call_is_never_a_quarter() -> None:
    """A limiter of one call stops only where traffic is at twice the limit."""
    assert YieldRule(1, yield_from=10).ceiling(quiet(in_flight=12), 0.0) == 1


def test_trouble_stops_and_comes_back_slowly() -> None:
    """429 and 5xx to users stop own calls at once; after ten quiet seconds one more is allowed with each look."""
    rule = YieldRule(4, yield_from=32)
    assert rule.ceiling(quiet(answered=100), 0.0) == 4
    assert rule.ceiling(quiet(answered=120, troubled=3), 1.0) == 0
    assert [rule.ceiling(quiet(answered=140, troubled=3), float(second)) for second in range(2, 11)] == [0] * 9
    assert [rule.ceiling(quiet(answered=140, troubled=3), float(second)) for second in range(11, 17)] == [
        1,
        2,
        3,
        4,
        4,
        4,
    ]


def test_a_single_failure_among_many_is_everyday_life() -> None:
    """Fewer than one in twenty changes nothing."""
    rule = YieldRule(4, yield_from=32)
    rule.ceiling(quiet(answered=100), 0.0)
    assert rule.ceiling(quiet(answered=200, troubled=4), 1.0) == 4
    assert rule.ceiling(quiet(answered=210, troubled=5), 2.0) == 0


def test_quiet_while_nobody_looked_is_quiet() -> None:
    """Where nothing failed meanwhile all calls may begin at once, also after trouble before."""
    rule = YieldRule(4, yield_from=32)
    rule.ceiling(quiet(answered=100), 0.0)
    assert rule.ceiling(quiet(answered=101, troubled=1), 1.0) == 0
    assert rule.ceiling(quiet(answered=5000, troubled=1), 13.0) == 2  # what two looks would have allowed
    assert rule.ceiling(quiet(answered=9000, troubled=1), 3600.0) == 4


def test_failures_while_nobody_looked_may_be_over_or_go_on() -> None:
    """They are no trouble by themselves, however many: calls begin with one and come back with each quiet look."""
    rule = YieldRule(4, yield_from=32)
    rule.ceiling(quiet(answered=100), 0.0)
    assert rule.ceiling(quiet(answered=900, troubled=800), 3600.0) == 1
    assert [rule.ceiling(quiet(answered=900, troubled=800), 3600.0 + second) for second in (1, 2, 3)] == [2, 3, 4]
    assert rule.ceiling(quiet(answered=1900, troubled=801), 7200.0) == 1
    assert rule.ceiling(quiet(answered=1910, troubled=803), 7201.0) == 0  # they do go on


def test_failures_before_the_first_look_may_go_on() -> None:
    """A process that has just begun knows no more than one that has slept."""
    assert YieldRule(4, yield_from=32).ceiling(quiet(answered=900, troubled=1), 0.0) == 1


def test_trouble_in_a_short_pause_is_trouble() -> None:
    """It would hold still if somebody had looked."""
    rule = YieldRule(4, yield_from=32)
    rule.ceiling(quiet(answered=100), 0.0)
    assert rule.ceiling(quiet(answered=120, troubled=3), 9.0) == 0
    assert rule.ceiling(quiet(answered=120, troubled=3), 18.0) == 0
    assert rule.ceiling(quiet(answered=120, troubled=3), 19.0) == 1


def test_heavy_traffic_counts_from_the_first_look_on() -> None:
    """After a pause as well."""
    rule = YieldRule(8, yield_from=32)
    rule.ceiling(quiet(), 0.0)
    assert rule.ceiling(quiet(in_flight=64, answered=9000), 3600.0) == 0


def test_a_relay_that_began_anew_is_no_trouble() -> None:
    """Its counts are compared with nothing of before."""
    rule = YieldRule(4, yield_from=32)
    rule.ceiling(quiet(answered=0), 0.0)
    assert rule.ceiling(quiet(answered=50, troubled=50, since=2.0), 1.0) == 4

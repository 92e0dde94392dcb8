"""How often and how much of its connections the relay looks at."""

import pytest

from middleware.proxy.sweep import slices_at_once, sweep_pause, sweep_period
from middleware.records.relay import Timeouts


@pytest.mark.parametrize(
    ("clients", "at_once"), [(0, 8), (256, 8), (257, 4), (512, 4), (1024, 2), (2048, 1), (9000, 1)]
)
def test_few_connections_are_looked_at_in_one_step_and_many_in_several(clients: int, at_once: int) -> None:
    """An idle relay wakes up once a period; a full one never looks at all of its connections in one go."""
    assert slices_at_once(clients, 8) == at_once


@pytest.mark.parametrize(
    ("clients", "period", "seconds"), [(1, 0.5, 0.5), (0, 0.5, 0.9), (0, 0.25, 0.5), (0, 0.05, 0.1), (900, 0.05, 0.05)]
)
def test_a_relay_without_connections_wakes_up_less_often(clients: int, period: float, seconds: float) -> None:
    """Half as often, and still within the second in which it notices that a new client has left."""
    assert sweep_pause(period, clients) == seconds


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [(Timeouts(), 0.5), (Timeouts(head=1.0), 0.25), (Timeouts(idle=0.01), 0.05), (Timeouts(head=0, idle=0), 0.5)],
)
def test_the_period_suits_the_shortest_timeout(timeouts: Timeouts, seconds: float) -> None:
    """A quarter of it, within bounds; what is switched off does not count."""
    assert sweep_period(timeouts) == seconds

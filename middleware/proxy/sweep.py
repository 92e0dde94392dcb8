"""Time in the relay: one ticker for all connections instead of a timer for each request, and the loop's lag with it."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from middleware.records.relay import Timeouts

if TYPE_CHECKING:
    from middleware.proxy.context import Context

__all__ = ["hung_up", "over", "readable", "slices_at_once", "sweep_connections", "sweep_pause", "sweep_period"]

_LONGEST_SECONDS = 0.5
_LONGEST_IDLE_SECONDS = 0.9
_SHORTEST_SECONDS = 0.05
_CLIENTS_A_STEP = 256


def over(waited: float, timeout: float) -> bool:
    """Whether a timeout (seconds; 0 switches it off) has passed."""
    return 0 < timeout < waited


def hung_up(descriptor: int) -> bool:
    """Whether the peer has closed or half-closed a socket that is not being read."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    return bool(poll.poll(0))


def readable(descriptor: int) -> bool:
    """Whether a socket has something to say, be it that its peer has closed."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))


def sweep_period(timeouts: Timeouts) -> float:
    """How often each connection is looked at, in seconds: often enough for the shortest timeout."""
    set_ones = [
        value
        for value in (timeouts.head, timeouts.body, timeouts.keep_alive, timeouts.first_byte, timeouts.idle)
        if value > 0
    ]
    return max(_SHORTEST_SECONDS, min([_LONGEST_SECONDS, *(value / 4 for value in set_ones)]))


def sweep_pause(period: float, clients: int) -> float:
    """How long until each connection is looked at again; with none, longer, though a new one that leaves is noticed
    within a second."""
    return period if clients else min(2 * period, _LONGEST_IDLE_SECONDS)


def slices_at_once(clients: int, slices: int) -> int:
    """How many slices one step sweeps: few connections in one go, since waking up costs more than looking at them."""
    at_once = slices
    while at_once > 1 and clients * at_once > _CLIENTS_A_STEP * slices:
        at_once //= 2
    return at_once


async def sweep_connections(context: Context) -> None:
    """Look at every connection once a period; many of them in steps, so that no sweep holds up the loop."""
    slices = len(context.clients)
    period = sweep_period(context.timeouts)
    turn = 0
    while True:
        clients = context.counters.open_clients
        at_once = slices_at_once(clients, slices)
        pause = sweep_pause(period, clients) * at_once / slices
        due = context.clock() + pause
        await asyncio.sleep(pause)
        now = context.clock()
        context.counters.lag.observe(max(0.0, now - due))
        try:
            for part in range(turn, turn + at_once):
                for client in tuple(context.clients[part % slices]):
                    client.sweep(now)
            if turn + at_once >= slices:
                context.pool.expire(now)
            if context.tap is not None:
                context.tap.look(now)
        except Exception as error:  # noqa: BLE001 - the ticker must outlive what it meets
            context.contained("sweep", error)
        turn = (turn + at_once) % slices

"""The adaptive limit: the rule without time, then turns on a real event loop."""

import asyncio

import pytest

from middleware.benchmark.limiter import ConcurrencyRule, Limiter


def test_starts_at_the_configured_number() -> None:
    """No slow start: the first calls go out at the configured concurrency."""
    assert ConcurrencyRule(16).allowed() == 16


def test_overload_halves_once_a_round_trip() -> None:
    """Sixteen calls of the same round that all meet a 429 halve the limit once, not sixteen times."""
    rule = ConcurrencyRule(16)
    tickets = [rule.begin() for _ in range(16)]
    for ticket in tickets:
        rule.overloaded(ticket, now=0.0, wait_seconds=1.0)
    assert rule.allowed() == 8
    rule.overloaded(rule.begin(), now=0.0, wait_seconds=1.0)
    assert rule.allowed() == 4


def test_never_below_one_by_itself() -> None:
    """However often the upstream is overloaded, one call at a time stays allowed."""
    rule = ConcurrencyRule(4)
    for _ in range(20):
        rule.overloaded(rule.begin(), now=0.0, wait_seconds=0.0)
    assert rule.allowed() == 1


def test_comes_back_slowly() -> None:
    """After a decrease the limit grows by about one call per round of calls, and not over the configured number."""
    rule = ConcurrencyRule(16)
    rule.overloaded(rule.begin(), now=0.0, wait_seconds=0.0)
    for _ in range(8):
        rule.succeeded(rule.begin(), 0.1)
    assert rule.allowed() == 8
    for _ in range(2):
        rule.succeeded(rule.begin(), 0.1)
    assert rule.allowed() == 9
    for _ in range(1000):
        rule.succeeded(rule.begin(), 0.1)
    assert rule.allowed() == 16


def test_longest_pause_wins() -> None:
    """Of two waits that the upstream asks for, the one that ends later holds."""
    rule = ConcurrencyRule(2)
    rule.overloaded(rule.begin(), now=100.0, wait_seconds=30.0)
    rule.overloaded(rule.begin(), now=101.0, wait_seconds=1.0)
    assert rule.paused_until == 130.0


def test_rising_latency_steps_down() -> None:
    """Answers that take more than three times the best median lower the limit although none failed."""
    rule = ConcurrencyRule(16)
    for _ in range(32):
        rule.succeeded(rule.begin(), 1.0)
    assert rule.allowed() == 16
    for _ in range(16):
        rule.succeeded(rule.begin(), 4.0)
    assert rule.allowed() == 14


def test_noise_of_fast_answers_does_not_count() -> None:
    """Milliseconds that triple are not an upstream under load."""
    rule = ConcurrencyRule(16)
    for latency in (0.002, 0.02):
        for _ in range(16):
            rule.succeeded(rule.begin(), latency)
    assert rule.allowed() == 16


def test_ceiling_yields_to_traffic() -> None:
    """A ceiling holds calls back, down to none, and lifting it restores the limit."""
    rule = ConcurrencyRule(8)
    rule.set_ceiling(0)
    assert rule.allowed() == 0
    rule.set_ceiling(3)
    assert rule.allowed() == 3
    rule.set_ceiling(99)
    assert rule.allowed() == 8


def test_concurrency_is_at_least_one() -> None:
    """A concurrency of zero is an error."""
    with pytest.raises(ValueError, match="at least 1"):
        ConcurrencyRule(0)


def test_turns_never_exceed_the_limit() -> None:
    """With many callers, as many as allowed run at once and all get their turn."""

    async def scenario() -> tuple[int, int]:
        limiter, most, done = Limiter(ConcurrencyRule(3)), 0, 0

        async def call() -> None:
            nonlocal most, done
            async with limiter.turn():
                most = max(most, limiter.in_flight)
                for _ in range(3):
                    await asyncio.sleep(0)
                done += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(call())
        assert limiter.in_flight == 0
        return most, done

    assert asyncio.run(scenario()) == (3, 20)


def test_pause_holds_all_callers() -> None:
    """During a pause no call begins; when it ends the waiting ones go on by themselves."""

    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        limiter = Limiter(ConcurrencyRule(4), clock=loop.time)
        limiter.rule.overloaded(limiter.rule.begin(), now=loop.time(), wait_seconds=0.1)
        resume = limiter.rule.paused_until
        begun = []

        async def call() -> None:
            async with limiter.turn():
                begun.append(loop.time() - resume)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(call())
        return begun

    begun = asyncio.run(scenario())
    assert len(begun) == 4
    assert min(begun) >= -0.01


def test_ceiling_of_zero_stops_and_lifting_resumes() -> None:
    """Callers wait while the ceiling is zero and go on as soon as it is lifted."""

    async def scenario() -> bool:
        limiter = Limiter(ConcurrencyRule(1))
        limiter.set_ceiling(0)
        begun = asyncio.Event()

        async def call() -> None:
            async with limiter.turn():
                begun.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(call())
            await asyncio.sleep(0)
            held = not begun.is_set()
            limiter.set_ceiling(1)
        return held and begun.is_set()

    assert asyncio.run(scenario())


def test_a_resting_limiter_waits_for_a_ceiling() -> None:
    """Who wants a turn wakes whoever sets the ceiling, once, and begins as soon as it is set."""

    async def scenario() -> tuple[int, int, list[bool]]:
        limiter, woken, wanted = Limiter(ConcurrencyRule(4)), 0, []

        def wake() -> None:
            nonlocal woken
            woken += 1

        async def call() -> None:
            async with limiter.turn():
                await asyncio.sleep(0)

        limiter.rest(wake, 600.0)
        wanted.append(limiter.wanted)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(call())
            for _ in range(3):
                await asyncio.sleep(0)
            wanted.append(limiter.wanted)
            before = limiter.in_flight
            limiter.set_ceiling(4)
            await asyncio.sleep(0)
            wanted.append(limiter.wanted)
        wanted.append(limiter.wanted)
        return woken, before, wanted

    assert asyncio.run(scenario()) == (1, 0, [False, True, True, False])


def test_nobody_waits_for_a_ceiling_for_long() -> None:
    """Where whoever should set it does not answer, calls begin with the last one after the time that was agreed."""

    async def scenario() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        limiter = Limiter(ConcurrencyRule(4), clock=loop.time)
        limiter.rest(lambda: None, 0.1)
        begun = loop.time()
        async with limiter.turn():
            return loop.time() - begun, limiter.in_flight

    waited, in_flight = asyncio.run(scenario())
    assert (waited >= 0.09, in_flight) == (True, 1)


def test_cancelled_waiter_loses_no_turn() -> None:
    """A caller that is cancelled while it waits, or just as its turn comes, leaves the turn to the next one."""

    async def scenario() -> int:
        limiter = Limiter(ConcurrencyRule(1))
        release = asyncio.Event()

        async def hold() -> None:
            async with limiter.turn():
                await release.wait()

        async def call() -> str:
            async with limiter.turn():
                return "done"

        async with asyncio.TaskGroup() as group:
            group.create_task(hold())
            await asyncio.sleep(0)
            waiting, second, third = (group.create_task(call()) for _ in range(3))
            await asyncio.sleep(0)
            waiting.cancel()
            release.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([third], timeout=60)
            assert third.done()
        return limiter.in_flight

    assert asyncio.run(scenario()) == 0

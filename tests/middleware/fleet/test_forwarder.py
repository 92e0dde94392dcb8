"""What waits for the monitor is bounded in number, bytes and time, and every loss has a reason."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from middleware.fleet.delivery import Delivered, Undelivered
from middleware.fleet.forwarder import Forwarder, ForwardRule
from middleware.metrics import Metrics
from middleware.records.conversation import Message, Transcript
from middleware.records.observation import Observation, Trace

AWAY = Undelivered("connection", again=True)
RULE = ForwardRule(queue=10, batch=4, linger_seconds=0.0, retry_seconds=30.0)


def observation(name: str, text: str = "hello") -> Observation:
    transcript = Transcript("openai_chat", "m", (Message("user", text),), Message("assistant", "yes"), False)
    return Observation("tutor", transcript, Trace(), id=name)


class Monitor:
    """Answers as told, and keeps what was delivered. now: a clock that the test moves."""

    def __init__(self, *answers: Delivered | Undelivered) -> None:
        self.answers = list(answers)
        self.got: list[list[str]] = []
        self.now = 100.0
        self.metrics = Metrics(CollectorRegistry())

    async def deliver(self, observations: Sequence[Observation]) -> Delivered | Undelivered:
        self.got.append([one.id for one in observations])
        return self.answers.pop(0) if self.answers else Delivered(len(observations))

    def forwarder(self, rule: ForwardRule = RULE) -> Forwarder:
        return Forwarder(self.deliver, rule=rule, metrics=self.metrics, rng=random.Random(1), clock=lambda: self.now)

    def dropped(self, reason: str) -> float:
        return float(self.metrics.dropped_total.labels(queue="forward", reason=reason)._value.get())

    def forwarded(self, outcome: str) -> float:
        return float(self.metrics.forwarded_exchanges_total.labels(outcome=outcome)._value.get())


def run(forwarder: Forwarder, until: Callable[[], bool]) -> None:
    """Let it work until the condition holds."""

    async def work() -> None:
        task = asyncio.ensure_future(forwarder.run())
        async with asyncio.timeout(60):
            while not until():
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(work())


def test_observations_are_delivered_in_order_and_in_batches() -> None:
    """None is lost, and no batch is larger than it may be."""
    monitor = Monitor()
    forwarder = monitor.forwarder()
    names = [str(number) for number in range(9)]
    assert all(forwarder.put(observation(name)) for name in names)
    run(forwarder, lambda: not forwarder.depth)
    assert [name for batch in monitor.got for name in batch] == names
    assert [len(batch) for batch in monitor.got] == [4, 4, 1]
    assert monitor.forwarded("accepted") == 9


def test_a_full_queue_drops_the_newest_and_counts_it() -> None:
    """By number, and by bytes."""
    monitor = Monitor()
    forwarder = monitor.forwarder()
    assert [forwarder.put(observation(str(number))) for number in range(12)] == [True] * 10 + [False] * 2
    small = monitor.forwarder(ForwardRule(queue_bytes=65_536))
    assert small.put(observation("a", "x" * 40_000))
    assert not small.put(observation("b", "x" * 40_000))
    assert small.put(observation("c"))
    assert monitor.dropped("full") == 3


def test_a_delivery_that_failed_is_tried_again_with_the_same_observations() -> None:
    """Order and ids stay, so that the monitor can tell a repetition."""
    monitor = Monitor(AWAY, Undelivered("timeout", again=True))
    forwarder = monitor.forwarder()
    for name in "ab":
        forwarder.put(observation(name))
    run(forwarder, lambda: not forwarder.depth)
    assert monitor.got == [["a", "b"]] * 3
    assert (monitor.forwarded("accepted"), forwarder.trouble) == (2, "")
    assert monitor.metrics.forward_attempts_total.labels(outcome="timeout")._value.get() == 1


def test_nothing_waits_longer_than_its_time_for_a_monitor_that_is_away() -> None:
    """What is over its time is dropped and counted, what is younger is kept; a long queue alone drops nothing."""
    monitor = Monitor(AWAY)
    forwarder = monitor.forwarder()
    forwarder.put(observation("old"))
    monitor.now += 20
    forwarder.put(observation("young"))
    assert asyncio.run(forwarder._step()) is False
    monitor.now += 15
    assert asyncio.run(forwarder._step()) is True
    assert monitor.got == [["old", "young"], ["young"]]
    assert monitor.dropped("monitor_away") == 1
    forwarder.put(observation("slow"))
    monitor.now += 1000
    assert asyncio.run(forwarder._step()) is True
    assert monitor.got[-1] == ["slow"]


@pytest.mark.parametrize("reason", ["unauthorized", "other_salt", "refused", "too_large"])
def test_what_the_monitor_will_never_take_is_not_tried_again(reason: str) -> None:
    """It is dropped and counted, the trouble is told, and later ones have their chance."""
    monitor = Monitor(Undelivered(reason, again=False, status=401))
    forwarder = monitor.forwarder()
    forwarder.put(observation("a"))
    assert asyncio.run(forwarder._step()) is False
    assert (monitor.dropped("rejected"), forwarder.trouble, forwarder.depth) == (1, reason, 0)
    forwarder.put(observation("b"))
    assert asyncio.run(forwarder._step()) is True
    assert (monitor.forwarded("accepted"), forwarder.trouble) == (1, "")


def test_what_can_not_be_sent_at_all_does_not_hold_up_the_others() -> None:
    """The defect is the supervisor's to log; its batch is dropped and counted."""
    monitor = Monitor()
    forwarder = monitor.forwarder()
    forwarder.put(observation("a"))

    async def broken(_: Sequence[Observation]) -> Delivered:
        raise UnicodeEncodeError("utf-8", "x", 0, 1, "for the test")

    forwarder._deliver = broken
    with pytest.raises(UnicodeEncodeError):
        asyncio.run(forwarder._step())
    assert (monitor.dropped("rejected"), forwarder.depth) == (1, 0)


def test_what_the_monitor_drops_is_counted_by_its_reason() -> None:
    """From a closed set: an unknown word is ``other``."""
    monitor = Monitor(Delivered(1, 1, {"queue_full": 1, "some new word": 1}))
    forwarder = monitor.forwarder()
    for name in "abcd":
        forwarder.put(observation(name))
    run(forwarder, lambda: not forwarder.depth)
    found = {outcome: monitor.forwarded(outcome) for outcome in ("accepted", "duplicate", "queue_full", "other")}
    assert found == {"accepted": 1, "duplicate": 1, "queue_full": 1, "other": 1}


def test_at_the_end_what_waits_is_delivered_once_and_the_rest_is_counted() -> None:
    """A monitor that is away is not waited for."""
    monitor = Monitor()
    forwarder = monitor.forwarder()
    for number in range(6):
        forwarder.put(observation(str(number)))
    asyncio.run(forwarder.flush(5.0))
    assert (monitor.forwarded("accepted"), monitor.dropped("stopping")) == (6, 0)
    gone = Monitor(AWAY)
    forwarder = gone.forwarder()
    forwarder.put(observation("a"))
    asyncio.run(forwarder.flush(5.0))
    assert (gone.dropped("stopping"), forwarder.depth) == (1, 0)

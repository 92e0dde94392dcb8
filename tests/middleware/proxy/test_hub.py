"""Several relay processes behind one control."""

import time

from middleware.proxy.context import Context
from middleware.proxy.counters import Counters
from middleware.proxy.hub import Hub, Sibling
from middleware.proxy.link import Link
from middleware.proxy.merge import merged, without_gauges
from middleware.proxy.tap import Tap
from middleware.records.exchange import AwarenessUpdate, Busy, Credit, Exchange, SnapshotRequest
from middleware.records.link import decode_from_control, decode_from_relay, encode_frame
from middleware.records.relay import RelayConfig, UpstreamTarget

EXCHANGE = Exchange("d", "other", b"GET", b"/", [], b"", False, 200, [], b"", False, True, "", "", 0.0, 0.1, 0.2)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self, decode) -> None:
        self._decode = decode
        self._sent: list[bytes] = []

    def write(self, frame: bytes) -> None:
        self._sent.append(frame)

    def get_write_buffer_size(self) -> int:
        return 0

    def taken(self) -> list:
        records = [self._decode(frame[4:]) for frame in self._sent]
        self._sent.clear()
        return records


def team():
    config = RelayConfig(UpstreamTarget("http", "up", 80))
    context = Context(config, clock=time.monotonic, counters=Counters(5.0), fault_log=print, access_log=None)
    link = Link(context)
    sibling = Sibling(context, link)
    link.hub = Hub([sibling])
    control, child = Wire(decode_from_relay), Wire(decode_from_control)
    link.attach(control)
    sibling.attach(child)
    return link, sibling, control, child


def test_a_sibling_pays_with_controls_credit() -> None:
    """Its exchanges reach control one credit each; without credit they are dropped, counted, and it is kept waiting."""
    link, sibling, control, child = team()
    (first,) = child.taken()
    assert isinstance(first, Credit)
    link.receive(encode_frame(Credit(1))[4:])
    payload = encode_frame(EXCHANGE)[4:]
    sibling.receive(payload)
    assert control.taken() == [EXCHANGE]
    assert child.taken() == [Credit(1)]
    sibling.receive(payload)
    sibling.receive(payload)
    assert control.taken() == []
    assert child.taken() == []
    assert link.context.counters.drops == {"no_credit": 2}
    link.receive(encode_frame(Credit(3))[4:])
    assert child.taken() == [Credit(2)]


def test_a_sibling_that_uses_up_the_credit_closes_the_tap() -> None:
    """The first process's own tap lives on the same credit as the exchanges that it passes on."""
    link, sibling, _, _ = team()
    tap = link.context.tap = Tap(
        rate=1.0,
        body_bytes=9,
        counters=link.context.counters,
        ready=link.ready,
        offer=link.offer,
        wall=time.time,
    )
    link.receive(encode_frame(Credit(1))[4:])
    assert tap.open
    sibling.receive(encode_frame(EXCHANGE)[4:])
    assert not tap.open


def test_control_is_told_while_any_process_is_busy() -> None:
    """A sibling that says so, until it says otherwise or ends."""
    link, sibling, control, child = team()
    told = lambda: [record.busy for record in control.taken()]  # noqa: E731
    sibling.receive(encode_frame(Busy(True))[4:])
    sibling.receive(encode_frame(Busy(True))[4:])
    assert told() == [True]
    sibling.receive(encode_frame(Busy(False))[4:])
    assert told() == [False]
    sibling.receive(encode_frame(Busy(True))[4:])
    sibling.detach(child)
    link.tell_busy()
    assert told() == [True, False]


def test_awareness_reaches_every_process() -> None:
    """What control says of a conversation is passed on to the siblings."""
    link, _, _, child = team()
    child.taken()
    update = AwarenessUpdate("c", "Joy=1")
    link.receive(encode_frame(update)[4:])
    assert child.taken() == [update]


def counted(requests: int, inflight: int, seconds: float) -> Counters:
    counters = Counters(seconds)
    counters.cell("d", "other").codes[200] = requests
    counters.cell("d", "other").duration.observe(seconds)
    counters.inflight = inflight
    return counters


def test_numbers_are_added_up_and_survive_a_sibling() -> None:
    """Control sees the sum of all processes; of one that ended the counts stay, the levels go."""
    link, sibling, control, child = team()
    link.context.counters.cell("d", "other").codes[200] = 1
    sibling.receive(encode_frame(counted(10, 3, 2.0).snapshot())[4:])

    def totals() -> dict[str, float]:
        link.receive(encode_frame(SnapshotRequest())[4:])
        (snapshot,) = control.taken()
        return {one.name: sum(value for _, value in one.values) for one in snapshot.counters}

    assert totals()["requests_total"] == 11
    assert totals()["inflight_requests"] == 3
    sibling.detach(child)
    assert totals()["requests_total"] == 11
    assert totals()["inflight_requests"] == 0
    sibling.attach(child)
    sibling.receive(encode_frame(counted(5, 1, 2.0).snapshot())[4:])
    assert totals()["requests_total"] == 16
    assert totals()["inflight_requests"] == 1


def test_a_sum_of_one_is_itself() -> None:
    """Merging changes no number, and keeps bounds and the earliest start."""
    one = counted(7, 1, 0.3).snapshot()
    assert merged([one]) == one
    both = merged([one, counted(1, 0, 0.2).snapshot()])
    assert both.started_at == 0.2
    ((_, histogram),) = next(rows for name, _, rows in both.histograms if name == "request_duration_seconds")
    assert sum(histogram.counts) == 2
    assert abs(histogram.sum - 0.5) < 1e-9
    assert {one.name for one in without_gauges(both).counters} == {one.name for one in both.counters} - {
        "inflight_requests",
        "open_connections",
    }

"""What comes in over the network: wanted or not, once, and never as it was said."""

import asyncio
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from middleware.admin.errors import ApiError
from middleware.control.arrivals import Arrivals
from middleware.metrics import Metrics
from middleware.probe.redaction import redacted
from middleware.records.conversation import Message, Transcript
from middleware.records.observation import Observation, Observations, Trace
from middleware.records.report import Arrived, Report
from middleware.traffic.hashing import salt_fingerprint
from middleware.traffic.selecting import Picking, Selection, SelectionRule

SALT = b"a salt of at least sixteen bytes"
MAIL = "mara.lind@example.org"


class Door:
    """Arrivals with a queue of two places."""

    def __init__(self, rate: float = 1.0, remembered: int = 100) -> None:
        self.queue: asyncio.Queue[Observation] = asyncio.Queue(2)
        self.metrics = Metrics(CollectorRegistry())
        rules = [SelectionRule("tutor", rate), SelectionRule("off", 0.0)]
        picking = Picking(Selection(rules, SALT), clean=redacted, characters=1000)
        self.arrivals = Arrivals(picking, self.queue, metrics=self.metrics, clock=lambda: 100.0, remembered=remembered)

    def observed(self, *observations: Observation, **changes: Any) -> Arrived:
        delivery = Observations(observations, salt_fingerprint(SALT))
        body = msgspec.json.encode(msgspec.structs.replace(delivery, **changes))
        return asyncio.run(self.arrivals.observations(body))

    def reported(self, *reports: Report) -> Arrived:
        return asyncio.run(self.arrivals.reports(reports))

    def waiting(self) -> list[Observation]:
        return [self.queue.get_nowait() for _ in range(self.queue.qsize())]

    def count(self, source: str, outcome: str) -> float:
        return float(self.metrics.arrived_exchanges_total.labels(source=source, outcome=outcome)._value.get())


def observation(name: str, deployment: str = "tutor", text: str = "hello") -> Observation:
    transcript = Transcript("openai_chat", "m", (Message("user", text),), Message("assistant", text), False)
    return Observation(deployment, transcript, Trace(asked=b"x"), id=name, at=500.0)


def report(text: str, **more: Any) -> Report:
    return Report([{"role": "user", "content": text}], "Sure.", deployment="tutor", **more)


def test_a_delivery_is_taken_in_once() -> None:
    """The same ids again are duplicates; what has no room is dropped, counted, and may come again."""
    door = Door()
    assert door.observed(observation("a"), observation("a"), observation("b"), observation("c")) == Arrived(
        2, 1, {"queue_full": 1}
    )
    assert [one.id for one in door.waiting()] == ["a", "b"]
    assert door.observed(observation("a"), observation("c")) == Arrived(1, 1, {})
    assert door.count("observer", "accepted") == 3
    assert door.count("observer", "duplicate") == 2
    assert door.count("observer", "queue_full") == 1


def test_what_a_pod_says_is_checked_again() -> None:
    """Deployment, redaction and time: a pod of another version or with another clock is no exception."""
    door = Door()
    assert door.observed(observation("a", "off"), observation("b", "unknown")) == Arrived(0, 0, {"not_configured": 2})
    assert door.observed(observation("c", text=f"write to {MAIL}")).accepted == 1
    (waiting,) = door.waiting()
    assert MAIL not in repr(waiting)
    assert waiting.transcript.messages[0].text == "write to [email]"
    assert waiting.at == 100.0


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [({"salt": "another"}, 409, "other_salt"), ({"format": 2}, 422, "other_format")],
)
def test_a_pod_that_can_not_be_understood_is_told_why(changes: dict[str, Any], status: int, code: str) -> None:
    """Hashes of another salt would join nothing, silently."""
    door = Door()
    with pytest.raises(ApiError) as refused:
        door.observed(observation("a"), **changes)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert not door.waiting()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"observations": 7, "salt": "x"}', b'"heliotrope"', b"\xff\xfe"])
def test_garbage_is_refused_without_an_echo(body: bytes) -> None:
    """Whatever it is, it is answered with 422 and not quoted."""
    with pytest.raises(ApiError) as refused:
        asyncio.run(Door().arrivals.observations(body))
    assert refused.value.status == 422
    assert "heliotrope" not in str(refused.value)


def test_a_marker_of_omitted_messages_that_is_no_number_is_undecodable() -> None:
    """And costs only itself."""
    odd = observation("a")
    messages = (Message("omitted", "many"), *odd.transcript.messages)
    odd = msgspec.structs.replace(odd, transcript=Transcript("openai_chat", "m", messages, None, False))
    assert Door().observed(odd, observation("b")) == Arrived(1, 0, {"undecodable": 1})


def test_reports_of_applications_are_sampled_and_redacted() -> None:
    """By the same rules as in a pod; what is not chosen is counted."""
    door = Door()
    assert door.reported(
        report(f"write to {MAIL}", id="a"), report("hi", id="a"), report("x", opt_out=True)
    ) == Arrived(1, 1, {"opted_out": 1})
    (waiting,) = door.waiting()
    assert waiting.transcript.messages[0].text == "write to [email]"
    assert Door(rate=0.000001).reported(report("hello there")) == Arrived(0, 0, {"not_sampled": 1})
    assert Door().reported(report("hello there", previous_response_id="r0")).dropped == {"beginning_unknown": 1}


def test_the_table_of_known_ids_is_bounded() -> None:
    """The oldest are forgotten; ids are kept as salted hashes."""
    door = Door(remembered=3)
    for number in range(6):
        assert door.observed(observation(f"heliotrope {number}")).accepted == 1
        door.waiting()
    assert len(door.arrivals._seen) == 3
    assert b"heliotrope" not in b"".join(door.arrivals._seen)
    assert door.observed(observation("heliotrope 5")).duplicates == 1
    assert door.observed(observation("heliotrope 0")).accepted == 1

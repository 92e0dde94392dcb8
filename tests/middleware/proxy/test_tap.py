"""The tap, the link to control, the numbers: what is observed, and that no observer touches the traffic."""

import asyncio
import time

import msgspec
import pytest

from middleware.proxy.busy import Load
from middleware.proxy.context import Context
from middleware.proxy.counters import Counters
from middleware.proxy.deployments import Deployments, dialect_of, key_id
from middleware.proxy.heads import RequestRules, read_request
from middleware.proxy.link import Link
from middleware.proxy.tap import Tap
from middleware.records.exchange import AwarenessUpdate, Busy, Credit, Exchange, RelaySnapshot, SnapshotRequest
from middleware.records.link import decode_from_relay, encode_frame
from middleware.records.relay import DeploymentMatch, RelayConfig, UpstreamTarget
from middleware.records.relay import Tap as TapSettings

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: s=1\r\nContent-Length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = STREAM + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
TAPPED = (DeploymentMatch("default", tapped=True), DeploymentMatch("quiet"))


def post(*lines: bytes, body: bytes = b"{}") -> bytes:
    head = b"POST /v1/chat/completions?k=secret HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return (
        head
        + b"Authorization: Bearer k\r\n"
        + b"".join(line + b"\r\n" for line in lines)
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.size = 0

    def write(self, frame: bytes) -> None:
        self.sent.append(frame)

    def get_write_buffer_size(self) -> int:
        return self.size

    @property
    def records(self) -> list:
        return [decode_from_relay(frame[4:]) for frame in self.sent]


class Control(Wire):
    """The far end of a relay's link."""

    def __init__(self, relay, credit: int = 100) -> None:
        super().__init__()
        relay.link.attach(self)
        if credit:
            relay.link.receive(encode_frame(Credit(credit))[4:])


async def ask(rig, sent: bytes, answer: bytes) -> bytes:
    reader, writer = await rig.open()
    writer.write(sent)
    got = await asyncio.wait_for(reader.readexactly(len(answer)), 20)
    writer.close()
    await rig.settled(lambda: rig.relay.context.counters.inflight == 0)
    return got


@pytest.mark.parametrize(("answer", "body"), [(OK, b"ok"), (CHUNKED, b"abcde")])
def test_a_tapped_exchange_is_offered_whole(kit, answer, body):
    """Bodies as on the wire but without chunks, allow-listed headers only, never a credential or cookie."""

    async def main():
        async with kit.rig(kit.answering(answer), tap=TapSettings(rate=1.0), deployments=TAPPED) as rig:
            control = Control(rig.relay)
            assert await ask(rig, post(b"x-eqwatch-conversation: c-7", body=b'{"a":1}'), answer) == answer
            (exchange,) = control.records
            assert isinstance(exchange, Exchange)
            assert (exchange.request_body, exchange.response_body) == (b'{"a":1}', body)
            assert (exchange.deployment, exchange.dialect, exchange.status) == ("default", "openai_chat", 200)
            assert exchange.request_headers == [(b"content-type", b"application/json")]
            assert [name for name, _ in exchange.response_headers] == [b"content-type"]
            assert exchange.complete
            assert not (exchange.request_truncated)
            assert not (exchange.response_truncated)
            assert exchange.conversation == "c-7"
            assert abs(exchange.started_at - time.time()) < 60
            assert 0 < exchange.first_byte_seconds <= exchange.duration_seconds < 60
            assert b"Bearer" not in control.sent[0]
            assert rig.relay.context.tap.kept_bytes == 0

    kit.run(main())


@pytest.mark.parametrize(
    ("lines", "credit", "attached", "reason"),
    [
        ([b"x-eqwatch-opt-out: 1"], 10, True, "opt_out"),
        ([], 0, True, "no_credit"),
        ([], 0, False, "no_control"),
        ([b"x-eqwatch-deployment: quiet"], 10, True, None),
    ],
)
def test_what_is_not_offered_is_counted_by_reason(kit, lines, credit, attached, reason):
    """Opted out, no credit, no control: the answer is the same, the drop is counted. Untapped is no drop."""

    async def main():
        async with kit.rig(kit.answering(OK), tap=TapSettings(rate=1.0), deployments=TAPPED) as rig:
            control = Control(rig.relay, credit) if attached else None
            assert await ask(rig, post(*lines), OK) == OK
            assert not control or not control.sent
            assert rig.total("dropped_total") == ({("tap", reason): 1} if reason else {})
            assert b"eqwatch" not in rig.upstream.received[0]

    kit.run(main())


def test_credit_is_used_up_and_a_full_link_takes_nothing(kit):
    """Each exchange costs one credit; a control that doesn't read gets no more than the buffer."""

    async def main():
        async with kit.rig(kit.answering(OK), tap=TapSettings(rate=1.0), deployments=TAPPED) as rig:
            control = Control(rig.relay, credit=2)
            for _ in range(3):
                await ask(rig, post(), OK)
            assert len(control.sent) == 2
            rig.relay.link.receive(encode_frame(Credit(5))[4:])
            control.size = 1 << 30
            await ask(rig, post(), OK)
            assert rig.total("dropped_total") == {("tap", "no_credit"): 1, ("tap", "link_full"): 1}

    kit.run(main())


def test_bodies_over_the_cap_are_marked(kit):
    """The copy is cut at the cap; the client gets everything."""

    async def main():
        settings = TapSettings(rate=1.0, body_bytes=4)
        async with kit.rig(kit.answering(CHUNKED), tap=settings, deployments=TAPPED) as rig:
            control = Control(rig.relay)
            assert await ask(rig, post(body=b"123456"), CHUNKED) == CHUNKED
            (exchange,) = control.records
            assert exchange.request_truncated
            assert exchange.response_truncated
            assert len(exchange.request_body) <= 4

    kit.run(main())


def test_a_broken_answer_is_offered_as_incomplete(kit):
    """A client that left in mid-stream leaves an exchange that says so."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(CHUNKED[:-5])
        await reader.read()

    async def main():
        async with kit.rig(handle, tap=TapSettings(rate=1.0), deployments=TAPPED) as rig:
            control = Control(rig.relay)
            await ask_and_leave(rig)
            (exchange,) = control.records
            assert not exchange.complete
            assert exchange.response_body == b"abcde"

    async def ask_and_leave(rig):
        reader, writer = await rig.open()
        writer.write(post())
        await reader.readuntil(b"de\r\n")
        writer.close()
        await rig.settled(lambda: rig.relay.context.counters.inflight == 0)

    kit.run(main())


def tap_of(**changes) -> tuple[Tap, Counters]:
    counters = changes.pop("counters", None) or Counters(0.0)
    settings = {
        "rate": 1.0,
        "body_bytes": 100,
        "ready": lambda: "",
        "offer": lambda _: "",
        "wall": lambda: 1.0,
    } | changes
    return Tap(counters=counters, **settings), counters


HEAD = read_request(b"GET /v1/messages HTTP/1.1\r\nHost: a\r\n\r\n", RequestRules(b"up"))


@pytest.mark.parametrize(("rate", "expected"), [(0.1, 100), (0.5, 500), (1.0, 1000)])
def test_the_rate_is_met_exactly(rate, expected):
    """Of a thousand requests the configured share is kept, evenly."""
    tap, _ = tap_of(rate=rate)
    kept = [tap.begin(TAPPED[0], HEAD) for _ in range(1000)]
    assert abs(sum(one is not None for one in kept) - expected) <= 1


def test_all_that_is_kept_is_bounded():
    """Open recordings together hold no more than the cap; what is over it is dropped and counted; nothing leaks."""
    tap, counters = tap_of(total_bytes=200)
    first = tap.begin(TAPPED[0], HEAD)
    tap.keep_response(first, b"x" * 50)
    tap.keep_request(first, b"x" * 50)
    assert tap.kept_bytes >= 200
    assert tap.begin(TAPPED[0], HEAD) is None
    assert counters.drops == {"memory": 1}
    tap.keep_response(first, b"x" * 40)
    assert first.response_truncated
    tap.finish(first, HEAD, "other", 200, complete=True, first_byte_seconds=0.1, duration_seconds=0.2)
    assert tap.kept_bytes == 0
    assert tap.begin(TAPPED[0], HEAD) is not None


def miss(tap: Tap, number: int) -> None:
    """What a connection does while the tap is closed."""
    for _ in range(number):
        assert not tap.open
        tap.missed += 1


def test_what_is_missed_is_counted_under_the_reason_of_its_time():
    """A drop belongs to the reason for which the tap was closed when the request came."""
    tap, counters = tap_of()
    tap.hear("no_control")
    miss(tap, 3)
    tap.hear("no_credit")
    miss(tap, 2)
    tap.hear("no_credit")
    assert tap.missed == 2
    tap.hear("")
    assert tap.open
    assert tap.missed == 0
    assert counters.drops == {"no_control": 3, "no_credit": 2}


@pytest.mark.parametrize("rate", [0.1, 0.25, 1.0])
def test_of_what_is_missed_the_rate_would_have_chosen_a_share(rate):
    """Only that share are drops, and the remainder is carried over from open to closed and back."""
    tap, counters = tap_of(rate=rate)
    kept = 0
    for number in range(100):
        kept += sum(tap.begin(TAPPED[0], HEAD) is not None for _ in range(number % 4))
        tap.hear("no_credit")
        miss(tap, number % 7)
        tap.hear("")
    requests = sum(number % 4 + number % 7 for number in range(100))
    assert abs(kept + sum(counters.drops.values()) - requests * rate) <= 1


def test_a_busy_relay_closes_the_tap_until_it_has_time_again():
    """Whatever control would take; what control lacks is the reason that is told where both are so."""
    used = 0.0
    tap, counters = tap_of(load=Load(0.5, lambda: used, 0.0))
    tap.look(1.0)
    assert tap.open
    used = 0.9
    tap.look(2.0)
    miss(tap, 4)
    tap.hear("no_credit")
    miss(tap, 2)
    tap.hear("")
    miss(tap, 1)
    tap.look(3.0)
    assert tap.open
    assert counters.drops == {"busy": 5, "no_credit": 2}


def test_the_tap_follows_control():
    """No control, no credit, credit, credit used up, control gone: the tap is told, and a snapshot misses nothing."""
    context = context_of()
    link = Link(context)
    tap = context.tap = tap_of(counters=context.counters, ready=link.ready, offer=link.offer)[0]
    tap.hear(link.ready())
    miss(tap, 1)
    control = Wire()
    link.attach(control)
    miss(tap, 2)
    link.receive(encode_frame(Credit(1))[4:])
    first, second = tap.begin(TAPPED[0], HEAD), tap.begin(TAPPED[0], HEAD)
    finish(tap, first)
    miss(tap, 4)
    finish(tap, second)
    link.detach(control)
    miss(tap, 8)
    link.attach(control)
    link.receive(encode_frame(SnapshotRequest())[4:])
    taken, snapshot = control.records
    assert isinstance(taken, Exchange)
    (drops,) = [one.values for one in snapshot.counters if one.name == "dropped_total"]
    assert {tuple(labels): n for labels, n in drops} == {("tap", "no_control"): 9.0, ("tap", "no_credit"): 7.0}


def test_control_is_told_when_the_relay_is_busy():
    """Once for each change, and each new control anew; a control that does not read is told later."""
    used = 0.0
    context = context_of()
    link = Link(context)
    load = Load(0.5, lambda: used, 0.0)
    tap = context.tap = tap_of(counters=context.counters, load=load, looked=link.tell_busy)[0]
    control, later = Wire(), Wire()
    link.attach(control)
    tap.look(1.0)
    used += 1.0
    tap.look(2.0)
    used += 1.0
    tap.look(3.0)
    assert control.records == [Busy(True)]
    link.detach(control)
    link.attach(later)
    later.size = 1 << 30
    tap.look(4.0)
    assert later.records == [Busy(True)]
    later.size = 0
    tap.look(4.1)
    assert later.records == [Busy(True), Busy(False)]


def finish(tap: Tap, recording) -> None:
    tap.finish(recording, HEAD, "other", 200, complete=True, first_byte_seconds=0.1, duration_seconds=0.2)


class Broken:
    """An observer that fails in everything that it is asked."""

    def __getattr__(self, name):
        raise RuntimeError(name)


class Failing(Tap):
    """A tap whose every method fails at a chosen point."""

    fails = "begin"

    def begin(self, *args):
        return self._maybe("begin") or super().begin(*args)

    def keep_request(self, *args):
        return self._maybe("keep_request") or super().keep_request(*args)

    def keep_response(self, *args):
        return self._maybe("keep_response") or super().keep_response(*args)

    def finish(self, *args, **more):
        return self._maybe("finish") or super().finish(*args, **more)

    def _maybe(self, name):
        if name == self.fails:
            raise RuntimeError(name)


# What takes the place of a part can't take that of a compiled one, which knows the types of its parts.
REPLACED = [
    pytest.param(name, marks=pytest.mark.replaces_parts)
    for name in ("begin", "keep_request", "keep_response", "finish", "cell")
]


@pytest.mark.parametrize("fails", [*REPLACED, "access_log", "offer"])
def test_an_observer_that_raises_is_contained(kit, fails):
    """Wherever tap, numbers or log fail: same bytes, logged once with its error, counted each time."""

    async def main():
        async with kit.rig(kit.answering(OK), tap=TapSettings(rate=1.0), deployments=TAPPED) as rig:
            context = rig.relay.context
            Control(rig.relay)
            if fails == "access_log":
                context.access_log = lambda _: 1 / 0
            elif fails == "cell":
                context.counters.overhead = Broken()
            elif fails == "offer":
                context.tap._offer = lambda _: 1 / 0
            else:
                tap = Failing(rate=1.0, body_bytes=99, counters=context.counters, ready=str, offer=str, wall=time.time)
                tap.fails = fails
                context.tap = tap
            for _ in range(3):
                assert await ask(rig, post(), OK) == OK
            assert len(kit.faults) == 1
            assert isinstance(kit.faults[0][1], (RuntimeError, ZeroDivisionError))
            assert sum(context.counters.observer_errors.values()) == 3

    kit.run(main())


@pytest.mark.replaces_parts
def test_a_closed_tap_is_not_even_asked(kit):
    """While it is closed no request calls it, repeated heads or not; each one is counted, opted out or not."""

    async def main():
        async with kit.rig(kit.answering(OK), tap=TapSettings(rate=1.0), deployments=TAPPED) as rig:
            context = rig.relay.context
            tap = Failing(rate=1.0, body_bytes=99, counters=context.counters, ready=str, offer=str, wall=time.time)
            context.tap = tap
            tap.hear("no_control")
            reader, writer = await rig.open()
            for lines in ([], [], [], [b"x-eqwatch-opt-out: 1"], [b"x-eqwatch-deployment: quiet"]):
                writer.write(post(*lines))
                assert await asyncio.wait_for(reader.readexactly(len(OK)), 20) == OK
            writer.close()
            assert rig.total("dropped_total") == {("tap", "no_control"): 4}
            assert not kit.faults

    kit.run(main())


def test_awareness_is_added_only_where_asked_for(kit):
    """Switched on, known, and asked for by the conversation header: only then does an answer carry the header."""

    async def main():
        async with kit.rig(kit.answering(OK), awareness_header=True) as rig:
            Control(rig.relay)
            rig.relay.link.receive(encode_frame(AwarenessUpdate("c-1", "Joy=7;age=3"))[4:])
            rig.relay.link.receive(encode_frame(AwarenessUpdate("c-2", "Joy=7\r\nSet-Cookie: x"))[4:])
            aware = OK.replace(b"\r\n\r\n", b"\r\nx-eqwatch-emotions: Joy=7;age=3\r\n\r\n")
            assert await ask(rig, post(b"x-eqwatch-conversation: c-1"), aware) == aware
            assert await ask(rig, post(b"x-eqwatch-conversation: c-2"), OK) == OK
            assert await ask(rig, post(), OK) == OK
            rig.relay.link.receive(encode_frame(AwarenessUpdate("c-1", ""))[4:])
            assert await ask(rig, post(b"x-eqwatch-conversation: c-1"), OK) == OK
            ended = time.time() - 90
            rig.relay.link.receive(encode_frame(AwarenessUpdate("c-1", "joy=7.0, turn=2", ended))[4:])
            aged = OK.replace(b"\r\n\r\n", b"\r\nx-eqwatch-emotions: joy=7.0, turn=2, age=90\r\n\r\n")
            answer = await ask(rig, post(b"x-eqwatch-conversation: c-1"), aged)
            age = int(answer.partition(b"age=")[2].partition(b"\r\n")[0])
            assert 90 <= age < 150
            assert answer == aged.replace(b"age=90", b"age=%d" % age)

    kit.run(main())


def context_of(**changes) -> Context:
    config = RelayConfig(UpstreamTarget("http", "up", 80), **changes)
    return Context(config, clock=time.monotonic, counters=Counters(0.0), fault_log=lambda *_: None, access_log=None)


def test_the_awareness_table_is_bounded():
    """The oldest of ten thousand conversations makes room."""
    link = Link(context_of(awareness_header=True))
    for number in range(10_001):
        link.receive(msgspec.msgpack.encode(AwarenessUpdate(f"c-{number}", "x")))
    assert len(link.context.awareness) == 10_000
    assert b"c-0" not in link.context.awareness


def test_a_snapshot_answers_a_request(kit):
    """Control asks, and gets every number by its name in the catalogue."""

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            control = Control(rig.relay)
            await ask(rig, post(), OK)
            await ask(rig, b"GET /none HTTP/1.1\r\n\r\n" + b"", b"HTTP/1.1 400 Bad Request")
            rig.relay.link.receive(encode_frame(SnapshotRequest())[4:])
            (snapshot,) = control.records
            assert isinstance(snapshot, RelaySnapshot)
            counters = {one.name: {tuple(k): v for k, v in one.values} for one in snapshot.counters}
            assert counters["requests_total"] == {("default", "openai_chat", "200"): 1.0}
            assert counters["transfer_bytes_total"] == {("request",): 2.0, ("response",): 2.0}
            assert counters["refusals_total"] == {("bad_host",): 1.0}
            assert counters["inflight_requests"] == {(): 0.0}
            histograms = {name: values for name, _, values in snapshot.histograms}
            for name in ("time_to_first_byte_seconds", "request_duration_seconds", "proxy_overhead_seconds"):
                assert sum(histograms[name][0][1].counts) == 1
                assert len(histograms[name][0][1].counts) == len(histograms[name][0][1].bounds) + 1

    kit.run(main())


def test_the_access_log_holds_no_secret(kit):
    """Method, path, code and times; neither query, header nor body."""

    async def main():
        async with kit.rig(kit.answering(OK), access_log=True) as rig:
            await ask(rig, post(body=b"private"), OK)
            (line,) = kit.access
            assert line["path"] == "/v1/chat/completions"
            assert line["status"] == 200
            assert "secret" not in str(line)
            assert "private" not in str(line)
            assert "Bearer" not in str(line)

    kit.run(main())


def head(*lines: bytes, target: bytes = b"/v1/x"):
    raw = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return read_request(raw, RequestRules(b"up"))


def test_a_deployment_is_known_by_header_path_or_key():
    """In this order; the longest path wins; names and keys that aren't configured are the default."""
    salt = b"salt"
    deployments = Deployments(
        (
            DeploymentMatch("tutor", path_prefixes=("/t/",)),
            DeploymentMatch("robot", path_prefixes=("/t/robot/",)),
            DeploymentMatch("shop", key_ids=(key_id(b"Bearer sk-1", salt),)),
        ),
        salt,
    )
    named = lambda *lines, target=b"/v1/x": deployments.find(head(*lines, target=target))[0].name  # noqa: E731
    assert named(b"x-eqwatch-deployment: robot", target=b"/t/x") == "robot"
    assert named(b"x-eqwatch-deployment: made-up") == "default"
    assert named(target=b"/t/x") == "tutor"
    assert named(target=b"/t/robot/x") == "robot"
    assert named(b"Authorization: bearer sk-1") == "shop"
    assert named(b"x-api-key: sk-1") == "shop"
    assert named(b"x-api-key: sk-2") == "default"
    assert deployments.find(head(b"api-key: sk-1"))[1] == key_id(b"sk-1", salt)
    assert key_id(b"sk-1", b"other") != key_id(b"sk-1", salt)


def test_clients_are_identified_only_where_somebody_asks():
    """For deployments by key, or for clients that opted out; else no credential is even hashed."""
    given = head(b"x-api-key: sk-1")
    assert Deployments((), b"salt").identify(given) == ""
    assert Deployments((), b"salt", identify_clients=True).identify(given) == key_id(b"sk-1", b"salt")
    assert Deployments((), b"salt", identify_clients=True).identify(head()) == ""


@pytest.mark.parametrize(
    ("target", "media_type", "dialect"),
    [
        (b"/v1/chat/completions", b"application/json", "openai_chat"),
        (b"/openai/deployments/x/chat/completions?api-version=1", b"", "openai_chat"),
        (b"/v1/responses", b"application/json; charset=utf-8", "openai_responses"),
        (b"/v1/messages?beta=true", b"application/json", "anthropic_messages"),
        (b"/v1/messages", b"multipart/form-data", "other"),
        (b"/v1/embeddings", b"application/json", "other"),
        (b"/v1/files?x=/v1/messages", b"", "other"),
    ],
)
def test_a_dialect_is_known_by_path_and_media_type(target, media_type, dialect):
    """Nothing else is looked at; what is unknown is other, and passes."""
    assert dialect_of(target, media_type) == dialect

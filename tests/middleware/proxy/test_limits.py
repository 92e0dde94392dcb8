"""Time and number: every limit and timeout, and what the client is told."""

import asyncio
import json
import os
import resource

import pytest

from middleware.records.relay import Limits, Timeouts

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"


def code_of(answer):
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


async def silent(reader, writer, upstream):
    await upstream.read_request(reader)
    await reader.read()


async def stalling(reader, writer, upstream):
    await upstream.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await reader.read()


@pytest.mark.parametrize(
    ("timeouts", "sent", "expected"),
    [
        (Timeouts(head=1.0), b"GET / HT", (400, "request_timeout")),
        (Timeouts(body=0.2), POST + b"half", (400, "request_timeout")),
        (Timeouts(first_byte=0.2), GET, (504, "upstream_timeout")),
    ],
)
def test_what_takes_too_long_is_answered(kit, timeouts, sent, expected):
    """A head, a body, a first byte that doesn't come in time ends with an error; the other clients don't notice."""

    async def main():
        async with kit.rig(silent, timeouts=timeouts) as rig:
            reader, writer = await rig.open()
            writer.write(sent)
            answer = await asyncio.wait_for(reader.readuntil(b"}}"), 20)
            assert code_of(answer) == expected
            writer.close()
            await rig.settled(lambda: rig.relay.context.counters.open_clients == 0)
            assert rig.relay.context.counters.inflight == 0

    kit.run(main())


def test_a_drip_is_cut_though_it_never_pauses(kit):
    """A body that comes byte by byte runs out of time, though no pause is long."""

    async def main():
        async with kit.rig(silent, timeouts=Timeouts(body=0.3)) as rig:
            reader, writer = await rig.open()
            writer.write(POST.replace(b"10", b"100000"))

            async def drip():
                while True:
                    writer.write(b"x")
                    await asyncio.sleep(0.05)

            dripping = asyncio.ensure_future(drip())
            answer = await asyncio.wait_for(reader.readuntil(b"}}"), 20)
            dripping.cancel()
            assert code_of(answer) == (400, "request_timeout")
            writer.close()

    kit.run(main())


@pytest.mark.parametrize("sent", [b"", GET])
def test_idle_connections_are_closed(kit, sent):
    """A connection that says nothing, at first or after an answer, is closed without a word."""

    async def main():
        async with kit.rig(kit.answering(OK), timeouts=Timeouts(head=1.0, keep_alive=0.2)) as rig:
            assert await rig.talk(sent) == (OK if sent else b"")

    kit.run(main())


def test_a_stalled_answer_is_cut(kit):
    """The idle timeout ends an answer that stopped coming, uncleanly."""

    async def main():
        async with kit.rig(stalling, timeouts=Timeouts(idle=0.2)) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            await reader.readuntil(b"half")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 20)
            assert rig.total("upstream_failures_total") == {("idle_timeout",): 1}
            writer.close()

    kit.run(main())


def test_connecting_has_a_time_limit(kit):
    """An upstream that accepts no connection in time is a 504."""

    async def main():
        async with kit.rig(silent, timeouts=Timeouts(connect=0.1)) as rig:

            async def never(make):
                await asyncio.Event().wait()

            rig.relay.context.pool._dial = never
            assert code_of(await rig.talk(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) == (
                504,
                "upstream_connect_timeout",
            )

    kit.run(main())


@pytest.mark.parametrize(
    ("target", "reason"), [({"host": "127.0.0.1", "port": 1}, "connect"), ({"host": "no-such-host.invalid"}, "dns")]
)
def test_an_upstream_that_cannot_be_reached_is_a_502(kit, target, reason):
    """Refused connections and unknown names are told apart in the numbers, not to the client; the client may go on."""

    async def main():
        async with kit.rig(silent, target=target) as rig:
            reader, writer = await rig.open()
            for _ in range(2):
                writer.write(GET)
                assert code_of(await asyncio.wait_for(reader.readuntil(b"}}"), 20)) == (502, "upstream_unreachable")
            assert rig.total("upstream_failures_total") == {(reason,): 2}
            assert rig.total("open_connections")[("upstream",)] == 0
            writer.close()

    kit.run(main())


def test_clients_over_the_limit_get_a_503(kit):
    """One too many is told so; once another leaves there is room again."""

    async def main():
        async with kit.rig(kit.answering(OK), limits=Limits(connections=1)) as rig:
            _, first = await rig.open()
            await rig.settled(lambda: rig.relay.context.counters.open_clients == 1)
            assert code_of(await rig.talk(GET)) == (503, "relay_connections")
            first.close()
            await rig.settled(lambda: rig.relay.context.counters.open_clients == 0)
            reader, writer = await rig.open()
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
            writer.close()

    kit.run(main())


def test_requests_over_the_upstream_cap_get_a_503_at_once(kit):
    """The cap is no hidden queue: a request that finds no connection is refused and counted."""

    async def main():
        async with kit.rig(silent, limits=Limits(upstream_connections=1)) as rig:
            _, first = await rig.open()
            first.write(GET)
            await rig.upstream.asked.wait()
            reader, writer = await rig.open()
            writer.write(GET)
            assert code_of(await asyncio.wait_for(reader.readuntil(b"}}"), 20)) == (503, "upstream_connections")
            assert rig.total("upstream_failures_total") == {("connections",): 1}
            first.close()
            writer.close()

    kit.run(main())


def test_running_out_of_descriptors_is_a_503_and_passes(kit):
    """With no descriptor left for the upstream the client is told; with descriptors again, all is well."""

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            reader, writer = await rig.open()
            await rig.settled(lambda: rig.relay.context.counters.open_clients == 1)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            fill = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(fill), hard))
            try:
                writer.write(GET)
                answer = await asyncio.wait_for(reader.readuntil(b"}}"), 20)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for descriptor in fill:
                    os.close(descriptor)
            assert code_of(answer) == (503, "relay_exhausted")
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
            writer.close()

    kit.run(main())


def test_own_paths_are_answered_by_the_relay(kit):
    """Liveness and readiness never reach the upstream; other paths below the prefix do."""

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            answer = await rig.talk(
                b"GET /-/eqwatch/live HTTP/1.1\r\nHost: a\r\n\r\n"
                b"HEAD /-/eqwatch/ready HTTP/1.1\r\nHost: a\r\n\r\n"
                b"GET /-/eqwatch/other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            assert answer.count(b"200 OK") == 3
            assert [got.count(b"GET") for got in rig.upstream.received] == [1]

    kit.run(main())


def test_draining_finishes_what_is_under_way(kit):
    """Draining refuses new connections, closes idle ones, fails readiness, and waits for the answer that is coming."""
    go = asyncio.Event()

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await go.wait()
        writer.write(b"1\r\nb\r\n0\r\n\r\n")

    async def main():
        async with kit.rig(handle) as rig:
            idle_reader, idle_writer = await rig.open()
            reader, writer = await rig.open()
            writer.write(GET)
            await reader.readuntil(b"a\r\n")
            draining = asyncio.ensure_future(rig.relay.drain())
            assert await asyncio.wait_for(idle_reader.read(), 20) == b""
            with pytest.raises(OSError):  # noqa: PT011
                await rig.open()
            assert not draining.done()
            writer.write(b"GET /-/eqwatch/ready HTTP/1.1\r\nHost: a\r\n\r\n")
            go.set()
            assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"1\r\nb\r\n0\r\n\r\n")
            await asyncio.wait_for(draining, 20)
            writer.close()
            idle_writer.close()

    kit.run(main())


def test_draining_does_not_wait_for_a_client_that_came_last(kit):
    """A connection that was accepted just before the end, and is heard of just after it began, is closed at once."""

    async def main():
        async with kit.rig(kit.answering(OK), timeouts=Timeouts(head=600)) as rig:
            rig.relay.context.draining = True  # as `drain` begins, before it closes the listener
            reader, writer = await rig.open()
            assert await asyncio.wait_for(reader.read(), 20) == b""
            await asyncio.wait_for(rig.relay.drain(), 20)
            writer.close()

    kit.run(main())


def test_draining_has_a_time_limit(kit):
    """A stream that does not end is cut when the drain time is over."""

    async def main():
        async with kit.rig(silent, timeouts=Timeouts(drain=0.2)) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            await rig.upstream.asked.wait()
            await asyncio.wait_for(rig.relay.drain(), 20)
            assert await reader.read() == b""
            await asyncio.wait_for(rig.upstream.gone.wait(), 20)
            writer.close()

    kit.run(main())

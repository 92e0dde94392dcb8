"""The two protocols as a pair, over real sockets: what reaches the other side, and how each ending looks."""

import asyncio
import json

import pytest

from middleware.records.relay import Limits, Timeouts

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_GET = b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def post(body: bytes, *lines: bytes) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return head + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def code_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(head.split()[1]), error["code"]


def test_bytes_pass_unchanged_on_a_kept_connection(kit):
    """Request after request on one connection: heads and bodies arrive as sent but for Host."""

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            sent = [post(b"x" * size, b"X-Dup: 1", b"x-dup: 2") for size in (1, 10, 100, 100)]
            answer = await rig.talk(b"".join(sent) + LAST_GET)
            host = b"Host: 127.0.0.1:%d" % rig.upstream.port
            expected = b"".join([*sent, GET]).replace(b"Host: a", host)
            assert [bytes(got) for got in rig.upstream.received] == [expected]
            assert answer == OK * 4 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

    kit.run(main())


@pytest.mark.parametrize("pieces", [1, 7, 0])
@pytest.mark.parametrize("close", [False, True])
def test_any_split_gives_the_same_result(kit, pieces, close):
    """Byte by byte or all at once, pipelined requests of every framing reach the upstream alike."""
    chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    last = LAST_GET if close else GET.replace(b"GET", b"GET", 1) + LAST_GET

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            sent = post(b"hello") + chunked + post(b"hello") + post(b"bye") + last
            answer = await rig.talk(sent, pieces=pieces)
            got = bytes(rig.upstream.received[0]).replace(b"Host: 127.0.0.1:%d" % rig.upstream.port, b"Host: a")
            joined = got.replace(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n", b"3\r\nabc\r\n")
            assert joined == sent.replace(b"X-Trailer: 1\r\n", b"").replace(b"Connection: close\r\n", b"")
            assert answer.count(b"HTTP/1.1 200 OK") == sent.count(b"Host: a")

    kit.run(main())


def test_each_chunk_passes_before_the_next_is_made(kit):
    """A stream is never buffered: the upstream sends the next piece only once the client has the last."""
    seen = asyncio.Event()

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(STREAM_HEAD)
        for _ in range(5):
            writer.write(b"8\r\ndata: x\n\r\n")
            await seen.wait()
            seen.clear()
        writer.write(b"0\r\n\r\n")

    async def main():
        async with kit.rig(handle) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            assert await reader.readuntil(b"\r\n\r\n") == STREAM_HEAD
            for _ in range(5):
                assert await asyncio.wait_for(reader.readexactly(13), 20) == b"8\r\ndata: x\n\r\n"
                seen.set()
            assert await reader.readexactly(5) == b"0\r\n\r\n"
            writer.close()

    kit.run(main())


@pytest.mark.parametrize(
    ("answer", "method", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"GET", None),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"GET", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"HEAD", None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"POST", None),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"GET", None),
        (STREAM_HEAD + b"2\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n", b"GET", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"DELETE", None),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"GET", None),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"GET", OK),
        (
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 1\r\n\r\n!",
            b"GET",
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 1\r\n\r\n!",
        ),
    ],
)
def test_every_framing_of_an_answer_passes(kit, answer, method, expected):
    """Interim, bodiless, chunked with trailers, empty, close-announced: each passes, the connection stays."""

    async def main():
        async with kit.rig(kit.answering(answer)) as rig:
            reader, writer = await rig.open()
            for _ in range(2):
                writer.write(GET.replace(b"GET", method))
                assert await asyncio.wait_for(reader.readexactly(len(expected or answer)), 20) == (expected or answer)
            writer.close()

    kit.run(main())


def test_an_answer_without_length_ends_with_the_connection(kit):
    """EOF-framed answers stay so, and say so."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\nall")
        await writer.drain()
        writer.write(b" of it")

    async def main():
        async with kit.rig(handle) as rig:
            assert await rig.talk(GET) == b"HTTP/1.1 200 OK\r\nX: 1\r\nConnection: close\r\n\r\nall of it"
            assert rig.total("requests_total") == {("default", "other", "200"): 1}

    kit.run(main())


def test_a_1_0_client_gets_no_chunks(kit):
    """Chunked answers are unwrapped for HTTP/1.0 and end with the connection."""

    async def main():
        async with kit.rig(kit.answering(STREAM_HEAD + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as rig:
            answer = await rig.talk(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert body == b"abcde"
            assert b"chunked" not in head
            assert head.endswith(b"Connection: close")

    kit.run(main())


def test_expect_continue_is_the_upstreams_to_answer(kit):
    """The head goes up with Expect, the 100 comes down, then the body goes up."""

    async def handle(reader, writer, upstream):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(5) == b"hello"
        writer.write(OK)

    async def main():
        async with kit.rig(handle) as rig:
            reader, writer = await rig.open()
            whole = post(b"hello", b"Expect: 100-continue")
            writer.write(whole[:-5])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(whole[-5:])
            assert await reader.readexactly(len(OK)) == OK
            writer.close()

    kit.run(main())


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (GET.replace(b"Host: a\r\n", b""), 400, "bad_host"),
        (GET.replace(b"/v1", b"//v1"), 400, "bad_target"),
        (GET.replace(b"GET", b"G\x00T"), 400, "bad_request"),
        (post(b"x").replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length"), 400, "bad_framing"),
        (GET.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431, "head_too_large"),
        (post(b"x" * 2000), 413, "body_too_large"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000,
            413,
            "body_too_large",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_framing"),
        (
            GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
            501,
            "upgrade_unsupported",
        ),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "upgrade_unsupported"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "bad_request"),
    ],
)
def test_hostile_requests_are_refused_and_closed(kit, sent, status, code):
    """The client gets the documented error and the connection's end; the upstream gets no complete request."""

    async def main():
        async with kit.rig(kit.answering(OK), limits=Limits(body_bytes=1000)) as rig:
            answer = await rig.talk(sent)
            assert code_of(answer) == (status, code)
            assert b"Connection: close" in answer
            assert all(not got for got in rig.upstream.received)
            assert rig.relay.context.counters.inflight == 0

    kit.run(main())


def test_nothing_after_a_refusal_is_served(kit):
    """What a refused client pipelined behind its bad request is thrown away."""

    async def main():
        async with kit.rig(kit.answering(OK)) as rig:
            answer = await rig.talk(GET + GET.replace(b"Host", b"Host ") + GET)
            assert answer.count(b"HTTP/1.1 ") == 2
            assert answer.startswith(OK)
            assert rig.upstream.received[0].count(b"GET") == 1

    kit.run(main())


@pytest.mark.parametrize("streaming", [False, True])
def test_a_client_that_leaves_takes_its_upstream_with_it(kit, streaming):
    """Before the first byte and in mid-stream, the upstream's connection is dropped at once, and counted."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        if streaming:
            writer.write(STREAM_HEAD + b"1\r\nx\r\n")
        assert await reader.read() == b""

    async def main():
        async with kit.rig(handle) as rig:
            reader, writer = await rig.open()
            writer.write(post(b"{}"))
            await rig.upstream.asked.wait()
            if streaming:
                await reader.readuntil(b"x\r\n")
            writer.close()
            await asyncio.wait_for(rig.upstream.gone.wait(), 20)
            await rig.settled(lambda: rig.relay.context.counters.inflight == 0)
            assert rig.total("client_cancellations_total") == {("default",): 1}
            assert rig.total("requests_total") == {("default", "openai_chat", "200" if streaming else "499"): 1}
            assert rig.total("open_connections") == {("client",): 0, ("upstream",): 0}

    kit.run(main())


def test_a_half_closed_client_has_left(kit):
    """A client that shuts down its sending side can't be told from one that left."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        assert await reader.read() == b""

    async def main():
        async with kit.rig(handle) as rig:
            _, writer = await rig.open()
            writer.write(GET)
            await rig.upstream.asked.wait()
            writer.write_eof()
            await asyncio.wait_for(rig.upstream.gone.wait(), 20)
            writer.close()

    kit.run(main())


@pytest.mark.parametrize(
    ("answer", "clean"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", False),
        (STREAM_HEAD + b"4\r\nhalf\r\n", False),
        (STREAM_HEAD + b"4\r\nhalf\r\nzz\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\nwhole", True),
    ],
)
def test_an_upstream_that_dies_in_mid_stream_is_never_a_clean_end(kit, answer, clean):
    """The client sees its answer cut short: no last chunk, no made-up end."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(answer)
        await writer.drain()

    async def main():
        async with kit.rig(handle) as rig:
            got = await rig.talk(GET)
            assert not got.endswith(b"0\r\n\r\n")
            if not clean:
                await rig.settled(lambda: bool(rig.total("upstream_failures_total")))
                assert set(rig.total("upstream_failures_total")) <= {("reset",), ("protocol",)}

    kit.run(main())


def test_a_reset_of_an_answer_without_length_resets_the_client(kit):
    """Where a plain close would look like the end, the client gets a reset."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        await rig_client.wait()
        writer.transport.abort()

    async def main():
        async with kit.rig(handle, timeouts=Timeouts(idle=0.3)) as rig:
            reader, writer = await rig.open()
            writer.write(GET)
            await reader.readuntil(b"half")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 20)
            rig_client.set()
            writer.close()

    rig_client = asyncio.Event()
    kit.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 S\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_no_http_is_a_502(kit, answer):
    """Nothing of it reaches the client."""

    async def handle(reader, writer, upstream):
        await upstream.read_request(reader)
        writer.write(answer)

    async def main():
        async with kit.rig(handle) as rig:
            answered = await rig.talk(LAST_GET)
            assert code_of(answered) == (502, "upstream_protocol" if answer else "upstream_closed")

    kit.run(main())


def test_bytes_behind_an_answer_reach_nobody(kit):
    """An upstream that says more than it announced can't put words into the next answer."""

    async def main():
        async with kit.rig(kit.answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as rig:
            answer = await rig.talk(GET + LAST_GET)
            assert b"evil" not in answer
            assert answer.count(b"ok") == 2

    kit.run(main())


def test_an_early_answer_ends_the_upload(kit):
    """An upstream that refuses before the body is there: the client gets that answer, then the end."""

    async def handle(reader, writer, upstream):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await reader.read()

    async def main():
        async with kit.rig(handle) as rig:
            reader, writer = await rig.open()
            writer.write(post(b"x" * 100)[:-50])
            assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"\r\n\r\nno")
            writer.close()
            await asyncio.wait_for(rig.upstream.gone.wait(), 20)

    kit.run(main())


def test_a_slow_reader_slows_the_upstream(kit):
    """The relay holds a bounded part of an endless answer; the upstream has to wait."""
    sent = 0

    async def handle(reader, writer, upstream):
        nonlocal sent
        await upstream.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        writer.transport.set_write_buffer_limits(high=0)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async def main():
        async with kit.rig(handle, limits=Limits(buffer_bytes=65536)) as rig:
            reader, writer = await rig.open()
            writer.transport.pause_reading()
            writer.write(GET)
            await rig.upstream.asked.wait()
            last = -1
            while not sent or last != sent:
                last = sent
                await asyncio.sleep(0.2)
            (client,) = [client for part in rig.relay.context.clients for client in part]
            assert client._transport.get_write_buffer_size() < 1 << 20
            assert 0 < sent < 64 << 20
            writer.transport.resume_reading()
            async with asyncio.timeout(20):
                while sent == last:
                    await reader.read(1 << 20)
            writer.transport.abort()

    kit.run(main())


def test_a_slow_upstream_slows_the_upload(kit):
    """Upload bodies stream: the relay never holds more than its buffers."""
    sent = 0
    go = asyncio.Event()

    async def handle(reader, writer, upstream):
        await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        left = 64 << 20
        while left:
            left -= len(await reader.read(1 << 20))
        writer.write(OK)

    async def main():
        nonlocal sent
        async with kit.rig(handle, limits=Limits(buffer_bytes=65536)) as rig:
            reader, writer = await rig.open()
            writer.transport.set_write_buffer_limits(high=0)
            writer.write(b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (64 << 20))

            async def upload():
                nonlocal sent
                while sent < 64 << 20:
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    sent += 65536

            async with asyncio.TaskGroup() as group:
                group.create_task(upload())
                last = -1
                while last != sent:
                    last = sent
                    await asyncio.sleep(0.2)
                assert sent < 48 << 20
                go.set()
                assert await reader.readexactly(len(OK)) == OK
            writer.close()

    kit.run(main())

"""A client that leaves takes its upstream request with it, at every stage, and nothing is left open."""

import threading
from typing import Any

import pytest

from middleware.records.relay import Timeouts
from tests.e2e.traffic.wire import Upstream, wait_until

# The promise is 1 s, which the pause between two sweeps keeps (tests/middleware/proxy/test_sweep.py); the rest is for a
# machine that stands still for seconds. No timeout of the relay's ends anything in that time.
CANCELLED_SECONDS = 15.0
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}"
UPLOAD = b"POST /v1/files HTTP/1.1\r\nHost: c\r\nContent-Length: 100000\r\n\r\nsome"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT = b"data: {}\n\n"
LEAVE = {"close": lambda w: w.close(), "reset": lambda w: w.reset(), "half-close": lambda w: w.half_close()}
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def cancelled(wire: Any) -> None:
    """The upstream sees its connection end in time."""
    wire.sock.settimeout(CANCELLED_SECONDS)
    wire.read_rest()


@pytest.mark.parametrize("how", LEAVE)
def test_before_the_head(relay: Any, upstream: Any, how: str) -> None:
    """The client leaves before any byte of the answer: the upstream's connection ends within a second."""
    client = relay.ask(POST)
    wire = upstream.accept()
    wire.read_request()
    LEAVE[how](client)
    cancelled(wire)


@pytest.mark.parametrize("how", LEAVE)
def test_between_head_and_first_byte(relay: Any, upstream: Any, how: str) -> None:
    """The client leaves after the answer's head and before its body: the upstream's connection ends."""
    client = relay.ask(POST)
    wire = upstream.accept()
    wire.read_request()
    wire.send(SSE + b"Transfer-Encoding: chunked\r\n\r\n")
    client.read_head()
    LEAVE[how](client)
    cancelled(wire)


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Content-Length: 1000", b"X-Framed: by the end"])
@pytest.mark.parametrize("how", LEAVE)
def test_in_mid_stream(relay: Any, upstream: Any, how: str, framing: bytes) -> None:
    """The client leaves in mid-stream while the upstream is silent: the upstream's connection ends."""
    client = relay.ask(POST)
    wire = upstream.accept()
    wire.read_request()
    chunk = b"a\r\n" + EVENT + b"\r\n" if b"chunked" in framing else EVENT
    wire.send(SSE + framing + b"\r\n\r\n" + chunk)
    client.read_until(EVENT)
    LEAVE[how](client)
    cancelled(wire)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_in_the_middle_of_an_upload(relay: Any, upstream: Any, how: str) -> None:
    """The client leaves in the middle of its upload: the upstream's connection ends, with the upload unfinished."""
    client = relay.ask(UPLOAD)
    wire = upstream.accept()
    wire.read_head()
    assert wire.read(4) == b"some"
    LEAVE[how](client)
    wire.sock.settimeout(CANCELLED_SECONDS)
    assert wire.read_rest()[0] == b""


@pytest.mark.parametrize("how", ["close", "half-close"])
def test_a_chunked_upload_is_not_ended_for_the_client(relay: Any, upstream: Any, how: str) -> None:
    """The client leaves between the chunks of an upload: the upstream never sees a last chunk."""
    client = relay.ask(b"POST / HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
    wire = upstream.accept()
    wire.read_head()
    assert wire.read_chunk() == b"ok"
    LEAVE[how](client)
    wire.sock.settimeout(CANCELLED_SECONDS)
    assert wire.read_rest()[0] == b""


@pytest.mark.parametrize(
    "part", [b"", b"GET", b"POST / HTTP/1.1\r\nHost: c\r\nContent-"], ids=["none", "word", "lines"]
)
@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_before_the_request_is_whole(relay: Any, upstream: Any, part: bytes, how: str) -> None:
    """The client leaves before its head is whole: the upstream is never asked."""
    client = relay.ask(part)
    LEAVE[how](client)
    relay.settle(more=1 if how == "half-close" else 0)
    assert not upstream.pending()


def test_while_the_answer_floods(relay: Any, upstream: Any) -> None:
    """The client leaves while the relay is held up by it: the upstream, blocked in sending, sees the end."""
    client = relay.dial(receive_buffer=65536)
    client.send(POST)
    wire = upstream.accept()
    wire.read_request()
    wire.send(SSE + b"Content-Length: 1000000000\r\n\r\n")
    client.read_head()
    ended = threading.Event()

    def flood() -> None:
        try:
            while True:
                wire.send(bytes(65536))
        except (ConnectionError, BrokenPipeError):
            ended.set()

    writer = threading.Thread(target=flood)
    writer.start()
    before = relay.cpu_seconds()
    client.read(10_000_000)
    client.reset()
    assert ended.wait(CANCELLED_SECONDS)
    writer.join()
    assert relay.cpu_seconds() - before < 20


def test_while_connecting(start: Any) -> None:
    """The client leaves while the relay still connects: the attempt ends with the time for it, and leaks nothing.

    A connection that comes about nevertheless is kept for the next request, as long as an idle one may be.
    """
    upstream = Upstream(backlog=0)
    relay, _ = start(upstream=upstream, timeouts=Timeouts(connect=0.5, upstream_keep_alive=0.5))
    for _ in range(3):
        relay.ask(POST).close()
    relay.settle()


def test_a_pipelined_client_that_leaves_asks_nothing_more(relay: Any, upstream: Any) -> None:
    """Requests that wait behind the one under way are forgotten with the client that sent them."""
    client = relay.ask(POST + b"POST /later HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n")
    wire = upstream.accept()
    wire.read_request()
    client.close()
    cancelled(wire)
    assert b"later" not in wire.received
    relay.settle()
    assert not upstream.pending()


def test_others_go_on(relay: Any, upstream: Any) -> None:
    """Of fifty streams, those whose clients leave end, and the rest run on untouched."""
    streams = []
    for _ in range(50):
        client = relay.ask(POST)
        wire = upstream.accept()
        wire.read_request()
        wire.send(SSE + b"Transfer-Encoding: chunked\r\n\r\na\r\n" + EVENT + b"\r\n")
        client.read_until(EVENT + b"\r\n")
        streams.append((client, wire))
    for client, _ in streams[::2]:
        client.close()
    for _, wire in streams[::2]:
        cancelled(wire)
    for client, wire in streams[1::2]:
        wire.send(b"a\r\n" + EVENT + b"\r\n0\r\n\r\n")
        assert client.read_chunk() == EVENT
        assert client.read_chunk() == b""


def test_a_finished_exchange_is_not_cancelled(relay: Any, upstream: Any) -> None:
    """A client that leaves after its answer leaves the upstream's connection in the pool, fit for the next."""
    client = relay.ask(POST)
    wire = upstream.accept()
    wire.read_request()
    wire.send(PLAIN)
    client.read_answer()
    client.close()
    other = relay.ask(POST)
    wire.read_request()
    wire.send(PLAIN)
    assert other.read_answer().status == 200


def test_nothing_is_left_of_a_thousand_cancellations(relay: Any, upstream: Any) -> None:
    """A thousand requests whose clients left leave no socket behind, and the memory that they took is given back."""

    def leave(times: int) -> None:
        for _ in range(times):
            client = relay.ask(POST)
            wire = upstream.accept()
            wire.read_request()
            client.reset()
            wire.read_rest()
            wire.close()
            upstream._wires.clear()
            relay._wires.clear()

    leave(200)
    relay.settle()
    before = relay.memory()
    leave(1000)
    wait_until(lambda: relay.memory() - before < 4 * 1024 * 1024, what="the relay's memory is back where it was")

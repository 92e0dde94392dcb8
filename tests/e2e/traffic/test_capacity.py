"""Caps, exhausted file descriptors, storms and a thousand streams: refused or served, never stuck, always recovered."""

import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from middleware.records.relay import Limits
from tests.e2e.traffic.wire import PATIENCE, ThreadedUpstream, Wire, wait_until

GET = b"GET / HTTP/1.1\r\nHost: c\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIVE = b"GET /-/eqwatch/live HTTP/1.1\r\nHost: c\r\n\r\n"
KIB = 1024


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """This process may open as many files as the machine allows: it holds both ends of everything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refused_with(client: Any, code: str) -> None:
    """The client is told 503 with that code."""
    answer = client.read_answer()
    assert answer.status == 503
    assert json.loads(answer.body)["error"]["code"] == code


def held(relay: Any, upstream: Any, count: int) -> list[tuple[Any, Any]]:
    """That many requests under way: clients and upstream ends."""
    pairs = []
    for _ in range(count):
        client = relay.ask(GET)
        wire = upstream.accept()
        wire.read_head()
        pairs.append((client, wire))
    return pairs


def test_client_connections_have_a_cap(start: Any) -> None:
    """The connection over the cap gets 503 and close, those under it are untouched, and a freed place is used."""
    relay, upstream = start(limits=Limits(connections=3))
    pairs = held(relay, upstream, 3)
    for _ in range(3):
        extra = relay.ask(GET)
        refused_with(extra, "relay_connections")
        extra.ended()
        extra.close()
    for client, wire in pairs:
        wire.send(PLAIN)
        assert client.read_answer().body == b"ok"
    pairs[0][0].close()

    def served() -> bool:
        client = relay.ask(LIVE)
        status = client.read_answer().status
        client.close()
        return bool(status == 200)

    wait_until(served, what="the freed place is used")


def test_upstream_connections_have_a_cap(start: Any) -> None:
    """The request over the upstream's cap gets 503; as soon as a connection is free, requests are served again."""
    relay, upstream = start(limits=Limits(upstream_connections=2))
    pairs = held(relay, upstream, 2)
    refused_with(relay.ask(GET), "upstream_connections")
    client, wire = pairs[0]
    wire.send(PLAIN)
    assert client.read_answer().body == b"ok"
    again = relay.ask(GET)
    wire.read_head()
    wire.send(PLAIN)
    assert again.read_answer().body == b"ok"


def test_the_cap_is_never_a_hidden_limit(relay: Any, upstream: Any) -> None:
    """Three hundred requests at once are three hundred upstream connections at once, with the defaults."""
    pairs = held(relay, upstream, 300)
    for client, wire in reversed(pairs):
        wire.send(PLAIN)
        assert client.read_answer().body == b"ok"


def test_out_of_file_descriptors(start: Any) -> None:
    """With no descriptor left, requests get 503 and CPU is not burnt; open streams go on; then all is well again."""
    relay, upstream = start()
    stream, wire = held(relay, upstream, 1)[0]
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
    stream.read_until(b"ok")
    known = relay.ask(LIVE)
    assert known.read_answer().status == 200
    limits = resource.prlimit(relay.pid, resource.RLIMIT_NOFILE)
    taken = relay.descriptors()
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (taken + 5, limits[1]))
    crowd = [relay.dial() for _ in range(60)]
    wait_until(lambda: relay.descriptors() >= taken + 5, what="the crowd has taken what is left")
    before, since = relay.cpu_seconds(), time.monotonic()
    refused_with(known.send(GET), "relay_exhausted")
    time.sleep(1.0)
    assert (relay.cpu_seconds() - before) / (time.monotonic() - since) < 0.6, "the relay spins"
    wire.send(b"ok")
    assert stream.read(2) == b"ok"
    wire.close()
    for client in crowd:
        client.close()
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, limits)

    def served() -> bool:
        client = relay.ask(GET)
        if (end := upstream.accept_unless_answered(client)) is None:
            return False
        end.read_head()
        end.send(PLAIN)
        return bool(client.read_answer().status == 200)

    wait_until(served, what="the relay serves again")
    relay.hang_up()
    upstream.hang_up()
    relay.settle()


def answering(wire: Wire) -> None:
    """Answer requests until the connection ends."""
    while True:
        wire.read_request()
        wire.send(PLAIN)


def test_a_storm_of_connections(start: Any, stack: Any) -> None:
    """A thousand connections opened at once, each with a request, are all answered, and none is left over."""
    server = ThreadedUpstream(answering)
    stack.callback(server.close)
    relay, _ = start(target={"port": server.port})
    clients = [relay.ask(GET) for _ in range(1000)]
    assert [client.read_answer().status for client in clients] == [200] * 1000
    relay.hang_up()
    server.close()
    relay.settle()


def test_connections_that_come_and_go(relay: Any, upstream: Any) -> None:
    """Two thousand clients that connect and leave at once cost nothing that stays, and others are served meanwhile."""
    for _ in range(2000):
        with socket.create_connection(relay.addresses[0], PATIENCE):
            pass
    client, wire = held(relay, upstream, 1)[0]
    wire.send(PLAIN)
    assert client.read_answer().status == 200


def test_a_thousand_streams_at_once(start: Any) -> None:
    """A thousand open streams are served side by side with little memory for each, and leave nothing behind."""
    relay, upstream = start()
    held(relay, upstream, 50)
    relay.hang_up()
    upstream.hang_up()
    relay.settle()
    before = relay.memory()
    pairs = held(relay, upstream, 1000)
    for number, (_, wire) in enumerate(pairs):
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n%04d\r\n" % number)
    for number, (client, _) in enumerate(pairs):
        client.read_head()
        assert client.read_chunk() == b"%04d" % number
    assert (relay.memory() - before) / 1000 < 40 * KIB
    for number, (_, wire) in enumerate(reversed(pairs)):
        wire.send(b"4\r\n%04d\r\n0\r\n\r\n" % number)
    for number, (client, _) in enumerate(reversed(pairs)):
        assert client.read_chunk() == b"%04d" % number
        assert client.read_chunk() == b""
    relay.hang_up()
    upstream.hang_up()
    relay.settle()


def test_an_idle_relay_rests(relay: Any) -> None:
    """With nothing to do the relay uses next to no CPU."""
    before = relay.cpu_seconds()
    threading.Event().wait(1.0)
    assert relay.cpu_seconds() - before < 0.2

"""SIGTERM drains: streams finish up to a limit, new clients are turned away; a second signal ends at once."""

import contextlib
import signal
from typing import Any

import pytest

from middleware.records.relay import Listener, Timeouts
from tests.e2e.traffic.wire import wait_until

GET = b"GET / HTTP/1.1\r\nHost: c\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NUMBERS = [signal.SIGTERM, signal.SIGINT]


def streaming(relay: Any, upstream: Any) -> tuple[Any, Any]:
    """A stream that has begun."""
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(HEAD + b"2\r\nok\r\n")
    client.read_head()
    assert client.read_chunk() == b"ok"
    return client, wire


def draining(relay: Any) -> None:
    """Wait until the relay has taken in the signal: it accepts nobody any more."""

    def turned_away() -> bool:
        try:
            client = relay.ask(b"GET /-/eqwatch/ready HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n")
            client.read_rest()
        except ConnectionError:
            return True
        return False

    wait_until(turned_away, what="new connections are refused")


@pytest.mark.parametrize("number", NUMBERS, ids=["term", "int"])
def test_an_idle_relay_ends_at_once(start: Any, number: signal.Signals) -> None:
    """Without streams it ends with code 0 and does not wait for the limit, though clients hold connections."""
    relay, upstream = start()
    client = relay.ask(GET)
    wire = upstream.accept()
    wire.read_head()
    wire.send(PLAIN)
    client.read_answer()
    relay.dial()
    relay.signal(number)
    assert relay.exit_code() == 0
    client.read_rest()


def test_open_streams_finish(start: Any) -> None:
    """After SIGTERM an open stream goes on to its end, an upload and an unanswered request too; then the code is 0."""
    relay, upstream = start()
    client, wire = streaming(relay, upstream)
    waiting = relay.ask(GET)
    unanswered = upstream.accept()
    unanswered.read_head()
    upload = relay.ask(b"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: 4\r\n\r\nso")
    taking = upstream.accept()
    taking.read_head()
    relay.signal(signal.SIGTERM)
    draining(relay)
    for _ in range(5):
        wire.send(b"2\r\nok\r\n")
        assert client.read_chunk() == b"ok"
    wire.send(b"0\r\n\r\n")
    assert client.read_chunk() == b""
    unanswered.send(PLAIN)
    assert waiting.read_answer().body == b"ok"
    upload.send(b"me")
    assert taking.read(4) == b"some"
    taking.send(PLAIN)
    assert upload.read_answer().body == b"ok"
    assert relay.exit_code() == 0


def test_a_kept_connection_asks_no_more(start: Any) -> None:
    """While it drains, a client's kept connection gets no further request through, and readiness is not 200."""
    relay, upstream = start()
    client, wire = streaming(relay, upstream)
    idle = relay.ask(b"GET /-/eqwatch/ready HTTP/1.1\r\nHost: c\r\n\r\n")
    assert idle.read_answer().status == 200
    relay.signal(signal.SIGTERM)
    draining(relay)
    with contextlib.suppress(ConnectionError):
        idle.send(b"GET /-/eqwatch/ready HTTP/1.1\r\nHost: c\r\n\r\n")
    rest, _ = idle.read_rest()
    assert not rest.startswith(b"HTTP/1.1 200")
    wire.send(b"0\r\n\r\n")
    assert client.read_chunk() == b""
    assert relay.exit_code() == 0


def test_a_stream_that_never_ends_is_cut_at_the_limit(start: Any) -> None:
    """A stream still open when the drain's time is up is aborted, not ended; the code is 0."""
    relay, upstream = start(timeouts=Timeouts(drain=0.5))
    client, wire = streaming(relay, upstream)
    relay.signal(signal.SIGTERM)
    assert relay.exit_code() == 0
    assert b"0\r\n\r\n" not in client.read_rest()[0]
    wire.read_rest()


def test_a_second_signal_ends_at_once(start: Any) -> None:
    """The second SIGTERM does not wait for streams; the code says that the drain was cut short."""
    relay, upstream = start(timeouts=Timeouts(drain=600))
    client, _ = streaming(relay, upstream)
    relay.signal(signal.SIGTERM)
    draining(relay)
    relay.signal(signal.SIGTERM)
    assert relay.exit_code() == 1
    assert b"0\r\n\r\n" not in client.read_rest()[0]


def test_the_address_is_free_again(start: Any, free_port: int) -> None:
    """A relay that has ended can be started anew on the same address at once, though clients were connected."""
    first, upstream = start(listeners=(Listener(port=free_port),))
    client, _ = streaming(first, upstream)
    first.signal(signal.SIGTERM)
    draining(first)
    first.signal(signal.SIGTERM)
    first.exit_code()
    client.read_rest()
    second, _ = start(upstream=upstream, listeners=(Listener(port=free_port),))
    streaming(second, upstream)


def test_an_address_in_use_refuses_to_start(start: Any) -> None:
    """A second relay on an address that is taken ends with code 2 and says why."""
    relay, _ = start()
    with pytest.raises(AssertionError, match=r"ended with 2.*middleware\.server: "):
        start(listeners=(Listener(port=relay.addresses[0][1]),))

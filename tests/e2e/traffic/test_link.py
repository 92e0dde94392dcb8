"""The relay's side of the socket to control: what it offers, what it counts, and what it makes of what it is told."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from middleware.records.exchange import AwarenessUpdate, Busy, Credit, Exchange, RelaySnapshot, SnapshotRequest
from middleware.records.link import FrameBuffer, decode_from_relay, encode_frame
from middleware.records.relay import DeploymentMatch, Tap
from tests.e2e.traffic.wire import ThreadedUpstream, Wire, wait_until

CONTROL = Path(__file__).with_name("control_process.py")
KEY = b"sk-canary-7f3a91"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: s=sk-canary\r\nContent-Length: 2\r\n\r\nok"
ASKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
PATIENCE = 20.0


class Link:
    """Control's end of the socket, in the test's hands. exchanges: how many have come; busy: what was said of that."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setblocking(True)
        self._sock.settimeout(PATIENCE)
        self._frames = FrameBuffer()
        self._waiting: list[Any] = []
        self.exchanges = 0
        self.busy: list[bool] = []

    def tell(self, *records: Any) -> None:
        """Send records."""
        self._sock.sendall(b"".join(encode_frame(record) for record in records))

    def hear(self, kind: type) -> Any:
        """The next record of that kind; others are dropped."""
        while True:
            while self._waiting:
                record = self._waiting.pop(0)
                if isinstance(record, kind):
                    return record
            data = self._sock.recv(65536)
            assert data, "the relay ended the link"
            came = [decode_from_relay(payload) for payload in self._frames.feed(data)]
            self.exchanges += sum(isinstance(record, Exchange) for record in came)
            self.busy += [record.busy for record in came if isinstance(record, Busy)]
            self._waiting += came

    def snapshot(self) -> RelaySnapshot:
        """The relay's numbers now."""
        self.tell(SnapshotRequest())
        snapshot: RelaySnapshot = self.hear(RelaySnapshot)
        return snapshot

    def counts(self, name: str) -> dict[tuple[str, ...], float]:
        """A counter's values by label values."""
        for family in self.snapshot().counters:
            if family.name == name:
                return {tuple(labels): value for labels, value in family.values}
        return {}

    def total(self, name: str) -> float:
        """A counter's sum."""
        return sum(self.counts(name).values())


@pytest.fixture
def linked(start: Any, stack: Any, tmp_path: Path) -> Callable[..., tuple[Any, Any, Link]]:
    """Starts a relay that taps the deployment ``tutor``, with its link to control in the test's hands."""

    def run(**parts: Any) -> tuple[Any, Any, Link]:
        path = str(tmp_path / "hand-over")
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.settimeout(PATIENCE)
        listener.bind(path)
        listener.listen()
        given: dict[str, Any] = {
            "tap": Tap(rate=1.0, body_bytes=100),
            "deployments": (DeploymentMatch("tutor", path_prefixes=("/v1/",), tapped=True),),
            "key_salt": b"0123456789abcdef",
            "control": [sys.executable, "-P", str(CONTROL), "hand-over", path],
        }
        relay, upstream = start(**{**given, **parts})
        handing, _ = listener.accept()
        stack.enter_context(handing)
        _, descriptors, _, _ = socket.recv_fds(handing, 1, 1)
        sock = stack.enter_context(socket.socket(fileno=descriptors[0]))
        return relay, upstream, Link(sock)

    return run


def exchange(relay: Any, upstream: Any, *, headers: bytes = b"", answer: bytes = PLAIN, body: bytes = b"{}") -> Any:
    """One exchange on connections of its own; the answer."""
    client = relay.ask(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Type: application/json\r\nAuthorization: Bearer "
        + KEY
        + b"\r\nContent-Length: %d\r\n" % len(body)
        + headers
        + b"\r\n"
        + body
    )
    wire = upstream.accept()
    wire.read_request()
    wire.send(answer)
    got = client.read_answer()
    client.close()
    wire.close()
    return got


def test_an_exchange_is_offered_without_its_secrets(linked: Any) -> None:
    """A tapped exchange reaches control with bodies, conversation and key id, and without any credential."""
    by_key = DeploymentMatch("by-key", key_ids=("0" * 16,))
    relay, upstream, link = linked(deployments=(by_key, DeploymentMatch("tutor", path_prefixes=("/v1/",), tapped=True)))
    link.tell(Credit(10))
    exchange(relay, upstream, headers=b"x-eqwatch-conversation: c-1\r\nCookie: s=sk-canary\r\n")
    offered = link.hear(Exchange)
    assert (offered.deployment, offered.dialect, offered.status) == ("tutor", "openai_chat", 200)
    assert (offered.request_body, offered.response_body) == (b"{}", b"ok")
    assert offered.conversation == "c-1"
    assert offered.complete
    assert offered.key_id
    assert b"sk-canary" not in encode_frame(offered)
    assert b"canary" not in offered.key_id.encode()


def test_bodies_are_cut_at_the_cap(linked: Any) -> None:
    """What is over the cap passes to the upstream, and only the copy is cut, which says so."""
    relay, upstream, link = linked()
    link.tell(Credit(10))
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"b" * 5000
    assert exchange(relay, upstream, body=b"a" * 5000, answer=long).body == b"b" * 5000
    offered = link.hear(Exchange)
    assert (offered.request_truncated, offered.response_truncated) == (True, True)
    assert offered.request_body == b"a" * len(offered.request_body)
    assert offered.response_body == b"b" * len(offered.response_body)
    assert max(len(offered.request_body), len(offered.response_body)) <= 100


def test_opt_out_is_honoured_before_anything_is_offered(linked: Any) -> None:
    """An exchange that opted out never reaches control; the one after it does."""
    relay, upstream, link = linked()
    link.tell(Credit(10))
    exchange(relay, upstream, headers=b"X-EQWATCH-OPT-OUT: 1\r\nx-eqwatch-conversation: out\r\n")
    exchange(relay, upstream, headers=b"x-eqwatch-conversation: in\r\n")
    assert link.hear(Exchange).conversation == "in"


def test_a_stream_that_broke_is_offered_as_broken(linked: Any) -> None:
    """An answer that its upstream cut short is offered as incomplete."""
    relay, upstream, link = linked()
    link.tell(Credit(10))
    client = relay.ask(b"POST /v1/chat/completions HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
    client.read_until(b"half")
    wire.close()
    client.read_rest()
    assert not link.hear(Exchange).complete


def test_without_credit_every_drop_is_counted_by_reason(linked: Any) -> None:
    """What control has no room for is dropped, and the drops add up to what was not offered."""
    relay, upstream, link = linked()
    for _ in range(5):
        exchange(relay, upstream)
    link.tell(Credit(2))
    assert link.total("dropped_total") == 5
    assert all(reason for _, reason in link.counts("dropped_total"))
    for _ in range(3):
        exchange(relay, upstream)
    assert link.hear(Exchange).status == 200
    assert link.hear(Exchange).status == 200
    wait_until(lambda: link.total("dropped_total") == 6, what="the drop is counted")


def answering(wire: Wire) -> None:
    """Answer every request of a connection."""
    while True:
        wire.read_request()
        wire.send(PLAIN)


@contextmanager
def closed_loop(relay: Any, clients: int = 4) -> Iterator[None]:
    """Clients that ask again as soon as they are answered, until the block ends."""
    over = threading.Event()

    def ask() -> None:
        client = relay.dial()
        while not over.is_set():
            assert client.send(ASKED).read_answer().body == b"ok"
            client.forget()

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask) for _ in range(clients)]
        try:
            yield
        finally:
            over.set()
    for client in asking:
        client.result()


def test_a_busy_relay_gives_way_and_takes_exchanges_again(linked: Any, stack: Any) -> None:
    """Under load nothing is taken, since it is busy; after it an exchange is taken again; no request is uncounted."""
    server = ThreadedUpstream(answering)
    stack.callback(server.close)
    relay, _, link = linked(target={"port": server.port}, tap=Tap(rate=1.0, busy_share=0.05))

    def missed() -> float:
        link.tell(Credit(100))
        return link.counts("dropped_total").get(("tap", "busy"), 0.0)

    with closed_loop(relay):
        wait_until(missed, what="the relay gives way", seconds=60)
    assert link.busy[0] is True

    def taken_again() -> bool:
        link.tell(Credit(100))
        link.snapshot()
        before = link.exchanges
        relay.ask(ASKED).read_answer()
        link.snapshot()
        return link.exchanges > before

    # Each try costs the relay some of the time that it shall have to spare: not too many of them.
    wait_until(taken_again, what="an exchange is taken again", seconds=150, pause=0.7)
    assert False in link.busy
    assert link.exchanges + link.total("dropped_total") == link.total("requests_total")


def test_what_happened_is_counted(linked: Any) -> None:
    """Requests by code, cancellations, upstream failures, refusals and bytes are counted as they happened."""
    relay, upstream, link = linked(tap=Tap())
    exchange(relay, upstream, answer=b"HTTP/1.1 429 Slow\r\nContent-Length: 3\r\n\r\nabc", body=b"12345")
    relay.ask(b"GET http://x/ HTTP/1.1\r\nHost: c\r\n\r\n").read_rest()
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    client.close()
    wire.read_rest()
    client = relay.ask(b"GET / HTTP/1.1\r\nHost: c\r\n\r\n")
    wire = upstream.accept()
    wire.read_head()
    wire.close()
    assert client.read_answer().status == 502
    relay.hang_up()
    wait_until(lambda: link.total("client_cancellations_total") == 1, what="the cancellation is counted")
    assert link.total("upstream_failures_total") == 1
    codes = [labels for labels in link.counts("requests_total") if "429" in labels]
    assert codes
    assert link.total("refusals_total") >= 1
    assert sum(link.counts("transfer_bytes_total").values()) >= 8
    assert link.total("inflight_requests") == 0


def test_numbers_hold_no_text(linked: Any) -> None:
    """Whatever stands in paths, names and headers of requests, none of it is in the relay's numbers."""
    relay, upstream, link = linked(tap=Tap())
    exchange(
        relay, upstream, headers=b"x-eqwatch-deployment: canary\r\nx-eqwatch-conversation: canary\r\nX: canary\r\n"
    )
    for target in (b"/canary", b"http://canary/", b"/canary/../x"):
        client = relay.ask(b"GET " + target + b"?canary HTTP/1.1\r\nHost: canary\r\n\r\n")
        if wire := upstream.accept_unless_answered(client):
            wire.read_head()
            wire.send(b"HTTP/1.1 200 canary\r\nServer: canary\r\nContent-Length: 6\r\n\r\ncanary")
        client.read_answer()
        client.close()
    numbers = encode_frame(link.snapshot())
    assert b"requests_total" in numbers
    assert b"canary" not in numbers


AWARENESS = b"x-eqwatch-emotions"


def test_awareness_reaches_only_who_asked(linked: Any) -> None:
    """The header is added to answers of requests that name the conversation, to no others, and goes when removed."""
    relay, upstream, link = linked(awareness_header=True)
    link.tell(AwarenessUpdate("c-1", "Joy=3;age=2"))
    link.snapshot()
    told = exchange(relay, upstream, headers=b"x-eqwatch-conversation: c-1\r\n")
    assert told.values(AWARENESS) == [b"Joy=3;age=2"]
    assert not exchange(relay, upstream, headers=b"x-eqwatch-conversation: c-2\r\n").values(AWARENESS)
    assert not exchange(relay, upstream).values(AWARENESS)
    link.tell(AwarenessUpdate("c-1", ""))
    link.snapshot()
    assert not exchange(relay, upstream, headers=b"x-eqwatch-conversation: c-1\r\n").values(AWARENESS)


def test_awareness_is_off_by_default(linked: Any) -> None:
    """Without the setting nothing is ever added to an answer."""
    relay, upstream, link = linked()
    link.tell(AwarenessUpdate("c-1", "Joy=3"))
    link.snapshot()
    answer = exchange(relay, upstream, headers=b"x-eqwatch-conversation: c-1\r\n")
    assert answer.head == PLAIN[:-2]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\x00b", "a\r\n\r\nbody", "\u2028x\x7f"])
def test_awareness_cannot_inject_headers(linked: Any, value: str) -> None:
    """A value that would break the head is left out; the answer is otherwise as the upstream sent it."""
    relay, upstream, link = linked(awareness_header=True)
    link.tell(AwarenessUpdate("c-1", value))
    link.snapshot()
    answer = exchange(relay, upstream, headers=b"x-eqwatch-conversation: c-1\r\n")
    assert answer.head == PLAIN[:-2]
    assert answer.body == b"ok"

"""The pair without sockets: any split of any bytes gives the same result."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.proxy.client import ClientSide
from middleware.proxy.context import Context
from middleware.proxy.counters import Counters
from middleware.proxy.pool import Pool
from middleware.proxy.upstream import UpstreamSide
from middleware.records.relay import Limits, RelayConfig, UpstreamTarget


class Wire:
    """The transport of one side: what was written, and whether it was closed; nothing is called back."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = write_eof = close

    def set_write_buffer_limits(self, high: int) -> None:
        """Nothing is buffered here."""

    def pause_reading(self) -> None:
        """The test goes on feeding, as a socket may for a moment."""

    def resume_reading(self) -> None:
        """See above."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _: str) -> "Wire":
        return self

    def setsockopt(self, *_: object) -> None:
        """There is no socket."""


def pair() -> tuple[ClientSide, Wire, UpstreamSide, Wire, Context]:
    """A client's and an upstream's side, the latter waiting in the pool."""
    config = RelayConfig(UpstreamTarget("http", "up", 80), limits=Limits(head_bytes=400, body_bytes=300))
    context = Context(config, clock=lambda: 1.0, counters=Counters(0.0), fault_log=print, access_log=None)
    context.pool = Pool(context, dial=no_dial, group=asyncio.TaskGroup())
    context.limits = Limits(head_bytes=400, body_bytes=300, upstream_connections=0)
    client, upstream, here, there = ClientSide(context), UpstreamSide(context), Wire(), Wire()
    client.connection_made(here)
    upstream.connection_made(there)
    context.pool.give_back(upstream, 1.0)
    return client, here, upstream, there, context


async def no_dial(_: object) -> UpstreamSide:
    raise OSError


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]  # noqa: RUF007 - pairwise hides the empty case


def requests_seen(sent: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool, dict[str, int]]:
    """What the upstream got and the client got, where the upstream answers each whole request at once."""
    client, here, upstream, there, context = pair()
    for piece in pieces(sent, cuts):
        if here.closed:
            break
        client.data_received(piece)
        while upstream.transit is not None and upstream.transit.request_done and not here.closed:
            upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!")
    return plain_chunks(there.written), here.written, here.closed, context.counters.refusals


def plain_chunks(wire: bytes) -> bytes:
    """The same with each chunked body as one chunk: their sizes may differ with the reads."""
    head, mark, rest = wire.partition(b"chunked\r\n\r\n")
    if not mark:
        return wire
    body = b""
    while rest and not rest.startswith(b"0\r\n\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return head + mark + body + (b"." + plain_chunks(rest[5:]) if rest else b"")


REQUEST = st.sampled_from(
    [
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET /v1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / HTTP/1",
        (
            b"POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\nT: 1\r\n\r\n"
        ),
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HEAD /-/eqwatch/live HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /v1 HTTP/1.0\r\n\r\n",
    ]
)
JUNK = st.sampled_from(
    [
        b"",
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 301\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500,
    ]
)
CUTS = st.lists(st.integers(0, 2000), max_size=20)


@settings(deadline=None, max_examples=300)
@given(st.lists(REQUEST, max_size=5), JUNK, CUTS)
def test_any_split_of_requests(requests: list[bytes], junk: bytes, cuts: list[int]) -> None:
    """Both ends see the same bytes whether requests come at once, in pieces or byte by byte."""
    sent = b"".join(requests) + junk
    whole = requests_seen(sent, [])
    assert requests_seen(sent, cuts) == whole
    assert requests_seen(sent, list(range(len(sent)))) == whole


def answer_seen(asked: bytes, sent: bytes, cuts: list[int]) -> tuple[bytes, bool, bool]:
    """What the client got of an upstream's bytes, and which sides were closed."""
    client, here, upstream, there, _ = pair()
    client.data_received(asked)
    for piece in pieces(sent, cuts):
        if there.closed:
            break
        upstream.data_received(piece)
    return here.written, here.closed, there.closed


ANSWER = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nconnection: keep-alive, X\r\nX: 1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\n!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=1\r\n\r\n\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 204 Nothing\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n!",
        b"HTTP/9 nonsense\r\n\r\n",
    ]
)
ASKED = st.sampled_from(
    [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"]
)


@settings(deadline=None, max_examples=300)
@given(ASKED, ANSWER, CUTS)
def test_any_split_of_an_answer(asked: bytes, answer: bytes, cuts: list[int]) -> None:
    """The client sees the same bytes and the same end, however the answer was cut up on its way."""
    whole = answer_seen(asked, answer, [])
    assert answer_seen(asked, answer, cuts) == whole
    assert answer_seen(asked, answer, list(range(len(answer)))) == whole


@settings(deadline=None, max_examples=300)
@given(ASKED, ANSWER, st.binary(max_size=30), st.integers(0, 200), CUTS)
def test_a_damaged_answer(asked: bytes, answer: bytes, junk: bytes, at: int, cuts: list[int]) -> None:
    """Junk in an answer never crashes the relay, and pieces never let more of it through than the whole."""
    damaged = answer[:at] + junk + answer[at:]
    whole, pieced = answer_seen(asked, damaged, [])[0], answer_seen(asked, damaged, cuts)[0]
    if not whole.startswith(b"HTTP/1.1 502"):
        assert whole.startswith(pieced) or pieced.startswith(whole)


@settings(deadline=None, max_examples=300)
@given(st.lists(REQUEST, max_size=3), st.binary(max_size=30), st.integers(0, 400), CUTS)
def test_damaged_requests(requests: list[bytes], junk: bytes, at: int, cuts: list[int]) -> None:
    """Junk among requests is judged alike in any split; one framing error may come a read earlier or later."""
    sent = b"".join(requests)
    damaged = sent[:at] + junk + sent[at:]
    whole, pieced = requests_seen(damaged, []), requests_seen(damaged, cuts)
    assert whole[1] == pieced[1]
    assert whole[2] == pieced[2]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 9))
def test_heads_that_vary(ids: list[int], length: int) -> None:
    """Whether a connection's heads repeat, differ, or do both by turns, each request reaches the upstream as it is."""
    requests = [
        b"POST /v1 HTTP/1.1\r\nHost: up\r\nX-Id: %d\r\nContent-Length: %d\r\n\r\n" % (number, length) + b"b" * length
        for number in ids
    ]
    client, here, upstream, there, _ = pair()
    for request in requests:
        client.data_received(request)
        upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!")
    assert there.written == b"".join(requests)
    assert here.written.count(b"HTTP/1.1 200 OK") == len(requests)

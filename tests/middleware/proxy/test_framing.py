"""Where messages end, however they are split."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.proxy.body import BodyReader
from middleware.proxy.errors import Refusal, Refused
from middleware.proxy.framing import CHUNK_KEY, FramingError, ResponseFramer, chunk_length, whole_chunks
from middleware.proxy.heads import CHUNKED

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(parts: list[bytes], trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n" + trailer + b"\r\n"


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


BODY = st.lists(st.binary(max_size=12) | st.sampled_from([b"\r\n\r\n", b"\r\n", b"0\r\n\r\n", b"\n\r\n"]), max_size=6)
CUTS = st.lists(st.integers(0, 400), max_size=12)
TRAILER = st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: 1\r\nB: 2\r\n"])
NEXT = st.sampled_from([b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n\r\n", b"junk"])


@settings(deadline=None)
@given(BODY, CUTS, TRAILER, NEXT)
def test_the_end_of_a_chunked_answer_is_found_exactly(
    parts: list[bytes], cuts: list[int], trailer: bytes, after: bytes
) -> None:
    """Whatever the splits and whatever follows, no byte behind the end counts as the answer's."""
    sent = chunked(parts, trailer)
    payload: list[bytes] = []
    framer = ResponseFramer(payload.append)
    framer.begin(HEAD)
    taken = b""
    for piece in split(sent + after, cuts):
        if framer.done:
            break
        taken += piece[: framer.take(piece)]
    assert framer.done
    assert taken == sent
    assert b"".join(payload) == b"".join(parts)


@settings(deadline=None)
@given(BODY, CUTS, TRAILER, NEXT)
def test_whole_chunks_need_not_be_framed(parts: list[bytes], cuts: list[int], trailer: bytes, after: bytes) -> None:
    """Whole chunks are left out up to the first piece that is none: the end is found as if they had not been."""
    sent = chunked(parts, trailer)
    framer = ResponseFramer()
    framer.begin(HEAD)
    taken = b""
    whole = True
    for piece in split(sent + after, cuts):
        whole = whole and whole_chunks(piece)
        if not framer.done:
            taken += piece if whole else piece[: framer.take(piece)]
    assert framer.done
    assert taken == sent


@pytest.mark.parametrize(
    ("piece", "whole"),
    [
        (b"5\r\nhello\r\n", True),
        (b"A\r\n0123456789\r\n", True),
        (b"0005\r\nhello\r\n", True),
        (b"1\r\na\r\n2\r\n\r\n\r\n", True),
        (b"", True),
        (b"0\r\n\r\n", False),
        (b"5\r\nhello\r\n0\r\n\r\n", False),
        (b"5\r\nhello", False),
        (b"5\r\nhello\r", False),
        (b"5\r\nhello\n\n", False),
        (b"5\r\nhello\r\n\r\n", False),
        (b"5;a=b\r\nhello\r\n", False),
        (b" 5\r\nhello\r\n", False),
        (b"+5\r\nhello\r\n", False),
        (b"0x5\r\nhello\r\n", False),
        (b"5\nhello\n", False),
        (b"\r\n5\r\nhello\r\n", False),
        (b"00005\r\nhello\r\n", False),
        (b"5\r\nhello\r\n5", False),
        (b"g\r\nhello\r\n", False),
    ],
)
def test_what_is_taken_for_whole_chunks(piece: bytes, *, whole: bool) -> None:
    """Only what leaves nothing to judge; anything odd is left to llhttp. The second time says what the first did."""
    assert [whole_chunks(piece), whole_chunks(piece)] == [whole, whole]


def test_lengths_that_are_known_are_bounded() -> None:
    """Whatever an upstream sends: the first ones of many are forgotten again."""
    first = b"1f\r\n" + b"a" * 31 + b"\r\n"
    assert whole_chunks(first)
    assert chunk_length(first[:CHUNK_KEY]) == len(first)
    assert all(whole_chunks(b"3\r\n%03x\r\n" % n) for n in range(4096))
    assert chunk_length(first[:CHUNK_KEY]) is None


@settings(deadline=None)
@given(BODY, CUTS, TRAILER)
def test_a_chunked_request_is_framed_anew_without_its_trailers(
    parts: list[bytes], cuts: list[int], trailer: bytes
) -> None:
    """The upstream gets the same payload in plain chunks, however the client split it, and no trailer."""
    body = BodyReader(CHUNKED, REQUEST, limit=10_000)
    wire = b"".join(body.take(piece)[0] for piece in split(chunked(parts, trailer), cuts))
    assert body.done
    payload: list[bytes] = []
    framer = ResponseFramer(payload.append)
    framer.begin(HEAD)
    assert framer.take(wire) == len(wire)
    assert framer.done
    assert b"".join(payload) == b"".join(parts)
    assert b"X-Sum" not in wire.replace(b"".join(parts), b"")


@pytest.mark.parametrize(
    "bad",
    [
        b"g\r\n",
        b"-1\r\n",
        b"1\nx\r\n",
        b"1\r\nxy\r\n",
        b"1 \r\nx\r\n",
        b"\r\n",
        b"fffffffffffffffff\r\n",
        b"1;a\nb\r\nx\r\n",
    ],
)
def test_malformed_chunks_are_refused(bad: bytes) -> None:
    """A size line that two parsers may read in two ways ends the request."""
    body = BodyReader(CHUNKED, REQUEST, limit=10_000)
    with pytest.raises(FramingError):
        body.take(bad + b"0\r\n\r\n")


def test_a_chunked_body_over_the_limit_is_refused_in_mid_stream() -> None:
    """The limit holds for bodies that don't tell their length."""
    body = BodyReader(CHUNKED, REQUEST, limit=10)
    assert body.take(b"8\r\n12345678\r\n")[1] == 13
    with pytest.raises(Refused) as caught:
        body.take(b"8\r\n12345678\r\n")
    assert caught.value.refusal is Refusal.BODY_TOO_LARGE


def test_framing_without_payload_is_refused() -> None:
    """Endless chunk extensions or trailers are bytes too."""
    body = BodyReader(CHUNKED, REQUEST, limit=10)
    body.take(b"1\r\nx\r\n0\r\n")

    def endless() -> None:
        for _ in range(100):
            body.take(b"X-Filler: " + b"x" * 1000 + b"\r\n")

    with pytest.raises((Refused, *FramingError)):
        endless()


@settings(deadline=None)
@given(st.binary(max_size=50), CUTS)
def test_a_fixed_body_is_cut_at_its_length(sent: bytes, cuts: list[int]) -> None:
    """Bytes behind a body of known length belong to the next request."""
    body = BodyReader(len(sent), REQUEST, limit=10_000)
    taken = b""
    for piece in split(sent + b"GET", cuts):
        if body.done:
            break
        wire, used = body.take(piece)
        assert wire == piece[:used]
        taken += wire
    assert taken == sent
    assert body.done or not sent

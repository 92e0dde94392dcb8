"""Server-sent events from bytes that are split anywhere."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.traffic.sse import ServerSentEvent, SSEDecoder

STREAM = (
    b"\xef\xbb\xbf: a comment\r\n"
    b'event: delta\rid: 7\ndata: {"text": "gr\xc3\xbc\xc3\x9fe \xf0\x9f\x99\x82"}\r\n\r\n'
    b"data: one\ndata:two\ndata:  three\n\n"
    b"retry: 1500\rdata\r\r"
    b"event: lost\n\n"
    b"id: no\x00\nunknown: x\ndata: [DONE]\r\n\n"
)
EVENTS = [
    ServerSentEvent('{"text": "grüße 🙂"}', "delta", "7"),
    ServerSentEvent("one\ntwo\n three", id="7"),
    ServerSentEvent("", id="7", retry=1500),
    ServerSentEvent("[DONE]", id="7"),
]


def decode(*pieces: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def test_a_stream_in_one_piece() -> None:
    """Line ends of every kind, a BOM, comments, several data lines, an empty one, and fields to ignore."""
    assert decode(STREAM) == EVENTS


def test_a_stream_byte_by_byte() -> None:
    """The same events, whatever the chunks."""
    assert decode(*(STREAM[n : n + 1] for n in range(len(STREAM)))) == EVENTS


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    """Empty pieces included."""
    edges = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == EVENTS


@given(
    body=st.lists(
        st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b"data", b":", b"event: e", b"id:1", b"\xef\xbb\xbf"])
    ),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_any_stream_gives_the_same_events_however_it_is_split(body: list[bytes], cuts: list[int]) -> None:
    """Also streams that nobody would write."""
    stream = b"".join(body)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert decode(*(stream[a:b] for a, b in itertools.pairwise(edges))) == decode(stream)


@given(data=st.binary(max_size=400))
def test_any_bytes_are_read(data: bytes) -> None:
    """Bytes that are no UTF-8 are replaced, nothing raises."""
    assert all(isinstance(event, ServerSentEvent) for event in decode(data, b"\n\n"))


@pytest.mark.parametrize(
    ("stream", "pending"),
    [
        (b"", False),
        (b"data: a\n\n", False),
        (b"data: a\r\n\r", False),
        (b"data: a\n", True),
        (b"data: a", True),
        (b"\xef", True),
        (b": comment\n", False),
    ],
)
def test_an_event_that_broke_off_is_pending(stream: bytes, pending: bool) -> None:
    """The rules drop it at the end; the caller can tell."""
    decoder = SSEDecoder()
    decoder.feed(stream)
    assert decoder.pending is pending


def test_only_one_bom_and_only_at_the_start_is_dropped() -> None:
    """A second one is part of the field's name."""
    assert decode(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [ServerSentEvent("a")]

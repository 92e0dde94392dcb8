"""Bodies without their content codings, and bombs that do not go off."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from middleware.traffic.content import DecodedBody, decoded_body, header
from middleware.traffic.undecodable import Undecodable

TEXT = b'{"messages": [{"role": "user", "content": "I do not understand it."}]}' * 40


def _raw_deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def _bomb(coding: str) -> bytes:
    zeros = bytes(100_000_000)
    return brotli.compress(zeros, quality=3) if coding == "br" else CODERS[coding](zeros)


def encoded(coding: str) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), (b"content-encoding", coding.encode())]


@pytest.mark.parametrize("coding", CODERS)
@given(data=st.binary(max_size=5000))
def test_every_coding_gives_the_bytes_back(coding: str, data: bytes) -> None:
    """What was encoded comes back, complete."""
    assert decoded_body(encoded(coding), CODERS[coding](data)) == DecodedBody(data)


def test_raw_deflate_and_no_coding() -> None:
    """Deflate without zlib's wrapper is read; identity and a missing header change nothing."""
    assert decoded_body(encoded("deflate"), _raw_deflate(TEXT)) == DecodedBody(TEXT)
    assert decoded_body(encoded("identity"), TEXT) == DecodedBody(TEXT)
    assert decoded_body([], TEXT) == DecodedBody(TEXT)


def test_codings_are_undone_last_first_over_several_headers() -> None:
    """A list in one header and several headers mean the same."""
    body = brotli.compress(gzip.compress(TEXT))
    assert decoded_body(encoded("gzip, BR"), body) == DecodedBody(TEXT)
    assert decoded_body(encoded("gzip") + encoded("br"), body) == DecodedBody(TEXT)
    assert header(encoded("gzip") + encoded("br"), b"content-encoding") == b"gzip, br"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_and_frames_that_follow_each_other_are_all_read(coding: str) -> None:
    """Some servers flush a member for each chunk of a stream."""
    body = b"".join(CODERS[coding](part) for part in (b"one ", b"two ", b"three"))
    assert decoded_body(encoded(coding), body) == DecodedBody(b"one two three")


@pytest.mark.parametrize("coding", CODERS)
def test_a_body_that_breaks_off_gives_what_there_is(coding: str) -> None:
    """It is marked as not complete; nothing at all is a reason."""
    noise = random.Random(5).randbytes(300_000) + TEXT
    body = CODERS[coding](noise)
    broken = decoded_body(encoded(coding), body[: len(body) - 8])
    assert isinstance(broken, DecodedBody)
    assert not broken.complete
    assert noise.startswith(broken.data)
    assert decoded_body(encoded(coding), b"\xff\xff not it") == Undecodable("encoding_corrupt", coding)


@pytest.mark.parametrize("coding", CODERS)
def test_a_bomb_is_refused_with_little_memory(coding: str) -> None:
    """100 MB of zeros in a few bytes end at the ratio cap, after about as much memory as the cap allows."""
    body = _bomb(coding)
    tracemalloc.start()
    try:
        assert decoded_body(encoded(coding), body).__class__ is Undecodable
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


def test_both_caps_have_their_reason() -> None:
    """The ratio of a small body, the size of a large one, and a plain body over the size."""
    body = gzip.compress(bytes(1_000_000))
    assert decoded_body(encoded("gzip"), body, max_ratio=10) == Undecodable("over_ratio", "gzip")
    assert decoded_body(encoded("gzip"), body, max_ratio=10_000, max_bytes=1000) == Undecodable("too_large", "gzip")
    assert decoded_body([], TEXT, max_bytes=1000) == Undecodable("too_large", "identity")


def test_a_nested_bomb_is_bounded_by_the_bytes_on_the_wire() -> None:
    """Ratios of stacked codings do not multiply."""
    body = gzip.compress(gzip.compress(bytes(50_000_000)))
    assert decoded_body(encoded("gzip, gzip"), body) == Undecodable("over_ratio", "gzip")


@pytest.mark.parametrize("coding", ["compress", "exi", "gzip, gzip, gzip, gzip", "x" * 500])
def test_unknown_and_stacked_codings_are_a_reason(coding: str) -> None:
    """With a detail that is bounded."""
    result = decoded_body(encoded(coding), TEXT)
    assert isinstance(result, Undecodable)
    assert result.reason == "encoding_unknown"
    assert len(result.detail) <= 80


@pytest.mark.parametrize("coding", CODERS)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_body_or_a_reason(coding: str, data: bytes) -> None:
    """Nothing raises."""
    assert isinstance(decoded_body(encoded(coding), data), DecodedBody | Undecodable)

"""Content decoding of a tapped body, with caps against decompression bombs: gzip, deflate, br, zstd.

Only the sampled copy is decoded; traffic passes as it is.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import brotli  # type: ignore[import-untyped]
import zstandard

from middleware.traffic.undecodable import Undecodable

__all__ = ["DecodedBody", "decoded_body", "header"]

MAX_BYTES = 16 * 1024 * 1024
MAX_RATIO = 100
_FLOOR_BYTES = 64 * 1024  # a small body may grow to this whatever the ratio: headers of a coding weigh much there
_MAX_CODINGS = 3
_WINDOW_BYTES = 8 * 1024 * 1024  # what RFC 9659 allows zstd in HTTP
_STEP_BYTES = 64 * 1024
_ZSTD_INPUT_BYTES = 128


@dataclass(frozen=True, slots=True)
class DecodedBody:
    """The bytes without content codings. complete is false where the coded stream broke off or was damaged."""

    data: bytes
    complete: bool = True


class _OverLimitError(Exception):
    pass


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """The values of a header (lower-case name), joined by commas; empty if it is missing."""
    return b", ".join(value for key, value in headers if key == name)


def decoded_body(
    headers: Iterable[tuple[bytes, bytes]], body: bytes, *, max_ratio: int = MAX_RATIO, max_bytes: int = MAX_BYTES
) -> DecodedBody | Undecodable:
    """The body without its content codings; what there is of a broken one, marked as not complete."""
    listed = header(headers, b"content-encoding").decode("latin-1").lower().split(",")
    codings = [coding.strip() for coding in listed if coding.strip() not in ("", "identity")]
    if len(codings) > _MAX_CODINGS or any(coding not in _DECODERS for coding in codings):
        return Undecodable("encoding_unknown", ", ".join(codings)[:80])
    by_ratio = max(len(body) * max_ratio, _FLOOR_BYTES)
    limit = min(by_ratio, max_bytes)
    result = DecodedBody(body)
    for coding in reversed(codings):
        try:
            step = _DECODERS[coding](result.data, limit)
        except _OverLimitError:
            return Undecodable("over_ratio" if by_ratio <= max_bytes else "too_large", coding)
        if not step.data and not step.complete:
            return Undecodable("encoding_corrupt", coding)
        result = DecodedBody(step.data, result.complete and step.complete)
    return Undecodable("too_large", "identity") if len(result.data) > max_bytes else result


def _collected(steps: Iterable[bytes], limit: int, errors: tuple[type[Exception], ...]) -> tuple[bytes, bool]:
    """The joined steps and whether they ended without an error; raises _OverLimitError past the limit."""
    data = bytearray()
    try:
        for step in steps:
            data += step
            if len(data) > limit:
                raise _OverLimitError
    except errors:
        return bytes(data), False
    return bytes(data), True


def _gzip(body: bytes, limit: int) -> DecodedBody:
    return _zlib(body, limit, zlib.MAX_WBITS | 16, members=True)


def _deflate(body: bytes, limit: int) -> DecodedBody:
    # RFC 9110 means zlib's format; some senders leave its two bytes out (RFC 9110, 8.4.1.2).
    wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _zlib(body, limit, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, members=False)


def _zlib(body: bytes, limit: int, window_bits: int, *, members: bool) -> DecodedBody:
    ended = False

    def steps() -> Iterable[bytes]:
        nonlocal ended
        rest = body
        while rest:
            decoder = zlib.decompressobj(window_bits)
            while rest and not decoder.eof:
                yield decoder.decompress(rest, _STEP_BYTES)
                rest = decoder.unconsumed_tail
            ended = decoder.eof
            rest = decoder.unused_data if members else b""
            if not rest.strip(b"\x00"):  # padding after the last member
                return

    data, whole = _collected(steps(), limit, (zlib.error,))
    return DecodedBody(data, whole and ended)


def _brotli(body: bytes, limit: int) -> DecodedBody:
    decoder = brotli.Decompressor()

    def steps() -> Iterable[bytes]:
        yield decoder.process(body, output_buffer_limit=_STEP_BYTES)
        while not decoder.is_finished() and not decoder.can_accept_more_data():
            yield decoder.process(b"", output_buffer_limit=_STEP_BYTES)

    data, whole = _collected(steps(), limit, (brotli.error,))
    return DecodedBody(data, whole and decoder.is_finished())


def _zstd(body: bytes, limit: int) -> DecodedBody:
    ended = False

    def steps() -> Iterable[bytes]:
        nonlocal ended
        rest = body
        while rest:
            decoder = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
            # A decoder gives all that its input makes, up to 128 KiB for 4 bytes: small inputs keep a bomb small.
            position = 0
            while position < len(rest) and not decoder.eof:
                yield decoder.decompress(rest[position : position + _ZSTD_INPUT_BYTES])
                position += _ZSTD_INPUT_BYTES
            ended = decoder.eof
            rest = decoder.unused_data + rest[position:]

    data, whole = _collected(steps(), limit, (zstandard.ZstdError,))
    return DecodedBody(data, whole and ended)


_DECODERS: dict[str, Callable[[bytes, int], DecodedBody]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}

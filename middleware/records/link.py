"""Framing of the relay-control socket: a four-byte big-endian length, then one MessagePack record."""

import struct
from collections.abc import Iterator

import msgspec

from middleware.records.exchange import FromControl, FromRelay

__all__ = ["MAX_FRAME_BYTES", "FrameBuffer", "decode_from_control", "decode_from_relay", "encode_frame"]

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()
_from_relay: msgspec.msgpack.Decoder[FromRelay] = msgspec.msgpack.Decoder(FromRelay)
_from_control: msgspec.msgpack.Decoder[FromControl] = msgspec.msgpack.Decoder(FromControl)


def encode_frame(record: FromRelay | FromControl) -> bytes:
    """The record as one frame."""
    payload = _encoder.encode(record)
    return _LENGTH.pack(len(payload)) + payload


def decode_from_relay(payload: bytes) -> FromRelay:
    """A frame's payload as sent by the relay; raises msgspec.DecodeError."""
    return _from_relay.decode(payload)


def decode_from_control(payload: bytes) -> FromControl:
    """A frame's payload as sent by control; raises msgspec.DecodeError."""
    return _from_control.decode(payload)


class FrameBuffer:
    """Cuts a byte stream into frame payloads; raises ValueError on a frame over the limit."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._max = max_frame_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add bytes and yield each payload that is complete."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._max:
                raise ValueError(f"frame of {length} bytes is over the limit of {self._max}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield payload

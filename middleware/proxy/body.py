"""Reads one request's body: cuts it at its end, enforces the limit, and frames a chunked one anew. Sans-IO.

Chunks are framed anew towards the upstream, so that no chunk extension, odd size line or trailer reaches it: what
llhttp understood is what the upstream is told.
"""

from middleware.proxy.errors import Refusal, Refused
from middleware.proxy.framing import RequestFramer
from middleware.proxy.heads import CHUNKED

__all__ = ["BodyReader"]

# Chunked framing may cost this many bytes, and this many times the payload: one-byte chunks cost six to one.
_FRAMING_BYTES = 64 * 1024
_FRAMING_RATIO = 8


class BodyReader:
    """length: bytes, or CHUNKED (then llhttp frames it, told by the head). received: bytes of the wire so far."""

    __slots__ = ("_framer", "_left", "_limit", "_payload_bytes", "_pieces", "done", "received")

    def __init__(self, length: int, raw_head: bytes, limit: int) -> None:
        self._left = length
        self._limit = limit
        self._payload_bytes = 0
        self._pieces: list[bytes] = []
        self.received = 0
        self.done = False
        self._framer: RequestFramer | None = None
        if length == CHUNKED:
            self._framer = RequestFramer(self._pieces.append)
            self._framer.begin(raw_head)

    def take(self, data: bytes) -> tuple[bytes, int]:
        """What to send upstream for this piece, and how much of it belonged to the body.

        Raises Refused, or one of FramingError.
        """
        if self._framer is None:
            return self._take_fixed(data)
        used = self._framer.take(data)
        self.received += used
        payload = b"".join(self._pieces)
        self._pieces.clear()
        self._payload_bytes += len(payload)
        if self._payload_bytes > self._limit:
            raise Refused(Refusal.BODY_TOO_LARGE)
        if self.received - self._payload_bytes > _FRAMING_BYTES + _FRAMING_RATIO * self._payload_bytes:
            raise Refused(Refusal.BAD_FRAMING)
        self.done = self._framer.done
        wire = b"%x\r\n%s\r\n" % (len(payload), payload) if payload else b""
        return (wire + b"0\r\n\r\n" if self.done else wire), used

    def _take_fixed(self, data: bytes) -> tuple[bytes, int]:
        if len(data) > self._left:
            data = data[: self._left]
        used = len(data)
        self.received += used
        self._left -= used
        self.done = self._left == 0
        return data, used

"""The upstream's side of the pair: one kept-alive connection, whose every read is written to the client at once."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, cast

from middleware.proxy.answers import REMEMBERED_STATUS
from middleware.proxy.errors import Refusal, Refused
from middleware.proxy.framing import CHUNK_KEY, FramingError, ResponseFramer, chunk_length, whole_chunks
from middleware.proxy.heads import CHUNKED, UNTIL_CLOSE, ResponseHead, read_response, without_headers

if TYPE_CHECKING:
    from middleware.proxy.context import Context
    from middleware.proxy.transit import Transit

__all__ = ["UpstreamSide"]

_LINE_END = b"\r\n"
_SHORTEST_LINE = len(b"a:\r\n")
_TRANSFER_ENCODING = frozenset({b"transfer-encoding", b"trailer"})


class _State(Enum):
    """HEAD: an answer's head is awaited (or nothing, where no transit is set). BODY: within an answer. GONE: closed."""

    HEAD = 1
    BODY = 2
    GONE = 3


_HEAD, _BODY, _GONE = _State  # an Enum's attributes are slow to get at


class UpstreamSide:
    """An asyncio.Protocol in all but name: a base of the library's would keep it from being compiled.

    Owned by the pool while idle, by a transit while in use.
    """

    __slots__ = (
        "_context",
        "_framer",
        "_held",
        "_keep_alive",
        "_left",
        "_payload",
        "_read_paused",
        "_state",
        "_transport",
        "_whole",
        "_write",
        "active",
        "idle_since",
        "reused",
        "transit",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        self._framer = ResponseFramer()
        self._transport: asyncio.Transport
        self._state = _HEAD
        self._held = b""
        self._left = 0
        self._payload: list[bytes] | None = None
        self._whole = False  # whether what came so far of a streamed answer ends where a chunk does
        self._keep_alive = True
        self._read_paused = False
        self.transit: Transit | None = None
        self.reused = False
        self.active = False  # whether bytes came since the last sweep
        self.idle_since = 0.0

    # -- towards the upstream

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent here any more."""
        return self._state is _GONE

    @property
    def fileno(self) -> int:
        """The socket's descriptor."""
        descriptor: int = self._transport.get_extra_info("socket").fileno()
        return descriptor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface of asyncio.Transport without deriving from it
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._transport.set_write_buffer_limits(high=self._context.limits.buffer_bytes)

    def begin(self, transit: Transit) -> None:
        """Send what is pending of this transit, and be its upstream from now on."""
        self.transit = transit
        transit.upstream = self
        data = transit.sent = transit.pending
        transit.pending = b""
        write = self._write
        write(data)

    def send(self, transit: Transit, data: bytes) -> None:
        """Send more of the request's body."""
        transit.sent = None
        self._write(data)

    def abort(self) -> None:
        """Drop the connection at once; whoever served on the other end sees its client leave."""
        self.transit = None
        self._state = _GONE
        self._transport.abort()

    def pause_writing(self) -> None:
        if self.transit is not None and self.transit.client is not None:
            self.transit.client.pause_reading()

    def resume_writing(self) -> None:
        if self.transit is not None and self.transit.client is not None:
            self.transit.client.resume_reading()

    # -- from the upstream

    def pause_reading(self) -> None:
        """The client is slow: let the upstream wait."""
        if not self._read_paused and not self.closed:
            self._read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The client can take more."""
        if self._read_paused and not self.closed:
            self._read_paused = False
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.active = True
        transit = self.transit
        if transit is None:
            self._context.pool.withdraw(self)
            self._transport.abort()  # nobody asked: nothing from here may reach a client
            return
        try:
            if self._whole and (
                (chunk_length(data[:CHUNK_KEY]) == len(data) and data[-2:] == _LINE_END) or whole_chunks(data)
            ):
                # The path of a streamed answer, in as few steps as may be: a chunk, or some, in one piece. What a slot
                # holds is given a name before it is called: else the interpreter takes its long way.
                write = transit.client.write  # type: ignore[union-attr] # a transit without a client has no upstream
                write(data)
                self._context.counters.sent_bytes += len(data)
                if transit.recording is not None:
                    transit.keep_response(self._context, data)
            elif self._state is _BODY:
                self._whole = False
                self._read_body(transit, data, b"")
            else:
                self._read_head(transit, data)
        except (Refused, *FramingError):
            self._broken(transit, "protocol", Refusal.UPSTREAM_PROTOCOL)

    def _read_head(self, transit: Transit, data: bytes) -> None:
        context = self._context
        clock = context.clock
        began = clock()
        self.reused = False  # an answer has begun: no replay
        answers = context.answers
        if answers.template is not None and transit.request_done and not self._held and transit.head.method != b"HEAD":
            known = answers.repeat(data)
            if known is not None:
                self._finish_whole(transit, REMEMBERED_STATUS, known[0], data, known[1], began)
                return
        while True:
            if self._held:
                data = self._held + data
                self._held = b""
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > self._context.limits.head_bytes:
                if len(data) > self._context.limits.head_bytes:
                    raise Refused(Refusal.UPSTREAM_PROTOCOL)
                self._held = data
                return
            most = self._context.limits.headers
            if end > most * _SHORTEST_LINE and data.count(b"\r\n", 0, end) - 2 > most:
                raise Refused(Refusal.UPSTREAM_PROTOCOL)
            head = read_response(data, end, transit.head.method)
            if head.status >= 200:
                break
            self._interim(transit, head, data[:end])
            data = data[end:]
        if head.keep_alive and transit.request_done and end + head.length == len(data):
            self._answer_whole(transit, head, data, end, began)
        else:
            self._answer(transit, head, data[:end], data[end:], began)

    def _interim(self, transit: Transit, head: ResponseHead, raw: bytes) -> None:
        self._framer.begin(raw)
        if head.status == 101:  # no upgrade was asked for
            raise Refused(Refusal.UPSTREAM_PROTOCOL)
        if not transit.head.http10 and transit.client is not None:
            transit.client.write(head.forward(raw))

    def _answer_whole(self, transit: Transit, head: ResponseHead, data: bytes, end: int, began: float) -> None:
        """The common case: the whole answer came in one read, and the connection stays."""
        self._framer.feed(data)
        if transit.head.method == b"HEAD":
            self._framer = ResponseFramer()
        else:
            self._context.answers.learn(head, data[:end])
        self._finish_whole(transit, head.status, head.forward(data), data, end, began)

    def _finish_whole(
        self, transit: Transit, status: int, forwarded: bytes, data: bytes, end: int, began: float
    ) -> None:
        """Pass on a whole answer, data with its body from ``end`` on, in as few steps as may be."""
        client = transit.client
        assert client is not None  # noqa: S101 - a transit without a client has let go of its upstream
        context = self._context
        length = len(data) - end
        if client.keep_alive and not context.awareness:
            write = client.write
            write(forwarded)
        else:
            cut = len(forwarded) - length
            client.write(client.finish_head(transit, forwarded[:cut]) + forwarded[cut:])
        clock = context.clock
        now = clock()
        transit.status = status
        transit.first_byte_at = began
        transit.overhead += now - began
        context.counters.sent_bytes += length
        if transit.recording is not None:
            transit.recording.response_head = data[:end]
            transit.keep_response(context, data[end:])
        self.transit = transit.upstream = None
        context.pool.give_back(self, now)
        client.answered(transit, now)

    def _answer(self, transit: Transit, head: ResponseHead, raw: bytes, body: bytes, began: float) -> None:
        client = transit.client
        assert client is not None  # noqa: S101 - a transit without a client has let go of its upstream
        self._framer.begin(raw)
        forwarded = head.forward(raw)
        self._left = head.length
        self._keep_alive = head.keep_alive
        if head.length == UNTIL_CLOSE:
            client.keep_alive = False
        elif head.length == CHUNKED and transit.head.http10:
            forwarded = without_headers(forwarded, _TRANSFER_ENCODING)
            self._payload = []
            self._framer = ResponseFramer(self._payload.append)
            self._framer.begin(raw)
        if transit.recording is not None:
            transit.recording.response_head = raw
            transit.recording.chunked = head.length == CHUNKED and self._payload is None
        self._state = _BODY
        self._whole = head.length == CHUNKED and self._payload is None and whole_chunks(body)
        transit.status = head.status
        transit.first_byte_at = began
        self._read_body(transit, body, client.finish_head(transit, forwarded))

    def _frame_fixed(self, data: bytes) -> bytes:
        """What of this belongs to a body of known length."""
        if len(data) > self._left:
            data = data[: self._left]
            self._keep_alive = False
        if data:
            self._framer.feed(data)
            self._left -= len(data)
        return data

    def _frame_chunked(self, data: bytes) -> bytes:
        """What of this belongs to a chunked body, for a client that knows no chunks without their framing."""
        if data and (used := self._framer.take(data)) != len(data):
            data = data[:used]
            self._keep_alive = False
        if self._payload is not None:
            data = b"".join(self._payload)
            self._payload.clear()
        return data

    def _read_body(self, transit: Transit, data: bytes, prefix: bytes) -> None:
        """Find how much of this belongs to the answer, write that, and only then keep, count and finish."""
        done = False
        if self._left >= 0:
            data = self._frame_fixed(data)
            done = self._left == 0
        elif self._left == CHUNKED:
            data = self._frame_chunked(data)
            done = self._framer.done
        client = transit.client
        assert client is not None  # noqa: S101 - a transit without a client has let go of its upstream
        if prefix:
            client.write(prefix + data)
        elif data:
            client.write(data)
        context = self._context
        context.counters.sent_bytes += len(data)
        if transit.recording is not None and data:
            transit.keep_response(context, data)
        if done or prefix:
            now = context.clock()
            if prefix:
                transit.overhead += now - transit.first_byte_at
            if done:
                self._finish(transit, now)

    def _finish(self, transit: Transit, now: float) -> None:
        """The answer has ended cleanly: let go of the transit, then of the connection, then tell the client's side."""
        client = transit.client
        self.transit = transit.upstream = None
        self._whole = False
        if self._keep_alive and transit.request_done and self._state is _BODY:
            self._state = _HEAD
            if transit.head.method == b"HEAD" or self._payload is not None:
                self._framer = ResponseFramer()
                self._payload = None
            if self._read_paused:
                self.resume_reading()
            self._context.pool.give_back(self, now)
        else:
            self._state = _GONE
            self._transport.abort()
        if client is not None:
            client.answered(transit, now)

    def eof_received(self) -> None:
        """An answer without a length ends here; any other one is broken, which connection_lost sees to."""
        transit = self.transit
        if transit is not None and self._state is _BODY and self._left == UNTIL_CLOSE:
            self._keep_alive = False
            self._finish(transit, self._context.clock())
        self._state = _GONE
        self._context.pool.withdraw(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._context.pool.forget(self)
        transit = self.transit
        if transit is not None:
            if not transit.status and not self._held and self.reused and transit.replayable:
                self.transit = transit.upstream = None
                self._context.pool.replay(transit)
            else:
                self._broken(transit, "reset" if transit.status else "closed", Refusal.UPSTREAM_CLOSED)
        self._state = _GONE

    def _broken(self, transit: Transit, reason: str, refusal: Refusal) -> None:
        """The answer can't be had: the client gets an error where none has begun, else a broken connection."""
        counters = self._context.counters
        counters.count(counters.failures, reason)
        self.transit = transit.upstream = None
        self._state = _GONE
        self._transport.abort()
        if transit.client is not None:
            transit.client.fail(transit, refusal, flushable=self._left != UNTIL_CLOSE and not transit.head.http10)

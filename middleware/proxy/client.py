"""The client's side of the pair: cuts requests out of one connection and passes them on, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from middleware.proxy.body import BodyReader
from middleware.proxy.connection import ClientConnection, State
from middleware.proxy.deployments import dialect_of
from middleware.proxy.errors import Refusal, Refused, error_response
from middleware.proxy.framing import FramingError, judge_request
from middleware.proxy.heads import CHUNKED, RequestHead, read_request
from middleware.proxy.memo import Memo
from middleware.proxy.own import OWN_PREFIX, own_answer
from middleware.proxy.transit import Transit

if TYPE_CHECKING:
    from middleware.proxy.context import Context

__all__ = ["ClientSide"]

_HEAD, _BODY, _WAIT, _LINGER, _GONE = State  # an Enum's attributes are slow to get at
# Heads that a connection may remember in vain: where each head differs, a memo costs more than it saves.
_MEMO_TRIES = 3


class ClientSide(ClientConnection):
    """Owns its transit. keep_alive: whether another request may follow on this connection."""

    __slots__ = ("_memo", "_memo_tries", "_spare")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._memo: Memo | None = None
        self._memo_tries = _MEMO_TRIES
        self._spare: Transit | None = None

    # -- lifecycle

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        context = self._context
        self._give_up_place()
        transit = self._transit
        if transit is not None:
            self._transit = None
            self._let_go(transit)
            context.counters.count(context.counters.cancellations, transit.cell.deployment)
            transit.observe(context, context.clock(), complete=False)

    def eof_received(self) -> None:
        """A client that stops sending has left, as with most proxies: what it asked for is cancelled at once."""
        if self._transit is not None:
            self._transport.abort()

    # -- from the client

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is _HEAD:
            if self._held:
                self._held += data
                self._advance()
            elif self._memo is None or not self._repeat(self._memo, data):
                self._read_request(data)
                if self._held:
                    self._advance()
        elif state is _BODY:
            self._read_body(data)
        elif state is _WAIT:
            self._hold(data)
        elif state is _LINGER:
            self._left_to_drop -= len(data)
            if self._left_to_drop < 0:
                self._transport.abort()

    def _hold(self, data: bytes) -> None:
        """Keep pipelined bytes for later, and no more of them than a head may be long."""
        self._held += data
        if len(self._held) > self._context.limits.head_bytes:
            self.pause_reading()

    def _advance(self) -> None:
        """Go on with what is held, as long as answers can be written and nothing is under way."""
        while self._held and self._state is _HEAD and not self._write_paused:
            size = len(self._held)
            data = bytes(self._held)
            self._held.clear()
            self._read_request(data)
            if len(self._held) == size:
                return
        if not self._write_paused and self._state is _HEAD:
            self.resume_reading()

    def _read_request(self, data: bytes) -> None:
        """Cut a head off the data and start its transit; an incomplete one is held."""
        began = self._context.clock()
        end = data.find(b"\r\n\r\n") + 4
        limit = self._context.limits.head_bytes
        if end < 4 or end > limit:
            if len(data) > limit:
                self._refuse(Refusal.HEAD_TOO_LARGE)
                return
            if not self._partial:
                self._partial = True
                self._since = began
            self._held += data
            return
        self._partial = False
        raw = data[:end]
        try:
            head = read_request(raw, self._context.rules)
            rest = data[end:]
            self._frame(head, raw, len(rest))
        except Refused as refused:
            self._refuse(refused.refusal, raw)
        except FramingError:
            self._refuse(Refusal.BAD_REQUEST, raw)
        else:
            self._start(head, raw, rest, began)

    def _frame(self, head: RequestHead, raw: bytes, available: int) -> None:
        """Let llhttp judge the head as well, and make ready for a body that has not come whole; raises as they do."""
        limit = self._context.limits.body_bytes
        if head.upgrade:
            raise Refused(Refusal.UPGRADE_UNSUPPORTED)
        if head.length > limit:
            raise Refused(Refusal.BODY_TOO_LARGE)
        judge_request(raw)
        if head.length == CHUNKED or available < head.length:
            self._body = BodyReader(head.length, raw, limit)

    def _start(self, head: RequestHead, raw: bytes, rest: bytes, began: float) -> None:
        """Begin the transit of a request whose head may pass."""
        context = self._context
        self._served = True
        self.keep_alive = head.keep_alive and not context.draining
        if self._over_limit:
            self._refuse(Refusal.RELAY_CONNECTIONS, raw)
            return
        if head.target.startswith(OWN_PREFIX) and self._answer_own(head, rest):
            return
        match, key = context.deployments.find(head)
        cell = context.counters.cell(match.name, dialect_of(head.target, head.content_type))
        if self._memo_tries:
            self._memo_tries -= 1
            self._memo = Memo.of(raw, head, cell, match, key, self._memo)
        else:
            self._memo = None
        transit = self._transit = Transit(self, head, cell, began)
        context.counters.inflight += 1
        tap = context.tap
        if tap is not None and match.tapped:
            if tap.open:
                transit.begin_recording(context, match, key)
            else:
                tap.missed += 1
        if self._body is not None:
            self._state = _BODY
            self._since = began
            transit.pending = head.forwarded
            if rest:
                self._read_body(rest)
            if self._is_under_way(transit):
                context.pool.send(transit, began)
        else:
            body = rest[: head.length]
            self._held += rest[head.length :]
            self._send_whole(transit, head.forwarded + body, body, 0)
        transit.overhead = context.clock() - began

    def _is_under_way(self, transit: Transit) -> bool:
        """Whether it has not ended meanwhile. A call, since compiled code trusts what an attribute was set to."""
        return self._transit is transit

    def _repeat(self, memo: Memo, data: bytes) -> bool:
        """Begin the transit of a whole request whose head was judged before; False where it isn't one."""
        context = self._context
        clock = context.clock
        began = clock()
        known = memo.repeat(data, context.limits.body_bytes)
        if known is None:
            return False
        wire, end = known
        self._memo_tries = _MEMO_TRIES
        transit = self._spare
        if transit is None:
            transit = Transit(self, memo.head, memo.cell, began)
        else:
            self._spare = None
            transit.begin_again(self, memo.head, memo.cell, began)
        self._transit = transit
        context.counters.inflight += 1
        tap = context.tap
        if tap is not None and memo.match.tapped:
            if tap.open:
                transit.begin_recording(context, memo.match, memo.key_id)
            else:
                tap.missed += 1
        self._send_whole(transit, wire, data, end)
        transit.overhead = clock() - began
        return True

    def _send_whole(self, transit: Transit, wire: bytes, data: bytes, end: int) -> None:
        """The common case: the body, data[end:], came with the head, or there is none; one write."""
        context = self._context
        self._state = _WAIT
        transit.request_done = True
        transit.pending = wire
        context.counters.received_bytes += len(data) - end
        context.pool.send(transit, transit.started)
        if transit.recording is not None and len(data) > end:
            transit.keep_request(context, data[end:])

    def _answer_own(self, head: RequestHead, rest: bytes) -> bool:
        keep_alive = self.keep_alive and head.length == 0
        answer = own_answer(head.method, head.target, draining=self._context.draining, close=not keep_alive)
        if answer is None:
            return False
        self.write(answer)
        self._held += rest
        if not keep_alive:
            self._linger()
        return True

    def _read_body(self, data: bytes) -> None:
        transit, body = self._transit, self._body
        assert transit is not None  # noqa: S101 - the state BODY has both
        assert body is not None  # noqa: S101
        try:
            wire, used = body.take(data)
        except Refused as refused:
            self.fail(transit, refused.refusal)
            return
        except FramingError:
            self.fail(transit, Refusal.BAD_FRAMING)
            return
        if wire:
            if transit.upstream is not None:
                transit.upstream.send(transit, wire)
            else:
                transit.pending += wire
        self._context.counters.received_bytes += used
        if transit.recording is not None:
            transit.keep_request(self._context, data if used == len(data) else data[:used])
        if body.done:
            self._body = None
            self._state = _WAIT
            transit.request_done = True
            transit.waiting_since = self._context.clock()
            if used < len(data):
                self._hold(data[used:])

    # -- from the upstream's side

    def finish_head(self, transit: Transit, head: bytes) -> bytes:
        """The answer's head with what may be added: the awareness header, and Connection where this closes after it."""
        awareness = self._context.awareness
        added = b""
        if awareness and transit.head.conversation and (told := awareness.get(transit.head.conversation)):
            value, since = told
            age = b"" if since is None else b", age=%d" % (self._context.clock() - since)
            added = b"x-eqwatch-emotions: " + value + age + b"\r\n"
        if not self.keep_alive:
            added += b"Connection: close\r\n"
        return head[:-2] + added + b"\r\n" if added else head

    def answered(self, transit: Transit, now: float) -> None:
        """The answer has been written to its end."""
        self._transit = transit.client = None
        if not transit.request_done:
            self._linger()
        elif self.keep_alive:
            self._state = _HEAD
            self._since = now
        else:
            self._close()
        transit.observe(self._context, now, complete=True)
        transit.sent = transit.recording = None
        self._spare = transit  # nobody else knows it any more
        if self._held or self._read_paused:
            self._advance()

    def fail(self, transit: Transit, refusal: Refusal, *, flushable: bool = True) -> None:
        """The request can't be answered: an error where no answer has begun, else an unclean end.

        flushable: the client can tell from the framing that the answer is cut short, so what is buffered may go out.
        """
        self._let_go(transit)
        self._transit = None
        if transit.status:
            self._body = None
            self._close() if flushable else self._reset()
        else:
            transit.status = refusal.status
            transit.first_byte_at = self._context.clock()
            keep_alive = self.keep_alive and transit.request_done
            self.write(error_response(refusal, close=not keep_alive, head_only=transit.head.method == b"HEAD"))
            if keep_alive:
                self._state = _HEAD
                self._since = transit.first_byte_at
            else:
                self._linger()
        transit.observe(self._context, self._context.clock(), complete=False)
        if self._held or self._read_paused:
            self._advance()

    def _let_go(self, transit: Transit) -> None:
        """Part a transit from both sides; an upstream that still works on it is dropped at once."""
        upstream = transit.upstream
        transit.client = transit.upstream = None
        if upstream is not None:
            upstream.abort()

"""The relay's end of the socket to control: never waits, never grows past its bound, is nobody's reason to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from middleware.proxy.context import Context
from middleware.records.exchange import AwarenessUpdate, Busy, Credit, Exchange, SnapshotRequest
from middleware.records.link import FrameBuffer, decode_from_control, encode_frame

if TYPE_CHECKING:
    from middleware.proxy.hub import Hub

__all__ = ["Link", "LinkProtocol", "Peer"]

_BUFFER_BYTES = 8 * 1024 * 1024
_MAX_AWARENESS = 10_000
_MAX_CREDIT = 1_000
_PRINTABLE = frozenset(range(0x20, 0x7F))


class Link:
    """The relay's side of control, which outlives each control. Owns the credit, and tells the tap what it comes to."""

    def __init__(self, context: Context) -> None:
        self.context = context
        # More relay processes that share this control; set by the composition root where there are any.
        self.hub: Hub | None = None
        self._transport: asyncio.Transport | None = None
        self._credit = 0
        self._told_busy = False

    @property
    def connected(self) -> bool:
        """Whether a control is there (it may still be hung)."""
        return self._transport is not None

    def attach(self, transport: asyncio.Transport) -> None:
        """A new control is there; it has no credit yet."""
        self._transport = transport
        self._told_busy = False
        self._set_credit(0)
        self.tell_busy()

    def detach(self, transport: asyncio.Transport) -> None:
        """This control is gone."""
        if self._transport is transport:
            self._transport = None
            self._set_credit(0)

    def tell_busy(self) -> None:
        """Tell control whether this process or a sibling is busy, where that is not what it was told last."""
        tap = self.context.tap
        busy = (tap is not None and tap.busy) or (self.hub is not None and self.hub.busy)
        transport = self._transport
        if transport is not None and busy != self._told_busy and transport.get_write_buffer_size() <= _BUFFER_BYTES:
            self._told_busy = busy
            transport.write(encode_frame(Busy(busy)))

    def _set_credit(self, credit: int) -> None:
        self._credit = credit
        if self.context.tap is not None:
            self.context.tap.hear(self._lacking())

    def _lacking(self) -> str:
        """What is not there until a record or a connection comes: the tap need not ask for each request."""
        if self._transport is None:
            return "no_control"
        return "" if self._credit > 0 else "no_credit"

    def ready(self) -> str:
        """Empty where control would take an exchange now, else the reason why not."""
        reason = self._lacking()
        if not reason and self._transport is not None and self._transport.get_write_buffer_size() > _BUFFER_BYTES:
            return "link_full"
        return reason

    def offer(self, exchange: Exchange) -> str:
        """Send an exchange; the reason why not, else empty."""
        reason = self.ready()
        if not reason and self._transport is not None:
            self._transport.write(encode_frame(exchange))
            self._set_credit(self._credit - 1)
        return reason

    def receive(self, payload: bytes) -> None:
        """Act on one record of control's; raises msgspec.DecodeError."""
        record = decode_from_control(payload)
        if isinstance(record, Credit):
            self._set_credit(min(_MAX_CREDIT, self._credit + record.exchanges))
            if self.hub is not None:
                self.hub.credit_came(self._credit)
        elif isinstance(record, SnapshotRequest):
            if self._transport is not None and self._transport.get_write_buffer_size() <= 2 * _BUFFER_BYTES:
                snapshot = self.context.snapshot()
                self._transport.write(encode_frame(self.hub.merged(snapshot) if self.hub is not None else snapshot))
        else:
            self._be_aware(record)
            if self.hub is not None:
                self.hub.tell_all(record)

    def pass_on(self, payload: bytes) -> str:
        """Send an exchange that another relay process has encoded; the reason why not, else empty."""
        reason = self.ready()
        if not reason and self._transport is not None:
            self._transport.write(len(payload).to_bytes(4, "big") + payload)
            self._set_credit(self._credit - 1)
        return reason

    def _be_aware(self, update: AwarenessUpdate) -> None:
        table = self.context.awareness
        if table is None:
            return
        conversation = update.conversation.encode("latin-1", "ignore")
        value = update.header.encode("ascii", "ignore")
        table.pop(conversation, None)
        if value and _PRINTABLE.issuperset(value):
            # Against the monotonic clock from here on: a clock that is set can't make an estimate younger.
            age = max(0.0, self.context.wall() - update.at)
            table[conversation] = value, self.context.clock() - age if update.at else None
            while len(table) > _MAX_AWARENESS:
                del table[next(iter(table))]


class Peer(Protocol):
    """What a connection to a child is told to: the link to control, or a sibling."""

    context: Context

    def attach(self, transport: asyncio.Transport) -> None: ...

    def detach(self, transport: asyncio.Transport) -> None: ...

    def receive(self, payload: bytes) -> None: ...


class LinkProtocol(asyncio.Protocol):
    """One child's connection; closes it on what it can't understand (the supervisor then starts the child anew)."""

    def __init__(self, link: Peer) -> None:
        self._link = link
        self._frames = FrameBuffer()
        self._transport: asyncio.Transport
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface of asyncio.Transport without deriving from it
        self._transport = cast("asyncio.Transport", transport)
        self._link.attach(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                self._link.receive(payload)
        except (msgspec.DecodeError, ValueError) as error:
            self._link.context.contained("link", error)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._link.detach(self._transport)
        self.lost.set()

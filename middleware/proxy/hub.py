"""Lets several relay processes share one control: the first of them stands between the others and it.

Each sibling may have a few exchanges on the way; it may send the next one when control's credit took one of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from middleware.proxy.merge import merged, without_gauges
from middleware.records.exchange import Busy, Credit, Exchange, RelaySnapshot, SnapshotRequest
from middleware.records.link import decode_from_relay, encode_frame

if TYPE_CHECKING:
    from middleware.proxy.context import Context
    from middleware.proxy.link import Link
    from middleware.records.exchange import FromControl

__all__ = ["Hub", "Sibling"]

_WINDOW = 8
_SNAPSHOT_SECONDS = 1.0
_BUFFER_BYTES = 1024 * 1024


class Sibling:
    """The first process's side of one other relay process; outlives each of its lives."""

    def __init__(self, context: Context, link: Link) -> None:
        self.context = context
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._latest: RelaySnapshot | None = None
        self._retired: RelaySnapshot | None = None
        self._owed = 0
        self.busy = False

    @property
    def snapshots(self) -> list[RelaySnapshot]:
        """Its numbers: those of its former lives, and the latest of this one."""
        return [one for one in (self._retired, self._latest) if one is not None]

    def attach(self, transport: asyncio.Transport) -> None:
        """It lives: it may send the first exchanges."""
        self._transport = transport
        self._owed = 0
        self.tell(Credit(_WINDOW))

    def detach(self, transport: asyncio.Transport) -> None:
        """It has ended: what it counted still counts."""
        if self._transport is transport:
            self._transport = None
            self.busy = False
            if self._latest is not None:
                self._retired = without_gauges(merged(self.snapshots))
                self._latest = None

    def receive(self, payload: bytes) -> None:
        """Act on one record of its; raises msgspec.DecodeError."""
        record = decode_from_relay(payload)
        if isinstance(record, RelaySnapshot):
            self._latest = record
        elif isinstance(record, Busy):
            self.busy = record.busy
            self._link.tell_busy()
        elif isinstance(record, Exchange):
            self._owed += 1
            reason = self._link.pass_on(payload)
            if reason:
                self.context.counters.count(self.context.counters.drops, reason)
            else:
                self.pay()

    def pay(self) -> None:
        """Let it send as many more as it has sent."""
        if self._owed:
            self.tell(Credit(self._owed))
            self._owed = 0

    def tell(self, record: FromControl) -> None:
        """Send it a record, unless it hangs."""
        if self._transport is not None and self._transport.get_write_buffer_size() < _BUFFER_BYTES:
            self._transport.write(encode_frame(record))


class Hub:
    """The siblings together."""

    def __init__(self, siblings: list[Sibling]) -> None:
        self._siblings = siblings

    @property
    def busy(self) -> bool:
        """Whether one of them has no time to spare."""
        return any(sibling.busy for sibling in self._siblings)

    def credit_came(self, credit: int) -> None:
        """Control takes exchanges again: the siblings may send."""
        if credit > 0:
            for sibling in self._siblings:
                sibling.pay()

    def tell_all(self, record: FromControl) -> None:
        """Pass a record on to every sibling."""
        for sibling in self._siblings:
            sibling.tell(record)

    def merged(self, own: RelaySnapshot) -> RelaySnapshot:
        """The numbers of all processes; those of the siblings may be a second old."""
        return merged([own, *(one for sibling in self._siblings for one in sibling.snapshots)])

    async def poll(self) -> None:
        """Ask the siblings for their numbers every second, until cancelled."""
        while True:
            self.tell_all(SnapshotRequest())
            await asyncio.sleep(_SNAPSHOT_SECONDS)

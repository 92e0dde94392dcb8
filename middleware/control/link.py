"""Control's end of the socket to the relay: takes exchanges at a bounded rate, asks for counters, sends awareness."""

import asyncio
import socket
from collections.abc import Callable

from middleware.records.exchange import (
    AwarenessUpdate,
    Busy,
    Credit,
    Exchange,
    FromRelay,
    RelaySnapshot,
    SnapshotRequest,
)
from middleware.records.link import FrameBuffer, decode_from_relay, encode_frame

__all__ = ["RelayClosedError", "RelayLink"]

_READ_BYTES = 256 * 1024
_GRANT_INTERVAL_SECONDS = 0.1


class RelayClosedError(Exception):
    """The relay closed its end: control has nothing left to serve."""


class RelayLink:
    """Owns the socket, the last snapshot, and the credit that is out.

    Credit never exceeds the room of the queue, so an exchange that arrives always has a place: what does not fit is
    dropped, and counted, by the relay before it costs anything.
    """

    def __init__(self, endpoint: socket.socket, *, queue: asyncio.Queue[Exchange], exchanges_per_second: float) -> None:
        self._endpoint = endpoint
        self._queue = queue
        self._rate = exchanges_per_second
        self._outstanding = 0
        self._snapshot: RelaySnapshot | None = None
        self._fresh = asyncio.Event()
        self._taken = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._busy = False
        # Called with each exchange as it comes; must not block.
        self.on_exchange: list[Callable[[Exchange], object]] = []

    @property
    def connected(self) -> bool:
        """Whether the relay is there."""
        return self._writer is not None

    @property
    def busy(self) -> bool:
        """Whether the relay has no time to spare, as it said last."""
        return self._busy

    @property
    def snapshot(self) -> RelaySnapshot | None:
        """The relay's numbers as of the last answer, or None before the first."""
        return self._snapshot

    async def serve(self) -> None:
        """Read until the relay closes, then raise RelayClosedError."""
        reader, writer = await asyncio.open_connection(sock=self._endpoint)
        self._writer = writer
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._grant(), name="credit")
                group.create_task(self._read(reader), name="relay-reader")
        finally:
            self._writer = None
            writer.close()

    async def refresh(self, timeout_seconds: float) -> bool:
        """Ask for new numbers and wait for them, at most so long; False where the relay is slow: the old ones stay."""
        if self._writer is None:
            return False
        self._fresh.clear()
        self._send(SnapshotRequest())
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._fresh.wait()
        except TimeoutError:
            return False
        return True

    def tell(self, conversation: str, header: str, at: float = 0.0) -> None:
        """Set the awareness header of a conversation's next responses; empty removes it. at: what its age counts from,
        Unix seconds."""
        self._send(AwarenessUpdate(conversation, header, at))

    def _send(self, record: SnapshotRequest | Credit | AwarenessUpdate) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode_frame(record))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = FrameBuffer()
        while data := await reader.read(_READ_BYTES):
            for payload in frames.feed(data):
                self._take(decode_from_relay(payload))
        raise RelayClosedError

    def _take(self, record: FromRelay) -> None:
        if isinstance(record, RelaySnapshot):
            self._snapshot = record
            self._fresh.set()
            return
        if isinstance(record, Busy):
            self._busy = record.busy
            return
        self._outstanding = max(0, self._outstanding - 1)
        self._taken.set()
        for note in self.on_exchange:
            note(record)
        self._queue.put_nowait(record)

    async def _grant(self) -> None:
        """Let the rate's worth of credit out, as far as the queue has room; sleep while nothing can have changed.

        A second's worth at most is out or can be let out at once, however long nothing came before.
        """
        allowance, most = 0.0, max(1.0, self._rate)
        while True:
            left = most - self._outstanding
            room = min(left, self._queue.maxsize - self._queue.qsize() - self._outstanding)
            allowance = min(allowance + self._rate * _GRANT_INTERVAL_SECONDS, left)
            grant = int(min(allowance, room))
            if grant > 0:
                allowance -= grant
                self._outstanding += grant
                self._send(Credit(grant))
            elif room < 1 and self._queue.empty():
                self._taken.clear()
                await self._taken.wait()  # all credit is out and no exchange came: an idle sidecar costs nothing here
            await asyncio.sleep(_GRANT_INTERVAL_SECONDS)

"""One request and its answer on their way through: what both connections need to know about it. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from middleware.proxy.counters import CANCELLED_CODE, Cell
from middleware.proxy.heads import RequestHead
from middleware.records.relay import DeploymentMatch

if TYPE_CHECKING:
    from middleware.proxy.client import ClientSide
    from middleware.proxy.context import Context
    from middleware.proxy.tap import Recording
    from middleware.proxy.upstream import UpstreamSide

__all__ = ["Transit"]

_LOGGED_PATH_BYTES = 512
# Methods that may be sent twice (RFC 9110, 9.2.2).
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"})


class Transit:
    """Owned by the client's side from the request's head to the answer's end; the upstream's side fills in the answer.

    Times are of the context's clock. pending: request bytes that wait for a connection. sent: the only bytes written so
    far, for a replay; None once there is more. waiting_since: when the phase began that a timeout is counted from.
    """

    __slots__ = (
        "cell",
        "client",
        "first_byte_at",
        "head",
        "overhead",
        "pending",
        "recording",
        "replayed",
        "request_done",
        "sent",
        "started",
        "status",
        "upstream",
        "waiting_since",
    )

    def __init__(self, client: ClientSide, head: RequestHead, cell: Cell, started: float) -> None:
        self.client: ClientSide | None = client
        self.head = head
        self.cell = cell
        self.started = started
        self.waiting_since = started
        self.overhead = 0.0
        self.upstream: UpstreamSide | None = None
        self.pending = b""
        self.sent: bytes | None = None
        self.replayed = False
        self.request_done = False
        self.status = 0
        self.first_byte_at = 0.0
        self.recording: Recording | None = None

    def begin_again(self, client: ClientSide, head: RequestHead, cell: Cell, started: float) -> None:
        """Be the next whole request of the same connection; a clean end has left the rest as in a new one."""
        self.client = client
        self.head = head
        self.cell = cell
        self.started = self.waiting_since = started
        self.status = 0
        self.replayed = False

    @property
    def replayable(self) -> bool:
        """Whether it may be sent again after a reused connection closed without a byte of an answer."""
        return self.sent is not None and not self.replayed and self.head.method in _IDEMPOTENT

    def begin_recording(self, context: Context, match: DeploymentMatch, key_id: str) -> None:
        """Let the tap choose whether it keeps a copy."""
        try:
            if context.tap is not None:
                self.recording = context.tap.begin(match, self.head)
                if self.recording is not None:
                    self.recording.key_id = key_id or context.deployments.identify(self.head)
        except Exception as error:  # noqa: BLE001 - an observer never breaks traffic
            context.contained("tap", error)

    def keep_request(self, context: Context, data: bytes) -> None:
        """Keep a reference to a piece of the request's body; only where there is a recording."""
        try:
            if self.recording is not None and context.tap is not None:
                context.tap.keep_request(self.recording, data)
        except Exception as error:  # noqa: BLE001 - an observer never breaks traffic
            context.contained("tap", error)

    def keep_response(self, context: Context, data: bytes) -> None:
        """Keep a reference to a piece of the answer's body; only where there is a recording."""
        try:
            if self.recording is not None and context.tap is not None:
                context.tap.keep_response(self.recording, data)
        except Exception as error:  # noqa: BLE001 - an observer never breaks traffic
            context.contained("tap", error)

    def observe(self, context: Context, now: float, *, complete: bool) -> None:
        """Put the finished transit into the numbers, the tap and the access log; what fails there stays there."""
        try:
            # In place: calls of Histogram.observe would be a tenth of the relay's own cost.
            counters = context.counters
            counters.inflight -= 1
            cell = self.cell
            status = self.status
            code = status or CANCELLED_CODE
            cell.codes[code] = cell.codes.get(code, 0) + 1
            seconds = now - self.started
            histogram = cell.duration
            histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
            histogram.sum += seconds
            if status:
                seconds = self.first_byte_at - self.started
                histogram = cell.first_byte
                histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
                histogram.sum += seconds
                seconds = self.overhead
                histogram = counters.overhead
                histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
                histogram.sum += seconds
            if self.recording is not None and context.tap is not None:
                first_byte = self.first_byte_at - self.started if self.status else 0.0
                context.tap.finish(
                    self.recording,
                    self.head,
                    self.cell.dialect,
                    self.status,
                    complete=complete,
                    first_byte_seconds=first_byte,
                    duration_seconds=now - self.started,
                )
            if context.access_log is not None:
                context.access_log(self._log_line(now, complete=complete))
        except Exception as error:  # noqa: BLE001 - an observer never breaks traffic
            context.contained("transit", error)

    def _log_line(self, now: float, *, complete: bool) -> dict[str, str | int | float | bool]:
        return {
            "method": self.head.method.decode("ascii"),
            "path": self.head.target.partition(b"?")[0][:_LOGGED_PATH_BYTES].decode("ascii"),
            "status": self.status or CANCELLED_CODE,
            "deployment": self.cell.deployment,
            "dialect": self.cell.dialect,
            "complete": complete,
            "duration_seconds": round(now - self.started, 6),
        }

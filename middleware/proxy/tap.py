"""The bounded copy of exchanges for control: decided in O(1) from head and deployment, kept by reference.

A drop is counted with its reason before anything is joined, decoded or encoded. While nothing would be taken anyway,
the tap is closed: a request then costs an addition, and drops are counted later.
"""

from collections.abc import Callable

from middleware.proxy.busy import Load
from middleware.proxy.counters import Counters
from middleware.proxy.framing import FramingError, ResponseFramer
from middleware.proxy.heads import RequestHead, content_headers
from middleware.records.exchange import Exchange
from middleware.records.relay import DeploymentMatch

__all__ = ["Recording", "Tap"]

# A kept reference costs more than the bytes it holds: object header and list slot.
_REFERENCE_BYTES = 64
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Recording:
    """References to the bytes of one exchange, each direction up to the cap. The tap owns it."""

    __slots__ = (
        "chunked",
        "deployment",
        "kept",
        "key_id",
        "request",
        "request_bytes",
        "request_head",
        "request_truncated",
        "response",
        "response_bytes",
        "response_head",
        "response_truncated",
        "started_at",
    )

    def __init__(self, deployment: str, request_head: bytes, started_at: float) -> None:
        self.deployment = deployment
        self.key_id = ""
        self.request_head = request_head
        self.started_at = started_at
        self.response_head = b""
        self.chunked = False
        self.request: list[bytes] = []
        self.response: list[bytes] = []
        self.request_bytes = self.response_bytes = self.kept = 0
        self.request_truncated = self.response_truncated = False


class Tap:
    """Chooses, keeps and offers. offer: takes an Exchange or returns the reason why not; ready: the reason why not now.

    rate: share of exchanges, 0..1, met exactly by carrying the remainder. body_bytes: cap of each body.
    total_bytes: cap of all that is kept at one time. load: whether the relay is busy; None: it never gives way.
    looked: called after each look.

    Owns whether it is open, which is for others to read. While it is closed they don't call `begin`, but add one to
    `missed` for each request of a tapped deployment. Those become drops for the reason why it is closed, requests that
    opted out among them: nobody looks at their heads for that.
    """

    __slots__ = (
        "_body_bytes",
        "_carried",
        "_control",
        "_counters",
        "_kept",
        "_load",
        "_looked",
        "_offer",
        "_rate",
        "_ready",
        "_reason",
        "_total_bytes",
        "_wall",
        "missed",
        "open",
    )

    def __init__(
        self,
        *,
        rate: float,
        body_bytes: int,
        counters: Counters,
        ready: Callable[[], str],
        offer: Callable[[Exchange], str],
        wall: Callable[[], float],
        total_bytes: int = 64 * 1024 * 1024,
        load: Load | None = None,
        looked: Callable[[], None] | None = None,
    ) -> None:
        self._rate = rate
        self._body_bytes = body_bytes
        self._total_bytes = total_bytes
        self._counters = counters
        self._ready = ready
        self._offer = offer
        self._wall = wall
        self._load = load
        self._looked = looked
        self._carried = 0.0
        self._kept = 0
        self._control = ""
        self._reason = ""
        self.open = True
        self.missed = 0

    @property
    def kept_bytes(self) -> int:
        """What all open recordings hold now."""
        return self._kept

    @property
    def busy(self) -> bool:
        """Whether the relay was busy at the last look."""
        return self._load is not None and self._load.busy

    def hear(self, reason: str) -> None:
        """Why control takes nothing from now on; empty where it does."""
        self._control = reason
        self._decide()

    def look(self, now: float) -> None:
        """Look whether the relay is busy. now: monotonic seconds."""
        if self._load is not None:
            self._load.look(now)
            self._decide()
            if self._looked is not None:
                self._looked()

    def _decide(self) -> None:
        reason = self._control or ("busy" if self.busy else "")
        if reason != self._reason:
            self.settle()
            self._reason = reason
            self.open = not reason

    def settle(self) -> None:
        """Count as dropped what was missed so far, as much of it as the rate would have chosen."""
        if self.missed:
            self._carried += self.missed * self._rate
            self.missed = 0
            chosen = int(self._carried)
            self._carried -= chosen
            if chosen:
                self._counters.count(self._counters.drops, self._reason, chosen)

    def begin(self, deployment: DeploymentMatch, head: RequestHead) -> Recording | None:
        """A recording for this request, or None; only while open."""
        if not deployment.tapped:
            return None
        if head.opt_out:
            self._counters.count(self._counters.drops, "opt_out")
            return None
        self._carried += self._rate
        if self._carried < 1.0:
            return None
        self._carried -= 1.0
        # What control would not take now is not copied at all. For a long answer that guess can be wrong either way:
        # finish asks again, and by arrival the choice does not depend on how the exchange went.
        reason = "memory" if self._kept >= self._total_bytes else self._ready()
        if reason:
            self._counters.count(self._counters.drops, reason)
            return None
        return Recording(deployment.name, head.forwarded, self._wall())

    def keep_request(self, recording: Recording, data: bytes) -> None:
        """Keep a reference to a piece of the request's body."""
        recording.request_bytes += len(data)
        if recording.request_truncated or recording.request_bytes > self._body_bytes or self._kept >= self._total_bytes:
            recording.request_truncated = True
        else:
            recording.request.append(data)
            self._add(recording, len(data))

    def keep_response(self, recording: Recording, data: bytes) -> None:
        """Keep a reference to a piece of the answer's body as it came over the wire."""
        # Once for each chunk of a stream: written out, since calls and sums are half of what it costs.
        size = len(data)
        total = recording.response_bytes = recording.response_bytes + size
        if total > self._body_bytes or self._kept >= self._total_bytes or recording.response_truncated:
            recording.response_truncated = True
        else:
            recording.response.append(data)
            size += _REFERENCE_BYTES
            recording.kept += size
            self._kept += size

    def _add(self, recording: Recording, size: int) -> None:
        recording.kept += size + _REFERENCE_BYTES
        self._kept += size + _REFERENCE_BYTES

    def discard(self, recording: Recording) -> None:
        """Forget a recording."""
        self._kept -= recording.kept
        recording.kept = 0

    def finish(
        self,
        recording: Recording,
        head: RequestHead,
        dialect: str,
        status: int,
        *,
        complete: bool,
        first_byte_seconds: float,
        duration_seconds: float,
    ) -> None:
        """Offer a finished recording, or count why not."""
        self.discard(recording)
        reason = self._ready()
        if not reason:
            body = b"".join(recording.response)
            exchange = Exchange(
                deployment=recording.deployment,
                dialect=dialect,
                method=head.method,
                target=head.target,
                request_headers=content_headers(recording.request_head),
                request_body=b"".join(recording.request),
                request_truncated=recording.request_truncated,
                status=status,
                response_headers=content_headers(recording.response_head),
                response_body=_unchunked(body) if recording.chunked else body,
                response_truncated=recording.response_truncated,
                complete=complete,
                conversation=head.conversation.decode("latin-1"),
                key_id=recording.key_id,
                started_at=recording.started_at,
                first_byte_seconds=first_byte_seconds,
                duration_seconds=duration_seconds,
            )
            reason = self._offer(exchange)
        if reason:
            self._counters.count(self._counters.drops, reason)


def _unchunked(body: bytes) -> bytes:
    """The payload of a chunked body that may be cut off."""
    pieces: list[bytes] = []
    framer = ResponseFramer(pieces.append)
    try:
        framer.begin(_CHUNKED_HEAD)
        if body:
            framer.take(body)
    except FramingError:
        return b"".join(pieces)
    return b"".join(pieces)

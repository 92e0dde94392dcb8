"""Takes in exchanges from the network: those of pods that observed them, and those that applications hand in.

What is wanted is decided before anything waits: deployment, opt-out, sampling, repetition; and everything is redacted
once more, whoever says that it did so already.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from middleware.admin.errors import ApiError
from middleware.metrics import Metrics
from middleware.records.conversation import Skipped
from middleware.records.observation import FORMAT, Observation, Observations
from middleware.records.report import Arrived, Report
from middleware.traffic.genai_spans import reports_of
from middleware.traffic.hashing import exchange_key, salt_fingerprint
from middleware.traffic.otlp import OtlpError, trace_request
from middleware.traffic.reported import observation_of
from middleware.traffic.selecting import Picking

__all__ = ["Arrivals"]

_DUPLICATE, _ACCEPTED, _FULL = "duplicate", "accepted", "queue_full"
_MOST_OBSERVATIONS = 1000


class Arrivals:
    """Owns the ids that are known already, in a table of bounded size. queue: what is chosen waits there.

    clock: Unix seconds.
    """

    def __init__(
        self,
        picking: Picking,
        queue: asyncio.Queue[Observation],
        *,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        remembered: int = 100_000,
    ) -> None:
        self._picking = picking
        self._salt = picking.selection.salt
        self._fingerprint = salt_fingerprint(self._salt)
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._remembered = remembered
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    async def observations(self, body: bytes) -> Arrived:
        """A pod's delivery. Raises ApiError for what is none of this version, or of another salt."""
        return self._take_in("observer", await asyncio.to_thread(self._observed, body))

    async def reports(self, reports: Sequence[Report], source: str = "api") -> Arrived:
        """Exchanges that an application or a tracer hands in."""
        return self._take_in(source, await asyncio.to_thread(self._picked, reports))

    async def traces(self, body: bytes, media_type: str, encoding: str) -> Arrived:
        """GenAI spans of a tracer. Raises ApiError for a body that can't be read."""
        return self._take_in("otel", await asyncio.to_thread(self._spans, body, media_type, encoding))

    def _spans(self, body: bytes, media_type: str, encoding: str) -> list[Observation | Skipped | str]:
        try:
            found = list(reports_of(trace_request(body, media_type, encoding)))
        except OtlpError as error:
            raise ApiError(error.status, "invalid", str(error)) from None
        picked = iter(self._picked([one for one in found if isinstance(one, Report)]))
        return [next(picked) if isinstance(one, Report) else one for one in found]

    def _observed(self, body: bytes) -> list[Observation | Skipped]:
        try:
            delivery = msgspec.json.decode(body, type=Observations)
        except (msgspec.DecodeError, ValueError):
            # Its text may quote the body.
            raise ApiError(
                422, "invalid", "This is no delivery of an observer; applications use /api/v1/exchanges."
            ) from None
        if delivery.format != FORMAT:
            raise ApiError(
                422,
                "other_format",
                f"Format {delivery.format} is not known, this monitor reads {FORMAT}: update the older side.",
            )
        if delivery.salt != self._fingerprint:
            raise ApiError(
                409, "other_salt", "This pod has another salt than the monitor: set EQWATCH_SALT to the same in both."
            )
        if len(delivery.observations) > _MOST_OBSERVATIONS:
            raise ApiError(413, "body_too_large", f"More than {_MOST_OBSERVATIONS} observations: send them in parts.")
        now = self._clock()
        return [self._checked(observation, now) for observation in delivery.observations]

    def _checked(self, observation: Observation, now: float) -> Observation | Skipped:
        if self._picking.selection.rate(observation.deployment) <= 0:
            return Skipped(observation.deployment, "not_configured")
        try:
            cleaned = self._picking.cleaned(observation)
        except ValueError:
            return Skipped(observation.deployment, "undecodable", "no_user")
        return msgspec.structs.replace(cleaned, at=min(observation.at, now))

    def _picked(self, reports: Sequence[Report]) -> list[Observation | Skipped]:
        now = self._clock()
        found = (observation_of(report, self._picking.selection, now=now) for report in reports)
        return [heard if isinstance(heard, Skipped) else self._picking.pick(heard) for heard in found]

    def _take_in(self, source: str, found: Iterable[Observation | Skipped | str]) -> Arrived:
        """On the loop, where nobody else looks at the table and the queue."""
        outcomes = Counter(self._one(heard) for heard in found)
        for outcome, number in outcomes.items():
            self._metrics.arrived_exchanges_total.labels(source=source, outcome=outcome).inc(number)
        self._metrics.queue_depth.labels(queue="arrivals").set(self._queue.qsize())
        dropped = {name: number for name, number in outcomes.items() if name not in {_ACCEPTED, _DUPLICATE}}
        return Arrived(outcomes[_ACCEPTED], outcomes[_DUPLICATE], dropped)

    def _one(self, heard: Observation | Skipped | str) -> str:
        if isinstance(heard, str):
            return heard
        if isinstance(heard, Skipped):
            return heard.reason
        key = exchange_key(self._salt, heard.id)
        if key in self._seen:
            return _DUPLICATE
        try:
            self._queue.put_nowait(heard)
        except asyncio.QueueFull:
            self._metrics.dropped_total.labels(queue="arrivals", reason="full").inc()
            return _FULL
        self.known(key)
        return _ACCEPTED

    def known(self, key: bytes) -> None:
        """An exchange with this hash of its id (empty: it has none) is not taken again."""
        if key:
            self._seen[key] = None
            while len(self._seen) > self._remembered:
                self._seen.popitem(last=False)

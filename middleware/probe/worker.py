"""Probes one turn: asks the model under test (or the local anchor), hands the scores on. Failures are outcomes."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from middleware.errors import CallRefused, StoreUnavailable
from middleware.metrics import Metrics, exemplar
from middleware.probe.evaluations import tell_ratings
from middleware.probe.excerpt import Excerpt, shown_to_judge, up_to_user
from middleware.probe.judging import Asker, Asking, Judge, Limiter, Rating
from middleware.probe.prompts import Asked
from middleware.records.conversation import STEERING_KINDS, ProbeKind, ProbeResult, Skipped, Turn
from middleware.tracing import PROBE
from middleware.upstream import Meter, UpstreamClient

__all__ = ["Budget", "ProbeConfig", "ProbeRule", "ProbeWorker"]

_Ticket = TypeVar("_Ticket")


class Budget(Protocol):
    """A look at the caps over the sidecar's own calls. The client's meter is what holds them."""

    async def allows(self, calls: int, deployment: str = "") -> bool:
        """Whether so many calls of a deployment's fit in what is left."""


@dataclass(frozen=True, slots=True)
class ProbeRule:
    """What is asked about turns of a deployment. model: who is asked; empty: the model that gave the reply.

    local: rates the user instead of a model, at once and without any call; nothing is predicted then.
    meter: allows and counts the calls for this deployment; default: the client's.
    """

    emotions: tuple[str, ...]
    model: str = ""
    local: Judge | None = None
    meter: Meter | None = None


@dataclass(frozen=True, slots=True)
class ProbeConfig(Asking):
    """How every probe is asked."""

    kinds: tuple[Asked, ...] = ("perception", "anticipation")


class ProbeWorker(Generic[_Ticket]):
    """Asks one upstream about turns. save: keeps a result, without blocking. clock: Unix seconds, UTC.

    retest: whether a turn (conversation, index) is rated twice, to learn how well the model agrees with itself.
    """

    def __init__(
        self,
        client: UpstreamClient,
        rules: Mapping[str, ProbeRule],
        *,
        config: ProbeConfig,
        save: Callable[[ProbeResult], object],
        limiter: Limiter[_Ticket],
        budget: Budget,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(8),
        retest: Callable[[str, int], bool] = lambda *_: False,
    ) -> None:
        self._tracing = client.tracing
        self._asker = Asker(client, config=config, limiter=limiter, nonce=nonce)
        self._rules = rules
        self._config = config
        self._save = save
        self._budget = budget
        self._metrics = metrics
        self._clock = clock
        self._retest = retest

    async def probe(self, turn: Turn) -> list[ProbeResult] | Skipped:
        """One result for each kind of probe, saved as it comes; counted once, as scored only if all are."""
        with self._tracing.span(PROBE, {"eqwatch.deployment": turn.deployment}) as span:
            done = await self._probe(turn)
            if isinstance(done, Skipped):
                span.set({"eqwatch.skipped": done.reason})
            else:
                for result in done:
                    tell_ratings(span, result)
            return done

    async def _probe(self, turn: Turn) -> list[ProbeResult] | Skipped:
        rule = self._rules[turn.deployment]
        if rule.local is not None:
            results = [await self._locally(turn, rule, rule.local)]
            self._count(turn, rule, results)
            return results
        kinds = self._kinds(turn)
        if not await self._allowed(len(kinds), turn.deployment):
            return Skipped(turn.deployment, "budget")
        results = []
        for kind in kinds:
            try:
                result = await self._one(turn, kind, rule)
            except CallRefused as error:
                return Skipped(turn.deployment, "paused" if error.reason == "paused" else "budget")
            self._save(result)
            results.append(result)
            if result.outcome in ("api_error", "timeout"):
                break  # no second call to an upstream that has just failed
        self._count(turn, rule, [result for result in results if result.kind != "retest"])
        return results

    def _kinds(self, turn: Turn) -> list[ProbeKind]:
        kinds: list[ProbeKind] = [
            kind for kind in self._config.kinds if kind == "perception" or turn.transcript.reply is not None
        ]
        if self._retest(turn.conversation, turn.index):
            kinds.append("retest")
        return kinds

    async def _one(self, turn: Turn, kind: ProbeKind, rule: ProbeRule) -> ProbeResult:
        asked: Asked = "anticipation" if kind == "anticipation" else "perception"
        model = rule.model or turn.transcript.model
        shown = await asyncio.to_thread(self._shown, turn, kind, rule.emotions)
        rating = await self._asker.ask(asked, shown, model, rule.emotions, meter=rule.meter)
        return self._result(turn, kind, rating, model)

    async def _locally(self, turn: Turn, rule: ProbeRule, judge: Judge) -> ProbeResult:
        rating = await judge.rate(turn.transcript.messages, rule.emotions)
        result = self._result(turn, "perception", rating, judge.name, judge.version)
        self._save(result)
        return result

    def _result(self, turn: Turn, kind: ProbeKind, rating: Rating, judge: str, version: str = "") -> ProbeResult:
        return ProbeResult(
            deployment=turn.deployment,
            conversation=turn.conversation,
            turn=turn.index,
            kind=kind,
            outcome=rating.outcome,
            emotions=rating.emotions,
            reason=rating.reason,
            judge=judge,
            judge_version=version,
            prompt_tokens=rating.prompt_tokens,
            completion_tokens=rating.completion_tokens,
            latency_seconds=rating.latency_seconds,
            at=self._clock(),
            turn_ended_at=turn.at,
            flags=rating.flags,
        )

    def _shown(self, turn: Turn, kind: ProbeKind, emotions: tuple[str, ...]) -> Excerpt:
        """Redaction, cutting and flags are CPU work: in a thread."""
        messages = list(turn.transcript.messages)
        if kind == "anticipation" and turn.transcript.reply is not None:
            messages.append(turn.transcript.reply)
        else:
            messages = up_to_user(messages)
        return shown_to_judge(messages, emotions, characters=self._config.context_characters)

    async def _allowed(self, calls: int, deployment: str) -> bool:
        try:
            return await self._budget.allows(calls, deployment)
        except StoreUnavailable as error:
            self._metrics.store_errors_total.labels(reason=error.reason).inc()
            return False  # what was spent is unknown: spend nothing

    def _count(self, turn: Turn, rule: ProbeRule, results: list[ProbeResult]) -> None:
        outcome = next((result.outcome for result in results if result.outcome != "scored"), "scored")
        self._metrics.probe_conversations_total.labels(deployment=turn.deployment, outcome=outcome).inc()
        for result in results:
            if result.kind == "perception":
                for flag in set(STEERING_KINDS).intersection(result.flags):
                    self._metrics.injection_flags_total.labels(deployment=turn.deployment, kind=flag).inc()
                for emotion in rule.emotions:
                    if emotion in result.emotions:
                        intensity = self._metrics.probe_intensity.labels(deployment=turn.deployment, emotion=emotion)
                        intensity.observe(result.emotions[emotion], exemplar(self._tracing.trace_id()))

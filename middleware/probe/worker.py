"""Probes one turn: asks the judge, classifies what came back, hands the scores on. Failures are outcomes."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from middleware.errors import CallRefused, StoreUnavailable, UpstreamError
from middleware.metrics import Metrics
from middleware.probe.excerpt import Excerpt, excerpt
from middleware.probe.injection import steers
from middleware.probe.prompts import AnswerFormat, question
from middleware.probe.redaction import redacted
from middleware.records.conversation import ProbeKind, ProbeResult, Skipped, Turn
from middleware.upstream import Completion, UpstreamClient
from scorer.answers import Unparseable, outcome_for
from scorer.parsing import parse
from scorer.prompts import answer_schema

__all__ = ["Budget", "Limiter", "ProbeConfig", "ProbeRule", "ProbeWorker"]

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 300.0
_SLOW_DOWN = ("rate_limited", "server_error", "timeout")

_Ticket = TypeVar("_Ticket")


class Limiter(Protocol[_Ticket]):
    """Who may call now; benchmark.limiter.Limiter is one, which the composition root shares or makes."""

    def turn(self) -> AbstractAsyncContextManager[_Ticket]:
        """Wait for a turn and hold it for the block."""

    def succeeded(self, ticket: _Ticket, latency_seconds: float) -> None:
        """The call of this turn was answered."""

    def overloaded(self, ticket: _Ticket, *, wait_seconds: float) -> None:
        """The upstream asked to slow down, or broke: nobody begins for so long, then fewer at once."""


class Budget(Protocol):
    """A look at the caps over the sidecar's own calls. The client's meter is what holds them."""

    async def allows(self, calls: int) -> bool:
        """Whether so many calls fit in what is left."""


@dataclass(frozen=True, slots=True)
class ProbeRule:
    """What is asked about turns of a deployment. model: who is asked; empty: the model that gave the reply."""

    emotions: tuple[str, ...]
    model: str = ""


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """How every probe is asked. context_characters: about the longest conversation that is shown."""

    kinds: tuple[ProbeKind, ...] = ("perception", "anticipation")
    answer_format: AnswerFormat = "json_schema"
    temperature: float = 0.01
    max_tokens: int = 120
    context_characters: int = 12_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """A call's outcome without what the turn already tells."""

    outcome: Literal["scored", "unparseable", "refused", "truncated", "api_error", "timeout"]
    emotions: dict[str, float]
    reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_seconds: float = 0.0


class ProbeWorker(Generic[_Ticket]):
    """Asks one upstream about turns. save: keeps a result, without blocking. clock: Unix seconds, UTC."""

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
    ) -> None:
        self._client = client
        self._rules = rules
        self._config = config
        self._save = save
        self._limiter = limiter
        self._budget = budget
        self._metrics = metrics
        self._clock = clock
        self._nonce = nonce
        self._failures = 0

    async def probe(self, turn: Turn) -> list[ProbeResult] | Skipped:
        """One result for each kind of probe, saved as it comes; counted once, as scored only if all are."""
        kinds = [k for k in self._config.kinds if k == "perception" or turn.transcript.reply is not None]
        if not await self._allowed(len(kinds)):
            return Skipped(turn.deployment, "budget")
        rule = self._rules[turn.deployment]
        results: list[ProbeResult] = []
        for kind in kinds:
            try:
                result = await self._one(turn, kind, rule)
            except CallRefused as error:
                return Skipped(turn.deployment, "paused" if error.reason == "paused" else "budget")
            self._save(result)
            results.append(result)
            if result.outcome in ("api_error", "timeout"):
                break  # no second call to an upstream that has just failed
        self._count(turn, rule, results)
        return results

    async def _one(self, turn: Turn, kind: ProbeKind, rule: ProbeRule) -> ProbeResult:
        model = rule.model or turn.transcript.model
        shown = await asyncio.to_thread(self._shown, turn, kind, rule.emotions)
        messages = question(kind, shown, rule.emotions, nonce=self._nonce(), answer_format=self._config.answer_format)
        answer = await self._ask(messages, model, rule.emotions)
        return ProbeResult(
            deployment=turn.deployment,
            conversation=turn.conversation,
            turn=turn.index,
            kind=kind,
            outcome=answer.outcome,
            emotions=answer.emotions,
            reason=answer.reason,
            judge=model,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            latency_seconds=answer.latency_seconds,
            at=self._clock(),
            turn_ended_at=turn.at,
        )

    def _shown(self, turn: Turn, kind: ProbeKind, emotions: tuple[str, ...]) -> Excerpt:
        """Redaction and cutting are CPU work: in a thread."""
        messages = list(turn.transcript.messages)
        if kind == "anticipation" and turn.transcript.reply is not None:
            messages.append(turn.transcript.reply)
        else:
            # The user's feeling now: what the assistant and tools did since is not part of it.
            last = max((n for n, message in enumerate(messages) if message.role == "user"), default=-1)
            messages = messages[: last + 1]
        shown = excerpt(messages, characters=self._config.context_characters, clean=redacted)
        if kind == "perception" and steers(shown.user_text, emotions):
            self._metrics.injection_flags_total.labels(deployment=turn.deployment).inc()
        return shown

    async def _ask(self, messages: list[dict[str, str]], model: str, emotions: tuple[str, ...]) -> _Answer:
        schema = answer_schema(emotions) if self._config.answer_format == "json_schema" else None
        async with self._limiter.turn() as ticket:
            started = time.perf_counter()
            try:
                completion = await self._client.complete(
                    messages,
                    model=model,
                    temperature=self._config.temperature,
                    max_tokens=self._config.max_tokens,
                    schema=schema,
                )
            except CallRefused:
                raise
            except UpstreamError as error:
                self._slow_down(ticket, error)
                outcome: Literal["timeout", "api_error"] = "timeout" if error.reason == "timeout" else "api_error"
                return _Answer(outcome, {}, error.reason, latency_seconds=time.perf_counter() - started)
            self._failures = 0
            self._limiter.succeeded(ticket, completion.latency_seconds)
        return _read(completion, emotions)

    async def _allowed(self, calls: int) -> bool:
        try:
            return await self._budget.allows(calls)
        except StoreUnavailable as error:
            self._metrics.store_errors_total.labels(reason=error.reason).inc()
            return False  # what was spent is unknown: spend nothing

    def _slow_down(self, ticket: _Ticket, error: UpstreamError) -> None:
        if error.reason not in _SLOW_DOWN:
            return
        doubling = _FIRST_WAIT_SECONDS * 2.0 ** min(self._failures, 16)
        self._failures += 1
        wait = max(error.retry_after_seconds or 0.0, 0.0 if error.reason == "timeout" else doubling)
        self._limiter.overloaded(ticket, wait_seconds=min(wait, _LONGEST_WAIT_SECONDS))

    def _count(self, turn: Turn, rule: ProbeRule, results: list[ProbeResult]) -> None:
        outcome = next((result.outcome for result in results if result.outcome != "scored"), "scored")
        self._metrics.probe_conversations_total.labels(deployment=turn.deployment, outcome=outcome).inc()
        for result in results:
            if result.kind == "perception":
                for emotion in rule.emotions:
                    if emotion in result.emotions:
                        intensity = self._metrics.probe_intensity.labels(deployment=turn.deployment, emotion=emotion)
                        intensity.observe(result.emotions[emotion])


def _read(completion: Completion, emotions: tuple[str, ...]) -> _Answer:
    tokens = completion.prompt_tokens or 0, completion.completion_tokens or 0
    found = parse(completion.text, emotions, profile="tolerant", finish_reason=completion.finish_reason)
    if isinstance(found, Unparseable):
        return _Answer(outcome_for(found.reason), {}, found.reason, *tokens, completion.latency_seconds)
    return _Answer("scored", found.first, "", *tokens, completion.latency_seconds)

"""Probing as a worker: the pipeline, the model under test and the judges of the answer key, made from the settings."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.control.budget import Budget
from middleware.control.judges import Judges, judges_itself
from middleware.control.selections import selection_of
from middleware.metrics import Metrics
from middleware.probe.answer_key import AnswerKey
from middleware.probe.judging import ANCHOR, REFERENCE, Judge
from middleware.probe.pipeline import Pipeline
from middleware.probe.worker import ProbeConfig, ProbeRule, ProbeWorker
from middleware.records.conversation import ProbeResult, Turn
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation
from middleware.records.place import Place
from middleware.settings import Settings
from middleware.store import Store
from middleware.store.spool import Spool
from middleware.traffic.caps import Caps
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.hashing import conversation_keys
from middleware.traffic.intake import Intake
from middleware.traffic.sampling import chosen
from middleware.upstream import UpstreamClient

__all__ = ["Probing"]


class Probing:
    """Owns the tracker of conversations. on_saved: called with each result once it is saved, so that nobody is told of
    an estimate that the API does not have; on_turn: with each sampled turn as it comes. Neither may block.

    write: how the spool's thread saves a result; by default the store's own way. remember: keeps a place for `restore`.
    keep: is shown each turn that is going to be probed; must not block.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        queue: asyncio.Queue[Exchange],
        observations: asyncio.Queue[Observation],
        client: UpstreamClient,
        store: Store,
        spool: Spool,
        metrics: Metrics,
        budget: Budget,
        salt: bytes,
        clock: Callable[[], float],
        judges: Judges = Judges(),  # noqa: B008 - frozen
        write: Callable[[ProbeResult], object] | None = None,
        remember: Callable[[Place], object] = lambda _: None,
        keep: Callable[[Turn], object] = lambda _: None,
    ) -> None:
        self.salt = salt
        self._tracker = ConversationTracker(salt)
        self._keep = keep
        self.on_saved: list[Callable[[ProbeResult], object]] = []
        self.on_turn: list[Callable[[Turn], object]] = []

        def erased(result: ProbeResult) -> bool:
            return store.erasures.covers(result.conversation, result.ended_at)

        def save(result: ProbeResult) -> None:
            if not erased(result):
                spool.put(partial(write or store.save_probe, result), then=partial(told, result))

        def told(result: ProbeResult) -> None:
            for tell in () if erased(result) else self.on_saved:
                tell(result)

        probe = settings.probe
        self.limiter = Limiter(ConcurrencyRule(probe.concurrency))
        worker = ProbeWorker(
            client,
            {
                d.name: ProbeRule(
                    d.emotions,
                    d.model or "",
                    judges.anchor if d.anchor_only else None,
                    budget.meter("probe", deployment=d.name),
                )
                for d in settings.deployments
            },
            config=ProbeConfig(
                answer_format=probe.answer_format,
                max_tokens=probe.max_tokens,
                context_characters=probe.context_characters,
            ),
            save=save,
            limiter=self.limiter,
            budget=budget,
            metrics=metrics,
            clock=clock,
            retest=self._retested(settings),
        )
        self._keys = [
            AnswerKey(
                judge,
                emotions,
                save=save,
                metrics=metrics,
                retest=self._retested(settings),
                clock=clock,
                concurrency=settings.judge.concurrency if judge.name == REFERENCE else 1,
                waiting=probe.queue,
                own=own,
                itself=judges_itself(settings) if judge.name == REFERENCE else lambda _: False,
                tracing=client.tracing,
            )
            for judge, emotions, own in _answer_keys(settings, judges)
        ]
        # Without an operator key nothing is asked: a client's key is never used for a call of the sidecar's own.
        asked = probe.enabled and settings.upstream.api_key is not None
        self.selection = selection_of(settings, salt, probed=asked)
        caps = Caps(turns=probe.turns_per_conversation, conversations=probe.conversations_per_hour)
        intake = Intake(self.selection, self._tracker, caps=caps, remember=remember)
        self._pipeline = Pipeline(
            queue,
            intake=intake.take,
            observations=observations,
            place=intake.place,
            probe=worker.probe,
            metrics=metrics,
            concurrency=probe.concurrency,
            waiting=probe.queue,
            also=self._rate,
        )

    def restore(self, places: Iterable[Place]) -> None:
        """Know the conversations of an earlier process again."""
        self._tracker.restore(places)

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pipeline.run())
            for key in self._keys:
                group.create_task(key.run())

    def _rate(self, turn: Turn) -> None:
        self._keep(turn)
        for hear in self.on_turn:
            hear(turn)
        for key in self._keys:
            key.offer(turn)

    def _retested(self, settings: Settings) -> Callable[[str, int], bool]:
        """Chosen by hash, of turns instead of conversations."""
        share = settings.emotions.retest_share
        return lambda conversation, turn: chosen(f"retest:{conversation}:{turn}", share, self.salt)

    def conversation_keys(self, given: str) -> Sequence[str]:
        """What the store may call a conversation: the salted id of a header's value, or an id from `lookup`."""
        return conversation_keys(self.salt, given)

    def lookup(self, messages: list[dict[str, Any]]) -> str | None:
        """The id of the newest conversation with these messages, or None."""
        return self._tracker.lookup(messages)


def _answer_keys(
    settings: Settings, judges: Judges
) -> Iterator[tuple[Judge, dict[str, tuple[str, ...]], dict[str, Judge]]]:
    """Each judge with the emotions of the deployments that it rates, and itself as each of them has it."""
    for name in (REFERENCE, ANCHOR):
        rated = [(d, judge) for d in settings.deployments if d.sampled for judge in judges.of(d) if judge.name == name]
        if rated:
            emotions = {deployment.name: deployment.emotions for deployment, _ in rated}
            yield rated[0][1], emotions, {deployment.name: judge for deployment, judge in rated}

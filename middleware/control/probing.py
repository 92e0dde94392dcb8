"""Probing as a worker: the pipeline and its judge, made from the settings."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.control.budget import Budget
from middleware.metrics import Metrics
from middleware.probe.pipeline import Pipeline
from middleware.probe.worker import ProbeConfig, ProbeRule, ProbeWorker
from middleware.records.conversation import ProbeResult
from middleware.records.exchange import Exchange
from middleware.settings import Settings
from middleware.store import Store
from middleware.store.spool import Spool
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.hashing import conversation_keys
from middleware.traffic.intake import Intake, IntakeRule
from middleware.upstream import UpstreamClient

__all__ = ["Probing"]


class Probing:
    """Owns the tracker of conversations."""

    def __init__(
        self,
        settings: Settings,
        *,
        queue: asyncio.Queue[Exchange],
        client: UpstreamClient,
        store: Store,
        spool: Spool,
        metrics: Metrics,
        budget: Budget,
        salt: bytes,
        clock: Callable[[], float],
    ) -> None:
        self._salt = salt
        self._tracker = ConversationTracker(salt)

        def save(result: ProbeResult) -> None:
            spool.put(partial(store.save_probe, result))

        probe = settings.probe
        self.limiter = Limiter(ConcurrencyRule(probe.concurrency))
        worker = ProbeWorker(
            client,
            {d.name: ProbeRule(d.emotions, d.model or "") for d in settings.deployments},
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
        )
        # Without an operator key nothing is asked: a client's key is never used for a call of the sidecar's own.
        asked = probe.enabled and settings.upstream.api_key is not None
        self._pipeline = Pipeline(
            queue,
            intake=Intake(_rules(settings, asked=asked), self._tracker, salt).take,
            probe=worker.probe,
            metrics=metrics,
            concurrency=probe.concurrency,
            waiting=probe.queue,
        )

    async def run(self) -> None:
        """Probe until cancelled."""
        await self._pipeline.run()

    def conversation_keys(self, given: str) -> Sequence[str]:
        """What the store may call a conversation: the salted id of a header's value, or an id from `lookup`."""
        return conversation_keys(self._salt, given)

    def lookup(self, messages: list[dict[str, Any]]) -> str | None:
        """The id of the newest conversation with these messages, or None."""
        return self._tracker.lookup(messages)


def _rules(settings: Settings, *, asked: bool) -> list[IntakeRule]:
    return [
        IntakeRule(d.name, d.sample_rate if d.sampled and asked else 0.0, d.match.models) for d in settings.deployments
    ]

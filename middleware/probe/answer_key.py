"""The answer key: what the user of each sampled turn expressed, rated by a judge that is not the model under test.

The rating of the next turn is what the model's prediction of this one is held against. Each judge has a queue of its
own, so that a slow one delays nobody; what it could not rate is counted.
"""

import asyncio
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from middleware.errors import CallRefused
from middleware.metrics import Metrics
from middleware.probe.evaluations import tell_ratings
from middleware.probe.judging import Judge
from middleware.records.conversation import ProbeKind, ProbeResult, Turn
from middleware.tracing import NO_TRACING, RATING, Tracing

__all__ = ["AnswerKey"]

_log = structlog.get_logger(__name__)
_REMEMBERED = 4096


class AnswerKey:
    """One judge over the turns of some deployments. Owns the queue of turns that wait for it.

    emotions: by deployment; others are not rated. save: keeps a result, without blocking. retest: whether a turn
    (conversation, index) is rated twice. concurrency: ratings under way at once; waiting: turns that may wait.
    own: the judge as a deployment has it, such as with a budget of its own. itself: whether a turn's reply came from
    the very model that judges; such a turn is counted and not rated, as nobody is their own answer key.
    """

    def __init__(
        self,
        judge: Judge,
        emotions: Mapping[str, tuple[str, ...]],
        *,
        save: Callable[[ProbeResult], object],
        metrics: Metrics,
        retest: Callable[[str, int], bool] = lambda *_: False,
        clock: Callable[[], float] = time.time,
        concurrency: int = 2,
        waiting: int = 256,
        own: Mapping[str, Judge] = {},
        itself: Callable[[Turn], bool] = lambda _: False,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.judge = judge
        self._own = own
        self._itself = itself
        self._tracing = tracing
        self._emotions = emotions
        self._save = save
        self._metrics = metrics
        self._retest = retest
        self._clock = clock
        self._concurrency = concurrency
        self._turns: asyncio.Queue[Turn] = asyncio.Queue(waiting)
        # A turn with calls of tools comes as several exchanges: the user spoke once.
        self._taken: OrderedDict[tuple[str, int], None] = OrderedDict()

    def offer(self, turn: Turn) -> None:
        """Take a turn, or count that there was no room; never waits."""
        if turn.deployment not in self._emotions or (turn.conversation, turn.index) in self._taken:
            return
        self._taken[turn.conversation, turn.index] = None
        if len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        if self._itself(turn):
            self._count(turn, "own_model")
            return
        try:
            self._turns.put_nowait(turn)
        except asyncio.QueueFull:
            self._count(turn, "queue_full")
        self._metrics.queue_depth.labels(queue=self.judge.name).set(self._turns.qsize())

    async def run(self) -> None:
        """Rate until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._concurrency):
                group.create_task(self._rate_all(), name=f"{self.judge.name}-{number}")

    async def drained(self) -> None:
        """Wait, while `run` runs, until every turn that was taken has been rated or given up."""
        await self._turns.join()

    async def _rate_all(self) -> None:
        while True:
            turn = await self._turns.get()
            self._metrics.queue_depth.labels(queue=self.judge.name).set(self._turns.qsize())
            try:
                await self._rate(turn)
            except CallRefused as error:
                self._count(turn, "paused" if error.reason == "paused" else "budget")
            except Exception as error:  # noqa: BLE001  one odd turn must not stop the others
                # Neither the error's text nor local variables are logged: they may hold what was said.
                where = traceback.extract_tb(error.__traceback__)[-1]
                _log.error("rating_failed", error=type(error).__name__, where=f"{where.filename}:{where.lineno}")
                self._count(turn, "error")
            finally:
                self._turns.task_done()

    async def _rate(self, turn: Turn) -> None:
        with self._tracing.span(
            RATING, {"eqwatch.deployment": turn.deployment, "eqwatch.judge": self.judge.name}
        ) as span:
            tell_ratings(span, await self._rated(turn))

    async def _rated(self, turn: Turn) -> ProbeResult:
        first = await self._one(turn, "expressed")
        if first.outcome == "scored" and not self.judge.repeats and self._retest(turn.conversation, turn.index):
            await self._one(turn, "retest")
        return first

    async def _one(self, turn: Turn, kind: ProbeKind) -> ProbeResult:
        judge = self._own.get(turn.deployment, self.judge)
        rating = await judge.rate(turn.transcript.messages, self._emotions[turn.deployment])
        values: dict[str, Any] = {name: getattr(rating, name) for name in rating.__slots__}
        result = ProbeResult(
            deployment=turn.deployment,
            conversation=turn.conversation,
            turn=turn.index,
            kind=kind,
            judge=self.judge.name,
            judge_version=self.judge.version,
            at=self._clock(),
            turn_ended_at=turn.at,
            **values,
        )
        self._save(result)
        if kind == "expressed":
            self._count(turn, result.outcome)
        return result

    def _count(self, turn: Turn, outcome: str) -> None:
        labels = {"deployment": turn.deployment, "reference": self.judge.name, "outcome": outcome}
        self._metrics.judge_ratings_total.labels(**labels).inc()

"""The daily token cap: what is left today, counted in the store, so that a restart spends nothing twice."""

import asyncio
from collections.abc import Callable
from functools import partial

from middleware.metrics import Metrics
from middleware.store import Store
from middleware.store.spool import Spool

__all__ = ["TokenBudget"]

_DAY_SECONDS = 86_400.0
# Before anything is known of a call: an item's prompt and its answer, generously.
_TOKENS_PER_CALL = 700


class TokenBudget:
    """Owns the count of tokens of the current UTC day. tokens_per_day None means no cap.

    What was spent is written through the spool: while the store is away it is counted here, and caught up later.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        metrics: Metrics,
        *,
        tokens_per_day: int | None,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._spool = spool
        self._metrics = metrics
        self._cap = tokens_per_day
        self._clock = clock
        self._used = 0
        self._day = -1.0

    async def allows(self, calls: int) -> bool:
        """Whether so many calls fit in what is left today."""
        await self._refresh()
        return self._cap is None or self._used + calls * _TOKENS_PER_CALL <= self._cap

    async def spend(self, purpose: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Count tokens that were used."""
        now = self._clock()
        for type_, tokens in (("prompt", prompt_tokens), ("completion", completion_tokens)):
            if tokens:
                self._spool.put(partial(self._store.add_tokens, purpose, type_, tokens, now))
                self._metrics.tokens_total.labels(purpose=purpose, type=type_).inc(tokens)
                self._used += tokens
        self._show()

    async def _refresh(self) -> None:
        day = self._clock() // _DAY_SECONDS
        if day != self._day:
            self._used = await asyncio.to_thread(self._store.tokens_used, None, day * _DAY_SECONDS)
            self._day = day
        self._show()

    def _show(self) -> None:
        if self._cap is not None:
            self._metrics.token_budget_limit.labels(window="day").set(self._cap)
            self._metrics.token_budget_remaining.labels(window="day").set(max(0, self._cap - self._used))

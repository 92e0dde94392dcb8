"""What the sidecar's own calls may cost: tokens and money, per UTC day, per run and for a deployment's probes per day.

It is set aside before each call.

The store holds what each window has given out, so that processes that share it, and restarts, never spend the same
remainder twice. A process takes a little more than one call needs and gives back what is left: after a kill at most
that counts as spent though it was not.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from middleware.control.prices import MICROS, Caps, Prices
from middleware.control.switch import CallSwitch
from middleware.errors import CallRefused, StoreUnavailable
from middleware.metrics import Metrics
from middleware.store import Store
from middleware.store.ledger import Amount, Refusal, Take
from middleware.upstream import Estimate, Usage

__all__ = ["Account", "Budget", "RunMeter"]

# Calls' worth that is taken from the store at once: fewer writes, at the price of that much after a kill.
_CALLS_AT_ONCE = 8
_FLUSH_SECONDS = 5.0
# While nothing is spent here: what other processes spend and stop is seen that late, and by a call before it is made.
_IDLE_SECONDS = 25.0
# Before anything is known of a call: an item's prompt and its answer, generously.
_TOKENS_PER_CALL = 700


@dataclass(slots=True)
class Account:
    """One window as this process sees it. at_hand: taken from the store and not yet set aside; calls: under way."""

    window: str
    caps: Caps
    at_hand: Amount = field(default_factory=Amount)
    calls: int = 0

    def take_for(self, need: Amount) -> Take:
        """What to ask the store for, so that `need` can be set aside."""
        missing = need - self.at_hand
        wish = need.times(_CALLS_AT_ONCE) - self.at_hand
        return Take(self.window, _positive(missing), _positive(wish), self.caps.tokens, self.caps.micros)


@dataclass(slots=True)
class _Held:
    """What was set aside for one call; settled once."""

    budget: "Budget"
    purpose: str
    accounts: tuple[Account, ...]
    estimate: Estimate
    amount: Amount
    settled: bool = False

    def settle(self, usage: Usage) -> None:
        """Count what was used and give the rest back."""
        if not self.settled:
            self.settled = True
            self.budget.settle(self, usage)


@dataclass(frozen=True, slots=True)
class RunMeter:
    """The budget as one purpose sees it, and where it is a run's or a deployment's, with the window of that one."""

    budget: "Budget"
    purpose: str
    run_id: str = ""
    deployment: str = ""

    async def reserve(self, estimate: Estimate) -> _Held:
        """Set the estimate aside in every window; raises CallRefused."""
        return await self.budget.reserve(self.purpose, estimate, self.run_id, self.deployment)


class Budget:
    """Owns what this process has taken from the store. clock: Unix seconds, UTC. metrics: where there is a registry."""

    def __init__(
        self,
        store: Store,
        *,
        switch: CallSwitch,
        day: Caps | None = None,
        run: Caps | None = None,
        deployments: Mapping[str, Caps] = {},
        prices: Prices | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._switch = switch
        self._day_caps = day or Caps()
        self._run_caps = run or Caps()
        self._deployment_caps = deployments
        self.prices = prices or Prices()
        self._metrics = metrics
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._usage: Counter[tuple[str, str]] = Counter()
        self._lock = asyncio.Lock()
        self._settled = asyncio.Event()
        self._spending = asyncio.Event()
        self._settlements = 0
        self._exceeded = 1.0  # how far a call went over its estimate, at worst: guessed that much higher from then on
        if metrics is not None:
            for reason in switch.reasons:  # asked at each scrape: metrics never say anything else than the switch
                metrics.calls_paused.labels(reason=reason).set_function(partial(_stops, switch, reason))
            if self._day_caps.tokens is not None:
                metrics.token_budget_limit.labels(window="day").set(self._day_caps.tokens)

    def meter(self, purpose: str, run_id: str = "", deployment: str = "") -> RunMeter:
        """Who allows and counts the calls of a purpose. With a run's id the caps per run hold as well, with a
        deployment's name those of its probes."""
        return RunMeter(self, purpose, run_id, deployment)

    async def allows(self, calls: int, deployment: str = "") -> bool:
        """Whether so many more calls are likely to fit in today's budget, and in the deployment's where it has one.
        Nothing is set aside; a look, no promise."""
        if await self.obstacle(calls):
            return False
        left = await self.left_today(deployment) if deployment in self._deployment_caps else None
        return left is None or calls * _TOKENS_PER_CALL <= left

    async def obstacle(self, calls: int) -> str:
        """Why so many calls would hardly come to their end, in words; empty where nothing is in the way."""
        try:
            await self._require_running()
        except CallRefused as error:
            return str(error)
        left = await self.left_today()
        if left is None or calls * _TOKENS_PER_CALL <= left:
            return ""
        return f"{left} tokens are left of today's budget of {self._day_caps.tokens} (setting budget.tokens_per_day)"

    async def left_today(self, deployment: str = "") -> int | None:
        """Tokens that are left of today's cap, or of what a deployment's probes may take today; None without a cap.
        Raises StoreUnavailable."""
        window, caps = self._today(deployment)
        if caps.tokens is None:
            return None
        async with self._lock:  # what moves between the store and at hand would be missing in both, or be in both
            return await asyncio.to_thread(self._left, window, caps.tokens)

    async def reserve(self, purpose: str, estimate: Estimate, run_id: str = "", deployment: str = "") -> _Held:
        """Set a call's estimate aside; raises CallRefused where a cap or the kill switch stands in the way.

        Where calls under way in the same window hold what is missing, it waits for them: they mostly use less than was
        set aside.
        """
        need = self._need(estimate)
        while True:
            await self._require_running()
            settlements = self._settlements
            found = await self._set_aside(run_id, deployment, need)
            if not isinstance(found, Refusal):
                return _Held(self, purpose, found, estimate, need)
            if settlements != self._settlements:
                continue  # meanwhile a call gave something back
            account = self._accounts.get(found.window)
            if account is None or not account.calls:
                raise CallRefused("budget", self._words(found, need))
            self._settled.clear()
            await self._settled.wait()

    def settle(self, held: _Held, usage: Usage) -> None:
        """A call ended: what it did not use is free again, what it used beyond its estimate is counted all the same."""
        prompt = held.estimate.prompt if usage.prompt is None else usage.prompt
        completion = held.estimate.completion if usage.completion is None else usage.completion
        spent = Amount(prompt + completion, self.prices.micros(prompt, completion))
        for account in held.accounts:
            account.at_hand += held.amount - spent
            account.calls -= 1
        if spent.tokens > held.amount.tokens:
            self._exceeded = min(8.0, max(self._exceeded, spent.tokens / max(1, held.amount.tokens)))
        self._count(held.purpose, prompt, completion, spent.micros)
        self._settlements += 1
        self._settled.set()

    async def flush(self) -> None:
        """Give back what is at hand and write down what was used. Raises StoreUnavailable; nothing is lost then."""
        async with self._lock:
            accounts = [account for account in self._accounts.values() if account.at_hand != Amount()]
            given = {account.window: account.at_hand for account in accounts}
            usage, self._usage = self._usage, Counter()
            for account in accounts:
                account.at_hand = Amount()
            try:
                changes = {window: Amount() - amount for window, amount in given.items()}
                if changes or usage:
                    await asyncio.to_thread(self._store.settle_budget, changes, usage)
            except StoreUnavailable:
                self._usage += usage
                for account in accounts:
                    account.at_hand += given[account.window]
                raise
            self._accounts = {w: a for w, a in self._accounts.items() if a.calls or a.at_hand != Amount()}

    async def run(self) -> None:
        """Flush and show what is left until cancelled: every few seconds, more rarely while nothing is spent."""
        while True:
            try:
                await self._show()
                await self.flush()
            except StoreUnavailable as error:
                self._count_store_error(error)
            await self._until_spending()
            await asyncio.sleep(_FLUSH_SECONDS)

    async def _until_spending(self) -> None:
        """Until something is to be flushed, but not for long."""
        self._spending.clear()
        if not self._usage and not self._accounts:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._spending.wait()

    async def _require_running(self) -> None:
        """Raises CallRefused where calls are stopped, be it by another process while this one was idle."""
        try:
            await self._switch.renew(2 * _FLUSH_SECONDS)
        except StoreUnavailable as error:
            self._count_store_error(error)
        self._switch.require_running()

    async def _set_aside(self, run_id: str, deployment: str, need: Amount) -> tuple[Account, ...] | Refusal:
        """The accounts of every window, with one more call under way; or which window has too little left."""
        async with self._lock:  # accounts are looked up under it: a flush forgets those that hold nothing
            accounts = self._windows(run_id, deployment)
            short = [account for account in accounts if not account.at_hand.covers(need)]
            if short:
                takes = [account.take_for(need) for account in short]
                try:
                    granted = await asyncio.to_thread(self._store.take_budget, takes)
                except StoreUnavailable as error:
                    self._count_store_error(error)
                    raise CallRefused(
                        "budget", f"what was spent is unknown while the store is unavailable ({error.reason})"
                    ) from None
                if isinstance(granted, Refusal):
                    return granted
                for account, amount in zip(short, granted, strict=True):
                    account.at_hand += amount
            for account in accounts:
                account.at_hand -= need
                account.calls += 1
        self._spending.set()
        return accounts

    def _windows(self, run_id: str, deployment: str) -> tuple[Account, ...]:
        """Today's, the run's where runs have caps, and the deployment's where it has one."""
        windows = [self._today()]
        if run_id and self._run_caps != Caps():
            windows.append((f"run:{run_id}", self._run_caps))
        if deployment in self._deployment_caps:
            windows.append(self._today(deployment))
        return tuple(self._accounts.setdefault(window, Account(window, caps)) for window, caps in windows)

    def _need(self, estimate: Estimate) -> Amount:
        prompt = int(estimate.prompt * self._exceeded)
        return Amount(prompt + estimate.completion, self.prices.micros(prompt, estimate.completion))

    def _today(self, deployment: str = "") -> tuple[str, Caps]:
        name = f"day:{datetime.fromtimestamp(self._clock(), UTC):%Y-%m-%d}"
        if deployment:
            return f"{name}:{deployment}", self._deployment_caps[deployment]
        return name, self._day_caps

    def _words(self, refusal: Refusal, need: Amount) -> str:
        of_run = refusal.window.startswith("run:")
        of_deployment = refusal.window.partition(":")[2].partition(":")[2]
        if of_deployment and not of_run:
            most = self._deployment_caps[of_deployment].tokens
            spent = f"{refusal.taken.tokens} of {most} tokens are spent and a call may take {need.tokens}"
            return f"the probes of {of_deployment!r} may cost no more today: {spent} (deployments.tokens_per_day)"
        caps = self._run_caps if of_run else self._day_caps
        name = "per run" if of_run else "of today"
        setting = "run" if of_run else "day"
        if refusal.by_money:
            cap, used = (caps.micros or 0) / MICROS, refusal.taken.micros / MICROS
            spent = f"{used:.4f} of {cap:.4f} {self.prices.currency} are spent and a call may cost "
            spent += f"{need.micros / MICROS:.4f}"
            return f"the budget {name} is used up: {spent} (setting budget.money_per_{setting})"
        spent = f"{refusal.taken.tokens} of {caps.tokens} tokens are spent and a call may take {need.tokens}"
        return f"the budget {name} is used up: {spent} (setting budget.tokens_per_{setting})"

    def _count(self, purpose: str, prompt: int, completion: int, micros: int) -> None:
        for type_, tokens in (("prompt", prompt), ("completion", completion)):
            if tokens:
                self._usage[purpose, type_] += tokens
                if self._metrics is not None:
                    self._metrics.tokens_total.labels(purpose=purpose, type=type_).inc(tokens)
        if micros and self._metrics is not None:
            self._metrics.spend_total.labels(currency=self.prices.currency).inc(micros / MICROS)

    def _count_store_error(self, error: StoreUnavailable) -> None:
        if self._metrics is not None:
            self._metrics.store_errors_total.labels(reason=error.reason).inc()

    def _left(self, window: str, cap: int) -> int:
        """Under the lock. Blocks; raises StoreUnavailable."""
        account = self._accounts.get(window)
        at_hand = 0 if account is None else account.at_hand.tokens
        return max(0, cap - self._store.budget_taken(window).tokens + at_hand)

    async def _show(self) -> None:
        """What the store says of the switch and of today, in one step: waking a thread costs more than to look."""
        window, caps = self._today()
        cap = caps.tokens

        def look() -> int | None:
            self._switch.load()
            return None if cap is None or self._metrics is None else self._left(window, cap)

        async with self._lock:
            left = await asyncio.to_thread(look)
        if self._metrics is not None and left is not None:
            self._metrics.token_budget_remaining.labels(window="day").set(left)


def _stops(switch: CallSwitch, reason: str) -> float:
    return float(switch.reasons[reason])


def _positive(amount: Amount) -> Amount:
    return Amount(max(0, amount.tokens), max(0, amount.micros))

"""Carries a gate out: every item on both versions close in time, a decision at the ends of the planned passes.

What it decides is scorer.comparison's business; what a call is, the benchmark runner's.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.outcomes import is_answer, report_of
from middleware.benchmark.rotation import pass_order
from middleware.benchmark.run_store import StoreThread
from middleware.benchmark.runner import RetryPolicy, RunSession, first_error
from middleware.errors import CallRefused, UpstreamError
from middleware.gate.pairing import Evidence, compared, require_comparable
from middleware.gate.request import GateRequest, GateRuns, Role
from middleware.records.benchmark import ItemResult
from middleware.store import Store
from middleware.tracing import GATE, evaluated
from middleware.upstream import UpstreamClient
from scorer.comparison import Comparison, is_look
from scorer.items import Item

__all__ = ["Decided", "GateUnmeasured", "Watch", "run_gate"]

# Key, path or model name: the user's to mend, so there is nothing to report but that.
_REFUSED = frozenset({401, 403, 404})
_KEYS: dict[Role, str] = {"baseline": "EQWATCH_UPSTREAM_API_KEY", "candidate": "EQWATCH_CANDIDATE_API_KEY"}


@dataclass(frozen=True, slots=True)
class Watch:
    """Who wants to know. begun: pass (from 1), calls of it, calls that are answered already. variants: calls."""

    begun: Callable[[int, int, int], None] = lambda _number, _calls, _done: None
    result: Callable[[Role, ItemResult], None] = lambda _role, _result: None
    look: Callable[[Comparison], None] = lambda _comparison: None
    variants: Callable[[int], None] = lambda _calls: None


@dataclass(frozen=True, slots=True)
class Decided:
    """How the gate ended. looks: every decision point that was reached, the deciding one last."""

    runs: GateRuns
    looks: tuple[Comparison, ...]
    evidence: Evidence
    finished_at: float

    @property
    def comparison(self) -> Comparison:
        """The look that ended the gate."""
        return self.looks[-1]


class GateUnmeasured(UpstreamError):
    """The gate could not go on: an upstream gave up, a budget is used up, or calls are paused.

    decided: what is known so far, as `unmeasured`; the same request goes on from there.
    """

    def __init__(self, error: UpstreamError, decided: Decided) -> None:
        super().__init__(error.reason, str(error), status=error.status)
        self.decided = decided


async def run_gate(
    request: GateRequest,
    runs: GateRuns,
    *,
    clients: dict[Role, UpstreamClient],
    store: Store,
    concurrency: int = 16,
    system_prompt: str = "",
    retry: RetryPolicy | None = None,
    watch: Watch | None = None,
    now: Callable[[], float] = time.time,
) -> Decided:
    """Ask pass by pass until a look decides. concurrency: calls at once at each upstream.

    Raises UpstreamError where a key, URL or model name is refused, GateUnmeasured where a side can't be measured
    or no more calls are allowed; answers so far are saved then, and the same request goes on from there.
    """
    require_comparable(runs.baseline, runs.candidate)
    watch = watch or Watch()
    shared = Limiter(ConcurrencyRule(concurrency))
    same = request.baseline.upstream == request.candidate.upstream
    limiters: dict[Role, Limiter] = {
        "baseline": shared,
        "candidate": shared if same else Limiter(ConcurrencyRule(concurrency)),
    }
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="eqwatch-gate") as thread:

        def side(role: Role) -> RunSession:
            return RunSession(
                run=runs.baseline if role == "baseline" else runs.candidate,
                item_set=request.item_set,
                client=clients[role],
                store=StoreThread(store, thread, None),
                limiter=limiters[role],
                system_prompt=system_prompt,
                retry=retry or RetryPolicy(),
                progress=lambda result: watch.result(role, result),
                now=now,
            )

        gate = _Gate(request, runs, {"baseline": side("baseline"), "candidate": side("candidate")}, watch, concurrency)
        tracing = clients["candidate"].tracing
        about = {"eqwatch.item_set": request.item_set.name, "eqwatch.candidate.model": runs.candidate.model}
        with tracing.span(GATE, {**about, "eqwatch.baseline.model": runs.baseline.model}) as span:
            decided = await gate.carry_out(now)
            last = decided.comparison
            evaluated(span, "eq_bench.upgrade", last.verdict or "undecided", last.these_items.points)
            return decided


@dataclass(slots=True)
class _Gate:
    """One sitting of a gate. Owns whether calls were refused: then those under way are finished and no other begun."""

    request: GateRequest
    runs: GateRuns
    sides: dict[Role, RunSession]
    watch: Watch
    concurrency: int
    refused: CallRefused | None = None

    async def carry_out(self, now: Callable[[], float]) -> Decided:
        done = {role: await session.begin() for role, session in self.sides.items()}
        looks: list[Comparison] = []
        for number in range(1, self.request.rules.max_passes + 1):
            try:
                await self._ask_pass(number, done)
            except UpstreamError as error:
                if error.status in _REFUSED:
                    raise
                raise GateUnmeasured(error, await self._unmeasured(error, number, looks, now())) from None
            if not is_look(number, self.request.rules):
                continue
            evidence = (await self._evidence()).of_passes(number)
            looks.append(compared(evidence, self.request.item_set, number, self.request.rules))
            self.watch.look(looks[-1])
            if looks[-1].verdict is not None:
                await self._close(evidence, looks[-1], now())
                return Decided(self.runs, tuple(looks), evidence, now())
        raise AssertionError("the last look of a gate always decides")

    async def _ask_pass(self, number: int, done: dict[Role, set[tuple[str, int]]]) -> None:
        repetition = number - 1
        order = pass_order(self.request.item_ids, self.request.seed, repetition)
        open_pairs = [
            (item_id, roles)
            for item_id in order
            if (roles := [role for role in self._roles(item_id, number) if (item_id, repetition) not in done[role]])
        ]
        calls, missing = 2 * len(order), sum(len(roles) for _, roles in open_pairs)
        self.watch.begun(number, calls, calls - missing)
        pairs = ((self.request.item_set.by_id[item_id], roles) for item_id, roles in open_pairs)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(open_pairs))):
                    group.create_task(self._work(pairs, repetition))
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None
        if self.refused is not None:
            raise self.refused

    def _roles(self, item_id: str, number: int) -> tuple[Role, Role]:
        """Which version is asked first, as by a coin that the seed throws."""
        digest = hashlib.sha256(f"first|{self.request.seed}|{number}|{item_id}".encode()).digest()
        return ("baseline", "candidate") if digest[0] % 2 == 0 else ("candidate", "baseline")

    async def _work(self, pairs: Iterator[tuple[Item, list[Role]]], repetition: int) -> None:
        for item, roles in pairs:
            if self.refused is not None:
                return
            async with asyncio.TaskGroup() as group:
                for role in roles:
                    group.create_task(self._ask(role, item, repetition))

    async def _ask(self, role: Role, item: Item, repetition: int) -> None:
        session = self.sides[role]
        try:
            await session.ask(item, repetition)
        except CallRefused as error:
            self.refused = error
        except UpstreamError as error:
            # The client knows the name of one key only.
            text = f"{role} {session.run.model}: {error}".replace(_KEYS["baseline"], _KEYS[role])
            raise UpstreamError(error.reason, text, status=error.status) from None

    async def _evidence(self) -> Evidence:
        results = {role: tuple(await session.store.results(session.run)) for role, session in self.sides.items()}
        return Evidence(self.runs.baseline, self.runs.candidate, results["baseline"], results["candidate"])

    async def _unmeasured(self, error: UpstreamError, number: int, looks: list[Comparison], at: float) -> Decided:
        """What is known when the gate can't go on; both runs are marked as stopped."""
        for session in self.sides.values():
            await session.store.stop(session.run, at)
        evidence = (await self._evidence()).of_passes(number)
        found = compared(evidence, self.request.item_set, number, self.request.rules)
        last = replace(found, verdict="unmeasured", reason=str(error), declined=False, passes_to_decide=None)
        return Decided(self.runs, (*looks, last), evidence, at)

    async def _close(self, evidence: Evidence, last: Comparison, at: float) -> None:
        """Close both runs, unless calls that failed are why nothing could be said: those may be asked again."""
        sides = (("baseline", evidence.baseline), ("candidate", evidence.candidate))
        failed = any(not is_answer(result) for _, results in sides for result in results)
        if last.verdict == "unmeasured" and failed:
            return
        for role, results in sides:
            session = self.sides["baseline" if role == "baseline" else "candidate"]
            asked = replace(session.run, passes=last.passes)
            await session.store.finish(report_of(asked, self.request.item_set, results), at)

"""Whether a model knows the items of a gate by heart: a variant of them, asked of both versions once.

It stands beside the verdict and never changes it; where the variant can't be asked, the report says so.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

from middleware.benchmark.contamination import gap_between
from middleware.benchmark.limiter import ConcurrencyRule, Limiter
from middleware.benchmark.outcomes import RunReport, report_of
from middleware.benchmark.run_store import StoreThread
from middleware.benchmark.runner import RetryPolicy, RunSession
from middleware.benchmark.together import carry_out_together
from middleware.errors import UpstreamError
from middleware.gate.request import GateRequest, Role
from middleware.gate.session import Decided, Watch
from middleware.store import Store
from middleware.upstream import UpstreamClient
from scorer.contamination import Contamination

__all__ = ["KnownByHeart", "ask_variants", "contamination_json"]


@dataclass(frozen=True, slots=True)
class KnownByHeart:
    """What was found of one version. item_set: the variant's name."""

    role: Role
    model: str
    item_set: str
    found: Contamination


async def ask_variants(
    request: GateRequest,
    decided: Decided,
    *,
    clients: dict[Role, UpstreamClient],
    store: Store,
    concurrency: int = 16,
    system_prompt: str = "",
    retry: RetryPolicy | None = None,
    watch: Watch | None = None,
    now: Callable[[], float] = time.time,
) -> tuple[KnownByHeart, ...]:
    """One pass over the variant on both versions, compared with their answers of the gate; empty if none is wanted."""
    variant = request.variant
    if variant is None:
        return ()
    roles: tuple[Role, Role] = ("baseline", "candidate")
    if decided.comparison.verdict == "unmeasured":
        return _neither(request, "the gate itself could not measure")
    watch = watch or Watch()
    shared = Limiter(ConcurrencyRule(concurrency))
    same = request.baseline.upstream == request.candidate.upstream
    watch.variants(len(roles) * len(variant.items))
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="eqwatch-variants") as thread:

        def session(role: Role, place: int) -> RunSession:
            return RunSession(
                run=decided.runs.variants[place],
                item_set=variant,
                client=clients[role],
                store=StoreThread(store, thread, None),
                limiter=shared if same or place == 0 else Limiter(ConcurrencyRule(concurrency)),
                system_prompt=system_prompt,
                retry=retry or RetryPolicy(),
                progress=lambda result: watch.result(role, result),
                now=now,
            )

        try:
            reports = await carry_out_together([session(role, place) for place, role in enumerate(roles)])
        except UpstreamError as error:
            return _neither(request, str(error))
    originals = _originals(request, decided)
    subjects = (request.baseline, request.candidate)
    return tuple(
        KnownByHeart(role, subject.model, variant.name, gap_between(known, changed, request.item_set))
        for role, subject, known, changed in zip(roles, subjects, originals, reports, strict=True)
    )


def _originals(request: GateRequest, decided: Decided) -> tuple[RunReport, RunReport]:
    runs, evidence, passes = decided.runs, decided.evidence, decided.comparison.passes
    return (
        report_of(replace(runs.baseline, passes=passes), request.item_set, evidence.baseline),
        report_of(replace(runs.candidate, passes=passes), request.item_set, evidence.candidate),
    )


def _neither(request: GateRequest, reason: str) -> tuple[KnownByHeart, ...]:
    name = request.variant.name if request.variant is not None else ""
    found = Contamination("unmeasured", asked=len(request.item_ids), reason=reason)
    return (
        KnownByHeart("baseline", request.baseline.model, name, found),
        KnownByHeart("candidate", request.candidate.model, name, found),
    )


def contamination_json(found: Contamination) -> dict[str, Any]:
    """Points; null where there is no number."""
    values = asdict(found)
    return {
        name: (round(value, 4) if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in values.items()
    }

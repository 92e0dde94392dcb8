"""A verdict as the API says it, and back: a terminal shows what another process found."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from middleware.admin.bodies import UpgradeVerdictBody, VerdictBody
from middleware.admin.verdict import Tone, Verdict
from middleware.records.standing import Standing, StandingState, UpgradeStanding, UpgradeVerdict

__all__ = ["verdict_body", "verdict_of"]


def verdict_body(found: Verdict) -> VerdictBody:
    """The published shape."""
    standing = found.standing
    return VerdictBody(
        deployment=standing.deployment,
        item_set=standing.item_set,
        state=standing.state,
        tone=found.tone,
        headline=found.headline,
        words=f"{found.headline}. {found.words}",
        next_step=found.next_step,
        detail=standing.detail,
        model=standing.model,
        since=standing.since,
        last_batch_at=standing.last_batch_at,
        stale=found.stale,
        score=standing.score_points,
        baseline_score=standing.baseline_points,
        delta=standing.delta_points,
        delta_lower=standing.delta_lower,
        delta_upper=standing.delta_upper,
        incident=standing.incident or None,
        baseline=standing.baseline_id or None,
        baseline_at=standing.baseline_at,
        reference_delta=standing.reference_points,
        reference_lower=standing.reference_lower,
        reference_upper=standing.reference_upper,
        branches=dict(standing.branch_points),
        passes_done=standing.passes_done,
        passes_needed=standing.passes_needed,
        stepped_up=standing.stepped_up,
        upgrade=UpgradeVerdictBody(**asdict(standing.upgrade)) if standing.upgrade is not None else None,
    )


def verdict_of(body: VerdictBody) -> Verdict:
    """What the other process found."""
    standing = Standing(
        deployment=body.deployment,
        item_set=body.item_set,
        state=cast(StandingState, body.state),
        model=body.model,
        since=body.since,
        last_batch_at=body.last_batch_at,
        score_points=body.score,
        baseline_points=body.baseline_score,
        baseline_at=body.baseline_at,
        delta_points=body.delta,
        delta_lower=body.delta_lower,
        delta_upper=body.delta_upper,
        passes_done=body.passes_done,
        passes_needed=body.passes_needed,
        incident=body.incident or 0,
        detail=body.detail,
        baseline_id=body.baseline or 0,
        reference_points=body.reference_delta,
        reference_lower=body.reference_lower,
        reference_upper=body.reference_upper,
        branch_points=body.branches,
        upgrade=None if body.upgrade is None else _upgrade(body.upgrade),
        stepped_up=body.stepped_up,
    )
    words = body.words.removeprefix(f"{body.headline}. ")
    return Verdict(standing, cast(Tone, body.tone), body.headline, words, body.next_step, body.stale, words)


def _upgrade(body: UpgradeVerdictBody) -> UpgradeStanding:
    return UpgradeStanding(**body.model_dump() | {"verdict": cast(UpgradeVerdict, body.verdict)})

"""The reading part of the API: deployments, verdicts, runs."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from middleware.admin.bodies import DeploymentBody, RunBody, RunDetail, UpgradeVerdictBody, VerdictBody
from middleware.admin.errors import ApiError
from middleware.admin.standings import known_standings
from middleware.admin.state import AdminState
from middleware.admin.verdict import verdict
from middleware.records.benchmark import ItemResult, Run
from middleware.records.standing import Standing

__all__ = ["item_points", "router", "run_score"]

_POINTS_PER_UNIT = 10.0


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1", tags=["benchmark"])

    @routes.get("/deployments", summary="Deployments as configured, with their verdicts")
    async def deployments() -> list[DeploymentBody]:
        verdicts = [_verdict_body(state, standing) for standing in known_standings(state)]
        return [
            DeploymentBody(
                name=info.name,
                kind=info.kind,
                model=info.model,
                emotions=list(info.emotions),
                sample_rate=info.sample_rate,
                sampled=info.sampled,
                verdicts=[found for found in verdicts if found.deployment == info.name],
            )
            for info in state.deployments
        ]

    @routes.get("/verdicts", summary="Is the model's EQ all right, per deployment and item set")
    async def verdicts() -> list[VerdictBody]:
        return [_verdict_body(state, standing) for standing in known_standings(state)]

    @routes.get("/runs", summary="Benchmark runs, newest first")
    async def runs(
        deployment: Annotated[str | None, Query(max_length=63)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> list[RunBody]:
        found = await asyncio.to_thread(state.store.runs, deployment, limit)
        return [RunBody(**_run_fields(run)) for run in found]

    @routes.get("/runs/{run_id}", summary="One run with its items")
    async def run(run_id: str) -> RunDetail:
        found = await asyncio.to_thread(state.store.run, run_id)
        if found is None:
            raise ApiError(404, "run_unknown", "No run has this id; see /api/v1/runs.")
        return _detail(found, await asyncio.to_thread(state.store.item_results, run_id))

    return routes


def _verdict_body(state: AdminState, standing: Standing) -> VerdictBody:
    found = verdict(standing, now=state.clock(), interval=state.benchmark.interval)
    return VerdictBody(
        deployment=standing.deployment,
        item_set=standing.item_set,
        state=standing.state,
        words=f"{found.headline}. {found.words}",
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


def _run_fields(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "deployment": run.deployment,
        "purpose": run.purpose,
        "model": run.model,
        "status": run.status,
        "item_set": run.protocol.item_set,
        "scoring_profile": run.protocol.scoring_profile,
        "passes": run.passes,
        "items": len(run.item_ids) * run.passes,
        "parseable": run.parseable,
        "score": run.score_points,
        "flags": list(run.flags),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def _detail(run: Run, results: Sequence[ItemResult]) -> RunDetail:
    by_item = item_points(results)
    fields = _run_fields(run) | {"score": run_score(run, results)}
    return RunDetail(
        **fields,
        valid=run.status == "finished" and run.score_points is not None,
        outcomes=dict(Counter(result.outcome for result in results)),
        item_scores={item_id: by_item.get(item_id) for item_id in run.item_ids},
    )


def item_points(results: Sequence[ItemResult]) -> dict[str, float | None]:
    """Item -> mean score over its repetitions in points; None where none could be scored."""
    scores: dict[str, list[float]] = defaultdict(list)
    for result in results:
        known = scores[result.item_id]
        if result.score is not None:
            known.append(result.score)
    return {item: _POINTS_PER_UNIT * sum(known) / len(known) if known else None for item, known in scores.items()}


def run_score(run: Run, results: Sequence[ItemResult]) -> float | None:
    """The stored score, else the mean over items of what could be scored; None where nothing could."""
    if run.score_points is not None:
        return run.score_points
    known = [value for value in item_points(results).values() if value is not None]
    return sum(known) / len(known) if known else None

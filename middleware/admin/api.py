"""The reading part of the API: deployments, verdicts, runs."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from middleware.admin.bodies import DeploymentBody, RunBody, RunDetail, VerdictBody
from middleware.admin.errors import ApiError
from middleware.admin.standings import known_standings
from middleware.admin.state import AdminState
from middleware.admin.verdict import Verdict, verdict
from middleware.admin.verdict_body import verdict_body
from middleware.records.benchmark import ItemResult, Run

__all__ = ["item_points", "router", "run_body", "run_detail", "run_score"]

_POINTS_PER_UNIT = 10.0


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1", tags=["benchmark"])

    @routes.get("/deployments", summary="Deployments as configured, with their verdicts")
    async def deployments() -> list[DeploymentBody]:
        verdicts = [verdict_body(found) for found in _verdicts(state)]
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
        return [verdict_body(found) for found in _verdicts(state)]

    @routes.get("/runs", summary="Benchmark runs, newest first")
    async def runs(
        deployment: Annotated[str | None, Query(max_length=63)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> list[RunBody]:
        found = await asyncio.to_thread(state.store.runs, deployment, limit)
        return [run_body(run) for run in found]

    @routes.get("/runs/{run_id}", summary="One run with its items")
    async def run(run_id: str) -> RunDetail:
        found = await asyncio.to_thread(state.store.run, run_id)
        if found is None:
            raise ApiError(404, "run_unknown", "No run has this id; see /api/v1/runs.")
        return run_detail(found, await asyncio.to_thread(state.store.item_results, run_id))

    return routes


def _verdicts(state: AdminState) -> list[Verdict]:
    now, interval = state.clock(), state.benchmark.interval
    return [verdict(standing, now=now, interval=interval) for standing in known_standings(state)]


def run_body(run: Run) -> RunBody:
    """The run as the API shows it."""
    return RunBody(**_run_fields(run))


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


def run_detail(run: Run, results: Sequence[ItemResult]) -> RunDetail:
    """The same with its items."""
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

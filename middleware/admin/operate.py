"""What an operator may do: pause and resume the benchmark, declare an upgrade, acknowledge an alarm."""

from typing import Annotated

from fastapi import APIRouter, Path

from middleware.admin.bodies import AcknowledgeBody, BenchmarkState, EventId, UpgradeBody
from middleware.admin.errors import ApiError
from middleware.admin.state import AdminState, Upgrade

__all__ = ["router"]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1", tags=["operate"])

    @routes.post("/benchmark/pause", summary="Stop scheduled batches until resumed")
    async def pause() -> BenchmarkState:
        await state.pause()
        return BenchmarkState(paused=state.paused())

    @routes.post("/benchmark/resume", summary="Go on with scheduled batches")
    async def resume() -> BenchmarkState:
        await state.resume()
        return BenchmarkState(paused=state.paused())

    @routes.post("/upgrades", status_code=202, summary="Declare a change of model, so that it is not taken for silent")
    async def declare(body: UpgradeBody) -> EventId:
        if state.declare is None:
            raise ApiError(501, "not_available", "This process does not own the benchmark; ask the monitor.")
        if body.deployment not in {deployment.name for deployment in state.deployments}:
            raise ApiError(404, "deployment_unknown", "No such deployment is configured; see /api/v1/deployments.")
        return EventId(event=await state.declare(Upgrade(body.deployment, body.from_model, body.to_model, body.note)))

    @routes.post("/alarms/{alarm}/acknowledge", summary="Close an incident")
    async def acknowledge(alarm: Annotated[int, Path(ge=1)], body: AcknowledgeBody | None = None) -> EventId:
        if state.acknowledge is None:
            raise ApiError(501, "not_available", "This process does not own the detectors; ask the monitor.")
        accept = body.accept_baseline if body is not None else False
        if not await state.acknowledge(alarm, accept):
            raise ApiError(404, "alarm_unknown", "No open incident has this id; see incident in /api/v1/verdicts.")
        return EventId(event=alarm)

    return routes

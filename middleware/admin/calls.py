"""The kill switch over every call of the sidecar's own, in the API."""

from fastapi import APIRouter

from middleware.admin.bodies import CallsState
from middleware.admin.state import AdminState

__all__ = ["router"]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1/calls", tags=["operate"])

    @routes.get("", summary="Whether the sidecar's own calls are stopped")
    async def calls() -> CallsState:
        return _calls(state)

    @routes.post("/pause", summary="Stop every call of the sidecar's own until resumed; traffic passes on")
    async def pause() -> CallsState:
        await state.pause_calls()
        return _calls(state)

    @routes.post("/resume", summary="Let the sidecar's own calls go on")
    async def resume() -> CallsState:
        await state.resume_calls()
        return _calls(state)

    return routes


def _calls(state: AdminState) -> CallsState:
    stopped_by = list(state.calls_stopped_by())
    return CallsState(paused=bool(stopped_by), stopped_by=stopped_by)

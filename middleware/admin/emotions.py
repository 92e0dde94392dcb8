"""What is known of the emotions of a deployment's users over time, and of how well its model foresees them."""

from fastapi import APIRouter

from middleware.admin.errors import ApiError
from middleware.admin.state import AdminState
from middleware.records.emotion_report import EmotionReport

__all__ = ["router"]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1/deployments", tags=["emotions"])

    @routes.get("/{deployment}/emotions", summary="Skill, relief, drift, agreement and censoring of a deployment")
    async def emotions(deployment: str) -> EmotionReport:
        found = state.emotions(deployment)
        if found is None:
            raise ApiError(
                404,
                "emotions_unknown",
                "No deployment of this name is sampled, or it has not been looked at yet. Sampling needs a purpose, a "
                "sample_rate above 0 and at least two emotions.",
            )
        return found

    return routes

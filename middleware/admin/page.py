"""The status page at /, its pictures and its static files. Works without JavaScript; escapes everything."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from prometheus_client import Counter

from middleware.admin.charts import branches_chart, days_chart, emotions_chart, score_chart
from middleware.admin.drawing import Drawing, Size, Theme
from middleware.admin.errors import ApiError
from middleware.admin.health import component_states
from middleware.admin.pages import HERE, Pages, html
from middleware.admin.state import AdminState
from middleware.admin.view import PageModel

__all__ = ["router"]

_STATIC = {"status.css": "text/css", "status.js": "text/javascript", "icon.svg": "image/svg+xml"}
_RUNS_SHOWN = 8
_EVENTS_SHOWN = 10

Deployment = Annotated[str, Query(max_length=63)]
ItemSetName = Annotated[str, Query(max_length=200)]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(include_in_schema=False)
    pages = Pages(state)
    template = pages.templates.get_template("status.html")

    @routes.get("/", response_class=HTMLResponse)
    async def status(request: Request) -> Response:
        model = await pages.model()
        text = await asyncio.to_thread(
            template.render,
            model=model,
            benchmark=state.benchmark,
            components=component_states(state),
            failures=state.failures(),
            queues=state.queues(),
            reads=_counts(state.metrics.awareness_reads_total),
            deliveries=_counts(state.metrics.webhook_deliveries_total),
            address=str(request.base_url),
            open_access=state.access.open,
            calls_stopped=bool(state.calls_stopped_by()),
            paused=state.paused() and state.benchmark.enabled and not state.benchmark.missing,
            runs_shown=_RUNS_SHOWN,
            events_shown=_EVENTS_SHOWN,
        )
        return html(text)

    @routes.get("/charts/score.svg")
    async def score(
        deployment: Deployment, item_set: ItemSetName, theme: Theme = "light", size: Size = "wide"
    ) -> Response:
        draw = partial(_draw_score, deployment=deployment, item_set=item_set, theme=theme, size=size)
        return await pages.picture(("score", deployment, item_set, theme, size), draw)

    @routes.get("/charts/branches.svg")
    async def branches(deployment: Deployment, item_set: ItemSetName, theme: Theme = "light") -> Response:
        draw = partial(_draw_branches, deployment=deployment, item_set=item_set, theme=theme)
        return await pages.picture(("branches", deployment, item_set, theme), draw)

    @routes.get("/charts/emotions.svg")
    async def emotions(deployment: Deployment, theme: Theme = "light") -> Response:
        draw = partial(_draw_emotions, deployment=deployment, theme=theme)
        return await pages.picture(("emotions", deployment, theme), draw)

    @routes.get("/charts/days.svg")
    async def days(
        deployment: Deployment, emotion: Annotated[str, Query(max_length=100)], theme: Theme = "light"
    ) -> Response:
        draw = partial(_draw_days, deployment=deployment, emotion=emotion, theme=theme)
        return await pages.picture(("days", deployment, emotion, theme), draw)

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in _STATIC:
            raise ApiError(404, "not_found", "There is no such file.")
        return FileResponse(HERE / "static" / name, media_type=_STATIC[name], headers={"cache-control": "no-cache"})

    return routes


def _counts(counter: Counter) -> dict[str, int]:
    """Outcome -> how often, over all other labels, since the process started."""
    found: dict[str, int] = {}
    for sample in (sample for family in counter.collect() for sample in family.samples):
        if sample.name.endswith("_total") and sample.value:
            outcome = sample.labels["outcome"]
            found[outcome] = found.get(outcome, 0) + int(sample.value)
    return found


def _draw_score(model: PageModel, *, deployment: str, item_set: str, theme: Theme, size: Size) -> Drawing | None:
    for history in model.histories:
        if (history.deployment, history.item_set) == (deployment, item_set):
            return score_chart(history, theme, size)
    return None


def _draw_branches(model: PageModel, *, deployment: str, item_set: str, theme: Theme) -> Drawing | None:
    for subject in model.subjects:
        standing = subject.verdict.standing
        if (standing.deployment, standing.item_set) == (deployment, item_set) and subject.changes.branches:
            return branches_chart(subject.changes, theme)
    return None


def _draw_emotions(model: PageModel, *, deployment: str, theme: Theme) -> Drawing | None:
    for found in model.emotions:
        if found.info.name == deployment and found.emotions:
            return emotions_chart(found, theme)
    return None


def _draw_days(model: PageModel, *, deployment: str, emotion: str, theme: Theme) -> Drawing | None:
    for found in model.emotions:
        for row in found.emotions if found.info.name == deployment else ():
            if row.emotion == emotion and row.days:
                return days_chart(deployment, row, theme)
    return None

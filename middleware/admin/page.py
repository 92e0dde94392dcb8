"""The status page at /, its charts and its static files. Works without JavaScript; escapes everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from middleware.admin.charts import EMOTIONS_WIDTH, Size, Theme, emotions_chart, emotions_height, score_chart
from middleware.admin.errors import ApiError
from middleware.admin.health import component_states
from middleware.admin.standings import known_standings
from middleware.admin.state import AdminState
from middleware.admin.view import BANDS, PageModel, StatusReader
from middleware.admin.words import FILTERS

__all__ = ["router"]

_HERE = Path(__file__).parent
_FRESH_SECONDS = 5.0
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A chart carries its own style sheet; nothing else may load or run in it, also where it is opened by itself.
_CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_STATIC = {"status.css": "text/css", "status.js": "text/javascript", "icon.svg": "image/svg+xml"}
_RUNS_SHOWN = 8
_EVENTS_SHOWN = 6


@dataclass(slots=True)
class _Loaded:
    """One model of the page and the charts that were drawn from it."""

    model: PageModel
    charts: dict[tuple[str, ...], bytes] = field(default_factory=dict)


class _Pages:
    """Owns the loaded model: a page and its charts are one moment, and many readers cost one read of the store."""

    def __init__(self, state: AdminState) -> None:
        self._state = state
        self._reader = StatusReader(state)
        self._loading = asyncio.Lock()
        self._loaded: _Loaded | None = None

    async def loaded(self) -> _Loaded:
        """The model, read anew where the last one is older than a few seconds."""
        async with self._loading:
            now = self._state.clock()
            if self._loaded is None or not 0 <= now - self._loaded.model.now < _FRESH_SECONDS:
                standings = known_standings(self._state)
                self._loaded = _Loaded(await asyncio.to_thread(self._reader.read, standings, now))
            return self._loaded

    async def chart(self, key: tuple[str, ...], draw: Callable[[PageModel], bytes | None]) -> bytes:
        """The chart under that key, drawn at most once for a model; 404 where it has no data."""
        loaded = await self.loaded()
        if key not in loaded.charts:
            drawn = await asyncio.to_thread(draw, loaded.model)
            if drawn is None:
                raise ApiError(404, "no_data", "There is no data for this chart yet.")
            loaded.charts[key] = drawn
        return loaded.charts[key]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(include_in_schema=False)
    pages = _Pages(state)
    template = _environment().get_template("status.html")

    @routes.get("/", response_class=HTMLResponse)
    async def status() -> Response:
        loaded = await pages.loaded()
        html = await asyncio.to_thread(
            template.render,
            model=loaded.model,
            benchmark=state.benchmark,
            components=component_states(state),
            calls_stopped=bool(state.calls_stopped_by()),
            paused=state.paused() and state.benchmark.enabled and not state.benchmark.missing,
            version=metadata.version("eqwatch"),
            runs_shown=_RUNS_SHOWN,
            events_shown=_EVENTS_SHOWN,
        )
        return HTMLResponse(html, headers={"content-security-policy": _PAGE_POLICY})

    @routes.get("/charts/score.svg")
    async def score(
        deployment: Annotated[str, Query(max_length=63)],
        item_set: Annotated[str, Query(max_length=200)],
        theme: Theme = "light",
        size: Size = "wide",
    ) -> Response:
        draw = partial(_draw_score, deployment=deployment, item_set=item_set, theme=theme, size=size)
        return _svg(await pages.chart(("score", deployment, item_set, theme, size), draw))

    @routes.get("/charts/emotions.svg")
    async def emotions(deployment: Annotated[str, Query(max_length=63)], theme: Theme = "light") -> Response:
        draw = partial(_draw_emotions, deployment=deployment, theme=theme)
        return _svg(await pages.chart(("emotions", deployment, theme), draw))

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in _STATIC:
            raise ApiError(404, "not_found", "There is no such file.")
        return FileResponse(_HERE / "static" / name, media_type=_STATIC[name], headers={"cache-control": "no-cache"})

    return routes


def _draw_score(model: PageModel, *, deployment: str, item_set: str, theme: Theme, size: Size) -> bytes | None:
    for history in model.histories:
        if (history.deployment, history.item_set) == (deployment, item_set):
            return score_chart(history, theme, size)
    return None


def _draw_emotions(model: PageModel, *, deployment: str, theme: Theme) -> bytes | None:
    for found in model.emotions:
        if found.info.name == deployment and found.emotions:
            return emotions_chart(found, theme)
    return None


def _svg(body: bytes) -> Response:
    headers = {"content-security-policy": _CHART_POLICY, "cache-control": "private, max-age=5"}
    return Response(body, media_type="image/svg+xml", headers=headers)


def _bands() -> list[str]:
    """``low 1-4``: names and bounds of the bands, as the key to the colours says them."""
    upper = [lower for _, lower in BANDS[1:]] + [10.0]
    return [f"{name} {lower:g}\N{EN DASH}{top:g}" for (name, lower), top in zip(BANDS, upper, strict=True)]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["bands"] = _bands()
    environment.globals["emotions_width"] = EMOTIONS_WIDTH
    environment.globals["emotions_height"] = emotions_height
    return environment

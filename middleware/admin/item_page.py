"""The pages of single benchmark items: /items/SET/ITEM. The text of official items comes from the user's own file."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, Response

from middleware.admin.charts import item_chart
from middleware.admin.drawing import Theme
from middleware.admin.errors import ApiError
from middleware.admin.item_view import ItemView, item_view
from middleware.admin.pages import environment, html, picture
from middleware.admin.standings import known_standings
from middleware.admin.state import AdminState
from middleware.records.standing import Standing
from scorer.baseline import Baseline

__all__ = ["router"]

_ANSWERS = 400
_EVENTS = 400
SetName = Annotated[str, Path(max_length=200)]
ItemId = Annotated[str, Path(max_length=200)]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(include_in_schema=False)
    template = environment().get_template("item.html")

    @routes.get("/items/{item_set}/{item_id:path}", response_class=HTMLResponse)
    async def item(item_set: SetName, item_id: ItemId) -> Response:
        view = await _found(state, item_set, item_id)
        return html(await asyncio.to_thread(template.render, view=view, now=state.clock()))

    @routes.get("/charts/item.svg")
    async def chart(
        item_set: Annotated[str, Query(max_length=200)],
        item_id: Annotated[str, Query(max_length=200)],
        deployment: Annotated[str, Query(max_length=63)],
        theme: Theme = "light",
    ) -> Response:
        view = await _found(state, item_set, item_id)
        for asked in view.asked:
            if asked.deployment == deployment and any(one.points is not None for one in asked.history):
                return picture(await asyncio.to_thread(item_chart, asked, item_id, theme))
        raise ApiError(404, "no_data", "There is no data for this chart yet.")

    return routes


async def _found(state: AdminState, item_set: str, item_id: str) -> ItemView:
    standings = [standing for standing in known_standings(state) if standing.item_set == item_set]
    view = await asyncio.to_thread(_read, state, item_set, item_id, standings)
    if view.item is None and not view.asked:
        raise ApiError(404, "item_unknown", "No item of this set and id is here, and none was ever asked.")
    return view


def _read(state: AdminState, item_set: str, item_id: str, standings: list[Standing]) -> ItemView:
    """Blocks on the store and on files; raises StoreUnavailable."""
    baselines = {}
    for standing in standings:
        record = state.store.baseline(standing.baseline_id) if standing.baseline_id else None
        if record is not None:
            baselines[standing.deployment] = Baseline.from_dict(record.value)
    newest = max(0, state.store.latest_event_id() - _EVENTS)
    return item_view(
        item_set,
        item_id,
        loaded=state.items(item_set),
        answers=state.store.item_answers(item_set, item_id, _ANSWERS),
        standings=standings,
        baselines=baselines,
        events=state.store.events(newest, _EVENTS),
    )

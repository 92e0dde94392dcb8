"""GET /api/v1/events as server-sent events: what is stored first, then what happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from middleware.admin.bodies import EventBody
from middleware.admin.errors import ApiError
from middleware.admin.feed import Subscription, TooManySubscribers
from middleware.admin.state import AdminState
from middleware.records.event import Event

__all__ = ["event_body", "router"]

_PAGE = 500


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1", tags=["events"])

    async def subscription() -> AsyncIterator[Subscription]:
        # A dependency, because a refusal has to come before the stream's status line.
        try:
            with state.feed.subscribe() as subscribed:
                yield subscribed
        except TooManySubscribers:
            raise ApiError(503, "too_many_subscribers", "Too many event streams are open; close another one.") from None

    @routes.get("/events", response_class=EventSourceResponse, summary="Events as they happen, as server-sent events")
    async def events(
        subscribed: Annotated[Subscription, Depends(subscription)],
        since: Annotated[int | None, Query(ge=0, description="First replay stored events after this id.")] = None,
        last_event_id: Annotated[int | None, Header(ge=0)] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        # Subscribed before the replay: an event of that moment comes from both, and is skipped by its id.
        cursor = last_event_id if last_event_id is not None else since
        async for event in _replayed(state, cursor):
            cursor = event.id
            yield _message(event)
        async for message in _live(subscribed, cursor or 0):
            yield message

    return routes


async def _replayed(state: AdminState, cursor: int | None) -> AsyncIterator[Event]:
    while cursor is not None:
        page = await asyncio.to_thread(state.store.events, cursor, _PAGE)
        for event in page:
            yield event
        cursor = page[-1].id if len(page) == _PAGE else None


async def _live(subscription: Subscription, cursor: int) -> AsyncIterator[ServerSentEvent]:
    while (event := await subscription.next()) is not None:
        if event.id == 0 or event.id > cursor:
            yield _message(event)
        if lost := subscription.take_lost():
            yield ServerSentEvent(event="lost", data={"events": lost})


def event_body(event: Event) -> EventBody:
    """The event as the API shows it."""
    return EventBody(id=event.id, kind=event.kind, deployment=event.deployment, at=event.at, details=event.details)


def _message(event: Event) -> ServerSentEvent:
    return ServerSentEvent(event=event.kind, id=str(event.id) if event.id else None, data=event_body(event))

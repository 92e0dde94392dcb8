"""GET /api/v1/events as server-sent events: what is stored first, then what happens."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.admin.bodies import EventBody
from middleware.admin.conversations import reading
from middleware.admin.errors import ApiError
from middleware.admin.feed import EventFeed, News, Subscription, TooManySubscribers
from middleware.admin.state import AdminState
from middleware.awareness.adoption import Read
from middleware.awareness.estimates import estimates
from middleware.awareness.recent import Told
from middleware.records.conversation import ProbeResult
from middleware.records.event import Event
from scorer.repeatability import Repeatability

__all__ = ["EMOTIONS", "PATH", "SlowReaders", "event_body", "router"]

PATH = "/api/v1/events"
EMOTIONS = "emotions"
"""Type of the event of a new estimate."""
_PAGE = 500
_CAUGHT_UP_SECONDS = 3600.0
_CAUGHT_UP = 1000
_STUCK_SECONDS = 30.0
# Ids of a replay that may come once more: more than a subscription has room for while it is read.
_REPLAYED = 1000
_NOWHERE = (-1, 0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber asked for; empty: everything. Estimates come where they are named, or of a conversation."""

    types: frozenset[str]
    deployment: str
    conversations: frozenset[str]

    @property
    def estimates(self) -> bool:
        """Whether each new estimate is told."""
        return EMOTIONS in self.types or (bool(self.conversations) and not self.types)

    def __call__(self, news: News) -> bool:
        if isinstance(news, Told):
            return self.estimates and self._place(news.result.deployment, news.result.conversation)
        if self.types and news.kind not in self.types:
            return False
        return self._place(news.deployment, str(news.details.get("conversation") or ""))

    def _place(self, deployment: str, conversation: str) -> bool:
        if self.deployment and deployment != self.deployment:
            return False
        return not self.conversations or conversation in self.conversations


@dataclass(slots=True)
class _Cursor:
    """How far a subscriber was told: the id of the newest event; of the newest estimate when it was there, in µs."""

    event: int | None
    estimate: int | None

    def __str__(self) -> str:
        return f"{self.event or 0}.{self.estimate}" if self.estimate is not None else str(self.event or 0)

    @classmethod
    def of(cls, last_event_id: str | None, since: int | None) -> "_Cursor":
        if last_event_id is None:
            return cls(since, None)
        event, _, estimate = last_event_id.partition(".")
        return cls(int(event), int(estimate) if estimate else None)


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1", tags=["events"])

    def wanted(
        type: Annotated[  # noqa: A002 - the name in the URL
            list[str] | None, Query(description="Only these types; repeats. emotions: each new estimate.")
        ] = None,
        deployment: Annotated[str, Query(max_length=63, description="Only of this deployment.")] = "",
        conversation: Annotated[
            str, Query(max_length=1000, description="Only of this conversation, by its own id or the sidecar's.")
        ] = "",
    ) -> Wanted:
        keys = state.conversation_keys(conversation) if conversation else ()
        return Wanted(frozenset(type or ()), deployment, frozenset(keys))

    async def subscription(wants: Annotated[Wanted, Depends(wanted)]) -> AsyncIterator[Subscription]:
        # A dependency, because a refusal has to come before the stream's status line, and so has the place from which
        # on other processes' events are told: whoever sees the status line hears what is saved from then on.
        try:
            with state.feed.subscribe(wants) as subscribed:
                await state.feed.followed.wait()
                yield subscribed
        except TooManySubscribers:
            raise ApiError(503, "too_many_subscribers", "Too many event streams are open; close another one.") from None

    @routes.get("/events", response_class=EventSourceResponse, summary="Events as they happen, as server-sent events")
    async def events(
        subscribed: Annotated[Subscription, Depends(subscription)],
        wants: Annotated[Wanted, Depends(wanted)],
        since: Annotated[int | None, Query(ge=0, description="First replay stored events after this id.")] = None,
        last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}(\.\d{1,18})?$")] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        async for message in _stream(state, subscribed, wants, _Cursor.of(last_event_id, since)):
            yield message

    return routes


async def _stream(
    state: AdminState, subscribed: Subscription, wants: Wanted, cursor: _Cursor
) -> AsyncIterator[ServerSentEvent]:
    # Subscribed before the replay: what comes from both is skipped, an event by its id, an estimate by its turn. Not by
    # how far the reader is: of two that were saved at the same moment the later one may be told first.
    begin = cursor.event or 0
    replayed: deque[int] = deque(maxlen=_REPLAYED)
    async for event in _replayed(state, cursor.event):
        cursor.event = event.id
        replayed.append(event.id)
        if wants(event):
            yield _message(event, cursor)
    caught_up: dict[str, tuple[int, float]] = {}
    if wants.estimates:
        for told in await _caught_up(state, wants, cursor.estimate):
            caught_up[told.result.conversation] = _place(told)
            _note_read(state, wants, told)
            yield _estimate(state, told, cursor)
    while (news := await subscribed.next()) is not None:
        if isinstance(news, Told):
            if _place(news) > caught_up.get(news.result.conversation, _NOWHERE):
                _note_read(state, wants, news)
                yield _estimate(state, news, cursor)
        elif news.id == 0 or (news.id > begin and news.id not in replayed):
            cursor.event = max(news.id, cursor.event or 0)
            yield _message(news, cursor)


def _place(told: Told) -> tuple[int, float]:
    """In its conversation."""
    return told.result.turn, told.at


def _note_read(state: AdminState, wants: Wanted, told: Told) -> None:
    """A stream of everything is a dashboard's; an application asks for its deployment or its conversation."""
    if wants.deployment or wants.conversations:
        result = told.result
        state.metrics.awareness_reads_total.labels(channel="stream", outcome="found").inc()
        ended_at = result.ended_at
        state.on_read(Read("stream", result.deployment, result.conversation, state.clock(), ended_at))


async def _replayed(state: AdminState, cursor: int | None) -> AsyncIterator[Event]:
    while cursor is not None:
        page = await asyncio.to_thread(state.store.events, cursor, _PAGE)
        for event in page:
            yield event
        cursor = page[-1].id if len(page) == _PAGE else None


async def _caught_up(state: AdminState, wants: Wanted, after: int | None) -> Sequence[Told]:
    """Of one conversation, the newest estimate, unless it was told; of many, those since, of the last hour at most."""
    if wants.conversations:
        found: list[ProbeResult] = []
        for key in wants.conversations:
            found += await asyncio.to_thread(state.store.emotions_of, key)
        told = _told(state, found)
        return [one for one in (told,) if one is not None and (after is None or _micros(one.at) > after)]
    if after is None:
        return ()
    since = max(after / 1e6, state.clock() - _CAUGHT_UP_SECONDS)
    results = await asyncio.to_thread(state.store.probes, wants.deployment or None, since, _CAUGHT_UP)
    missed = [_told(state, [result]) for result in reversed(results) if _micros(result.at) > after]
    return [one for one in missed if one is not None]


def _told(state: AdminState, results: Sequence[ProbeResult]) -> Told | None:
    readable = [result for result in results if result.kind == "perception" and result.outcome == "scored"]
    if not readable:
        return None
    newest = max(readable, key=lambda result: (result.turn, result.at))
    return Told(newest, estimates(readable, "perception", _known(state, newest.deployment)))


def _known(state: AdminState, deployment: str) -> Mapping[str, Repeatability]:
    report = state.emotions(deployment)
    return report.repeatability if report is not None else {}


def _micros(at: float) -> int:
    return round(at * 1e6)


def event_body(event: Event) -> EventBody:
    """The event as the API shows it."""
    return EventBody(
        id=event.id, kind=event.kind, deployment=event.deployment, at=event.at, details=dict(event.details)
    )


def _message(event: Event, cursor: _Cursor) -> ServerSentEvent:
    return ServerSentEvent(event=event.kind, id=str(cursor) if event.id else None, data=event_body(event))


def _estimate(state: AdminState, told: Told, cursor: _Cursor) -> ServerSentEvent:
    result = told.result
    cursor.estimate = max(_micros(told.at), cursor.estimate or 0)
    emotions = {name: reading(one, result.turn, state.clock()).model_dump() for name, one in told.found.items()}
    details = {"conversation": result.conversation, "turn": result.turn, "emotions": emotions}
    body = EventBody(id=0, kind=EMOTIONS, deployment=result.deployment, at=told.at, details=details)
    return ServerSentEvent(event=EMOTIONS, id=str(cursor), data=body)


class _Stuck(Exception):
    """A reader did not take what it was sent."""


class SlowReaders:
    """ASGI middleware: cuts a stream whose reader has taken nothing for a while, so that it holds nothing for long."""

    def __init__(self, app: ASGIApp, feed: EventFeed, stuck_seconds: float = _STUCK_SECONDS) -> None:
        self._app = app
        self._feed = feed
        self._seconds = stuck_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; only the stream of events is watched."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                raise _Stuck from None

        try:
            await self._app(scope, receive, send_in_time)
        except* _Stuck:
            self._feed.count_drop()

"""Webhooks: which are configured, what waits, what became a dead letter, and sending one again. Never their URLs."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from middleware.admin.bodies import MessageBody, MessageId, WebhookBody
from middleware.admin.errors import ApiError
from middleware.admin.state import AdminState
from middleware.admin.stream import event_body
from middleware.records.delivery import Delivery
from middleware.records.event import Event

__all__ = ["router"]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])

    @routes.get("", summary="Webhooks as configured, with how many messages wait or were given up")
    async def webhooks() -> list[WebhookBody]:
        # Of both states at once: a message that is sent again between two looks would be in neither.
        counts = [await asyncio.to_thread(state.store.count_messages, info.name) for info in state.webhooks]
        return [
            WebhookBody(
                name=info.name,
                format=info.format,
                send=list(info.send),
                deployments=list(info.deployments),
                pending=count.get("pending", 0),
                dead=count.get("dead", 0),
            )
            for info, count in zip(state.webhooks, counts, strict=True)
        ]

    @routes.get("/messages", summary="Messages to webhooks, newest first; status=dead lists the dead letters")
    async def messages(
        status: Annotated[Literal["pending", "delivered", "dead"] | None, Query()] = None,
        webhook: Annotated[str | None, Query(max_length=63)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[MessageBody]:
        found = await asyncio.to_thread(state.store.messages, status, webhook, limit)
        return [_message(delivery, event) for delivery, event in found]

    @routes.post("/messages/{message}/resend", status_code=202, summary="Send a dead letter again, under the same id")
    async def resend(message: Annotated[str, Path(max_length=100)]) -> MessageId:
        if not await asyncio.to_thread(state.store.resend_message, message):
            raise ApiError(404, "message_unknown", "No dead letter has this id; see /api/v1/webhooks/messages.")
        state.metrics.webhook_deliveries_total.labels(outcome="resent").inc()
        state.wake_webhooks()
        return MessageId(message=message)

    return routes


def _message(delivery: Delivery, event: Event | None) -> MessageBody:
    return MessageBody(
        id=delivery.id,
        webhook=delivery.webhook,
        status=delivery.status,
        attempts=delivery.attempts,
        reason=delivery.reason,
        http_status=delivery.http_status,
        created_at=delivery.created_at,
        next_at=delivery.next_at if delivery.status == "pending" else None,
        done_at=delivery.done_at,
        event=event_body(event) if event is not None else None,
    )

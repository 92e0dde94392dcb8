"""Statements on messages to webhooks. An id is there once, whoever adds it; an attempt is counted before it is made."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from middleware.records.delivery import Delivery, DeliveryReason, DeliveryStatus
from middleware.records.event import Event
from middleware.store.schema import deliveries, events
from middleware.store.statements import insert_into, values_of

__all__ = ["add", "claim", "count", "event_of", "finish", "newest", "next_due", "postpone", "prune", "resend"]


def add(connection: Connection, webhook: str, identity: str, event: int, now: float) -> bool:
    """Make a message due now; False if this id is there already."""
    statement = insert_into(connection, deliveries).values(
        id=identity,
        webhook=webhook,
        event=event,
        status="pending",
        created_at=now,
        next_at=now,
        attempts=0,
        reason="",
    )
    return connection.execute(statement.on_conflict_do_nothing().returning(deliveries.c.id)).first() is not None


def claim(connection: Connection, webhook: str, now: float, lease_seconds: float, limit: int) -> list[Delivery]:
    """Take due messages of a webhook, oldest first, and count an attempt for each.

    Nobody else gets them before the lease is over; whose owner died are sent again then.
    """
    due = connection.execute(
        select(deliveries)
        .where(deliveries.c.status == "pending", deliveries.c.webhook == webhook, deliveries.c.next_at <= now)
        .order_by(deliveries.c.next_at, deliveries.c.created_at, deliveries.c.id)
        .limit(limit)
    ).all()
    taken = []
    for row in due:
        found = Delivery(**values_of(row))
        written = connection.execute(
            update(deliveries)
            .where(_as_seen(found))
            .values(attempts=found.attempts + 1, next_at=now + lease_seconds)
            .returning(*deliveries.c)
        ).first()
        if written is not None:
            taken.append(Delivery(**values_of(written)))
    return taken


def postpone(
    connection: Connection, claimed: Delivery, next_at: float, reason: DeliveryReason, http_status: int | None
) -> bool:
    """Try again then; False where somebody else has gone on with it."""
    return _change(connection, claimed, next_at=next_at, reason=reason, http_status=http_status)


def finish(
    connection: Connection,
    claimed: Delivery,
    status: DeliveryStatus,
    now: float,
    reason: DeliveryReason,
    http_status: int | None,
) -> bool:
    """It was taken, or is given up; False where somebody else has gone on with it."""
    return _change(connection, claimed, status=status, done_at=now, reason=reason, http_status=http_status)


def resend(connection: Connection, identity: str, now: float) -> bool:
    """Make a dead letter due again, with its attempts counted anew; False where none has this id."""
    values = {"status": "pending", "next_at": now, "created_at": now, "attempts": 0, "done_at": None}
    statement = update(deliveries).where(deliveries.c.id == identity, deliveries.c.status == "dead").values(values)
    return connection.execute(statement.returning(deliveries.c.id)).first() is not None


def newest(
    connection: Connection, status: DeliveryStatus | None, webhook: str | None, limit: int
) -> list[tuple[Delivery, Event | None]]:
    """Messages with what they tell, newest first."""
    wanted: list[ColumnElement[bool]] = []
    if status is not None:
        wanted.append(deliveries.c.status == status)
    if webhook is not None:
        wanted.append(deliveries.c.webhook == webhook)
    rows = connection.execute(
        select(deliveries).where(*wanted).order_by(deliveries.c.created_at.desc(), deliveries.c.id).limit(limit)
    )
    found = [Delivery(**values_of(row)) for row in rows]
    return [(delivery, event_of(connection, delivery.event)) for delivery in found]


def event_of(connection: Connection, event: int) -> Event | None:
    """What a message tells, or None where it was removed."""
    row = connection.execute(select(events).where(events.c.id == event)).first()
    return None if row is None else Event(**values_of(row))


def next_due(connection: Connection, webhooks: Iterable[str]) -> float | None:
    """When the next message of these webhooks is due; None where none waits."""
    found = connection.execute(
        select(func.min(deliveries.c.next_at)).where(
            deliveries.c.status == "pending", deliveries.c.webhook.in_(list(webhooks))
        )
    ).scalar()
    return None if found is None else float(found)


def count(connection: Connection, webhook: str) -> dict[DeliveryStatus, int]:
    """How many messages of a webhook are in each state, all at the same moment; a state of none is left out."""
    statement = (
        select(deliveries.c.status, func.count()).where(deliveries.c.webhook == webhook).group_by(deliveries.c.status)
    )
    return {status: int(number) for status, number in connection.execute(statement)}


def prune(connection: Connection, *, delivered_before: float, dead_before: float, dead_kept: int) -> None:
    """Remove what was delivered long ago, and dead letters that are old or more than are kept."""
    for status, before in (("delivered", delivered_before), ("dead", dead_before)):
        connection.execute(delete(deliveries).where(deliveries.c.status == status, deliveries.c.done_at < before))
    dead = select(deliveries.c.id).where(deliveries.c.status == "dead").order_by(deliveries.c.done_at.desc())
    connection.execute(
        delete(deliveries).where(
            deliveries.c.status == "dead", deliveries.c.id.not_in(dead.limit(dead_kept).scalar_subquery())
        )
    )


def _as_seen(found: Delivery) -> ColumnElement[bool]:
    return and_(
        deliveries.c.id == found.id,
        deliveries.c.status == found.status,
        deliveries.c.attempts == found.attempts,
        deliveries.c.next_at == found.next_at,
    )


def _change(connection: Connection, claimed: Delivery, **values: object) -> bool:
    statement = update(deliveries).where(_as_seen(claimed)).values(**values)
    return connection.execute(statement.returning(deliveries.c.id)).first() is not None

"""Slots: a piece of scheduled work that exactly one owner may do, with a lease that expires and a fencing token.

A token grows with every new owner. A write that carries the `Fence` of a stalled owner is refused
(https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html).
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from middleware.store.schema import slots
from middleware.store.statements import insert_into

__all__ = ["Fence", "claim", "holds", "release", "renew"]

_KEPT_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Fence:
    """What an owner shows when it writes: the slot and the token that claiming it gave. slot_at is Unix seconds."""

    name: str
    slot_at: float
    token: int


def claim(connection: Connection, name: str, slot_at: float, owner: str, ttl_seconds: float, now: float) -> int | None:
    """The fencing token, or None while somebody else's lease runs or when the slot's work is done."""
    statement = insert_into(connection, slots).values(
        name=name, slot_at=slot_at, owner=owner, token=1, expires_at=now + ttl_seconds
    )
    row = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name", "slot_at"],
            set_={"owner": owner, "token": slots.c.token + 1, "expires_at": now + ttl_seconds},
            where=and_(slots.c.expires_at <= now, slots.c.done_at.is_(None)),
        ).returning(slots.c.token)
    ).first()
    return None if row is None else int(row[0])


def renew(connection: Connection, fence: Fence, ttl_seconds: float, now: float) -> bool:
    """Extend the lease; False if it was lost to another owner or the slot is done."""
    return _update(connection, fence, expires_at=now + ttl_seconds)


def release(connection: Connection, fence: Fence, now: float, *, done: bool) -> bool:
    """End the lease: done slots are never claimed again, others at once. False if it was lost before.

    Slots of more than seven days ago whose lease is over go on this occasion: nobody claims one so late.
    """
    connection.execute(delete(slots).where(slots.c.slot_at < now - _KEPT_SECONDS, slots.c.expires_at <= now))
    return _update(connection, fence, expires_at=now, done_at=now if done else None)


def holds(connection: Connection, fence: Fence) -> bool:
    """Whether no newer owner exists; locks the row, so that none can appear before this transaction ends."""
    row = connection.execute(select(slots.c.token).where(_owned(fence)).with_for_update(read=True)).first()
    return row is not None


def _update(connection: Connection, fence: Fence, **values: float | None) -> bool:
    statement = update(slots).where(_owned(fence), slots.c.done_at.is_(None)).values(**values)
    return connection.execute(statement.returning(slots.c.token)).first() is not None


def _owned(fence: Fence) -> ColumnElement[bool]:
    return and_(slots.c.name == fence.name, slots.c.slot_at == fence.slot_at, slots.c.token == fence.token)

"""Statements on events, named states and token usage."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from middleware.records.event import Event
from middleware.store.schema import events, states, token_usage
from middleware.store.statements import insert_into, values_of

__all__ = [
    "add_tokens",
    "events_since",
    "is_at",
    "latest_event_id",
    "load_state",
    "rename_state",
    "save_event",
    "save_state",
    "token_usage_since",
    "tokens_used",
]


def save_event(connection: Connection, event: Event) -> int:
    """Append the event (its own id is ignored) and return its id."""
    values = {"kind": event.kind, "deployment": event.deployment, "at": event.at, "details": dict(event.details)}
    return int(connection.execute(insert(events).values(values).returning(events.c.id)).scalar_one())


def events_since(connection: Connection, since_id: int, limit: int) -> list[Event]:
    """Events with a greater id, oldest first."""
    rows = connection.execute(select(events).where(events.c.id > since_id).order_by(events.c.id).limit(limit))
    return [Event(**values_of(row)) for row in rows]


def latest_event_id(connection: Connection) -> int:
    """The cursor behind which nothing is saved yet; 0 for none."""
    return int(connection.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one())


def save_state(connection: Connection, name: str, value: Mapping[str, Any], now: float) -> None:
    """Replace the named state."""
    statement = insert_into(connection, states).values(name=name, value=dict(value), saved_at=now)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": statement.excluded.value, "saved_at": now}
        )
    )


def load_state(connection: Connection, name: str) -> dict[str, Any] | None:
    """The named state, or None."""
    found = connection.execute(select(states.c.value).where(states.c.name == name)).scalar_one_or_none()
    return None if found is None else dict(found)


def is_at(connection: Connection, name: str, revision: int) -> bool:
    """Whether the named state still is the one of that revision, 0 where none was saved; nobody else can move it on
    before this transaction ends."""
    if revision == 0:  # a row that is not there can't be locked, so one is put in its place
        placeholder = insert_into(connection, states).values(name=name, value={}, saved_at=0.0)
        connection.execute(placeholder.on_conflict_do_nothing(index_elements=["name"]))
    found = connection.execute(select(states.c.value).where(states.c.name == name).with_for_update()).scalar()
    return found is not None and found.get("revision", 0) == revision


def rename_state(connection: Connection, name: str, to: str) -> bool:
    """Give the named state another name; False where there is none."""
    statement = update(states).where(states.c.name == name).values(name=to)
    return connection.execute(statement.returning(states.c.name)).first() is not None


def add_tokens(connection: Connection, purpose: str, type_: str, tokens: int, at: float) -> None:
    """Add to the minute's sum. Not idempotent: after an unclear failure it may count twice, never too little."""
    statement = insert_into(connection, token_usage).values(
        purpose=purpose, type=type_, minute=int(at // 60), tokens=tokens
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["purpose", "type", "minute"], set_={"tokens": token_usage.c.tokens + tokens}
        )
    )


def tokens_used(connection: Connection, purpose: str | None, since: float) -> int:
    """Tokens of all types since the start of the minute of ``since``; of every purpose where that is None."""
    statement = select(func.coalesce(func.sum(token_usage.c.tokens), 0)).where(token_usage.c.minute >= since // 60)
    if purpose is not None:
        statement = statement.where(token_usage.c.purpose == purpose)
    return int(connection.execute(statement).scalar_one())


def token_usage_since(connection: Connection, since: float) -> dict[tuple[str, str], int]:
    """Purpose and type -> tokens since the start of the minute of ``since``."""
    rows = connection.execute(
        select(token_usage.c.purpose, token_usage.c.type, func.sum(token_usage.c.tokens))
        .where(token_usage.c.minute >= since // 60)
        .group_by(token_usage.c.purpose, token_usage.c.type)
    )
    return {(purpose, type_): int(tokens) for purpose, type_, tokens in rows}

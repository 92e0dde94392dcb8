"""Statements on calls of the application, and whether it had read an estimate before."""

from sqlalchemy import Connection, select

from middleware.records.informed import Call
from middleware.store.schema import informed_calls
from middleware.store.statements import insert_into, values_of

__all__ = ["calls_of", "save_call"]


def save_call(connection: Connection, call: Call) -> None:
    """Write the call; one of this turn that is there already stays."""
    values = {name: getattr(call, name) for name in call.__slots__}
    connection.execute(insert_into(connection, informed_calls).values(values).on_conflict_do_nothing())


def calls_of(connection: Connection, deployment: str, limit: int) -> list[Call]:
    """The newest calls of a deployment, newest first."""
    rows = connection.execute(
        select(informed_calls)
        .where(informed_calls.c.deployment == deployment)
        .order_by(informed_calls.c.at.desc(), informed_calls.c.conversation, informed_calls.c.turn)
        .limit(limit)
    )
    return [Call(**values_of(row)) for row in rows]

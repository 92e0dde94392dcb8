"""Statements on probe results: scores and salted ids, no text."""

import dataclasses
from typing import Any

from sqlalchemy import Connection, Row, select

from middleware.records.conversation import ProbeResult
from middleware.store.schema import probes
from middleware.store.statements import insert_into, storable, values_of

__all__ = ["emotions_of", "probes_of", "save_probe"]

_KEYS = ("conversation", "turn", "kind", "judge", "deployment")


def save_probe(connection: Connection, result: ProbeResult) -> bool:
    """Write the result; False if this judge's score of this turn is there already, which stays."""
    values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    values["judge"] = storable(result.judge)
    values["judge_version"] = storable(result.judge_version)
    statement = insert_into(connection, probes).values(values)
    written = connection.execute(
        statement.on_conflict_do_update(
            index_elements=_KEYS,
            set_={name: statement.excluded[name] for name in values if name not in _KEYS},
            where=probes.c.outcome != "scored",
        ).returning(probes.c.turn)
    )
    return written.first() is not None


def probes_of(
    connection: Connection, deployment: str | None, since: float, limit: int, until: float | None = None
) -> list[ProbeResult]:
    """Results saved at or after ``since`` and before ``until``, newest first."""
    statement = (
        select(probes)
        .where(probes.c.at >= since)
        .order_by(probes.c.at.desc(), probes.c.conversation, probes.c.turn.desc(), probes.c.kind, probes.c.judge)
        .limit(limit)
    )
    if deployment is not None:
        statement = statement.where(probes.c.deployment == deployment)
    if until is not None:
        statement = statement.where(probes.c.at < until)
    return [_result(row) for row in connection.execute(statement)]


def emotions_of(connection: Connection, conversation: str) -> list[ProbeResult]:
    """Every result of a conversation, by turn, then kind and judge."""
    rows = connection.execute(
        select(probes)
        .where(probes.c.conversation == conversation)
        .order_by(probes.c.turn, probes.c.kind, probes.c.judge)
    )
    return [_result(row) for row in rows]


def _result(row: Row[Any]) -> ProbeResult:
    values = values_of(row)
    return ProbeResult(**values | {"flags": tuple(values["flags"])})

"""Statements on baselines: appended, accepted, never changed. The first accepted one is the reference of record."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import Protocol
from middleware.store.schema import baselines
from middleware.store.statements import storable, values_of

__all__ = ["accept", "add", "baseline_by_id", "baselines_of", "id_in_force", "in_force", "reference_id"]


def add(connection: Connection, record: BaselineRecord) -> int:
    """Append the record and return its id; one of the same content, deployment and protocol is there only once.

    Version and reference are decided here, whatever the record says: a first accepted one becomes the reference.
    """
    same = _of(record.deployment, record.protocol.key)
    known = connection.execute(select(baselines.c.id).where(*same, baselines.c.digest == record.digest)).scalar()
    if known is None:
        newest = connection.execute(select(func.coalesce(func.max(baselines.c.version), 0)).where(*same)).scalar_one()
        values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        values |= {
            "protocol": dataclasses.asdict(record.protocol),
            "protocol_key": record.protocol.key,
            "identities": [storable(identity) for identity in record.identities],
            "model": storable(record.model),
            "value": dict(record.value),
            "version": newest + 1,
            "reference": False,
            "accepted_at": None,
        }
        del values["id"]
        known = int(connection.execute(insert(baselines).values(values).returning(baselines.c.id)).scalar_one())
    if record.accepted_at is not None:
        accept(connection, known, record.accepted_at)
    return known


def accept(connection: Connection, baseline_id: int, at: float, *, as_reference: bool = False) -> BaselineRecord | None:
    """Put it in force from now on; None where no baseline has this id."""
    found = baseline_by_id(connection, baseline_id)
    if found is None:
        return None
    same = _of(found.deployment, found.protocol.key)
    first = connection.execute(select(baselines.c.id).where(*same, baselines.c.reference)).scalar() is None
    if as_reference:
        connection.execute(update(baselines).where(*same).values(reference=False))
    values: dict[str, float | bool] = {"accepted_at": at}
    if first or as_reference:
        values["reference"] = True
    connection.execute(update(baselines).where(baselines.c.id == baseline_id).values(values))
    return baseline_by_id(connection, baseline_id)


def baseline_by_id(connection: Connection, baseline_id: int) -> BaselineRecord | None:
    """The record, or None."""
    row = connection.execute(select(baselines).where(baselines.c.id == baseline_id)).first()
    return None if row is None else _record(values_of(row))


def baselines_of(connection: Connection, deployment: str | None) -> list[BaselineRecord]:
    """All of a deployment, or of all deployments, oldest first."""
    statement = select(baselines).order_by(baselines.c.id)
    if deployment is not None:
        statement = statement.where(baselines.c.deployment == deployment)
    return [_record(values_of(row)) for row in connection.execute(statement)]


def id_in_force(connection: Connection, deployment: str, protocol_key: str) -> int | None:
    """The id of the newest accepted one, or None."""
    found = connection.execute(
        select(baselines.c.id)
        .where(*_of(deployment, protocol_key), baselines.c.accepted_at.is_not(None))
        .order_by(baselines.c.accepted_at.desc(), baselines.c.id.desc())
        .limit(1)
    ).scalar()
    return None if found is None else int(found)


def in_force(connection: Connection, deployment: str, protocol_key: str) -> BaselineRecord | None:
    """The newest accepted one, or None."""
    found = id_in_force(connection, deployment, protocol_key)
    return None if found is None else baseline_by_id(connection, found)


def reference_id(connection: Connection, deployment: str, protocol_key: str) -> int | None:
    """The id of the reference of record, or None."""
    found = connection.execute(
        select(baselines.c.id).where(*_of(deployment, protocol_key), baselines.c.reference).limit(1)
    ).scalar()
    return None if found is None else int(found)


def _of(deployment: str, protocol_key: str) -> tuple[Any, Any]:
    return baselines.c.deployment == deployment, baselines.c.protocol_key == protocol_key


def _record(values: Mapping[str, Any]) -> BaselineRecord:
    names = {field.name for field in dataclasses.fields(BaselineRecord)}
    given = {name: value for name, value in values.items() if name in names}
    given |= {"protocol": Protocol(**values["protocol"]), "identities": tuple(values["identities"])}
    return BaselineRecord(**given)

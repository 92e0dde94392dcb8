"""Statements on runs and item results. A model's answer that was acknowledged is never written over."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, or_, select, update

from middleware.records.benchmark import ItemResult, Protocol, Run, RunStatus
from middleware.store.schema import item_results, runs
from middleware.store.statements import insert_into, storable, values_of

__all__ = [
    "begin_run",
    "finish_run",
    "item_answers",
    "item_history",
    "mark_attempted",
    "results_of",
    "run_by_id",
    "runs_of",
    "save_item",
    "unfinished_run",
]

_RETRIED = ("api_error", "timeout")  # outcomes that say nothing about the model and may be replaced on resume


def begin_run(connection: Connection, run: Run) -> None:
    """Save the run; one that is there already stays as it is, but that one which was stopped runs again."""
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    values |= {
        "protocol": dataclasses.asdict(run.protocol),
        "protocol_key": run.protocol.key,
        "item_ids": list(run.item_ids),
        "flags": list(run.flags),
        "model": storable(run.model),
    }
    statement = insert_into(connection, runs).values(values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"status": "running", "finished_at": None},
            where=runs.c.status == "stopped",
        )
    )


def mark_attempted(connection: Connection, run_id: str, item_id: str, repetition: int, at: float) -> None:
    """Count one more started call before it is made, so that spend is never under-counted."""
    statement = insert_into(connection, item_results).values(
        _unanswered(run_id, item_id, repetition) | {"attempts": 1, "attempted_at": at}
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "item_id", "repetition"],
            set_={"attempts": item_results.c.attempts + 1, "attempted_at": statement.excluded.attempted_at},
        )
    )


def save_item(connection: Connection, result: ItemResult) -> bool:
    """Write the outcome of a call; False if an answer is there already, which stays."""
    values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    values["answer_text"] = storable(values.pop("text"))
    values["answered_model"] = storable(result.answered_model)
    values["system_fingerprint"] = storable(result.system_fingerprint)
    statement = insert_into(connection, item_results).values(values | {"attempts": 1, "attempted_at": result.at})
    keys = {"run_id", "item_id", "repetition"}
    written = connection.execute(
        statement.on_conflict_do_update(
            index_elements=sorted(keys),
            set_={name: statement.excluded[name] for name in values if name not in keys},
            where=or_(item_results.c.outcome.is_(None), item_results.c.outcome.in_(_RETRIED)),
        ).returning(item_results.c.item_id)
    )
    return written.first() is not None


def finish_run(
    connection: Connection,
    run_id: str,
    status: RunStatus,
    score_points: float | None,
    parseable: int | None,
    finished_at: float,
    flags: Sequence[str] = (),
) -> None:
    """Close the run with its result; score_points is None where the run is not valid."""
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            status=status,
            score_points=score_points,
            parseable=parseable,
            finished_at=finished_at,
            flags=list(flags),
        )
    )


def run_by_id(connection: Connection, run_id: str) -> Run | None:
    """The run, or None."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    return None if row is None else _run(values_of(row))


def runs_of(connection: Connection, deployment: str | None, limit: int) -> list[Run]:
    """Runs, newest first."""
    statement = select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)
    if deployment is not None:
        statement = statement.where(runs.c.deployment == deployment)
    return [_run(values_of(row)) for row in connection.execute(statement)]


def unfinished_run(connection: Connection, deployment: str, protocol_key: str, model: str) -> Run | None:
    """The newest run that can be resumed under the same protocol, or None."""
    row = connection.execute(
        select(runs)
        .where(
            runs.c.deployment == deployment,
            runs.c.protocol_key == protocol_key,
            runs.c.model == storable(model),
            runs.c.status.in_(("running", "stopped")),
        )
        .order_by(runs.c.started_at.desc(), runs.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _run(values_of(row))


def results_of(connection: Connection, run_id: str) -> list[ItemResult]:
    """Every outcome of the run, by repetition, then item id; calls without an outcome are not in here."""
    rows = connection.execute(
        select(item_results)
        .where(item_results.c.run_id == run_id, item_results.c.outcome.is_not(None))
        .order_by(item_results.c.repetition, item_results.c.item_id)
    )
    return [_result(values_of(row)) for row in rows]


def item_history(connection: Connection, deployment: str, item_id: str, limit: int) -> list[ItemResult]:
    """Outcomes of one item over all runs of a deployment, newest first."""
    rows = connection.execute(
        select(item_results)
        .join(runs)
        .where(
            runs.c.deployment == deployment,
            item_results.c.item_id == item_id,
            item_results.c.outcome.is_not(None),
        )
        .order_by(item_results.c.at.desc(), item_results.c.run_id, item_results.c.repetition)
        .limit(limit)
    )
    return [_result(values_of(row)) for row in rows]


def item_answers(connection: Connection, item_set: str, item_id: str, limit: int) -> list[tuple[Run, ItemResult]]:
    """Outcomes of one item of a set over all deployments, with the runs that asked, newest first.

    An id means an item only together with its set: official sets count from 1, all of them.
    """
    rows = connection.execute(
        select(item_results, runs)
        .join(runs)
        .where(
            # The protocol's key begins with the set's name (records.benchmark.Protocol).
            runs.c.protocol_key.startswith(f"{item_set}|", autoescape=True),
            item_results.c.item_id == item_id,
            item_results.c.outcome.is_not(None),
        )
        .order_by(item_results.c.at.desc(), item_results.c.run_id, item_results.c.repetition)
        .limit(limit)
    )
    found = [values_of(row) for row in rows]
    return [(_run(values), _result(values)) for values in found]


def _unanswered(run_id: str, item_id: str, repetition: int) -> dict[str, object]:
    return {
        "run_id": run_id,
        "item_id": item_id,
        "repetition": repetition,
        "outcome": None,
        "reason": "",
        "answer": {},
        "answer_text": "",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "reasoning_tokens": 0,
        "latency_seconds": 0.0,
        "answered_model": "",
        "system_fingerprint": "",
        "at": 0.0,
    }


def _run(values: Mapping[str, Any]) -> Run:
    names = {field.name for field in dataclasses.fields(Run)}
    given = {name: value for name, value in values.items() if name in names}
    given |= {"protocol": Protocol(**values["protocol"]), "item_ids": tuple(values["item_ids"])}
    given["flags"] = tuple(values["flags"])
    return Run(**given)


def _result(values: Mapping[str, Any]) -> ItemResult:
    names = {field.name for field in dataclasses.fields(ItemResult)}
    given = {name: value for name, value in values.items() if name in names}
    return ItemResult(**given, text=values["answer_text"])

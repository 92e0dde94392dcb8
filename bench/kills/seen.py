"""What an observer saw in the store, and whether all of it is still there, unchanged."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import URL, ColumnElement, Table, create_engine, func, make_url, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from middleware.store.schema import baselines, events, item_results, probes, runs

__all__ = ["Seen", "answers_in"]

# Outcomes that say nothing about a model are asked again, so they are no results yet.
_FINAL = ("scored", "unparseable", "refused", "truncated")
_ACKNOWLEDGED: dict[Table, ColumnElement[bool]] = {
    item_results: item_results.c.outcome.in_(_FINAL),
    runs: runs.c.status == "finished",
    probes: probes.c.outcome == "scored",
    events: events.c.id > 0,
    baselines: baselines.c.id > 0,
}
# A baseline can be accepted later on. An item's attempts and a run's end may be written once more by who resumes it.
_CHANGING = {"accepted_at", "reference", "attempts", "attempted_at", "finished_at"}

Key = tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """Every row that was ever seen as acknowledged, by table and primary key. url: of the store; it is only read."""

    url: str
    rows: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def look(self) -> list[str]:
        """Take in what is there now; what was there before and is gone or different, in words."""
        found = self._found()
        problems = [
            f"{' '.join(key)}: {'lost' if key not in found else 'changed'}"
            for key, row in self.rows.items()
            if found.get(key) != row
        ]
        self.rows |= found
        return problems

    def count(self, table: Table) -> int:
        """Rows of a table that were seen."""
        return sum(1 for key in self.rows if key[0] == table.name)

    def _found(self) -> dict[Key, dict[str, Any]]:
        engine = create_engine(_read_only(self.url))
        try:
            with engine.connect() as connection:
                found = {}
                for table, acknowledged in _ACKNOWLEDGED.items():
                    for row in connection.execute(select(table).where(acknowledged)).mappings():
                        key = (table.name, *(str(row[column.name]) for column in table.primary_key))
                        found[key] = {str(name): row[name] for name in row if name not in _CHANGING}
                return found
        finally:
            engine.dispose()


def answers_in(url: str) -> int:
    """Acknowledged answers in the store; none before it has its tables."""
    engine = create_engine(_read_only(url))
    try:
        with engine.connect() as connection:
            counted = select(func.count()).select_from(item_results).where(_ACKNOWLEDGED[item_results])
            return int(connection.execute(counted).scalar_one())
    except (OperationalError, ProgrammingError):
        return 0
    finally:
        engine.dispose()


def _read_only(url: str) -> URL:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return parsed
    return parsed.set(database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"})

"""What the statements of all tables share: the upsert of each dialect, and text that every database takes."""

from typing import Any

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_into", "storable", "values_of"]


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT with ON CONFLICT. Ask for RETURNING to learn whether a row was written: rowcount can be -1."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def storable(text: str) -> str:
    """The text without NUL (PostgreSQL refuses it) and lone surrogates (no UTF-8), each replaced by U+FFFD or '?'."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def values_of(row: Row[*tuple[Any, ...]]) -> dict[str, Any]:
    """The row by column name."""
    return {str(name): value for name, value in row._asdict().items()}

"""Stores to test: a SQLite file always, and a real PostgreSQL server."""

from collections.abc import Iterator

import pytest

from middleware.store import Store


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that many writers at once do not reach, however slow the disk is."""
    monkeypatch.setattr("middleware.store.engine.BUSY_SECONDS", 60.0)
    monkeypatch.setattr("middleware.store.engine.STATEMENT_SECONDS", 120.0)


@pytest.fixture
def store(store_url: str, patient: None) -> Iterator[Store]:
    """An open store."""
    opened = Store(store_url, clock=lambda: 1_800_000_000.0)
    opened.open()
    yield opened
    opened.close()

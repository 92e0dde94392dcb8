"""Stores to test: a SQLite file always, and a real PostgreSQL server."""

from collections.abc import Iterator

import pytest

from middleware.store import Store


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store."""
    opened = Store(store_url, clock=lambda: 1_800_000_000.0)
    opened.open()
    yield opened
    opened.close()

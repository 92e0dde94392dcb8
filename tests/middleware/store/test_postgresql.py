"""Faults of a PostgreSQL server: lost connections, a frozen one, a wrong address."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest
from sqlalchemy import create_engine, text

from middleware.errors import StoreUnavailable
from middleware.store import Store


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Store]:
    """An open store on an empty schema."""
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    store = Store(postgresql_url)
    store.open()
    yield store
    store.close()


def test_connections_that_the_server_dropped_are_replaced(postgresql: Store, postgresql_url: str) -> None:
    """As after a restart of the server: the next call works."""
    postgresql.save_state("x", {"n": 1})
    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        connection.execute(
            # With a time the server tells it once they are gone.
            text("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'eqwatch'")
        )
    engine.dispose()
    assert postgresql.load_state("x") == {"n": 1}


def test_a_frozen_server_is_unavailable_in_bounded_time_and_comes_back(
    postgresql: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one statement is stuck, and nothing that failed is half written."""
    postgresql.save_state("x", {"n": 1})
    engine = create_engine(postgresql_url)
    with engine.connect() as kept:
        backend = psutil.Process(kept.execute(text("SELECT pg_backend_pid()")).scalar_one())
        parent = backend.parent()
        assert parent is not None
        with ExitStack() as thaw, monkeypatch.context() as impatient:
            stopped(parent, thaw)
            for process in parent.children():  # whose parent begins no other ones any more
                with suppress(psutil.NoSuchProcess):  # the end of a connection that was closed before
                    stopped(process, thaw)
            impatient.setattr("middleware.store.engine.BUSY_SECONDS", 0.2)
            impatient.setattr("middleware.store.engine.STATEMENT_SECONDS", 0.2)
            with pytest.raises(StoreUnavailable) as caught:
                postgresql.save_state("x", {"n": 2})
            assert caught.value.reason in ("connection", "timeout")
    engine.dispose()
    assert postgresql.load_state("x") == {"n": 1}
    postgresql.save_state("x", {"n": 3})
    assert postgresql.load_state("x") == {"n": 3}


def stopped(process: psutil.Process, thaw: ExitStack) -> None:
    process.send_signal(signal.SIGSTOP)
    thaw.callback(process.send_signal, signal.SIGCONT)


def test_a_server_that_freezes_in_mid_transaction_fails_the_transaction(
    postgresql: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of the client's side ends a wait that has already begun."""

    def frozen_statement() -> None:
        with postgresql._writing() as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with ExitStack() as thaw:
                with suppress(psutil.NoSuchProcess):  # where the time was up before this line
                    stopped(psutil.Process(backend), thaw)
                connection.execute(text("SELECT 1"))

    with monkeypatch.context() as impatient:
        impatient.setattr("middleware.store.engine.STATEMENT_SECONDS", 0.2)
        with pytest.raises(StoreUnavailable) as caught:
            frozen_statement()
    assert caught.value.reason == "connection"
    assert postgresql.load_state("x") is None


def test_an_address_where_no_server_is_is_unavailable() -> None:
    """The message holds no password."""
    with pytest.raises(StoreUnavailable) as caught:
        Store("postgresql://me:hunter2@127.0.0.1:1/none").open()
    assert caught.value.reason == "connection"
    assert "hunter2" not in str(caught.value)

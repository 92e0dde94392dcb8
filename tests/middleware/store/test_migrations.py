"""The migrations that ship make the tables that the code uses."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from middleware.errors import StoreUnavailable
from middleware.store import Store
from middleware.store.schema import metadata


def test_migrations_and_tables_are_equal(store_url: str) -> None:
    """Alembic finds nothing to change, by name, type, key or index."""
    store = Store(store_url)
    store.open()
    store.close()
    engine = create_engine(store_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert {table for table in inspect(connection).get_table_names() if table != "alembic_version"} == set(
            metadata.tables
        )
    engine.dispose()


def test_opening_again_changes_nothing(store_url: str) -> None:
    """The second open reports the same revision and sets nothing aside."""
    first, second = Store(store_url), Store(store_url)
    before = first.open()
    first.save_state("kept", {"n": 1})
    assert second.open() == before
    assert second.load_state("kept") == {"n": 1}
    first.close()
    second.close()


def test_a_store_of_a_newer_release_is_refused(store_url: str) -> None:
    """It is neither changed nor taken for a corrupt one."""
    store = Store(store_url)
    store.open()
    store.close()
    engine = create_engine(store_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="another release") as caught:
        store.open()
    assert caught.value.reason == "schema"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


def test_no_column_can_hold_a_conversation() -> None:
    """Free text exists only as the answer to a benchmark item."""
    probes = set(metadata.tables["probes"].columns.keys())
    assert not probes & {"text", "prompt", "reply", "message", "messages", "transcript"}
    wide = [str(column) for table in metadata.tables.values() for column in table.columns if "text" in column.name]
    assert wide == ["item_results.answer_text"]

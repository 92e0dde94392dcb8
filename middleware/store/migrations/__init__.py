"""Alembic migrations, run by ``Store.open``. Nothing is generated at run time."""

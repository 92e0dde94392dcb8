"""The SQLite file itself: created for its owner only, checked when opened, set aside (never overwritten) if corrupt."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["is_corrupt", "prepare", "set_aside"]

_SIDE_FILES = ("", "-wal", "-shm")
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def prepare(path: Path) -> None:
    """Create the file where it is missing; it is readable and writable by its owner only (0600)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def is_corrupt(path: Path) -> bool:
    """Whether SQLite says that the file is no database or a damaged one; raises sqlite3.Error for other failures."""
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return bool(verdict != "ok")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _CORRUPT:
            return True
        raise


def set_aside(path: Path, now: float) -> Path:
    """Rename the database and its side files; returns the new name, which did not exist before."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    for suffix in _SIDE_FILES:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    return target

"""The one place where errors of SQLAlchemy, the drivers and the file system become `StoreUnavailable`.

Integrity and data errors are defects of the caller and pass through as they are.
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from middleware.errors import StoreUnavailable

__all__ = ["mapped"]

# Primary result codes, https://www.sqlite.org/rescode.html
_SQLITE = {
    sqlite3.SQLITE_ERROR: "schema",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_INTERRUPT: "timeout",
    sqlite3.SQLITE_IOERR: "other",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_CANTOPEN: "connection",
    sqlite3.SQLITE_NOTADB: "corrupt",
}

# SQLSTATE, longest prefix first, https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = (
    ("25006", "read_only"),
    ("40001", "locked"),
    ("40P01", "locked"),
    ("42P01", "schema"),
    ("42703", "schema"),
    ("53100", "disk_full"),
    ("55P03", "locked"),
    ("57014", "timeout"),
    ("08", "connection"),
    ("28", "connection"),
    ("3D", "connection"),
    ("53", "other"),
    ("57P", "connection"),
    ("58", "other"),
    ("XX", "corrupt"),
)

_ERRNO = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
}


@contextmanager
def mapped() -> Iterator[None]:
    """Raise StoreUnavailable with a reason for every failure of the store itself."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("no connection to the store became free in time", reason="timeout") from error
    except CommandError as error:
        raise StoreUnavailable(
            f"the store was written by another release ({error}); run that release or choose another store",
            reason="schema",
        ) from error
    except DBAPIError as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise StoreUnavailable(f"the store failed: {error.orig}".rstrip(), reason=reason) from error
    except sqlite3.Error as error:  # of the check that is made before SQLAlchemy opens the file
        reason = _sqlite_reason(error) or "other"
        raise StoreUnavailable(f"the store's file can't be used: {error}", reason=reason) from error
    except OSError as error:
        raise StoreUnavailable(
            f"the store's directory can't be used: {error}", reason=_ERRNO.get(error.errno or 0, "other")
        ) from error


def _reason(error: DBAPIError) -> str | None:
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_reason(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return next((reason for prefix, reason in _POSTGRESQL if state.startswith(prefix)), None)
    return "connection" if isinstance(error, OperationalError | InterfaceError) else None


def _sqlite_reason(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", None)  # missing where the driver itself complains
    return _SQLITE.get(code & 0xFF) if code is not None else None

"""The one connection, and what SQLite's refusals mean.

WAL with ``synchronous=FULL`` loses no acknowledged save at a power cut (NORMAL does). There is one
connection that writes, on one thread, because SQLite before 3.51.3 can corrupt a WAL that several
write; what only reads (``copying``) may stand beside it.
Transactions are begun by hand: ``BEGIN IMMEDIATE`` for a write, so that it fails at its start
or not at all.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from flowpilot_desktop.core.errors import StepRefused, StoreDamaged, StoreError, StoreFull

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0

PRAGMAS = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    *(
        ("PRAGMA fullfsync = ON", "PRAGMA checkpoint_fullfsync = ON")
        if sys.platform == "darwin"
        else ()
    ),
)

DAMAGED_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_DISK = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


def connect_raw(path: Path) -> sqlite3.Connection:
    """Open the file for reading and writing on this thread, with every pragma set."""
    raw = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        for pragma in PRAGMAS:
            raw.execute(pragma)
    except BaseException:
        raw.close()
        raise
    return raw


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the file so that nothing in it can change."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def connect(path: Path) -> Connection:
    """Open the file as SQLAlchemy's one connection, on this thread."""
    raw = connect_raw(path)
    engine = create_engine(
        "sqlite://", creator=lambda: raw, poolclass=StaticPool, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine.connect()


def raw_of(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection behind SQLAlchemy's."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def disconnect(connection: Connection) -> None:
    """Close the connection and the file; the last one out writes the WAL back."""
    raw = raw_of(connection)
    connection.close()
    connection.engine.dispose()
    raw.close()


def trigger_refused(error: IntegrityError) -> bool:
    """Return whether one of our triggers refused: a change to what never changes."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_CONSTRAINT_TRIGGER


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for what SQLite refuses."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(error.orig if isinstance(error.orig, sqlite3.Error) else None, error) from error
    except sqlite3.Error as error:
        raise _ours(error, error) from error


def _ours(error: sqlite3.Error | None, whole: Exception) -> Exception:
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", "") or type(whole).__name__
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL:
        return StoreFull("There is no room left on the disk for this change.")
    if primary in DAMAGED_CODES:
        return StoreDamaged(
            "A part of the local store can't be read.",
            hint="Nothing was deleted. Restart FlowPilot: it moves the damaged file aside, "
            "restores the newest backup and carries over what can be read.",
        )
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return StepRefused(
            "This card is answered already.",
            hint="Answers never change. Log a correction as a note of your own.",
        )
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"The change contradicts what is stored ({name}): {_plain(error)}")
    if primary in _DISK:
        return StoreError(
            f"The disk did not do what was asked ({name}).",
            hint="Everything saved so far is safe. Check that the disk is there and writable.",
            retryable=True,
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            "Another program is holding the local store.",
            hint="Everything saved so far is safe. Close the other program, then try again.",
            retryable=True,
        )
    return whole


def _plain(error: sqlite3.Error | None) -> str:
    """SQLite's words for a broken constraint, which name tables and columns, never values."""
    return str(error) if error is not None else ""

"""Opening and closing a profile's store; runs on the store's own thread.

The order: lock the profile, look at the file without changing it, move a damaged one aside and
restore, refuse a newer one, connect, migrate. What happened is told by an ``OpenReport``.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.store.connection import (
    connect,
    disconnect,
    raw_of,
    translated,
)
from flowpilot_desktop.store.history import index_stale
from flowpilot_desktop.store.migrating import HEAD, check_not_newer, migrate, revision_of
from flowpilot_desktop.store.profile import ProfileLock, store_path

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenReport:
    """How opening went."""

    created: bool = False
    sqlite_version: str = sqlite3.sqlite_version


class Opened:
    """An open profile: the lock and the one connection."""

    def __init__(
        self, folder: Path, lock: ProfileLock, connection: Connection, report: OpenReport
    ) -> None:
        self.folder = folder
        self.report = report
        self.backup_is_due = False
        self._lock = lock
        self._connection = connection

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Run a question in one consistent view."""
        connection = self._connection.execution_options(writes=False)
        with translated(), connection.begin():
            return ask(connection)

    def search(self, ask: Callable[[Connection], T]) -> T:
        """Run a question to the full-text index, which is brought up to date first."""
        while self.write(index_stale):
            pass
        return self.read(ask)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change in one transaction, which is on disk when this returns."""
        connection = self._connection.execution_options(writes=True)
        with translated(), connection.begin():
            return change(connection)

    def back_up(self) -> None:
        """Copy."""

    def close(self) -> None:
        """Write the WAL back, close the file, let go of the profile."""
        disconnect(self._connection)
        self._lock.release(clean=True)


def open_profile(folder: Path, clock: Clock) -> Opened:
    """Open a profile; raises what ``Store.open`` says."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = ProfileLock(folder)
    try:
        with translated():
            path = store_path(folder)
            created = not path.exists()
            connection = connect(path)
            revision = revision_of(raw_of(connection))
            check_not_newer(revision)
            if revision != HEAD:
                migrate(connection, revision)
    except BaseException:
        lock.release(clean=False)
        raise
    return Opened(folder, lock, connection, OpenReport(created=created))

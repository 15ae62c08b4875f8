"""Opening, using and closing a profile's store; all of it runs on the store's own thread.

The order: lock the profile, finish what a recovery left, look at the file without changing it,
refuse a newer one, recover a damaged one, connect, back up and migrate. What happened is told by
an ``OpenReport``. While the store is in use, disk trouble is met here: room is given back when the
disk is full, and a file that turns out damaged is marked for the next start to recover.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flowpilot_desktop.core.errors import StoreDamaged, StoreError, StoreFull
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.private_folder import make_private
from flowpilot_desktop.store.backups import EVERY, Backups
from flowpilot_desktop.store.connection import (
    connect,
    connect_read_only,
    disconnect,
    raw_of,
    translated,
)
from flowpilot_desktop.store.copying import Copying
from flowpilot_desktop.store.history import index_stale
from flowpilot_desktop.store.migrating import HEAD, check_not_newer, migrate, revision_of
from flowpilot_desktop.store.profile import (
    LOW_SPACE,
    Ballast,
    ProfileLock,
    free_space,
    store_path,
)
from flowpilot_desktop.store.recovery import Recovery, begin, damage, finish, recover

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenReport:
    """How opening went. ``migrated_from`` is a revision, or empty; ``free_bytes`` is the disk's."""

    created: bool = False
    ended_clean: bool = True
    migrated_from: str = ""
    recovery: Recovery | None = None
    free_bytes: int = 0
    sqlite_version: str = sqlite3.sqlite_version

    @property
    def space_is_low(self) -> bool:
        """Whether the disk is nearly full."""
        return self.free_bytes < LOW_SPACE

    @property
    def words(self) -> str:
        """What the technician should know; empty when all is as it should be."""
        said = [self.recovery.words] if self.recovery is not None else []
        if self.space_is_low:
            said.append(
                f"Only {self.free_bytes / 1e6:.0f} MB are free on the disk. Free some space: when "
                "it is full, nothing more can be saved."
            )
        return " ".join(said)


class Opened:
    """An open profile: the lock, the one connection, and care for the disk."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        lock: ProfileLock,
        connection: Connection,
        report: OpenReport,
    ) -> None:
        self.folder = folder
        self.report = report
        self._clock = clock
        self._lock = lock
        self._connection = connection
        self._backups = Backups(folder / "backups")
        self.copying = Copying(folder, self._backups)
        self._ballast = Ballast(folder)
        self._is_sound = True
        self._next_care: datetime | None = None

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Run a question in one consistent view."""
        connection = self._connection.execution_options(writes=False)
        return self._told(lambda: _in_transaction(connection, ask))

    def search(self, ask: Callable[[Connection], T]) -> T:
        """Run a question to the full-text index, which is brought up to date first."""
        try:
            while self.write(index_stale):
                pass
        except StoreFull:
            log.warning("The disk is full: the latest words can't be searched for yet")
        return self.read(ask)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run a change in one transaction, which is on disk when this returns.

        On a full disk the ballast is given back and the change is tried once more.
        """
        connection = self._connection.execution_options(writes=True)

        def attempt() -> T:
            return _in_transaction(connection, change)

        try:
            return self._told(attempt)
        except StoreFull:
            if not self._ballast.release():
                raise
            log.warning("The disk is full; the kept room was given back")
            return self._told(attempt)

    def needs_care(self) -> bool:
        """Return whether an hour has gone by since the last backup; asked after each write."""
        return self._next_care is None or self._clock.now() >= self._next_care

    def care(self) -> None:
        """Keep some room, and let the file be checked and copied beside whoever saves."""
        now = self._clock.now()
        # Whatever comes of it, the next attempt is an hour away.
        self._next_care = now + EVERY
        try:
            self._ballast.fill()
            if not self._backups.are_due(now):
                return
            if free_space(self.folder) < store_path(self.folder).stat().st_size + LOW_SPACE:
                log.warning("The disk is nearly full, so no backup is made")
                return
            self.copying.begin(now)
        except OSError as error:
            log.warning("The backup failed: %s", error)

    def close(self) -> None:
        """Write the WAL back, close the file, let go of the profile."""
        self.copying.end()
        try:
            disconnect(self._connection)
        except sqlite3.Error as error:
            self._is_sound = False
            log.warning("The store could not be closed cleanly: %s", error)
        finally:
            self._lock.release(clean=self._is_sound and not self.copying.found_damage)

    def _told(self, attempt: Callable[[], T]) -> T:
        try:
            with translated():
                return attempt()
        except StoreDamaged:
            self._is_sound = False
            raise


def _in_transaction(connection: Connection, call: Callable[[Connection], T]) -> T:
    with connection.begin():
        return call(connection)


def open_profile(folder: Path, clock: Clock) -> Opened:
    """Open a profile; raises what ``Store.open`` says."""
    try:
        make_private(folder)
        lock = ProfileLock(folder)
    except OSError as error:
        raise StoreError(
            f"The profile's folder {folder} can't be used ({error.strerror}).",
            hint="Check that it exists and that you may write to it.",
        ) from error
    try:
        return _open_locked(folder, clock, lock)
    except OSError as error:
        lock.release(clean=not lock.was_left_open)
        raise StoreError(
            f"The local store can't be opened ({error.strerror}).",
            hint="Everything saved so far is safe. Check that the disk has room and is writable.",
            retryable=True,
        ) from error
    except BaseException:
        lock.release(clean=not lock.was_left_open)
        raise


def _open_locked(folder: Path, clock: Clock, lock: ProfileLock) -> Opened:
    with translated():
        try:
            connection, report = _prepared(folder, clock, lock)
        except (OSError, sqlite3.Error, DBAPIError):
            # Without room, SQLite can't even lay its side files beside the store.
            if free_space(folder) > Ballast.SIZE or not Ballast(folder).release():
                raise
            connection, report = _prepared(folder, clock, lock)
    log.info("The store is open, SQLite %s", report.sqlite_version)
    report = replace(report, free_bytes=free_space(folder), ended_clean=not lock.was_left_open)
    if report.words:
        log.warning("%s", report.words)
    return Opened(folder, clock, lock, connection, report)


def _prepared(folder: Path, clock: Clock, lock: ProfileLock) -> tuple[Connection, OpenReport]:
    path, backups = store_path(folder), Backups(folder / "backups")
    report = OpenReport()
    if path.with_name(f"{path.name}.ready").exists():
        log.warning("A recovery was interrupted and is finished now")
        finish(path, clock.now())
    if path.exists():
        fault = damage(path, was_left_open=lock.was_left_open)
        if fault:
            _refuse_newer(path)
            report = replace(report, recovery=recover(path, backups, fault, clock.now()))
    elif backups.all():
        fault = "its file was gone"
        report = replace(report, recovery=recover(path, backups, fault, clock.now()))
    else:
        new = path.with_name(f"{path.name}.new")
        begin(new)
        new.replace(path)
        report = replace(report, created=True)
    with closing(connect_read_only(path)) as raw:
        revision = revision_of(raw)
    check_not_newer(revision)
    connection = connect(path)
    try:
        if revision != HEAD:
            backups.take(raw_of(connection), clock.now(), before=HEAD)
            _brought_up(connection, revision)
            report = replace(report, migrated_from=revision)
    except BaseException:
        disconnect(connection)
        raise
    return connection, report


def _brought_up(connection: Connection, revision: str) -> None:
    """Migrate; a store that something in it keeps from being migrated stays as it was."""
    try:
        migrate(connection, revision)
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT):
            raise  # the disk's own trouble is told elsewhere
        log.exception("The store could not be migrated from %s", revision)
        raise StoreError(
            f"The local store could not be brought from revision {revision} to {HEAD}.",
            hint="Nothing in it was changed, and a copy lies in the profile's folder “backups”. "
            "Go on with the FlowPilot you had, and send the log to support.",
        ) from error


def _refuse_newer(path: Path) -> None:
    """Leave a store alone that a newer FlowPilot wrote, even a damaged one."""
    try:
        with closing(connect_read_only(path)) as raw:
            revision = revision_of(raw)
    except sqlite3.DatabaseError:
        return
    check_not_newer(revision)

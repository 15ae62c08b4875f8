"""Copies of the store: hourly while it is in use, and before anything that can't be undone.

Of the copies, the newest of each of the last 8 hours and of each of the last 7 days that have one
are kept, and the last 3 that were made before a migration. Names carry a running number, so that a
clock that was wrong for a while does not decide which copy is the newest.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Hashable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flowpilot_desktop.store.connection import connect_read_only
from flowpilot_desktop.store.migrating import HEAD, revision_of

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
HOURS_KEPT = 8
DAYS_KEPT = 7
BEFORE_MIGRATION_KEPT = 3

_PIECE = 256
"""Pages that are copied at a time: a megabyte."""
_PIECES_A_SYNC = 8

_STAMP = "%Y-%m-%dT%H%M%SZ"
_NAME = re.compile(r"(\d{6,})-(\d{4}-\d\d-\d\dT\d{6}Z)(-before-\d{4})?\.db")


@dataclass(frozen=True, slots=True)
class Backup:
    """One copy. ``before`` is the revision that it was made before, else empty."""

    path: Path
    number: int
    taken_at: datetime
    before: str = ""


class Backups:
    """The copies of one profile, the newest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Backup]:
        """Return every copy, the newest first."""
        found = []
        for path in self._folder.glob("*.db"):
            name = _NAME.fullmatch(path.name)
            if name:
                taken_at = datetime.strptime(name[2], _STAMP).replace(tzinfo=UTC)
                before = (name[3] or "").removeprefix("-before-")
                found.append(Backup(path, int(name[1]), taken_at, before))
        return sorted(found, key=lambda backup: backup.number, reverse=True)

    def are_due(self, now: datetime) -> bool:
        """Return whether the newest copy is an hour old, or from a clock that went wrong."""
        newest = next(iter(self.all()), None)
        return newest is None or abs(now - newest.taken_at) >= EVERY

    def take(
        self,
        raw: sqlite3.Connection,
        now: datetime,
        *,
        before: str = "",
        between: Callable[[], None] | None = None,
    ) -> Backup:
        """Copy the store as it is now, then drop copies that are no longer kept.

        With ``between`` it is copied in pieces: it is called after each, may wait, and ends the
        copy by raising.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for unfinished in self._folder.glob("*.part"):
            unfinished.unlink()
        number = max((backup.number for backup in self.all()), default=0) + 1
        ending = f"-before-{before}" if before else ""
        path = self._folder / f"{number:06}-{now.astimezone(UTC):{_STAMP}}{ending}.db"
        part = path.with_suffix(".part")
        try:
            _copy(raw, part, between)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        synced(part)
        part.replace(path)
        synced(self._folder)
        self._prune()
        return Backup(path, number, now, before)

    def newest_good(self) -> Backup | None:
        """Return the newest copy that is sound and that this FlowPilot can read."""
        return next((backup for backup in self.all() if _is_good(backup.path)), None)

    def _prune(self) -> None:
        backups = self.all()
        regular = [backup for backup in backups if not backup.before]
        kept = {
            *_newest_of_each(regular, lambda at: (at.date(), at.hour), HOURS_KEPT),
            *_newest_of_each(regular, lambda at: at.date(), DAYS_KEPT),
            *[backup for backup in backups if backup.before][:BEFORE_MIGRATION_KEPT],
        }
        for backup in backups:
            if backup not in kept:
                backup.path.unlink()


def _copy(raw: sqlite3.Connection, part: Path, between: Callable[[], None] | None) -> None:
    # To sync with, and closed after SQLite's own, whose locks a close would drop.
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    pieces = itertools.count(1)

    def piece(_status: int, _remaining: int, _total: int) -> None:
        if between is not None:
            if next(pieces) % _PIECES_A_SYNC == 0:  # all at once would hold up every other sync
                os.fsync(descriptor)
            between()

    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            # It is no copy before it is synced and named, so a journal guards nothing.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")
            raw.backup(copy, pages=-1 if between is None else _PIECE, progress=piece)
            # One file that needs no WAL beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        os.close(descriptor)


def _newest_of_each(
    backups: Iterable[Backup], span: Callable[[datetime], Hashable], count: int
) -> list[Backup]:
    newest: dict[Hashable, Backup] = {}
    for backup in backups:
        newest.setdefault(span(backup.taken_at), backup)
    return list(newest.values())[:count]


def _is_good(path: Path) -> bool:
    try:
        raw = connect_read_only(path)
        try:
            return (
                raw.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
                and "" < revision_of(raw) <= HEAD
            )
        finally:
            raw.close()
    except sqlite3.Error as error:
        log.warning("The backup %s can't be used: %s", path.name, error)
        return False


def synced(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return  # Windows keeps the names itself
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

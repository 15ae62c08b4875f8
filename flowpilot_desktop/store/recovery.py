"""A store that can't be read: what of it can, put into the newest good backup.

Nothing is deleted and nothing is changed in the damaged files; they are moved aside together when
the new store is complete. The order survives a crash at any point: the new store is built under
another name, gets the name ``.ready`` when it is whole, then the damaged files move, then it takes
their place; a start that finds ``.ready`` does the rest.

Rows are read forwards up to the first page that fails, backwards down to the last, and one by one
in between. Each is checked by making its record. What is certain to be missing is told.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite as sqlite_dialect

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.session import Intake, Session, SessionStatus
from flowpilot_desktop.store import tables as t
from flowpilot_desktop.store.backups import Backup, Backups, synced
from flowpilot_desktop.store.connection import (
    DAMAGED_CODES,
    connect,
    connect_raw,
    connect_read_only,
    disconnect,
    raw_of,
)
from flowpilot_desktop.store.documents import from_micros
from flowpilot_desktop.store.migrating import HEAD, migrate, revision_of
from flowpilot_desktop.store.profile import SIDE_FILES, damaged_folder, with_side_files

log = logging.getLogger(__name__)

RECOVERED_SUMMARY = "Recovered session: its beginning could not be read"

_HEADER = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_INTERIOR_PAGE = 5
_PROBES = 50_000
_CLEAN_MISSES = 2_000
"""Row numbers in a row that nobody has, after which nothing more is expected."""

_REPLACED_WHOLE = ("drafts", "ticket_contexts", "psa_connections", "member_mappings", "remembered")
"""Tables whose rows are deleted in ordinary use: when read whole, the damaged one is the truth."""

_OF_SESSIONS = ("steps", "segments", "push_items")
"""Tables that are worth a session of their own: they say who worked, and when."""

# What the backup calls unsent may have been sent since, where the row that would say so is lost: a
# push is looked for first, and an operation of the queue counts as tried.
_DOUBTS = {
    "push_items": (
        "UPDATE push_items SET state = 'unclear', watermark = coalesce(watermark, 0), "
        "next_try_at = NULL, warning = 'Restored from a backup; it may have been sent already.' "
        "WHERE state IN ('pending', 'sending') AND id NOT IN (SELECT value FROM json_each(?))"
    ),
    "queue_operations": (
        "UPDATE queue_operations SET tries = max(tries, 1) "
        "WHERE state = 'waiting' AND id NOT IN (SELECT value FROM json_each(?))"
    ),
}
_NAMED = {
    "psa_connections": ("PSA connection",),
    "ticket_contexts": ("ticket",),
    "push_items": ("item of documentation", "items of documentation"),
    "segments": ("stretch of work", "stretches of work"),
    "usage_records": ("record of use", "records of use"),
    "audit_entries": ("entry of the trail", "entries of the trail"),
    "queue_operations": ("message to the team", "messages to the team"),
}
"""What people call what is in a table, where that is not the table's name."""
_NOUNS: dict[str, Any] = {shelf.table.name: shelf for shelf in t.SHELVES.values()}
_DIALECT = sqlite_dialect.dialect()


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a damaged store. Counts are rows by table; ``missing`` ones at least."""

    reason: str
    quarantine: Path | None
    backup: Backup | None
    carried: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    placeholders: int = 0

    @property
    def words(self) -> str:
        """The story for people."""
        said = [f"The local store was damaged: {self.reason}."]
        if self.backup is not None:
            taken = self.backup.taken_at.astimezone()
            said.append(f"The backup of {taken:%d %b %Y, %H:%M} was restored.")
        else:
            said.append("There was no backup yet, so a new store was begun.")
        if any(self.carried.values()):
            said.append(f"Carried over from the damaged file: {_listed(self.carried)}.")
        else:
            said.append("Nothing in the damaged file could be read.")
        if self.missing:
            said.append(f"Could not be read: at least {_listed(self.missing)}.")
        if self.placeholders:
            lost = counted(self.placeholders, "session lost its", "sessions lost their")
            said.append(f"{lost} own record; the steps were kept under “{RECOVERED_SUMMARY}”.")
        if self.quarantine is not None:
            said.append(f"Nothing was deleted: the damaged files are kept in {self.quarantine}.")
        return " ".join(said)


def damage(path: Path, *, was_left_open: bool) -> str:
    """Return what is wrong with a store's file, in words, or an empty string.

    Only looks. After an unclean end every page is read, else the first ones.
    """
    wal = path.with_name(path.name + SIDE_FILES[0])
    has_wal = wal.exists() and wal.stat().st_size > 0
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        return "the file is empty"
    if not header.startswith(_HEADER):
        return "the file does not begin as a database does"
    if not has_wal and path.stat().st_size < _size_by_header(header):
        return "the file was cut short"
    try:
        with closing(connect_read_only(path)) as raw:
            if was_left_open or has_wal:
                verdict = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    log.warning("The quick check said: %s", verdict)
                    return "parts of the file can't be read"
            if not revision_of(raw):
                return "the file holds no version"
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in DAMAGED_CODES:
            raise
        log.warning("The store can't be read: %s", error)
        return "parts of the file can't be read"
    return ""


def _size_by_header(header: bytes) -> int:
    """Return how long the file says it is; 0 when it does not say."""
    if len(header) < _HEADER_BYTES or header[24:28] != header[92:96]:
        return 0
    page = int.from_bytes(header[16:18], "big")
    return int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)


def recover(path: Path, backups: Backups, reason: str, now: datetime) -> Recovery:
    """Put a new store in the place of a damaged or missing one."""
    log.error("The local store is damaged: %s", reason)
    backup = backups.newest_good()
    new = path.with_name(f"{path.name}.new")
    begin(new, backup.path if backup else None)
    carrying = _Carrying(new)
    if path.exists():
        with _readable(path, new) as old:
            carrying.carry(old)
    ready = path.with_name(f"{path.name}.ready")
    new.replace(ready)
    quarantine = finish(path, now)
    return Recovery(
        reason, quarantine, backup, carrying.carried, carrying.missing, carrying.placeholders
    )


def begin(new: Path, copy_of: Path | None = None) -> None:
    """Make a store at the head, empty or from a copy, complete on the disk."""
    for leftover in with_side_files(new):
        leftover.unlink(missing_ok=True)
    if copy_of is not None:
        shutil.copyfile(copy_of, new)
    connection = connect(new)
    try:
        revision = revision_of(raw_of(connection))
        if revision != HEAD:
            migrate(connection, revision)
    finally:
        disconnect(connection)
    synced(new)


def finish(path: Path, now: datetime) -> Path | None:
    """Move damaged files aside and the complete new store into their place; return where to."""
    ready = path.with_name(f"{path.name}.ready")
    aside = None
    for old in with_side_files(path):
        if old.exists():
            aside = aside or damaged_folder(path.parent, now)
            old.replace(aside / old.name)
    ready.replace(path)
    synced(path.parent)
    return aside


class _Carrying:
    """Brings what can be read of a damaged store into a new one, in one transaction."""

    def __init__(self, new: Path) -> None:
        self._new = new
        self.carried: dict[str, int] = {}
        self.missing: dict[str, int] = {}
        self.placeholders = 0

    def carry(self, old: sqlite3.Connection | None) -> None:
        if old is None:
            return
        with closing(connect_raw(self._new)) as new:
            new.execute("PRAGMA foreign_keys = OFF")
            new.execute("BEGIN IMMEDIATE")
            for table in (*(shelf.table for shelf in t.SHELVES.values()), t.remembered):
                self._carry_table(old, new, table)
            self._keep_orphans(new)
            new.execute("COMMIT")

    def _carry_table(self, old: sqlite3.Connection, new: sqlite3.Connection, table: Table) -> None:
        names = [name for name in _columns(old, table.name) if name in table.c]
        if not names:
            return
        if "number" in table.primary_key.columns:
            names = [name for name in names if name != "number"]  # the new store gives its own
        rows = _Rows(old, table.name, names)
        insert = _upsert(table, names)
        if table.name in _REPLACED_WHOLE:
            good = [row for row in rows if _is_sound(table, names, row)]
            if not rows.unreadable and len(good) == rows.read:
                new.execute(f"DELETE FROM {table.name}")  # noqa: S608 - a table of ours
        else:
            good = (row for row in rows if _is_sound(table, names, row))  # type: ignore[assignment]  # read once
        carried: list[Any] = []
        for row in good:
            with suppress(sqlite3.IntegrityError):  # an answered step that the backup has already
                new.execute(insert, row)
                carried.append(row[0])
        self.carried[table.name] = len(carried)
        lost = rows.unreadable + rows.read - len(carried)
        if lost:
            self.missing[table.name] = lost
        if lost and table.name in _DOUBTS:
            new.execute(_DOUBTS[table.name], (json.dumps(carried),))

    def _keep_orphans(self, new: sqlite3.Connection) -> None:
        """Give sessions whose own row is lost a new one, so that nothing of them is lost too."""
        orphans = {
            session_id
            for table in _OF_SESSIONS
            for (session_id,) in new.execute(
                f"SELECT DISTINCT session_id FROM {table} "  # noqa: S608 - a table of ours
                "WHERE session_id NOT IN (SELECT id FROM sessions)"
            )
        }
        shelf = t.SHELVES[Session]
        for session_id in sorted(orphans):
            row = {
                name: t.sessions.c[name].type.bind_processor(_DIALECT)
                for name in t.sessions.c.keys()  # noqa: SIM118 - a column collection is no dict
            }
            values = shelf.row(_placeholder(new, session_id))
            bound = {
                name: processor(values[name]) if (processor := row[name]) else values[name]
                for name in values
            }
            new.execute(_upsert(t.sessions, list(bound)), list(bound.values()))
        self.placeholders = len(orphans)
        for table in t.metadata.tables.values():
            if table.name not in _OF_SESSIONS and table.foreign_keys:
                self._drop_orphans(new, table.name)

    def _drop_orphans(self, new: sqlite3.Connection, table: str) -> None:
        """Leave behind what means nothing without its session, and count it as missing."""
        dropped = new.execute(
            f"DELETE FROM {table} "  # noqa: S608 - a table of ours
            "WHERE session_id NOT IN (SELECT id FROM sessions)"
        ).rowcount
        if dropped:
            self.missing[table] = self.missing.get(table, 0) + dropped


def _placeholder(new: sqlite3.Connection, session_id: str) -> Session:
    first, last = new.execute(
        "SELECT min(at), max(at) FROM (SELECT created_at AS at FROM steps WHERE session_id = :id "
        "UNION ALL SELECT started_at FROM segments WHERE session_id = :id "
        "UNION ALL SELECT created_at FROM push_items WHERE session_id = :id)",
        {"id": session_id},
    ).fetchone()
    who = new.execute(
        "SELECT who FROM (SELECT created_by AS who, created_at AS at FROM steps WHERE "
        "session_id = :id UNION ALL SELECT engineer_id, started_at FROM segments WHERE "
        "session_id = :id UNION ALL SELECT engineer_id, created_at FROM push_items WHERE "
        "session_id = :id) ORDER BY at LIMIT 1",
        {"id": session_id},
    ).fetchone()[0]
    return Session(
        session_id,
        who,
        who,
        SessionStatus.PAUSED,
        Intake(),
        from_micros(first),
        from_micros(last),
        problem_summary=RECOVERED_SUMMARY,
        paused_at=from_micros(last),
    )


def _upsert(table: Table, names: list[str]) -> str:
    key = ("key",) if table is t.remembered else _NOUNS[table.name].key
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608 - names of ours
        f"VALUES ({', '.join('?' * len(names))}) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )


def _is_sound(table: Table, names: list[str], row: tuple[Any, ...]) -> bool:
    """Return whether a row's values make a record."""
    shelf = _NOUNS.get(table.name)
    if shelf is None:
        return all(isinstance(value, str) for value in row)
    try:
        values = {}
        for name, value in zip(names, row, strict=True):
            processor = table.c[name].type.result_processor(_DIALECT, None)
            values[name] = processor(value) if processor else value
            if value is None and not table.c[name].nullable:
                return False
        if shelf.together is not None:
            shelf.together(SimpleNamespace(**values))
        else:
            shelf.noun(*(values[name] for name in shelf.names))
    except Exception as error:  # noqa: BLE001 - bytes gone wrong raise whatever they like
        log.debug("A row of %s is no record: %s", table.name, type(error).__name__)
        return False
    return True


def _columns(raw: sqlite3.Connection, table: str) -> list[str]:
    try:
        return [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
    except sqlite3.DatabaseError:
        return []


class _Rows:
    """The rows of a table in a damaged file, as far as they can be read."""

    def __init__(self, raw: sqlite3.Connection, table: str, names: list[str]) -> None:
        self._raw = raw
        self._query = f"SELECT rowid, {', '.join(names)} FROM {table} NOT INDEXED"  # noqa: S608
        self.read = 0
        self.unreadable = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        last = 0
        try:
            for number, *row in self._raw.execute(f"{self._query} ORDER BY rowid"):
                last = number
                self.read += 1
                yield tuple(row)
        except sqlite3.DatabaseError:
            pass
        else:
            return
        behind: list[tuple[Any, ...]] = []
        above: int | None = None
        with suppress(sqlite3.DatabaseError):
            for number, *row in self._raw.execute(f"{self._query} ORDER BY rowid DESC"):
                if number <= last:
                    break
                above = number
                behind.append(tuple(row))
        yield from self._one_by_one(last + 1, above)
        self.read += len(behind)
        yield from reversed(behind)

    def _one_by_one(self, first: int, above: int | None) -> Iterator[tuple[Any, ...]]:
        misses = 0
        for number in range(first, min(above or first + _PROBES, first + _PROBES)):
            try:
                found = self._raw.execute(f"{self._query} WHERE rowid = ?", (number,)).fetchone()
            except sqlite3.DatabaseError:
                self.unreadable += 1
                misses = 0
                continue
            if found is None:
                misses += 1
                if above is None and misses > _CLEAN_MISSES:
                    return
                continue
            misses = 0
            self.read += 1
            yield tuple(found[1:])


class _readable:  # noqa: N801 - a context manager reads like a function
    """Opens a damaged store for reading, with a borrowed schema if its own is lost."""

    def __init__(self, path: Path, sound: Path) -> None:
        self._path = path
        self._sound = sound
        self._scratch = path.with_name(f"{path.name}.scratch")
        self._raw: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection | None:
        self._raw = self._opened(self._path)
        if self._raw is None:
            self._borrow_schema()
            self._raw = self._opened(self._scratch)
        return self._raw

    def __exit__(self, *_: object) -> None:
        if self._raw is not None:
            self._raw.close()
        for leftover in with_side_files(self._scratch):
            leftover.unlink(missing_ok=True)

    def _opened(self, path: Path) -> sqlite3.Connection | None:
        raw = connect_read_only(path)
        try:
            raw.text_factory = lambda stored: stored.decode(errors="replace")
            if raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return raw
        except sqlite3.DatabaseError as error:
            log.info("%s can't be opened: %s", path.name, error)
        raw.close()
        return None

    def _borrow_schema(self) -> None:
        """Copy the damaged file and give it the schema's pages of a store with the same history.

        Tables of such stores begin at the same pages; whatever is read is checked as a record.
        """
        for source, copy in zip(
            with_side_files(self._path), with_side_files(self._scratch), strict=True
        ):
            copy.unlink(missing_ok=True)
            if source.exists() and not source.name.endswith(SIDE_FILES[1]):
                shutil.copyfile(source, copy)
        pages = _schema_pages(self._sound.read_bytes())
        size = len(pages[1])
        first = bytearray(pages[1])
        first[28:32] = (self._path.stat().st_size // size).to_bytes(4, "big")
        first[32:40] = bytes(8)  # no free pages are known
        first[92:96] = first[24:28]
        with self._scratch.open("r+b") as scratch:
            for number, page in {**pages, 1: bytes(first)}.items():
                scratch.seek((number - 1) * size)
                scratch.write(page)


def _schema_pages(store: bytes) -> dict[int, bytes]:
    """Return the pages of the tree that holds the schema, by their numbers.

    The layout is https://www.sqlite.org/fileformat2.html#b_tree_pages.
    """
    size = int.from_bytes(store[16:18], "big")
    found: dict[int, bytes] = {}
    waiting = [1]
    while waiting:
        number = waiting.pop()
        page = store[(number - 1) * size : number * size]
        found[number] = page
        header = _HEADER_BYTES if number == 1 else 0
        if page[header] == _INTERIOR_PAGE:
            cells = int.from_bytes(page[header + 3 : header + 5], "big")
            waiting.append(int.from_bytes(page[header + 8 : header + 12], "big"))
            for place in range(header + 12, header + 12 + 2 * cells, 2):
                cell = int.from_bytes(page[place : place + 2], "big")
                waiting.append(int.from_bytes(page[cell : cell + 4], "big"))
    return found


def _listed(counts: Mapping[str, int]) -> str:
    named = [
        counted(count, *_NAMED.get(table, (table.removesuffix("s").replace("_", " "),)))
        for table, count in counts.items()
        if count and table != "remembered"
    ]
    return ", ".join(named) or "some settings of this profile"

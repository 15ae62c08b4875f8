"""Checking and copying the store beside whoever saves: on another thread, by another connection.

A check reads every page and a copy writes as many; with some hundred megabytes that takes seconds,
and nobody's answer waits for it. The connection only reads, from one view that stays as it was when
it began, so a copy need not begin anew with every save. It is made in pieces, with a pause after
each, and is brought to the disk piece by piece: a save waits for the disk as well.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from flowpilot_desktop.core.errors import FlowPilotError, StoreDamaged, StoreError
from flowpilot_desktop.store.backups import Backups
from flowpilot_desktop.store.connection import connect_read_only, translated
from flowpilot_desktop.store.profile import store_path

log = logging.getLogger(__name__)

_LEAST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1
_LAST_SECONDS = 2.0
_CLOSED = "The local store is closed."


class Copying:
    """The checks and copies of one open store. ``found_damage`` when one of them met any."""

    def __init__(self, folder: Path, backups: Backups) -> None:
        self._folder = folder
        self._backups = backups
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._open: set[sqlite3.Connection] = set()
        self._thread: threading.Thread | None = None
        self.found_damage = False

    def begin(self, now: datetime) -> None:
        """Check the store and copy it, unless that still goes on."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._copy, args=(now,), name="flowpilot-backup", daemon=True
            )
            self._thread.start()

    def wait(self) -> None:
        """Wait until a copy that was begun is made."""
        if self._thread is not None:
            self._thread.join()

    def faults(self) -> tuple[str, ...]:
        """Return what a check of every page finds wrong; raise StoreError when the store closes."""
        try:
            with self._view() as raw:
                return _faults(raw)
        except StoreDamaged as error:
            self.found_damage = True
            return (error.message,)

    def end(self) -> None:
        """Let a copy that is nearly made be made, and stop what goes on; half a copy is none."""
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)
        self._ended.set()
        with self._changed:
            while self._open:
                for raw in self._open:
                    raw.interrupt()
                self._changed.wait(0.05)  # what began between two statements is asked again
        self.wait()

    def _copy(self, now: datetime) -> None:
        try:
            with self._view() as raw:
                if faults := _faults(raw):
                    self.found_damage = True
                    log.error("The local store is damaged, so it is not backed up: %s", faults[0])
                    return
                self._backups.take(raw, now, between=_Pauses(self._ended))
        except StoreDamaged as error:
            self.found_damage = True
            log.error("The local store is damaged, so it is not backed up: %s", error.message)  # noqa: TRY400 - said in words
        except (OSError, sqlite3.Error, FlowPilotError) as error:
            if not self._ended.is_set():
                log.warning("The backup failed: %s", error)

    @contextmanager
    def _view(self) -> Iterator[sqlite3.Connection]:
        """Open the store as it is at this moment; what is saved meanwhile is not in it."""
        with self._changed:
            if self._ended.is_set():
                raise StoreError(_CLOSED)
            with translated():
                raw = connect_read_only(store_path(self._folder))
            self._open.add(raw)
        try:
            with translated():
                raw.execute("PRAGMA cell_size_check = ON")
                raw.execute("BEGIN")
                yield raw
        except sqlite3.OperationalError as error:
            if self._ended.is_set():  # this is how it is told to stop
                raise StoreError(_CLOSED) from error
            raise
        finally:
            with self._changed:
                self._open.discard(raw)
                raw.close()
                self._changed.notify_all()


class _Pauses:
    """Leaves the disk to others for as long as the last piece took; raises when it is to end."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended
        self._began = time.monotonic()

    def __call__(self) -> None:
        """Wait a little."""
        took = time.monotonic() - self._began
        if self._ended.wait(min(max(took, _LEAST_PAUSE), _LONGEST_PAUSE)):
            raise StoreError(_CLOSED)
        self._began = time.monotonic()


def _faults(raw: sqlite3.Connection) -> tuple[str, ...]:
    found = tuple(row[0] for row in raw.execute("PRAGMA quick_check(5)"))
    return () if found == ("ok",) else found

"""A profile's folder: which files are in it, and whose it is while FlowPilot runs.

::

    flowpilot.db  -wal  -shm   the store
    flowpilot.lock             locked by the system while a store is open; holds "open" until a
                               clean end, so that the next start knows how the last one ended
    ballast                    room to give back when the disk is full
    backups/                   copies, see ``backups``
    damaged/<date>/            what was moved aside; nothing here is ever deleted
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from flowpilot_desktop.core.errors import ProfileInUse

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

STORE_NAME = "flowpilot.db"
SIDE_FILES = ("-wal", "-shm")
LOW_SPACE = 200_000_000
"""Free bytes below which the technician is warned."""

_OPEN, _SHUT = b"open", b"shut"
# Windows locks bytes; one far behind the content keeps the content readable.
_LOCKED_BYTE = 4096


def store_path(folder: Path) -> Path:
    """Return where the store of a profile lies."""
    return folder / STORE_NAME


def with_side_files(path: Path) -> tuple[Path, ...]:
    """Return a store's file and the ones that SQLite keeps beside it."""
    return (path, *(path.with_name(path.name + ending) for ending in SIDE_FILES))


def damaged_folder(folder: Path, now: datetime) -> Path:
    """Make and return a new folder for files that are moved aside."""
    stamp = f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}"
    for number in itertools.count(1):
        aside = folder / "damaged" / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            aside.mkdir(parents=True)
        except FileExistsError:
            continue
        return aside
    raise AssertionError


class Ballast:
    """Room on the disk that is given back when it is full, so that SQLite can work at all.

    A full disk refuses even to delete: whoever wants to free space needs some.
    """

    SIZE = 8_000_000

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self) -> None:
        """Take the room, unless it is taken or the disk is low."""
        if self._path.exists() or free_space(self._path.parent) < LOW_SPACE:
            return
        part = self._path.with_suffix(".part")
        piece = os.urandom(self.SIZE // 8)  # zeros would take no room on some disks
        try:
            with part.open("wb") as file:
                for _ in range(8):
                    file.write(piece)
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)

    def release(self) -> bool:
        """Give the room back; return whether there was any."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True


def free_space(folder: Path) -> int:
    """Return the free bytes of the disk that a folder lies on."""
    return shutil.disk_usage(folder).free


class ProfileLock:
    """Holds a profile for this process; the system lets go when the process dies."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(
            folder / "flowpilot.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600
        )
        try:
            self._lock()
        except OSError as error:
            os.close(self._descriptor)
            raise ProfileInUse(f"Another FlowPilot has the profile in {folder} open.") from error
        self.was_left_open = os.read(self._descriptor, len(_OPEN)) == _OPEN
        self._mark(_OPEN)

    def release(self, *, clean: bool) -> None:
        """Let go; ``clean`` tells the next start that nothing needs to be checked."""
        if self._descriptor < 0:
            return
        if clean:
            self._mark(_SHUT)
        os.close(self._descriptor)
        self._descriptor = -1

    def _mark(self, mark: bytes) -> None:
        """Say how things stand, over the old mark: that takes no room on a full disk."""
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, mark)
        except OSError as error:
            # Only the next start's check of every page hangs on it.
            log.warning("The profile's mark could not be written: %s", error.strerror)

    def _lock(self) -> None:
        if sys.platform == "win32":
            os.lseek(self._descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

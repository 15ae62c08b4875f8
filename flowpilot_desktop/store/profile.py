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

import os
import sys
from pathlib import Path

from flowpilot_desktop.core.errors import ProfileInUse

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

STORE_NAME = "flowpilot.db"
SIDE_FILES = ("-wal", "-shm")
_OPEN = b"open"
# Windows locks bytes; one far behind the content keeps the content readable.
_LOCKED_BYTE = 4096


def store_path(folder: Path) -> Path:
    """Return where the store of a profile lies."""
    return folder / STORE_NAME


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
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.was_left_open = os.read(self._descriptor, len(_OPEN)) == _OPEN
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, _OPEN)

    def release(self, *, clean: bool) -> None:
        """Let go; ``clean`` tells the next start that nothing needs to be checked."""
        if self._descriptor < 0:
            return
        if clean:
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def _lock(self) -> None:
        if sys.platform == "win32":
            os.lseek(self._descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

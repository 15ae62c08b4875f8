"""Folders that nobody else on this computer looks into: what customers said is in them."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_MINE_ALONE = 0o700


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can enter, whatever the umask; one that is there, too.

    On Windows the user's local folder is private already. Raises OSError when it can't be made.
    """
    folder.mkdir(_MINE_ALONE, parents=True, exist_ok=True)
    if os.name == "posix":
        with contextlib.suppress(PermissionError):  # somebody else's folder, shared on purpose
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) & _MINE_ALONE)

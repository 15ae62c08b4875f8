"""Nobody else on this computer reads a profile, whatever the umask and whoever made the folder."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.private_folder import make_private
from flowpilot_desktop.diagnostics import start_logging
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.store import Store
from tests.clock import VirtualClock

PRIVATE = 0o700 if sys.platform != "win32" else 0o777


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("_umask")
async def test_a_new_profile_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    log = start_logging(folder / "logs")
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    assert mode(log.parent) == PRIVATE
    await Settings(folder, Events()).change(Settings.engineer_name, "Sam Reyes")
    store = await Store.open(folder, VirtualClock())
    await store.aclose()
    assert mode(folder) == PRIVATE


@pytest.mark.usefixtures("_umask")
def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    folder.chmod(0o755)
    make_private(folder)
    assert mode(folder) == PRIVATE

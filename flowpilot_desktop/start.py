"""The first half second: one instance, the empty window, and only then the rest of the program.

A second start of the same profile raises the first one's window and ends. Otherwise the window is
shown as soon as Qt, the settings and the theme are there. What needs no Qt is imported on a thread
while the window paints and moves; then ``app`` fills it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys

import qasync
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from flowpilot_desktop import assets
from flowpilot_desktop.core.errors import StoreError
from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.diagnostics import note_faults, set_log_level, start_logging
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.ui.instance import raise_first_instance
from flowpilot_desktop.ui.shell import Shell


def run(profile: Profile, *, minimized: bool = False) -> int:
    """Open the window on a profile; return when the technician quits."""
    if os.name == "posix":
        os.umask(0o077)  # what is written here is this user's alone, wherever it is moved to
    QApplication.setDesktopFileName("flowpilot")
    qt = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(qt, QApplication)
    qt.setApplicationName("FlowPilot")
    qt.setWindowIcon(QIcon(str(assets.path("style", "flowpilot.svg"))))
    if raise_first_instance(profile.folder):
        return 0
    # A folder that can't be used is told in the window, when the store is opened on it.
    with contextlib.suppress(OSError):
        start_logging(profile.logs)
        note_faults(profile.logs)
    shell = Shell(qt, profile.folder)
    log_as_chosen(shell.settings, shell.events)
    if not minimized:
        shell.window.show()
    loop = qasync.QEventLoop(qt)
    asyncio.set_event_loop(loop)
    with loop:
        return int(loop.run_until_complete(_fill(qt, profile, shell, minimized=minimized)))


def log_as_chosen(settings: Settings, events: Events) -> None:
    """Log as much as the technician chose, and as they choose from now on."""

    def follow(event: SettingsChanged) -> None:
        if event.key == Settings.log_level.key:
            set_log_level(settings.log_level)

    set_log_level(settings.log_level)
    events.listen(SettingsChanged, follow)


async def agree_on_autostart(settings: Settings) -> None:
    """Let the setting say what the system does: an installer or its removal changes that, too."""
    from flowpilot_desktop.ui import autostart  # noqa: PLC0415 - after the window is on the screen

    if (on := autostart.is_set()) is not settings.start_at_login:
        with contextlib.suppress(StoreError):  # told when the next thing is to be saved
            await settings.change(Settings.start_at_login, on)


async def _fill(qt: QApplication, profile: Profile, shell: Shell, *, minimized: bool) -> int:
    await asyncio.to_thread(importlib.import_module, "flowpilot_desktop.composition")
    await agree_on_autostart(shell.settings)
    from flowpilot_desktop.app import live  # noqa: PLC0415 - after the window is on the screen

    return await live(qt, profile, shell, minimized=minimized)

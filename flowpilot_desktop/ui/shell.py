"""The window before there is anything in it: what a start shows first.

Made of the lightest parts alone (settings, theme, an empty window), so that it is on the screen
before the rest of the program is even imported.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.events import Events
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.ui.window import MainWindow


class Shell:
    """Events, settings, theme, actions and the window of one profile."""

    def __init__(self, qt: QApplication, folder: Path) -> None:
        self.events = Events()
        self.settings = Settings(folder, self.events)
        self.theme = Theme(qt, self.settings.theme.value, self.settings.zoom / 100)
        self.actions = Actions(qt)
        self.window = MainWindow(theme=self.theme, actions=self.actions, folder=folder)

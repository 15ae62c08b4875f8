"""Light or dark, and how large the text is: what the settings say, shown at once."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QKeySequence

from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.settings import Theme as ThemeChoice
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.viewmodels.tasks import Tasks

_ZOOM_STEP = 10


class Appearance(QObject):
    """The look of one window; ``end`` stops following the settings."""

    def __init__(
        self, settings: Settings, theme: Theme, events: Events, tasks: Tasks, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._theme = theme
        self._tasks = tasks
        self.end = events.listen(SettingsChanged, self._settings_changed)

    def register(self, actions: Actions) -> None:
        """Add the commands."""
        add = actions.add
        add("theme.light", "Light theme", self._light, "", "Window")
        add("theme.dark", "Dark theme", self._dark, "", "Window")
        add("theme.system", "Theme like the system", self._like_system, "", "Window")
        larger = add("text.larger", "Larger text", self._larger, "Ctrl++", "Window")
        larger.setShortcuts([QKeySequence("Ctrl++"), QKeySequence("Ctrl+=")])
        add("text.smaller", "Smaller text", self._smaller, "Ctrl+-", "Window")
        add("text.usual", "Usual size of text", self._usual, "Ctrl+0", "Window")

    @Slot()
    def _light(self) -> None:
        self._choose(ThemeChoice.LIGHT)

    @Slot()
    def _dark(self) -> None:
        self._choose(ThemeChoice.DARK)

    @Slot()
    def _like_system(self) -> None:
        self._choose(ThemeChoice.SYSTEM)

    @Slot()
    def _larger(self) -> None:
        self._zoom(self._settings.zoom + _ZOOM_STEP)

    @Slot()
    def _smaller(self) -> None:
        self._zoom(self._settings.zoom - _ZOOM_STEP)

    @Slot()
    def _usual(self) -> None:
        self._zoom(Settings.zoom.default)

    def _choose(self, theme: ThemeChoice) -> None:
        self._tasks.start("change the theme", self._settings.change(Settings.theme, theme))

    def _zoom(self, percent: int) -> None:
        zoom = Settings.zoom
        within = int(min(zoom.most, max(zoom.least, percent)))
        self._tasks.start("change the zoom", self._settings.change(zoom, within))

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key.startswith("appearance."):
            self._theme.show(self._settings.theme.value, self._settings.zoom / 100)

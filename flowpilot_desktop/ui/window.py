"""The main window: navigation, banners, pages, the state of the outside systems.

``MainWindow(theme=…, actions=…, folder=…)`` is made once by the composition root, which then adds
the pages::

    window = MainWindow(theme=theme, actions=Actions(), folder=profile)
    window.add_page("session", SessionPage(viewmodel), icon="sessions", title="Sessions")
    window.add_page("settings", page, icon="settings", title="Settings", at_bottom=True)
    window.show_page("session")

Closing is a coroutine of the application: ``closeEvent`` only tells it by ``close_requested``;
``leave`` is what lets the window go. ``folder`` is where the geometry is kept, or None.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from PySide6.QtCore import QObject, QSettings, Qt, Signal, Slot
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from flowpilot_desktop.core.events import ReachChanged
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.banner import Banners
from flowpilot_desktop.ui.navigation import Navigation, SystemBar
from flowpilot_desktop.ui.palette import CommandPalette, ShortcutList
from flowpilot_desktop.ui.text import copied, displayable
from flowpilot_desktop.ui.theme import Theme

_NARROW_BELOW = 1_100
_TITLE_LIMIT = 120


@runtime_checkable
class TitledPage(Protocol):
    """A page whose title depends on what it shows; it tells by a signal ``retitled(str)``."""

    @property
    def page_title(self) -> str:
        """What the window's title says after "FlowPilot"."""
        ...


class MainWindow(QMainWindow):
    """FlowPilot's window."""

    close_requested = Signal()
    page_changed = Signal(str)
    system_chosen = Signal(str)
    banner_acted = Signal(str)

    def __init__(
        self,
        *,
        theme: Theme,
        actions: Actions,
        folder: Path | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self.actions_register = actions
        self._folder = folder
        self._is_leaving = False
        self._titles: dict[str, str] = {}
        self._pages: dict[str, QWidget] = {}
        self._current = ""
        self.setWindowTitle("FlowPilot")
        self.setMinimumSize(720, 480)
        body = QWidget(self)
        rows = QVBoxLayout(body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        across = QHBoxLayout()
        across.setSpacing(0)
        self.navigation = Navigation(body)
        self.navigation.chosen.connect(self.show_page)
        across.addWidget(self.navigation)
        centre = QVBoxLayout()
        centre.setSpacing(0)
        self.banners = Banners(body)
        self.banners.acted.connect(self.banner_acted)
        self._stack = QStackedWidget(body)
        centre.addWidget(self.banners)
        centre.addWidget(self._stack, 1)
        across.addLayout(centre, 1)
        rows.addLayout(across, 1)
        self.systems = SystemBar(body)
        self.systems.chosen.connect(self.system_chosen)
        rows.addWidget(self.systems)
        self.setCentralWidget(body)
        self.palette_sheet = CommandPalette(actions, body)
        self.shortcut_sheet = ShortcutList(actions, body)
        for action in actions.all:
            self.addAction(action)
        actions.added.connect(self._bind)
        actions.add("palette", "Command palette", self.palette_sheet.open, "Ctrl+K", "Window")
        shortcuts = actions.add(
            "shortcuts", "Keyboard shortcuts", self.shortcut_sheet.open, "F1", "Window"
        )
        shortcuts.setShortcuts([QKeySequence("F1"), QKeySequence("Ctrl+/")])
        theme.changed.connect(self._fit_edges)
        self._restore_geometry()

    # --- pages ---

    def add_page(
        self,
        name: str,
        page: QWidget,
        *,
        icon: str = "",
        title: str,
        shortcut: str = "",
        at_bottom: bool = False,
    ) -> None:
        """Add a page; with an icon it gets a place in the navigation and an action."""
        self._pages[name] = page
        self._titles[name] = title
        self._stack.addWidget(page)
        if isinstance(page, TitledPage):
            page.retitled.connect(self._retitle)  # type: ignore[attr-defined]  # see TitledPage
        if icon:
            self.navigation.add(name, icon, title, at_bottom=at_bottom)
            opener = _PageOpener(self, name)
            self.actions_register.add(f"page.{name}", f"Go to {title}", opener.open, shortcut)
        if not self._current:
            self.show_page(name)

    def page(self, name: str) -> QWidget:
        """Return a page."""
        return self._pages[name]

    @property
    def current_page(self) -> str:
        """The name of the page on the screen."""
        return self._current

    @Slot(str)
    def show_page(self, name: str, *, under: str = "") -> None:
        """Show a page; one without a place in the navigation is marked ``under`` another."""
        page = self._pages[name]
        self._current = name
        self._stack.setCurrentWidget(page)
        self.navigation.show_current(under or name)
        page.setFocus(Qt.FocusReason.OtherFocusReason)
        self._retitle()
        self.page_changed.emit(name)

    def show_count(self, name: str, count: int) -> None:
        """Show how many things on a page want attention, as an amber badge."""
        self.navigation.show_count(name, count)

    def show_reach(self, event: ReachChanged) -> None:
        """Show how an outside system is; fit to listen to ``ReachChanged``."""
        self.systems.show_reach(event)

    @Slot()
    def bring_to_front(self) -> None:
        """Show the window above others, from wherever it is."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def leave(self) -> None:
        """Keep the geometry and close for good."""
        self._is_leaving = True
        self.save_geometry()
        self.close()

    def save_geometry(self) -> None:
        """Keep size and place for the next start."""
        if self._folder is not None:
            self._settings().setValue("geometry", self.saveGeometry())

    # --- Qt's side ---

    def closeEvent(self, event: QCloseEvent) -> None:
        """Let the application decide: to the tray, or out."""
        if self._is_leaving:
            event.accept()
        else:
            event.ignore()
            self.save_geometry()
            self.close_requested.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fold the navigation where it is narrow."""
        super().resizeEvent(event)
        self._fit_edges()

    # --- inside ---

    @Slot()
    def _fit_edges(self) -> None:
        self.navigation.show_narrow(narrow=self.width() < self._theme.px(_NARROW_BELOW))

    @Slot(object)
    def _bind(self, action: QAction) -> None:
        self.addAction(action)

    @Slot()
    def _retitle(self) -> None:
        page = self._pages[self._current]
        words = page.page_title if isinstance(page, TitledPage) else ""
        words = words or self._titles[self._current]
        line = " ".join(copied(displayable(words, _TITLE_LIMIT)).split())
        self.setWindowTitle(f"FlowPilot — {line}" if line else "FlowPilot")

    def _settings(self) -> QSettings:
        assert self._folder is not None
        return QSettings(str(self._folder / "window.ini"), QSettings.Format.IniFormat)

    def _restore_geometry(self) -> None:
        self.resize(self._theme.px(1280), self._theme.px(820))
        if self._folder is not None:
            saved = self._settings().value("geometry")
            if saved is not None:
                self.restoreGeometry(saved)


class _PageOpener(QObject):
    """Opens one page: a bound method for its action."""

    def __init__(self, window: MainWindow, name: str) -> None:
        super().__init__(window)
        self._window = window
        self._name = name

    @Slot()
    def open(self) -> None:
        """Show the page."""
        self._window.show_page(self._name)

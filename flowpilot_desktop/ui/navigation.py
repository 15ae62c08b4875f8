"""The window's edges: the navigation at the left, the outside systems at the bottom."""

from __future__ import annotations

import time

from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from flowpilot_desktop.core.events import Reach, ReachChanged, System
from flowpilot_desktop.ui.controls import Badge, Dot, IconView, with_tone
from flowpilot_desktop.ui.text import ElidedText, PlainText, tip
from flowpilot_desktop.ui.theme import theme

WIDE = 204
NARROW = 60

SYSTEM_WORDS = {System.PSA: "ConnectWise", System.MODEL: "Claude", System.QUEUE: "Team queue"}
_REACH_WORDS = {
    Reach.NOT_SET_UP: "not set up",
    Reach.UNKNOWN: "not tried yet",
    Reach.REACHABLE: "connected",
    Reach.AWAY: "can't be reached",
    Reach.REFUSED: "refused",
}
_REACH_COLOURS = {
    Reach.NOT_SET_UP: "muted",
    Reach.UNKNOWN: "muted",
    Reach.REACHABLE: "green",
    Reach.AWAY: "amber",
    Reach.REFUSED: "red",
}


class NavigationButton(QPushButton):
    """One page: icon, title, badge; only icon and badge when the navigation is narrow."""

    chosen = Signal(str)

    def __init__(self, name: str, icon: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._title = title
        self._count = 0
        self._is_narrow = False
        self.setProperty("variant", "nav")
        self.setCheckable(True)
        self.setAutoDefault(False)
        self.setToolTip(title)
        px = theme().px
        self._row = QHBoxLayout(self)
        self._row.setSpacing(px(10))
        self._icon = IconView(icon, "muted", 18, self)
        self._icon_name = icon
        self._label = PlainText(title, self, wraps=False, selectable=False)
        self._badge = Badge("", "amber", self)
        self._badge.hide()
        self._row.addWidget(self._icon)
        self._row.addWidget(self._label, 1)
        self._row.addWidget(self._badge)
        self.clicked.connect(self._choose)
        self.show_count(0)
        self.show_narrow(narrow=False)

    def show_current(self, *, current: bool) -> None:
        """Show whether this is the page on the screen."""
        self.setChecked(current)
        with_tone(self, "true" if current else "false", "checked")
        with_tone(self._label, "" if current else "muted", "tone")
        self._icon.show_icon(self._icon_name, "text" if current else "muted")

    def show_count(self, count: int) -> None:
        """Show a number that wants attention; 0 shows none."""
        self._count = count
        self._badge.show_text(str(min(count, 99)) + ("+" if count > 99 else ""))  # noqa: PLR2004
        self._badge.setVisible(count > 0)
        self.setAccessibleName(f"{self._title}, {count} waiting" if count else self._title)
        self._place_badge()

    def show_narrow(self, *, narrow: bool) -> None:
        """Show only the icon."""
        self._is_narrow = narrow
        px = theme().px
        self._badge.show_small(small=narrow)
        self._label.setVisible(not narrow)
        side = px(10)
        self._row.setContentsMargins(side, 0, side, 0)
        if narrow:
            self._row.removeWidget(self._badge)
            self._row.setAlignment(self._icon, Qt.AlignmentFlag.AlignHCenter)
        elif self._row.indexOf(self._badge) < 0:
            self._row.addWidget(self._badge)
            self._row.setAlignment(self._icon, Qt.AlignmentFlag(0))
        self._place_badge()

    def sizeHint(self) -> QSize:
        """As high as a line and some room."""
        return QSize(theme().px(40 if self._is_narrow else 150), theme().px(36))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the badge in the corner."""
        super().resizeEvent(event)
        self._place_badge()

    def _place_badge(self) -> None:
        if self._is_narrow:
            hint = self._badge.sizeHint()
            self._badge.setGeometry(self.width() - hint.width(), 0, hint.width(), hint.height())
            self._badge.raise_()

    @Slot()
    def _choose(self) -> None:
        self.chosen.emit(self.name)


class Navigation(QFrame):
    """The pages, some above, some at the bottom."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "nav")
        self.setAccessibleName("Navigation")
        px = theme().px
        self._rows = QVBoxLayout(self)
        self._rows.setSpacing(px(4))
        self._brand = PlainText("FlowPilot", self, role="title", wraps=False, selectable=False)
        self._rows.addWidget(self._brand)
        self._rows.addSpacing(px(6))
        self._rows.addStretch(1)
        self._buttons: dict[str, NavigationButton] = {}
        self._is_narrow: bool | None = None
        self.show_narrow(narrow=False)

    def add(self, name: str, icon: str, title: str, *, at_bottom: bool) -> None:
        """Add a page."""
        button = NavigationButton(name, icon, title, self)
        button.chosen.connect(self.chosen)
        button.show_narrow(narrow=bool(self._is_narrow))
        self._buttons[name] = button
        if at_bottom:
            self._rows.addWidget(button)
        else:
            stretch = next(
                place
                for place in range(self._rows.count())
                if (item := self._rows.itemAt(place)) is not None
                and (spacer := item.spacerItem()) is not None
                and spacer.expandingDirections() & Qt.Orientation.Vertical
            )
            self._rows.insertWidget(stretch, button)

    def show_current(self, name: str) -> None:
        """Mark the page on the screen."""
        for button in self._buttons.values():
            button.show_current(current=button.name == name)

    def show_count(self, name: str, count: int) -> None:
        """Show a page's badge."""
        if name in self._buttons:
            self._buttons[name].show_count(count)

    def show_narrow(self, *, narrow: bool) -> None:
        """Show icons only."""
        px = theme().px
        side = px(10)
        self._rows.setContentsMargins(side, px(14), side, px(12))
        self.setFixedWidth(px(NARROW if narrow else WIDE))
        if narrow != self._is_narrow:
            self._is_narrow = narrow
            self._brand.show_text("FP" if narrow else "FlowPilot")
            self._brand.setAccessibleName("FlowPilot")
            self._brand.setAlignment(
                Qt.AlignmentFlag.AlignHCenter if narrow else Qt.AlignmentFlag.AlignLeft
            )
            self._brand.setContentsMargins(0 if narrow else px(8), 0, 0, 0)
            for button in self._buttons.values():
                button.show_narrow(narrow=narrow)


class SystemState(QPushButton):
    """One outside system: a dot, its name, how it is, and when it is tried again."""

    chosen = Signal(str)

    def __init__(self, system: System, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._system = system
        self._event = ReachChanged(system, Reach.UNKNOWN)
        self._until: float | None = None
        self.setProperty("variant", "system")
        self.setAutoDefault(False)
        px = theme().px
        row = QHBoxLayout(self)
        row.setContentsMargins(px(8), 0, px(8), 0)
        row.setSpacing(px(6))
        self._dot = Dot("muted", self)
        self._words = ElidedText("", self, role="small", tone="muted")
        self._words.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        row.addWidget(self._dot)
        row.addWidget(self._words, 1)
        self._tick = QTimer(self)
        self._tick.setInterval(1_000)
        self._tick.timeout.connect(self._render)
        self.clicked.connect(self._choose)
        self.show_reach(self._event)

    def show_reach(self, event: ReachChanged) -> None:
        """Show how the system is."""
        self._event = event
        wait = event.next_try_seconds
        self._until = time.monotonic() + wait if wait is not None else None
        hollow = event.reach in (Reach.NOT_SET_UP, Reach.UNKNOWN)
        self._dot.show_ink(_REACH_COLOURS[event.reach], hollow=hollow)
        if self._until is not None:
            self._tick.start()
        else:
            self._tick.stop()
        self._render()

    def sizeHint(self) -> QSize:
        """Room for the words."""
        width = self._words.sizeHint().width() + theme().px(32)
        return QSize(width, theme().px(24))

    def minimumSizeHint(self) -> QSize:
        """Room for the dot and a few letters."""
        return QSize(theme().px(64), theme().px(24))

    @Slot()
    def _render(self) -> None:
        name, state = SYSTEM_WORDS[self._system], _REACH_WORDS[self._event.reach]
        if self._system is System.MODEL and self._event.reach is Reach.NOT_SET_UP:
            state = "no key set"
        again = ""
        if self._until is not None:
            left = round(self._until - time.monotonic())
            again = f" · next try in {left} s" if left > 0 else " · trying again"
            if left <= 0:
                self._tick.stop()
        self._words.show_text(f"{name}: {state}{again}")
        self.setAccessibleName(f"{name}: {state}")
        self.setToolTip(tip(self._event.reason or f"{name}: {state}"))
        self.setAccessibleDescription(self._event.reason)
        self.updateGeometry()

    @Slot()
    def _choose(self) -> None:
        self.chosen.emit(self._system.value)


class SystemBar(QFrame):
    """The outside systems, and room for words on the right."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "statusbar")
        self.setAccessibleName("Connections")
        px = theme().px
        row = QHBoxLayout(self)
        row.setContentsMargins(px(8), px(2), px(14), px(2))
        row.setSpacing(px(4))
        self._states: dict[System, SystemState] = {}
        for system in System:
            state = SystemState(system, self)
            state.chosen.connect(self.chosen)
            self._states[system] = state
            row.addWidget(state)
        row.addStretch(1)
        self._words = ElidedText("", self, role="small", tone="muted")
        row.addWidget(self._words)

    def show_reach(self, event: ReachChanged) -> None:
        """Show how a system is."""
        self._states[event.system].show_reach(event)

    def show_words(self, text: str) -> None:
        """Show a few words at the right, such as what the model cost this month."""
        self._words.show_text(text)

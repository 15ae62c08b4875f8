"""Banners: what went wrong in the background, or what should be known, without a modal box.

A banner has a key: telling the same thing again changes the one that is there. It says what
happened and what to do, and offers at most one action.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.ui.controls import Button, IconView, announce, with_tone
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme

_ICONS = {"red": "error", "amber": "escalation", "green": "check", "accent": "info"}
_COLOURS = {
    "red": "red_text",
    "amber": "amber_text",
    "green": "green_text",
    "accent": "accent_text",
}


class Banner(QFrame):
    """One message across the page. Tones: accent, amber, red, green."""

    acted = Signal(str)
    dismissed = Signal(str)

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.key = key
        self.setProperty("role", "banner")
        px = theme().px
        row = QHBoxLayout(self)
        row.setContentsMargins(px(16), px(7), px(10), px(7))
        row.setSpacing(px(10))
        self._icon = IconView("info", "accent_text", 16, self)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        words = QVBoxLayout()
        words.setSpacing(px(1))
        self._title = PlainText("", self, role="strong")
        self._text = PlainText("", self, tone="muted")
        words.addWidget(self._title)
        words.addWidget(self._text)
        row.addLayout(words, 1)
        self._action = Button(parent=self)
        self._action.clicked.connect(self._act)
        self._close = Button(icon="close", variant="icon", hint="Dismiss", parent=self)
        self._close.clicked.connect(self._dismiss)
        row.addWidget(self._action)
        row.addWidget(self._close)

    def show_message(
        self, title: str, text: str = "", *, tone: str = "accent", action: str = "", fixed: bool
    ) -> None:
        """Show a message; ``fixed`` ones cannot be dismissed, they end with their cause."""
        with_tone(self, tone)
        self._icon.show_icon(_ICONS[tone], _COLOURS[tone])
        self._title.show_text(title)
        self._text.show_text(text)
        self._text.setVisible(bool(text))
        self._action.show_text(action)
        self._action.setVisible(bool(action))
        self._close.setVisible(not fixed)
        words = f"{title}. {text}" if text else title
        if words != self.accessibleName():
            self.setAccessibleName(words)
            announce(self, words)

    @Slot()
    def _act(self) -> None:
        self.acted.emit(self.key)

    @Slot()
    def _dismiss(self) -> None:
        self.dismissed.emit(self.key)


class Banners(QWidget):
    """The banners of a window or page, newest below; ``acted(key)`` when one's action is chosen."""

    acted = Signal(str)
    dismissed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(0)
        self._banners: dict[str, Banner] = {}
        self.setVisible(False)

    @property
    def keys(self) -> tuple[str, ...]:
        """What is shown."""
        return tuple(self._banners)

    def show_banner(
        self,
        key: str,
        title: str,
        text: str = "",
        *,
        tone: str = "accent",
        action: str = "",
        fixed: bool = False,
    ) -> None:
        """Show a banner, or change the one with that key."""
        banner = self._banners.get(key)
        if banner is None:
            banner = Banner(key, self)
            banner.acted.connect(self.acted)
            banner.dismissed.connect(self._dismiss)
            self._banners[key] = banner
            self._rows.addWidget(banner)
        banner.show_message(title, text, tone=tone, action=action, fixed=fixed)
        self.setVisible(True)

    def hide_banner(self, key: str) -> None:
        """Take a banner away; absent is fine."""
        banner = self._banners.pop(key, None)
        if banner is not None:
            self._rows.removeWidget(banner)
            banner.hide()
            banner.deleteLater()
            self.setVisible(bool(self._banners))

    @Slot(str)
    def _dismiss(self, key: str) -> None:
        self.hide_banner(key)
        self.dismissed.emit(key)

"""What a session started from, where it came with a long paste or screenshots."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from flowpilot_desktop.ui.controls import FoldedText
from flowpilot_desktop.ui.feed import FeedCard
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.thumbnails import Thumbnails
from flowpilot_desktop.viewmodels.evidence import Exhibit

_TITLE = "What it started from"


@dataclass(frozen=True, slots=True)
class IntakeContent:
    """The technician's words, and what they pasted."""

    text: str
    exhibits: tuple[Exhibit, ...]
    can_remove: bool = False


class IntakeCard(FeedCard):
    """The card above all others; it needs no answer."""

    def __init__(self, content: IntakeContent, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = content.text
        px = theme().px
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        frame = QFrame(self)
        frame.setProperty("role", "card")
        frame.setProperty("tone", "plain")
        frame.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        frame.setAccessibleName(_TITLE)
        self.setAccessibleName(_TITLE)
        self.setFocusProxy(frame)
        outer.addWidget(frame)
        rows = QVBoxLayout(frame)
        rows.setContentsMargins(px(16), px(12), px(16), px(14))
        rows.setSpacing(px(8))
        kicker = PlainText(_TITLE.upper(), frame, role="kicker", tone="muted", wraps=False)
        kicker.setAccessibleName(_TITLE)
        rows.addWidget(kicker)
        if content.text:
            rows.addWidget(FoldedText(content.text, frame))
        self.exhibits = Thumbnails(frame)
        rows.addWidget(self.exhibits)
        self.exhibits.show_exhibits(content.exhibits, can_remove=content.can_remove)

    def fit(self, width: int) -> int:
        """Give the thumbnails their columns, then measure."""
        self.exhibits.fit(width - theme().px(34))
        return super().fit(width)

    def show_content(self, content: object) -> bool:
        """Follow what was added or removed."""
        if not isinstance(content, IntakeContent) or content.text != self._text:
            return False
        self.exhibits.show_exhibits(content.exhibits, can_remove=content.can_remove)
        return True

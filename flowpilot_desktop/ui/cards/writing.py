"""Cards that are no steps: one that is being written, and one that says how things stand."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import StepKind
from flowpilot_desktop.ui.cards.card import KIND_ICONS, KIND_WORDS
from flowpilot_desktop.ui.controls import Button, IconView
from flowpilot_desktop.ui.feed import FeedCard
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme

_PULSE_MS = 320


class Pulse(QWidget):
    """Three dots that say: still at work. It stands still when out of sight."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._phase = 0
        self.setFixedSize(theme().px(26), theme().px(8))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._timer = QTimer(self)
        self._timer.setInterval(_PULSE_MS)
        self._timer.timeout.connect(self._beat)

    def showEvent(self, event: QShowEvent) -> None:
        """Begin."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Rest."""
        super().hideEvent(event)
        self._timer.stop()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint the dots, one of them bright."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme().colour("accent_text"))
        size = theme().px(5)
        for place in range(3):
            colour = theme().colour("accent_text" if place == self._phase else "strong_border")
            painter.setPen(colour)
            painter.setBrush(colour)
            painter.drawEllipse(1 + place * theme().px(9), 1, size, size)
        painter.end()

    @Slot()
    def _beat(self) -> None:
        self._phase = (self._phase + 1) % 3
        self.update()


class WritingCard(FeedCard):
    """A step while it is being written, field by field, with a button that stops it."""

    stopped = Signal()

    def __init__(self, progress: StepProgress, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        px = theme().px
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        frame = QFrame(self)
        frame.setProperty("role", "card")
        frame.setProperty("open", "true")
        outer.addWidget(frame)
        rows = QVBoxLayout(frame)
        rows.setContentsMargins(px(16), px(10), px(16), px(14))
        rows.setSpacing(px(8))
        head = QHBoxLayout()
        head.setSpacing(px(7))
        self._icon = IconView("thinking", "accent_text", 16, frame)
        self._kicker = PlainText("", frame, role="kicker", tone="muted", wraps=False)
        stop = Button("Stop", icon="stop", variant="quiet", hint="Stop (Esc)", parent=frame)
        stop.setAccessibleName("Stop")
        stop.clicked.connect(self.stopped)
        self._stop = stop
        head.addWidget(self._icon)
        head.addWidget(self._kicker)
        head.addWidget(Pulse(frame))
        head.addStretch(1)
        head.addWidget(stop)
        rows.addLayout(head)
        self._title = PlainText("", frame, role="title")
        self._why = PlainText("", frame, tone="muted")
        self._command = PlainText("", frame, role="mono")
        self._more = PlainText("", frame)
        for label in (self._title, self._why, self._command, self._more):
            rows.addWidget(label)
        self.show_content(progress)

    def show_content(self, content: object) -> bool:
        """Show each field as far as it came."""
        if not isinstance(content, StepProgress):
            return False
        kind = StepKind(content.kind) if content.kind in set(StepKind) else None
        words = f"{KIND_WORDS[kind]} · being written" if kind else "Thinking"
        self._kicker.show_text(words.upper())
        self._kicker.setAccessibleName(words)
        self._icon.show_icon(KIND_ICONS[kind] if kind else "thinking")
        options = "\n".join(f"{n}  ·  {label}" for n, label in enumerate(content.options, 1))
        for label, text in (
            (self._title, content.text),
            (self._why, content.why),
            (self._command, content.command),
            (self._more, options or content.expected_outcome),
        ):
            label.show_text(text)
            label.setVisible(bool(text))
        self.setAccessibleName(words)
        return True

    def take_focus(self) -> None:
        """Focus the button that stops it."""
        self._stop.setFocus()


@dataclass(frozen=True, slots=True)
class StandingContent:
    """How a session stands when no card is open: words, and what can be done about it.

    ``choices`` are (name, words, variant).
    """

    icon: str
    title: str
    text: str = ""
    hint: str = ""
    tone: str = "plain"
    choices: tuple[tuple[str, str, str], ...] = ()


class StandingCard(FeedCard):
    """Says how things stand and offers what can be done."""

    chosen = Signal(str)

    def __init__(self, content: StandingContent, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        px = theme().px
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        frame = QFrame(self)
        frame.setProperty("role", "card")
        frame.setProperty("tone", content.tone)
        outer.addWidget(frame)
        columns = QHBoxLayout(frame)
        columns.setContentsMargins(px(16), px(14), px(16), px(14))
        columns.setSpacing(px(12))
        token = {"red": "red_text", "amber": "amber_text"}.get(content.tone, "accent_text")
        icon = IconView(content.icon, token, 20, frame)
        columns.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        rows = QVBoxLayout()
        rows.setSpacing(px(5))
        columns.addLayout(rows, 1)
        rows.addWidget(PlainText(content.title, frame, role="strong"))
        for text in (content.text, content.hint):
            if text:
                rows.addWidget(PlainText(text, frame, tone="muted"))
        self._buttons: list[Button] = []
        if content.choices:
            line = QHBoxLayout()
            line.setContentsMargins(0, px(5), 0, 0)
            line.setSpacing(px(8))
            for name, words, variant in content.choices:
                button = Button(words, variant=variant, parent=frame)
                button.setProperty("choice", name)
                button.clicked.connect(self._choose)
                self._buttons.append(button)
                line.addWidget(button)
            line.addStretch(1)
            rows.addLayout(line)
        self.setAccessibleName(f"{content.title}. {content.text} {content.hint}".strip())
        frame.setAccessibleName(self.accessibleName())

    def take_focus(self) -> None:
        """Focus the first choice."""
        if self._buttons:
            self._buttons[0].setFocus()

    @Slot()
    def _choose(self) -> None:
        sender = self.sender()
        if isinstance(sender, Button):
            self.chosen.emit(sender.property("choice"))

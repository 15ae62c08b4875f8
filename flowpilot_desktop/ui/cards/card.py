"""What all cards share: a frame with a head line, text, a body of its own, and the answer.

The head line says what kind of card it is, who thought of it and when. An answered card keeps its
text and loses its controls; the answer stands below it, to the right, as in a conversation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from PySide6.QtCore import QElapsedTimer, QMimeData, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.session import Response, Source, Step, StepKind
from flowpilot_desktop.ui.controls import AnswerEdit, Badge, Button, FoldedText, IconView, with_tone
from flowpilot_desktop.ui.feed import FeedCard
from flowpilot_desktop.ui.text import PlainText, copied, displayable
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.thumbnails import Thumbnails
from flowpilot_desktop.viewmodels.evidence import Exhibit

KIND_ICONS = {
    StepKind.QUESTION: "question",
    StepKind.ACTION: "action",
    StepKind.VERIFICATION: "verification",
    StepKind.RESOLUTION: "resolution",
    StepKind.BRIEFING: "escalation",
    StepKind.NOTE: "note",
}
KIND_WORDS = {
    StepKind.QUESTION: "Question",
    StepKind.ACTION: "Action",
    StepKind.VERIFICATION: "Verification",
    StepKind.RESOLUTION: "Proposed resolution",
    StepKind.BRIEFING: "Escalated to you",
    StepKind.NOTE: "Note",
}
_SOURCE_WORDS = {Source.CLAUDE: "Claude", Source.FLOW: "Flow"}
_BUBBLE_SHARE = 0.78
SETTLING_MS = 250
"""How long a new card takes no number keys, so that none answers it by accident."""


@dataclass(frozen=True, slots=True)
class CardContent:
    """A step as a card shows it.

    ``is_live``: this engineer may answer it now. ``is_busy``: an answer is on its way to disk.
    ``can_correct``: they may log a correction of its answer. ``corrected`` is the number of the
    step that a note corrects. ``exhibits`` are screenshots and long pastes kept with the step;
    screenshots go while ``can_remove``. ``draft`` is text typed earlier; it is put in when the card
    is built.
    """

    step: Step
    is_live: bool = False
    is_busy: bool = False
    author: str = ""
    answered_by: str = ""
    can_correct: bool = False
    corrected: int = 0
    exhibits: tuple[Exhibit, ...] = ()
    can_remove: bool = False
    draft: str = field(default="", compare=False)


def moment_words(moment: datetime, now: datetime | None = None) -> str:
    """Return a moment as people say it: the local time, with the day unless it is today."""
    local = moment.astimezone()
    today = (now or datetime.now().astimezone()).astimezone().date()
    if local.date() == today:
        return f"{local:%H:%M}"
    return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"


class Bubble(QFrame):
    """What was answered."""

    def __init__(self, name: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "bubble")
        px = theme().px
        rows = QVBoxLayout(self)
        rows.setContentsMargins(px(14), px(8), px(14), px(9))
        rows.setSpacing(px(2))
        self._name = PlainText(name, self, role="small", tone="muted", wraps=False)
        self._name.setVisible(bool(name))
        self._text = FoldedText(text, self, role="bubble")
        rows.addWidget(self._name)
        rows.addWidget(self._text)
        self._lines = [copied(displayable(line)) for line in text.split("\n")[:60]]

    def fit(self, width: int) -> None:
        """Take the width that the text wants, up to a share of the card's."""
        self.ensurePolished()
        px, metrics = theme().px, self.fontMetrics()
        wanted = max((metrics.horizontalAdvance(line) for line in self._lines), default=0)
        if self._name.isVisibleTo(self):
            wanted = max(wanted, self._name.sizeHint().width())
        self.setFixedWidth(min(wanted + px(14) * 2 + px(4), round(width * _BUBBLE_SHARE)))


class StepCard(FeedCard):
    """A step: its frame, and below it the answer if there is one."""

    answered = Signal(str, object)
    drafted = Signal(str, str)
    left = Signal()
    pictured = Signal(str, object)
    correction_wanted = Signal(str)

    tone: ClassVar[str] = ""
    icon_ink: ClassVar[str] = "accent_text"

    def __init__(self, content: CardContent, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.content = content
        self.step = content.step
        self._was_sent = False
        self._age = QElapsedTimer()
        self._age.start()
        self._edit: AnswerEdit | None = None
        px = theme().px
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(px(12))
        self.frame = QFrame(self)
        self.frame.setProperty("role", "card")
        self.frame.setProperty("open", "true" if content.is_live else "false")
        if self.tone:
            self.frame.setProperty("tone", self.tone)
        self.frame.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self.frame)
        outer.addWidget(self.frame)
        self.rows = QVBoxLayout(self.frame)
        self.rows.setContentsMargins(px(16), px(12), px(16), px(15))
        self.rows.setSpacing(px(8))
        self._build_head()
        self.title = FoldedText(self._title(), self.frame, role="title")
        self.rows.addWidget(self.title)
        self._build_before(self.rows)
        self._body: QWidget | None = None
        if content.is_live:
            self._body = QWidget(self.frame)
            inner = QVBoxLayout(self._body)
            inner.setContentsMargins(0, px(2), 0, 0)
            inner.setSpacing(px(8))
            self._build_controls(inner)
            self.rows.addWidget(self._body)
            self._show_busy(busy=content.is_busy)
        self.exhibits = Thumbnails(self.frame)
        self.exhibits.show_exhibits(content.exhibits, can_remove=content.can_remove)
        self.rows.addWidget(self.exhibits)
        self._bubble: Bubble | None = None
        if self.step.response is not None:
            outer.addLayout(self._answer_line())
        self.frame.setAccessibleName(self._spoken())
        self.setAccessibleName(self.frame.accessibleName())

    def _answer_line(self) -> QHBoxLayout:
        """Return what was answered, with the button that corrects it."""
        self._bubble = Bubble(self.content.answered_by, self.step.response_label, self)
        line = QHBoxLayout()
        line.addStretch(1)
        if self.content.can_correct:
            correct = Button(icon="edit", variant="icon", parent=self)
            correct.setToolTip("Log a correction of this answer")
            correct.setAccessibleName(f"Correct the answer to step {self.step.number}")
            correct.clicked.connect(self._want_correction)
            line.addWidget(correct, 0, Qt.AlignmentFlag.AlignBottom)
        line.addWidget(self._bubble)
        return line

    # --- for the subclasses ---

    def _title(self) -> str:
        return self.step.body.text

    def _kicker(self) -> str:
        return f"{KIND_WORDS[self.step.kind]} {self.step.number}"

    def _badges(self) -> list[tuple[str, str]]:
        return []

    def _build_before(self, rows: QVBoxLayout) -> None:
        """Add what stands under the text, whether answered or not."""
        if self.step.body.why:
            rows.addWidget(FoldedText(self.step.body.why, self.frame, tone="muted"))

    def _build_controls(self, rows: QVBoxLayout) -> None:
        """Add what the technician answers with."""

    def _answer_field(self, placeholder: str, name: str, *, sends: bool) -> AnswerEdit:
        """Return a field whose text is kept as the step's draft."""
        edit = AnswerEdit(placeholder, name, self.frame, sends=sends)
        edit.show_text(self.content.draft)
        edit.textChanged.connect(self._draft)
        edit.left.connect(self.left)
        edit.pictured.connect(self._picture)
        self._edit = edit
        return edit

    @property
    def _typed(self) -> str:
        """What stands in the field."""
        return self._edit.text.strip() if self._edit is not None else ""

    def _answer(self, response: Response) -> None:
        """Hand the answer on, once: a second click while the first is on its way is nothing."""
        if self.content.is_live and not self._was_sent and not self.content.is_busy:
            self._was_sent = True
            self._show_busy(busy=True)
            self.answered.emit(self.step.id, response)

    @property
    def takes_answers(self) -> bool:
        """Whether its controls can be used now."""
        return self._body is not None and self._body.isEnabled()

    # --- the feed's side ---

    def fit(self, width: int) -> int:
        """Give the bubble its width, then measure."""
        if self._bubble is not None:
            self._bubble.fit(width)
        self.exhibits.fit(width - theme().px(34))
        return super().fit(width)

    def show_content(self, content: object) -> bool:
        """Follow what is busy and what was pasted in place; anything else is a new card."""
        if not isinstance(content, CardContent):
            return False
        before = self.content
        if replace(content, is_busy=before.is_busy, exhibits=before.exhibits) != before:
            return False
        self.content = content
        self.exhibits.show_exhibits(content.exhibits, can_remove=content.can_remove)
        if not content.is_busy:
            self._was_sent = False
        self._show_busy(busy=content.is_busy)
        return True

    def take_focus(self) -> None:
        """Focus the card itself: numbers answer, letters go into its field, Enter does nothing."""
        self.frame.setFocus(Qt.FocusReason.OtherFocusReason)

    def press(self, number: int) -> bool:
        """Choose the answer with that number, 1..9; return whether there is one."""
        del number
        return False

    def take_key(self, event: QKeyEvent) -> bool:
        """Choose by number, or begin to type; return whether the key meant anything here."""
        text = event.text()
        plain = not event.modifiers() & ~(
            Qt.KeyboardModifier.KeypadModifier | Qt.KeyboardModifier.ShiftModifier
        )
        if not plain or not text or not self.content.is_live or self.content.is_busy:
            return False
        if text.isdecimal() and text.isascii():
            # A key held down, or struck twice, must not answer the card that has just come.
            is_meant = not event.isAutoRepeat() and self._age.hasExpired(SETTLING_MS)
            if not is_meant or self.press(int(text)):
                return True
        if self._edit is not None and text.isprintable() and not text.isspace():
            self._edit.setFocus(Qt.FocusReason.OtherFocusReason)
            self._edit.insertPlainText(text)
            return True
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose by number, or begin to type."""
        if self.take_key(event):
            event.accept()
        else:
            super().keyPressEvent(event)

    # --- inside ---

    def _build_head(self) -> None:
        px = theme().px
        head = QHBoxLayout()
        head.setSpacing(px(7))
        icon = KIND_ICONS[self.step.kind]
        head.addWidget(IconView(icon, self.icon_ink, 16, self.frame))
        tone = "amber" if self.tone == "amber" else "muted"
        kicker = PlainText(
            self._kicker().upper(), self.frame, role="kicker", tone=tone, wraps=False
        )
        kicker.setAccessibleName(self._kicker())
        head.addWidget(kicker)
        for words, badge_tone in self._badges():
            head.addWidget(Badge(words, badge_tone, self.frame))
        head.addStretch(1)
        source = _SOURCE_WORDS.get(self.step.source) or self.content.author
        when = moment_words(self.step.created_at)
        words = f"{source} · {when}" if source else when
        head.addWidget(PlainText(words, self.frame, role="small", tone="muted", wraps=False))
        self.rows.addLayout(head)

    def _spoken(self) -> str:
        """Return the card in words for a screen reader."""
        state = ""
        if self.step.response is not None:
            state = f" Answered: {self.step.response_label}"
        elif self.content.is_live:
            state = " Waiting for your answer."
        text = copied(displayable(self._title(), 500))
        return f"{self._kicker()}: {text}{state}"

    def _show_busy(self, *, busy: bool) -> None:
        if self._body is None or self._body.isEnabled() != busy:
            return
        focus = QApplication.focusWidget()
        if busy and focus is not None and self._body.isAncestorOf(focus):
            # A disabled widget would hand the focus to whatever comes next on the page.
            self.frame.setFocus(Qt.FocusReason.OtherFocusReason)
        self._body.setEnabled(not busy)
        with_tone(self.frame, "true" if busy else "false", "busy")

    @Slot()
    def _want_correction(self) -> None:
        self.correction_wanted.emit(self.step.id)

    @Slot(object)
    def _picture(self, source: QMimeData) -> None:
        self.pictured.emit(self.step.id, source)

    @Slot()
    def _draft(self) -> None:
        assert self._edit is not None
        self.drafted.emit(self.step.id, self._edit.text)

"""The field for a step by hand, or for the correction of an answer; screenshots come along.

What is typed, what it corrects and what was pasted are drafts: a restart brings the field back as
it was. Closed with words in it, it keeps them and opens again when it is asked for.
"""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.attachment import NOTE
from flowpilot_desktop.ui.controls import AnswerEdit, Button
from flowpilot_desktop.ui.text import ElidedText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.thumbnails import Thumbnails, pictures_of
from flowpilot_desktop.viewmodels.session import SessionViewModel

_WORDS = "What did you do or see? (Enter to log)"
_CORRECTION_WORDS = "What is right instead? (Enter to log)"


class NoteBar(QFrame):
    """A field above the foot; hidden until it is wanted. ``closed`` gives the focus back."""

    closed = Signal()

    def __init__(self, model: SessionViewModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._is_logging = False
        self._put_aside = ""  # the session whose note was closed with words in it
        self.setProperty("role", "pagefoot")
        px = theme().px
        rows = QVBoxLayout(self)
        rows.setContentsMargins(px(24), px(10), px(20), px(10))
        rows.setSpacing(px(6))
        self._correction = QWidget(self)
        line = QHBoxLayout(self._correction)
        line.setContentsMargins(0, 0, 0, 0)
        self.corrects = ElidedText("", self._correction, tone="amber")
        plain = Button("Not a correction", variant="link", parent=self._correction)
        plain.clicked.connect(self._correct_nothing)
        line.addWidget(self.corrects)
        line.addWidget(plain)
        line.addStretch(1)
        rows.addWidget(self._correction)
        self.thumbnails = Thumbnails(self)
        self.thumbnails.removed.connect(model.remove_picture)
        self.thumbnails.opened.connect(model.open_exhibit)
        rows.addWidget(self.thumbnails)
        row = QHBoxLayout()
        row.setSpacing(px(8))
        self.edit = AnswerEdit(_WORDS, "Step to log by hand", self)
        self.edit.submitted.connect(self._log_it)
        self.edit.textChanged.connect(self._draft)
        self.edit.left.connect(model.flush_drafts)
        self.edit.pictured.connect(self._attach)
        self.log = Button("Log", variant="primary", parent=self)
        self.log.setAccessibleName("Log this step")
        self.log.clicked.connect(self._log_it)
        close = Button(icon="close", variant="icon", hint="Close", parent=self)
        close.setAccessibleName("Close the note")
        close.clicked.connect(self.end)
        row.addWidget(self.edit, 1)
        row.addWidget(self.log)
        row.addWidget(close)
        rows.addLayout(row)
        self.hide()

    def open(self, step_id: str = "") -> None:
        """Open the field; with a step's id, for the correction of its answer."""
        if not self._model.is_live:
            return
        if step_id or not self.edit.text.strip():  # what was begun as a correction stays one
            self._model.correct(step_id)
        self._put_aside = ""
        self.show()
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def end(self) -> None:
        """Close the field; what stands in it is kept."""
        self.hide()
        if self.edit.text.strip():
            self._put_aside = self._model.session_id
        else:
            self._model.correct("")
        self._model.flush_drafts()
        self.closed.emit()

    def show_session(self) -> None:
        """Follow the session: what is corrected, what was pasted, what the disk has."""
        model = self._model
        if not model.is_live:
            self.hide()
            return
        busy = model.is_busy
        self.log.setEnabled(not busy)
        number = model.corrects
        self.corrects.show_text(f"Correcting the answer to step {number}")
        self._correction.setVisible(number > 0)
        self.edit.setPlaceholderText(_CORRECTION_WORDS if number else _WORDS)
        pictures = model.exhibits.with_card(NOTE)
        self.thumbnails.show_exhibits(pictures, can_remove=True)
        draft = model.drafts.get(NOTE, "")
        if self._is_logging and not busy:
            self._is_logging = False
            if NOTE not in model.drafts:  # it is on the disk as a step now
                self.edit.clear()
                self.hide()
                self.closed.emit()
        elif not self.edit.hasFocus():
            self.edit.show_text(draft)
            if (draft or pictures) and self._put_aside != model.session_id:
                self.show()

    @Slot()
    def _log_it(self) -> None:
        text = self.edit.text.strip()
        if text and not self._model.is_busy:
            self._is_logging = True
            self._model.log_note(text)

    @Slot()
    def _draft(self) -> None:
        if self.edit.text != self._model.drafts.get(NOTE, ""):
            self._model.draft(NOTE, self.edit.text)

    @Slot()
    def _correct_nothing(self) -> None:
        self._model.correct("")
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot(object)
    def _attach(self, source: QMimeData) -> None:
        self._model.attach_pictures(pictures_of(source), NOTE)

"""What became of a session's documentation: one row an item, with what can be done about it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.push import NotePayload, PushItem, PushState, TimePayload
from flowpilot_desktop.services.audit import AuditRow, member
from flowpilot_desktop.services.tickets import TimeChoice
from flowpilot_desktop.ui.controls import AnswerEdit, Badge, Button
from flowpilot_desktop.ui.fields import Choice
from flowpilot_desktop.ui.lists import RowList, RowWords
from flowpilot_desktop.ui.spans import SpanEdit
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import joined, local_time, told
from flowpilot_desktop.ui.work import WorkEdit
from flowpilot_desktop.viewmodels.push import (
    AuditViewModel,
    PushViewModel,
    detail,
    item_title,
    state_words,
)

_TICK_MILLISECONDS = 5_000
_BADGE_TONES = {"green": "green", "amber": "soft_amber", "red": "red", "muted": "neutral"}


class ItemRow(QWidget):
    """One item: what it is, where it stands and why, and three things to do when it failed."""

    def __init__(self, model: PushViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._item_id = ""
        px = theme().px
        self.title = PlainText("", self, role="strong", wraps=False)
        self.state = Badge("", "neutral", self)
        self.retry = Button("Retry", icon="refresh", variant="link", parent=self)
        self.retry.clicked.connect(self._retry)
        self.edit = Button("Edit", icon="edit", variant="link", parent=self)
        self.edit.clicked.connect(self._edit)
        self.skip = Button("Skip", icon="skip", variant="link", parent=self)
        self.skip.clicked.connect(self._skip)
        self.words = PlainText("", self, role="small", tone="muted")
        line = QHBoxLayout()
        line.setSpacing(px(8))
        line.addWidget(self.title)
        line.addWidget(self.state)
        line.addStretch(1)
        for button in (self.retry, self.edit, self.skip):
            line.addWidget(button)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(2))
        rows.addLayout(line)
        rows.addWidget(self.words)

    def show_item(self, item: PushItem) -> None:
        """Show an item as it is now."""
        model = self._model
        self._item_id = item.id
        title = model.title(item)
        words, tone = state_words(item)
        self.title.show_text(title)
        self.state.show_text(words, _BADGE_TONES[tone])
        self.words.show_text(detail(item, model.now))
        self.words.set_tone("red" if item.state is PushState.FAILED else "muted")
        self.words.setVisible(bool(self.words.text()))
        can_act = item.state is PushState.FAILED and model.editing is None
        for button, verb in ((self.retry, "Retry"), (self.edit, "Edit"), (self.skip, "Skip")):
            button.setVisible(can_act)
            button.setEnabled(not model.is_busy)
            button.setAccessibleDescription(f"{verb}: {title}")

    @Slot()
    def _retry(self) -> None:
        self._model.retry(self._item_id)

    @Slot()
    def _edit(self) -> None:
        self._model.edit(self._item_id)

    @Slot()
    def _skip(self) -> None:
        self._model.skip(self._item_id)


class PushPanel(QFrame):
    """The items of a session, and the one that is being changed."""

    def __init__(self, model: PushViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows: list[ItemRow] = []
        self._edited: PushItem | None = None
        self.setAccessibleName("What goes to the ticket")
        px = theme().px
        self._list = QVBoxLayout()
        self._list.setSpacing(px(8))
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(8))
        rows.addLayout(self._list)
        rows.addWidget(self._editor())
        self.error = PlainText("", self, tone="red")
        rows.addWidget(self.error)
        self._tick = QTimer(self)
        self._tick.setInterval(_TICK_MILLISECONDS)
        self._tick.timeout.connect(self._render)
        model.changed.connect(self._render)
        self._render()

    def _editor(self) -> QWidget:
        px = theme().px
        self.editor = QWidget(self)
        rows = QVBoxLayout(self.editor)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(6))
        self.text = AnswerEdit("", "Text to send", self.editor, sends=False, lines=3)
        self.span = SpanEdit("Time entry", self.editor)
        self.work = WorkEdit(self.editor)
        self.status = Choice(self.editor)
        self.status.setAccessibleName("Status to set")
        self.send = Button("Send", icon="send", variant="primary", parent=self.editor)
        self.send.clicked.connect(self._send)
        self.leave = Button("Cancel", variant="quiet", parent=self.editor)
        self.leave.clicked.connect(self._model.leave_edit)
        line = QHBoxLayout()
        line.addWidget(self.send)
        line.addWidget(self.leave)
        line.addStretch(1)
        rows.addWidget(self.text)
        rows.addWidget(self.span, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self.work, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(self.status, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addLayout(line)
        return self.editor

    def showEvent(self, event: QShowEvent) -> None:
        """Keep words like "in 4 min" true while they are read."""
        super().showEvent(event)
        self._tick.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Rest while nobody looks."""
        super().hideEvent(event)
        self._tick.stop()

    @Slot()
    def _render(self) -> None:
        model = self._model
        while len(self._rows) < len(model.items):
            row = ItemRow(model, self)
            self._rows.append(row)
            self._list.addWidget(row)
        for place, row in enumerate(self._rows):
            row.setVisible(place < len(model.items))
            if place < len(model.items):
                row.show_item(model.items[place])
        self._render_editor()
        self.error.show_text(
            told(model.error.message, model.error.hint) if model.error is not None else ""
        )
        self.error.setVisible(model.error is not None)

    def _render_editor(self) -> None:
        model, item = self._model, self._model.editing
        self.editor.setVisible(item is not None)
        begins = item is not None and (self._edited is None or self._edited.id != item.id)
        self._edited = item
        if item is None:
            return
        payload = item.payload
        is_status = not isinstance(payload, NotePayload | TimePayload)
        self.text.setVisible(not is_status)
        is_time = isinstance(payload, TimePayload)
        self.span.setVisible(is_time)
        self.work.setVisible(is_time)
        self.status.setVisible(is_status)
        if begins and isinstance(payload, NotePayload):
            self.text.show_text(payload.text.text.removesuffix(item.marker).rstrip())
            self.text.setFocus()
        elif begins and isinstance(payload, TimePayload):
            self.text.show_text(payload.notes.text)
            self.span.show_span(payload.start, payload.end)
            work = TimeChoice(payload.work_type, payload.work_role, payload.billable)
            self.work.show_work(work, model.work_types, model.work_roles)
            self.text.setFocus()
        elif is_time:
            self.work.offer(model.work_types, model.work_roles)
        names = [status.name for status in model.statuses]
        if [self.status.itemText(place) for place in range(self.status.count())] != names:
            self.status.clear()
            self.status.addItems(names)
        self.send.setEnabled(not model.is_busy and (not is_status or bool(names)))

    @Slot()
    def _send(self) -> None:
        model, item = self._model, self._model.editing
        if item is None:
            return
        if isinstance(item.payload, NotePayload):
            model.send_text(self.text.text)
        elif isinstance(item.payload, TimePayload):
            model.send_time(self.text.text, *self.span.span, self.work.work)
        elif 0 <= self.status.currentIndex() < len(model.statuses):
            model.send_status(model.statuses[self.status.currentIndex()])


def audit_words(row: AuditRow) -> RowWords:
    """Return how an operation reads in the record."""
    item = row.item
    words, tone = state_words(item)
    who = member(item.payload)
    return RowWords(
        joined(item_title(item, item.part), f"#{item.ticket_id}"),
        joined(
            local_time(item.sent_at or item.created_at),
            f"{row.engineer} as {who}" if who else row.engineer,
            f"record {item.remote_id}" if item.remote_id else "",
            item.error,
        ),
        ((words, _BADGE_TONES[tone]),),
    )


class AuditView(QWidget):
    """What left this computer for the ticketing system, and the file of it."""

    session_chosen = Signal(str)

    def __init__(self, model: AuditViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        px = theme().px
        self.list = RowList(model.rows, audit_words, "What left this computer", self)
        self.list.chosen.connect(self._choose)
        self.list.ending.connect(model.more)
        self.words = PlainText("", self, tone="muted")
        self.export = Button("Export CSV", icon="download", parent=self)
        self.export.clicked.connect(self._ask_where)
        line = QHBoxLayout()
        line.addWidget(self.words, 1)
        line.addWidget(self.export)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(px(16), px(10), px(16), px(12))
        rows.setSpacing(px(8))
        rows.addLayout(line)
        rows.addWidget(self.list, 1)
        model.changed.connect(self._render)
        self._render()

    @Slot()
    def _render(self) -> None:
        model = self._model
        rows = model.rows.rowCount()
        self.list.setVisible(rows > 0)
        self.export.setEnabled(rows > 0)
        words = model.words or (
            "Everything that was written for ConnectWise from this computer, the newest first."
            if rows
            else "Nothing was written for ConnectWise from this computer yet."
        )
        if model.error is not None:
            words = told(model.error.message, model.error.hint)
        self.words.show_text(words)
        self.words.set_tone("red" if model.error is not None else "muted")

    @Slot()
    def _ask_where(self) -> None:
        dialog = QFileDialog(self, "Export what left this computer")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("Table (*.csv)")
        dialog.setDefaultSuffix("csv")
        dialog.selectFile("flowpilot-sent.csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._export)
        dialog.open()

    @Slot(str)
    def _export(self, path: str) -> None:
        self._model.export(Path(path))

    @Slot(object)
    def _choose(self, row: AuditRow) -> None:
        self.session_chosen.emit(row.item.session_id)

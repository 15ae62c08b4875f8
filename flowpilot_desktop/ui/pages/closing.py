"""The page before a session leaves a technician's hands: what they add, and what the ticket gets.

Resolving and escalating differ in the panels at the top and in the button; the ticket, the time,
the note and how they are shown are the same here.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.push import NoteVisibility
from flowpilot_desktop.core.redaction import Masked
from flowpilot_desktop.core.timing import duration_words
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.fields import Choice, Number
from flowpilot_desktop.ui.pages.push import PushPanel
from flowpilot_desktop.ui.spans import SpanEdit
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import joined, told
from flowpilot_desktop.ui.work import WorkEdit
from flowpilot_desktop.viewmodels.closing import ClosingViewModel
from flowpilot_desktop.viewmodels.push import PushViewModel

_COLUMN = 860
_MOST_MINUTES = 24 * 60
_VISIBILITIES = (
    ("Internal only", NoteVisibility.INTERNAL),
    ("Internal and external", NoteVisibility.INTERNAL_AND_EXTERNAL),
)
_PLACES = 6
_UNSENT = 120


class ClosingPage(QWidget):
    """Head, panels, ticket, note, foot."""

    left = Signal(str)
    finished = Signal()
    settings_wanted = Signal(str)

    def __init__(
        self,
        model: ClosingViewModel,
        push: PushViewModel,
        verb: Button,
        *,
        words: tuple[str, str],
        parent: QWidget | None = None,
    ) -> None:
        """``verb`` is the button in the foot; ``words`` stand in the head before and after."""
        super().__init__(parent)
        self._closing = model
        self._push = push
        self._verb = verb
        self._words = words
        self._was_ready = self._was_closed = False
        self.setProperty("role", "page")
        px = theme().px
        column = QWidget(self)
        column.setMaximumWidth(px(_COLUMN))
        rows = QVBoxLayout(column)
        rows.setContentsMargins(px(16), px(16), px(16), px(16))
        rows.setSpacing(px(12))
        for panel in (*self._panels(), self._ticket_panel()):
            rows.addWidget(panel)
        rows.addWidget(self._note_panel(), 1)
        middle = QWidget(self)
        across = QHBoxLayout(middle)
        across.setContentsMargins(0, 0, 0, 0)
        across.addStretch(1)
        across.addWidget(column, 100)
        across.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # every part of it has a stop
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(middle)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(self._head())
        page.addWidget(scroll, 1)
        page.addWidget(self._foot())
        model.changed.connect(self._render)
        self._render()

    # What a page of its own adds

    def _panels(self) -> Sequence[QWidget]:
        """Return the panels above the ticket's, what was sent (``_pushed_panel``) among them."""
        return (self._pushed_panel(),)

    def _first_field(self) -> QWidget:
        """Return where typing begins."""
        return self.note

    def _render_own(self, *, is_closed: bool) -> None:
        """Show those panels, and what the button says."""

    def _foot_words(self) -> tuple[str, str]:
        """Return what stands beside the button when nothing failed, and its tone."""
        return "", "muted"

    # Building

    def _head(self) -> QFrame:
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        row = QHBoxLayout(head)
        row.setContentsMargins(px(16), px(10), px(20), px(10))
        row.setSpacing(px(10))
        self.back = Button(icon="chevron-left", variant="icon", hint="Back to the session")
        self.back.clicked.connect(self._leave)
        self.title = PlainText(self._words[0], head, role="head")
        row.addWidget(self.back)
        row.addWidget(self.title, 1)
        return head

    def _foot(self) -> QFrame:
        px = theme().px
        foot = QFrame(self)
        foot.setProperty("role", "pagefoot")
        row = QHBoxLayout(foot)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.setSpacing(px(10))
        self.words = PlainText("", foot)
        self.done = Button("New session", icon="plus", parent=foot)
        self.done.clicked.connect(self.finished)
        row.addWidget(self.words, 1)
        row.addWidget(self.done)
        row.addWidget(self._verb)
        return foot

    def _panel(self, title: str) -> tuple[QFrame, QVBoxLayout]:
        px = theme().px
        panel = QFrame(self)
        panel.setProperty("role", "panel")
        rows = QVBoxLayout(panel)
        rows.setContentsMargins(px(16), px(12), px(16), px(14))
        rows.setSpacing(px(8))
        rows.addWidget(PlainText(title.upper(), panel, role="kicker", tone="muted", wraps=False))
        return panel, rows

    def _ticket_panel(self) -> QFrame:
        px = theme().px
        self.ticket, rows = self._panel("Ticket")
        grid = QGridLayout()
        grid.setHorizontalSpacing(px(12))
        grid.setVerticalSpacing(px(8))
        grid.setColumnStretch(2, 1)
        self.push = QCheckBox("Send the documentation to the ticket", self.ticket)
        self.push.setAccessibleName(self.push.text())
        self.push.toggled.connect(self._closing.set_push)
        self.visibility = Choice(self.ticket)
        self.visibility.setAccessibleName("Who can read the note")
        for label, value in _VISIBILITIES:
            self.visibility.addItem(label, value)
        self.visibility.activated.connect(self._visibility_chosen)
        self._time_widgets()
        self.ticket_words = PlainText("", self.ticket, tone="amber")
        self.status = Choice(self.ticket)
        self.status.setAccessibleName("Ticket status")
        self.status.activated.connect(self._status_chosen)
        self.status_words = PlainText("", self.ticket, tone="muted")
        self.labels = {
            name: PlainText(name, self.ticket, tone="muted", wraps=False)
            for name in ("Note", "Time", "Status")
        }
        grid.addWidget(self.push, 0, 0, 1, 3)
        grid.addWidget(self.labels["Note"], 1, 0)
        grid.addWidget(self.visibility, 1, 1)
        grid.addWidget(self.labels["Time"], 2, 0)
        grid.addWidget(self.minutes, 2, 1)
        worked = QHBoxLayout()
        worked.setSpacing(px(10))
        worked.addWidget(self.worked, 1)
        worked.addWidget(self.more)
        grid.addLayout(worked, 2, 2)
        grid.addWidget(self.span, 3, 1, 1, 2, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(self.options, 4, 1, 1, 2, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(self.options_words, 5, 1, 1, 2)
        grid.addWidget(self.labels["Status"], 6, 0)
        grid.addWidget(self.status, 6, 1)
        grid.addWidget(self.status_words, 6, 2)
        rows.addLayout(grid)
        rows.addWidget(self.ticket_words)
        self.mapping = Button("", variant="link", icon="person", parent=self.ticket)
        self.mapping.clicked.connect(self._map_member)
        rows.addWidget(self.mapping)
        return self.ticket

    def _time_widgets(self) -> None:
        self.minutes = Number(self.ticket)
        self.minutes.setRange(0, _MOST_MINUTES)
        self.minutes.setSingleStep(15)
        self.minutes.setSuffix(" min")
        self.minutes.setSpecialValueText("No time entry")
        self.minutes.setAccessibleName("Minutes to bill")
        self.minutes.valueChanged.connect(self._closing.set_minutes)
        self.worked = PlainText("", self.ticket, tone="muted")
        self.span = SpanEdit("Time entry", self.ticket)
        self.span.edited.connect(self._closing.set_span)
        self.more = Button("More", variant="link", icon="chevron-down", parent=self.ticket)
        self.more.clicked.connect(self._closing.show_more)
        self.options = WorkEdit(self.ticket)
        self.options.chosen.connect(self._closing.choose_time)
        self.options_words = PlainText("", self.ticket, tone="amber")

    def _pushed_panel(self) -> QFrame:
        self.pushed, rows = self._panel("Sent to the ticket")
        self.items = PushPanel(self._push, self.pushed)
        rows.addWidget(self.items)
        return self.pushed

    def _note_panel(self) -> QFrame:
        panel, rows = self._panel("Note")
        head = QHBoxLayout()
        self.masked = PlainText("", panel, role="small", tone="muted")
        self.again = Button("Write again", variant="link", icon="undo", parent=panel)
        self.again.clicked.connect(self._closing.write_note_again)
        head.addWidget(self.masked, 1)
        head.addWidget(self.again)
        self.unsent = PlainText("", panel, role="small", tone="amber")
        self.note = QPlainTextEdit(panel)
        self.note.setProperty("role", "code")
        self.note.setAccessibleName("The note as it will leave")
        self.note.setMinimumHeight(theme().px(240))
        self.note.setTabChangesFocus(True)
        self.note.textChanged.connect(self._note_typed)
        rows.addLayout(head)
        rows.addWidget(self.unsent)
        rows.addWidget(self.note, 1)
        return panel

    # Showing

    @Slot()
    def _render(self) -> None:
        model = self._closing
        is_closed = model.closing is not None
        problem = model.view.session.problem_summary if model.view else ""
        self.title.show_text(joined(self._words[is_closed], problem))
        self._fill(self.note, model.note, is_closed=is_closed)
        self.again.setVisible(model.note_is_edited and not is_closed)
        words = _masked_words(model.masked, is_closed=is_closed)
        if not model.masked and not is_closed:
            what = "This is what leaves." if model.has_ticket else "This is kept in the history."
            words = f"{what} You can edit it."
        self.masked.show_text(words)
        unsent = "" if is_closed else _unsent_words(model.unsent)
        self.unsent.show_text(unsent)
        self.unsent.setVisible(bool(unsent))
        self._render_own(is_closed=is_closed)
        self._render_ticket(is_closed=is_closed)
        self._verb.setVisible(not is_closed)
        self.done.setVisible(is_closed)
        words, tone = self._foot_words()
        if model.error is not None:
            words, tone = told(model.error.message, model.error.hint), "red"
        self.words.show_text(words)
        self.words.set_tone(tone)
        self._render_focus(is_closed=is_closed)

    def _render_focus(self, *, is_closed: bool) -> None:
        """Give the focus to what comes next, once: the first field, and afterwards the way on."""
        is_ready = self._closing.preview is not None
        if is_closed and not self._was_closed:
            self.done.setFocus()
        elif is_ready and not is_closed and not self._was_ready:
            self._first_field().setFocus()
        self._was_ready, self._was_closed = is_ready, is_closed

    def _render_ticket(self, *, is_closed: bool) -> None:
        model = self._closing
        self.ticket.setVisible(model.has_ticket and not is_closed)
        self.pushed.setVisible(model.has_ticket and is_closed)
        pushed_id = model.session_id if is_closed else ""
        if self._push.session_id != pushed_id:
            self._push.show(pushed_id)
        sends = model.will_push
        with QSignalBlocker(self.push), QSignalBlocker(self.minutes):
            self.push.setChecked(sends)
            self.minutes.setValue(model.shown_minutes)
        self.push.setEnabled(not is_closed)
        visibility = model.visibility or (model.preview.visibility if model.preview else None)
        if visibility is not None:
            self.visibility.setCurrentIndex([value for _, value in _VISIBILITIES].index(visibility))
        warning = model.preview.member_mapping_warning if model.preview else ""
        self.visibility.setEnabled(sends and not is_closed)
        self.minutes.setEnabled(sends and not is_closed and not warning)
        self.worked.show_text(f"worked {duration_words(model.worked)}")
        self._render_time(can_edit=sends and not is_closed and not warning)
        self.ticket_words.show_text(model.ticket_warning)
        self.ticket_words.setVisible(bool(model.ticket_warning))
        self.mapping.show_text(warning)
        self.mapping.setVisible(bool(warning))
        shows_status = model.asks_status
        for widget in (self.labels["Status"], self.status, self.status_words):
            widget.setVisible(shows_status)
        if shows_status:
            names = ["Leave as it is", *(status.name for status in model.statuses)]
            if [self.status.itemText(i) for i in range(self.status.count())] != names:
                self.status.clear()
                self.status.addItems(names)
            self.status.setEnabled(sends and bool(model.statuses) and not is_closed)
            error = model.status_error.message if model.status_error else ""
            self.status_words.show_text(error or model.status_warning)
            self.status_words.set_tone("amber")

    def _render_time(self, *, can_edit: bool) -> None:
        model = self._closing
        span, has_time = model.shown_span, bool(model.shown_minutes)
        if span is not None:
            self.span.show_span(*span)
        self.span.setVisible(span is not None)
        self.span.setEnabled(can_edit)
        self.more.setVisible(has_time)
        self.more.show_icon("chevron-up" if model.shows_more else "chevron-down")
        self.options.setVisible(has_time and model.shows_more)
        self.options.setEnabled(can_edit)
        words = model.options_error.message if model.options_error else ""
        self.options_words.show_text(words)
        self.options_words.setVisible(bool(words) and model.shows_more)
        self.options.show_work(model.time_choice, model.work_types, model.work_roles)

    def _fill(self, editor: QPlainTextEdit, text: str, *, is_closed: bool) -> None:
        """Show a text unless the technician is just typing it."""
        editor.setReadOnly(is_closed)
        editor.setEnabled(self._closing.preview is not None)  # until then it may be replaced
        if editor.toPlainText() == text or editor.hasFocus():
            return
        with QSignalBlocker(editor):
            editor.setPlainText(text)

    # Doing

    @Slot()
    def _note_typed(self) -> None:
        self._closing.set_note(self.note.toPlainText())

    @Slot(int)
    def _visibility_chosen(self, place: int) -> None:
        self._closing.set_visibility(_VISIBILITIES[place][1])

    @Slot(int)
    def _status_chosen(self, place: int) -> None:
        self._closing.choose_status(self._closing.statuses[place - 1] if place else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go back to the session with Esc."""
        if event.key() == Qt.Key.Key_Escape:
            self._leave()
            event.accept()
        else:
            super().keyPressEvent(event)

    @Slot()
    def _leave(self) -> None:
        self.left.emit(self._closing.session_id)

    @Slot()
    def _map_member(self) -> None:
        self.settings_wanted.emit("Integrations")


def _unsent_words(unsent: Sequence[str]) -> str:
    """Return what was typed on the session's page and never sent, so that it is not lost unseen."""
    if not unsent:
        return ""
    told = ", ".join(
        f"“{' '.join(text[:_UNSENT].split())}{'…' if len(text) > _UNSENT else ''}”"
        for text in unsent
    )
    return f"Typed but not sent, so not in the note: {told}. Go back to send it."


def _masked_words(masked: tuple[Masked, ...], *, is_closed: bool) -> str:
    """Return what was masked and where: "Masked before it leaves: password (line 7, line 9)"."""
    if not masked:
        return ""
    places: dict[str, list[str]] = {}
    for mask in masked:
        places.setdefault(mask.kind, []).append(mask.where)
    told = ", ".join(
        f"{kind} ({', '.join(dict.fromkeys(where[:_PLACES]))}"
        f"{f' and {len(where) - _PLACES} more' if len(where) > _PLACES else ''})"
        for kind, where in places.items()
    )
    if is_closed:
        return f"Masked before it left: {told}."
    return f"Masked before it leaves: {told}. You can edit the rest."

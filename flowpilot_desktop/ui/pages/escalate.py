"""The page that hands a session over: why, to whom, what goes along, what the ticket gets."""

from __future__ import annotations

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

from flowpilot_desktop.core.escalation import HandOff
from flowpilot_desktop.core.timing import duration_words
from flowpilot_desktop.ui.controls import AnswerEdit, Button, FoldedText
from flowpilot_desktop.ui.fields import Choice, Number
from flowpilot_desktop.ui.text import PlainText, copied, displayable
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined
from flowpilot_desktop.viewmodels.escalate import EscalateViewModel

_COLUMN = 860
_MOST_MINUTES = 24 * 60
_NAME_LIMIT = 80
EVERYBODY = "Anybody in the team"


class EscalatePage(QWidget):
    """Why, to whom, and what leaves."""

    left = Signal(str)
    finished = Signal()
    settings_wanted = Signal(str)

    def __init__(self, model: EscalateViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setProperty("role", "page")
        px = theme().px
        column = QWidget(self)
        column.setMaximumWidth(px(_COLUMN))
        rows = QVBoxLayout(column)
        rows.setContentsMargins(px(16), px(16), px(16), px(16))
        rows.setSpacing(px(12))
        rows.addWidget(self._queue_panel())
        rows.addWidget(self._reason_panel())
        rows.addWidget(self._package_panel())
        rows.addWidget(self._ticket_panel())
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
        self.title = PlainText("Escalate", head, role="head")
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
        self.escalate = Button("Escalate", variant="amber", icon="escalation", parent=foot)
        self.escalate.clicked.connect(self._model.escalate)
        row.addWidget(self.words, 1)
        row.addWidget(self.done)
        row.addWidget(self.escalate)
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

    def _queue_panel(self) -> QFrame:
        self.queue, rows = self._panel("Team queue")
        line = QHBoxLayout()
        self.queue_words = PlainText("", self.queue, tone="amber")
        line.addWidget(self.queue_words, 1)
        self.set_up = Button("Set up", icon="settings", variant="amber", parent=self.queue)
        self.set_up.setAccessibleName("Set up the team queue")
        self.set_up.clicked.connect(self._set_up_queue)
        line.addWidget(self.set_up)
        rows.addLayout(line)
        return self.queue

    def _reason_panel(self) -> QFrame:
        panel, rows = self._panel("Why somebody else should look at it")
        self.reason = AnswerEdit(
            "What is needed that you don't have: rights, knowledge, time? (required)",
            "Reason for escalating",
            panel,
            sends=False,
            lines=2,
        )
        self.reason.textChanged.connect(self._reason_typed)
        rows.addWidget(self.reason)
        line = QHBoxLayout()
        line.setSpacing(theme().px(10))
        line.addWidget(PlainText("Assign to", panel, tone="muted", wraps=False))
        self.members = Choice(panel)
        self.members.setAccessibleName("Assign to")
        self.members.setMinimumWidth(theme().px(260))
        self.members.activated.connect(self._member_chosen)
        line.addWidget(self.members)
        line.addStretch(1)
        rows.addLayout(line)
        return panel

    def _package_panel(self) -> QFrame:
        self.package, rows = self._panel("What your teammate gets")
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme().px(12))
        grid.setVerticalSpacing(theme().px(6))
        grid.setColumnStretch(1, 1)
        self.parts: dict[str, tuple[PlainText, FoldedText]] = {}
        for place, name in enumerate(
            ("Problem", "Steps tried", "Ruled out", "Could be", "Next", "Systems")
        ):
            head = PlainText(name, self.package, role="strong", wraps=False)
            text = FoldedText("", self.package)
            grid.addWidget(head, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(text, place, 1)
            self.parts[name] = (head, text)
        rows.addLayout(grid)
        words = "Passwords and keys are masked. Claude may add what to look at next."
        rows.addWidget(PlainText(words, self.package, role="small", tone="muted"))
        return self.package

    def _ticket_panel(self) -> QFrame:
        px = theme().px
        self.ticket, rows = self._panel("Ticket")
        grid = QGridLayout()
        grid.setHorizontalSpacing(px(12))
        grid.setVerticalSpacing(px(8))
        grid.setColumnStretch(2, 1)
        self.push = QCheckBox("Send the documentation to the ticket", self.ticket)
        self.push.setAccessibleName(self.push.text())
        self.push.toggled.connect(self._model.set_push)
        self.minutes = Number(self.ticket)
        self.minutes.setRange(0, _MOST_MINUTES)
        self.minutes.setSingleStep(15)
        self.minutes.setSuffix(" min")
        self.minutes.setSpecialValueText("No time entry")
        self.minutes.setAccessibleName("Minutes to bill")
        self.minutes.valueChanged.connect(self._model.set_minutes)
        self.worked = PlainText("", self.ticket, tone="muted")
        self.status = Choice(self.ticket)
        self.status.setAccessibleName("Ticket status")
        self.status.activated.connect(self._status_chosen)
        self.status_words = PlainText("", self.ticket, tone="muted")
        self.status_label = PlainText("Status", self.ticket, tone="muted", wraps=False)
        grid.addWidget(self.push, 0, 0, 1, 3)
        grid.addWidget(PlainText("Time", self.ticket, tone="muted", wraps=False), 1, 0)
        grid.addWidget(self.minutes, 1, 1)
        grid.addWidget(self.worked, 1, 2)
        grid.addWidget(self.status_label, 2, 0)
        grid.addWidget(self.status, 2, 1)
        grid.addWidget(self.status_words, 2, 2)
        rows.addLayout(grid)
        self.mapping = Button("", variant="link", icon="person", parent=self.ticket)
        self.mapping.clicked.connect(self._map_member)
        rows.addWidget(self.mapping)
        return self.ticket

    def _note_panel(self) -> QFrame:
        panel, rows = self._panel("Note")
        head = QHBoxLayout()
        words = "This is what leaves. You can edit it."
        head.addWidget(PlainText(words, panel, role="small", tone="muted"), 1)
        self.again = Button("Write again", variant="link", icon="undo", parent=panel)
        self.again.clicked.connect(self._model.write_note_again)
        head.addWidget(self.again)
        self.note = QPlainTextEdit(panel)
        self.note.setProperty("role", "code")
        self.note.setAccessibleName("The note as it will leave")
        self.note.setMinimumHeight(theme().px(200))
        self.note.setTabChangesFocus(True)
        self.note.textChanged.connect(self._note_typed)
        rows.addLayout(head)
        rows.addWidget(self.note, 1)
        return panel

    # Showing

    @Slot()
    def _render(self) -> None:
        model = self._model
        is_closed = model.closing is not None
        problem = model.view.session.problem_summary if model.view else ""
        self.title.show_text(joined("Escalated" if is_closed else "Escalate", problem))
        error = model.queue_error
        self.queue.setVisible(error is not None)
        self.queue_words.show_text(joined(error.message, error.hint) if error else "")
        self._fill(self.reason, model.reason)
        self._fill(self.note, model.note)
        for editor in (self.reason, self.note):
            editor.setReadOnly(is_closed)
            editor.setEnabled(model.preview is not None)
        self.again.setVisible(model.note_is_edited and not is_closed)
        self._render_members(is_closed=is_closed)
        self._render_package(model.hand_off)
        self._render_ticket(is_closed=is_closed)
        self._render_foot(is_closed=is_closed)

    def _render_members(self, *, is_closed: bool) -> None:
        names = [EVERYBODY]
        for one in self._model.members:
            seen = f"seen {ago(one.last_seen)}" if one.last_seen else ""
            names.append(joined(copied(displayable(one.name, _NAME_LIMIT)), seen))
        ids = ["", *(one.id for one in self._model.members)]
        if [self.members.itemText(i) for i in range(self.members.count())] != names:
            self.members.clear()
            self.members.addItems(names)
        if self._model.assign_to in ids:
            self.members.setCurrentIndex(ids.index(self._model.assign_to))
        self.members.setEnabled(not is_closed)

    def _render_package(self, hand_off: HandOff | None) -> None:
        self.package.setVisible(hand_off is not None)
        if hand_off is None:
            return
        steps = [
            f"{number}. {step.text}" + (f"\n    → {step.outcome}" if step.outcome else "")
            for number, step in enumerate(hand_off.steps, 1)
        ]
        likely = [
            f"{one.text} ({round(one.confidence * 100)} %)" if one.confidence else one.text
            for one in hand_off.hypotheses
        ]
        texts = {
            "Problem": hand_off.problem,
            "Steps tried": "\n".join(steps) or "None yet.",
            "Ruled out": "\n".join(hand_off.ruled_out),
            "Could be": "\n".join(likely),
            "Next": "\n".join(hand_off.next_steps),
            "Systems": "\n".join(hand_off.environment),
        }
        for name, (head, text) in self.parts.items():
            text.show_text(texts[name])
            head.setVisible(bool(texts[name]))
            text.setVisible(bool(texts[name]))

    def _render_ticket(self, *, is_closed: bool) -> None:
        model = self._model
        self.ticket.setVisible(model.has_ticket)
        sends = model.will_push
        with QSignalBlocker(self.push), QSignalBlocker(self.minutes):
            self.push.setChecked(sends)
            self.minutes.setValue(model.shown_minutes)
        self.push.setEnabled(not is_closed)
        warning = model.preview.member_mapping_warning if model.preview else ""
        self.minutes.setEnabled(sends and not is_closed and not warning)
        self.worked.show_text(f"worked {duration_words(model.worked)}")
        self.mapping.show_text(warning)
        self.mapping.setVisible(bool(warning))
        for widget in (self.status_label, self.status, self.status_words):
            widget.setVisible(model.asks_status)
        if model.asks_status:
            names = ["Leave as it is", *(status.name for status in model.statuses)]
            if [self.status.itemText(i) for i in range(self.status.count())] != names:
                self.status.clear()
                self.status.addItems(names)
            self.status.setEnabled(sends and bool(model.statuses) and not is_closed)
            fault = model.status_error.message if model.status_error else ""
            self.status_words.show_text(fault or model.status_warning)
            self.status_words.set_tone("amber")

    def _render_foot(self, *, is_closed: bool) -> None:
        model = self._model
        self.escalate.setVisible(not is_closed)
        self.done.setVisible(is_closed)
        self.escalate.setEnabled(model.can_escalate)
        self.escalate.show_text(model.escalate_label)
        words, tone = "", "muted"
        if model.error is not None:
            words, tone = joined(model.error.message, model.error.hint), "red"
        elif model.closing is not None:
            words, tone = "Your team sees it as soon as the queue has it.", "green"
            words = joined(words, model.push_words, model.closing.member_mapping_warning)
        elif model.view is not None and not model.reason.strip():
            words = "Say in a sentence why somebody else should look at it."
        self.words.show_text(words)
        self.words.set_tone(tone)

    def _fill(self, editor: QPlainTextEdit, text: str) -> None:
        """Show a text unless the technician is just typing it."""
        if editor.toPlainText() == text or editor.hasFocus():
            return
        with QSignalBlocker(editor):
            editor.setPlainText(text)

    # Doing

    @Slot()
    def _reason_typed(self) -> None:
        self._model.set_reason(self.reason.toPlainText())

    @Slot()
    def _note_typed(self) -> None:
        self._model.set_note(self.note.toPlainText())

    @Slot(int)
    def _member_chosen(self, place: int) -> None:
        members = self._model.members
        self._model.assign(members[place - 1].id if 0 < place <= len(members) else "")

    @Slot(int)
    def _status_chosen(self, place: int) -> None:
        self._model.choose_status(self._model.statuses[place - 1] if place else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go back to the session with Esc."""
        if event.key() == Qt.Key.Key_Escape:
            self._leave()
            event.accept()
        else:
            super().keyPressEvent(event)

    @Slot()
    def _leave(self) -> None:
        self.left.emit(self._model.session_id)

    @Slot()
    def _set_up_queue(self) -> None:
        self.settings_wanted.emit("Team queue")

    @Slot()
    def _map_member(self) -> None:
        self.settings_wanted.emit("Integrations")

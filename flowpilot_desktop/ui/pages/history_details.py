"""Beside the history's list: a session with its note and its way to the ticket, or a ticket."""

from __future__ import annotations

from datetime import timedelta

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from flowpilot_desktop.core.push import PsaPushStatus, PushState
from flowpilot_desktop.core.session import SessionStatus
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.core.timing import duration_words
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.controls import Badge, Button
from flowpilot_desktop.ui.pages.push import PushPanel
from flowpilot_desktop.ui.pages.session_standing import status_words
from flowpilot_desktop.ui.text import ElidedText, PlainText, bounded_runs
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import STATUS_BADGES, ago, joined, local_time, ticket_line
from flowpilot_desktop.viewmodels.push import PushViewModel

_PUSH_WORDS = {
    PsaPushStatus.SENT: ("Documentation pushed to ticket #{}", "green"),
    PsaPushStatus.PENDING: ("Documentation for ticket #{} is queued, will sync shortly", "amber"),
    PsaPushStatus.PENDING_RETRY: (
        "Documentation for ticket #{} is queued, will sync shortly",
        "amber",
    ),
    PsaPushStatus.FAILED: ("Documentation did not reach ticket #{}", "red"),
}


class Details(QFrame):
    """A title, a quieter line, what the subclass adds, a text to read, and buttons."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        px = theme().px
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(px(18), px(14), px(18), px(14))
        self._rows.setSpacing(px(8))
        head = QHBoxLayout()
        self.title = PlainText("", self, role="title")
        self.badge = Badge("", "neutral", self)
        head.addWidget(self.title, 1)
        head.addWidget(self.badge)
        self.line = ElidedText("", self, tone="muted")
        self._rows.addLayout(head)
        self._rows.addWidget(self.line)
        self._build_middle()
        self.note = QPlainTextEdit(self)
        self.note.setReadOnly(True)
        self.note.setProperty("role", "code")
        self.note.setAccessibleName(name)
        self.note.setTabChangesFocus(True)
        self._rows.addWidget(self.note, 1)
        buttons = QHBoxLayout()
        for button in self._buttons():
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._rows.addLayout(buttons)

    def _build_middle(self) -> None:
        """Add what stands between the head and the text."""

    def _buttons(self) -> tuple[Button, ...]:
        return ()

    def _read(self, text: str) -> None:
        text = bounded_runs(text)
        if text != self.note.toPlainText():
            self.note.setPlainText(text)


class SessionDetails(Details):
    """A session, its note, and what became of it in the ticket."""

    opened = Signal()
    retried = Signal()
    flow_wanted = Signal()

    def __init__(self, push: PushViewModel, parent: QWidget | None = None) -> None:
        self._push = push
        self._documentation = ""
        super().__init__("The session's note", parent)

    def _build_middle(self) -> None:
        self.ended = PlainText("", self)
        self._rows.addWidget(self.ended)
        self.push = PlainText("", self)
        self.retry = Button("Retry", icon="refresh", parent=self)
        self.retry.clicked.connect(self.retried)
        self.items = PushPanel(self._push, self)
        row = QHBoxLayout()
        row.addWidget(self.push, 1)
        row.addWidget(self.retry)
        self._rows.addLayout(row)
        self._rows.addWidget(self.items)

    def _buttons(self) -> tuple[Button, ...]:
        self.open = Button("Open session", icon="sessions", parent=self)
        self.open.clicked.connect(self.opened)
        self.copy = Button("Copy note", icon="copy", parent=self)
        self.copy.clicked.connect(self._copy)
        self.make_flow = Button("Make a flow", icon="edit", parent=self)
        self.make_flow.setToolTip("A first draft of a flow out of what was done here")
        self.make_flow.clicked.connect(self.flow_wanted)
        return self.open, self.copy, self.make_flow

    def show_view(self, view: SessionView) -> None:
        """Show a session."""
        session = view.session
        if self._push.session_id != session.id:
            self._push.show(session.id)
        self.title.show_text(session.problem_summary)
        self.make_flow.setVisible(view.is_verified and session.status is SessionStatus.RESOLVED)
        self.badge.show_text(*STATUS_BADGES[session.status])
        handler = view.engineers.get(session.handler_id, "")
        worked = (
            f"{handler} worked {duration_words(timedelta(seconds=view.active_seconds))}"
            if handler
            else ""
        )
        number = f"#{session.ticket_id}" if session.ticket_id else ""
        self.line.show_text(
            joined(number, session.company, f"started {local_time(session.created_at)}", worked)
        )
        ended = _end_words(view)
        self.ended.show_text(ended)
        self.ended.setVisible(bool(ended))
        push, tone = _PUSH_WORDS.get(view.push_status, ("", "muted"))
        reason = f": {view.push_error}" if tone == "red" and view.push_error else ""
        self.push.show_text(push.format(session.ticket_id) + reason)
        self.push.set_tone(tone)
        self.push.setVisible(bool(push))
        failed = sum(item.state is PushState.FAILED for item in view.push_items)
        self.retry.show_text("Retry all" if failed > 1 else "Retry")
        self.retry.setVisible(failed > 1)  # a single one has its own button
        self.items.setVisible(bool(view.push_items))
        self._documentation = view.documentation
        self._read(view.documentation or "The note is written when the session ends.")
        self.copy.setEnabled(bool(view.documentation))

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._documentation)


def _end_words(view: SessionView) -> str:
    """Return how a session ended and by whom: the note is the part of whoever sits here alone."""
    session = view.session
    if not session.status.is_final:
        return ""
    words, _ = status_words(view, is_mine=False)
    end = session.resolution_summary or session.end_reason
    return f"{words}: {end}" if end else words


class TicketDetails(Details):
    """A ticket as it was last read."""

    started = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("The ticket as it was read", parent)

    def _buttons(self) -> tuple[Button, ...]:
        self.start = Button("Start from this ticket", icon="sessions", parent=self)
        self.start.clicked.connect(self.started)
        return (self.start,)

    def show_context(self, context: TicketContext) -> None:
        """Show a ticket."""
        ticket = context.ticket
        self.title.show_text(ticket.summary)
        self.badge.setVisible(bool(ticket.status.name))
        self.badge.show_text(ticket.status.name, "neutral")
        self.line.show_text(joined(ticket_line(ticket), f"read {ago(context.fetched_at)}"))
        devices = ", ".join(one.name for one in context.configurations if one.name)
        parts = [
            ticket.description,
            f"Devices: {devices}" if devices else "",
            *(
                f"── {joined(_note_kind(note.is_resolution), note.author, when)} ──\n{note.text}"
                for note in context.notes
                if not note.is_description
                for when in [local_time(note.created_at) if note.created_at else ""]
            ),
        ]
        text = "\n\n".join(part for part in parts if part)
        self._read(text or "Nothing beyond the summary was read.")


def _note_kind(is_resolution: bool) -> str:  # noqa: FBT001 - one of two words
    return "Resolution" if is_resolution else "Note"

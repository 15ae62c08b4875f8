"""The history: tabs, search, the list, and a session's note beside it."""

from __future__ import annotations

from datetime import timedelta

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSplitter,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.history import SessionFilter, SessionListing
from flowpilot_desktop.core.push import PsaPushStatus, PushState
from flowpilot_desktop.core.session import SessionStatus
from flowpilot_desktop.core.timing import duration_words
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.controls import Badge, Button
from flowpilot_desktop.ui.lists import RowList
from flowpilot_desktop.ui.pages.intake import listing_words
from flowpilot_desktop.ui.pages.push import AuditView, PushPanel
from flowpilot_desktop.ui.text import ElidedText, PlainText, bounded_runs
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import STATUS_BADGES, joined, local_time
from flowpilot_desktop.viewmodels.history import HistoryViewModel
from flowpilot_desktop.viewmodels.push import AuditViewModel, PushViewModel

_TABS = (
    ("All", SessionFilter.ALL),
    ("Paused", SessionFilter.PAUSED),
    ("Escalated", SessionFilter.ESCALATED),
    ("Resolved", SessionFilter.RESOLVED),
)
_AUDIT_TAB = "Sent to tickets"
_PUSH_WORDS = {
    PsaPushStatus.SENT: ("Documentation pushed to ticket #{}", "green"),
    PsaPushStatus.PENDING: ("Documentation for ticket #{} is queued, will sync shortly", "amber"),
    PsaPushStatus.PENDING_RETRY: (
        "Documentation for ticket #{} is queued, will sync shortly",
        "amber",
    ),
    PsaPushStatus.FAILED: ("Documentation did not reach ticket #{}", "red"),
}


class HistoryPage(QWidget):
    """Every session on this computer."""

    session_opened = Signal(str)
    flow_wanted = Signal(object)

    def __init__(
        self,
        model: HistoryViewModel,
        push: PushViewModel,
        audit: AuditViewModel,
        parent: QWidget | None = None,
        *,
        queue: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._push = push
        self._audit = audit
        self.setProperty("role", "page")
        px = theme().px
        self.list = RowList(model.sessions, listing_words, "Sessions", self)
        self.list.chosen.connect(self._choose)
        self.list.ending.connect(model.more)
        self.empty = PlainText("", self, tone="muted")
        left = QWidget(self)
        left_rows = QVBoxLayout(left)
        left_rows.setContentsMargins(px(12), px(10), px(6), px(10))
        if queue is not None:
            left_rows.addWidget(queue, 1)
            queue.hide()
        self.queue = queue
        left_rows.addWidget(self.empty)
        left_rows.addWidget(self.list, 1)
        self.details = self._details()
        split = QSplitter(self)
        split.addWidget(left)
        split.addWidget(self.details)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        split.setChildrenCollapsible(False)
        left.setMinimumWidth(px(260))
        split.setSizes([px(400), px(640)])
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        self.audit = AuditView(audit, self)
        self.audit.session_chosen.connect(self.session_opened)
        self.audit.hide()
        self.split = split
        rows.addWidget(self._head())
        rows.addWidget(split, 1)
        rows.addWidget(self.audit, 1)
        model.changed.connect(self._render)
        self._render()

    def _head(self) -> QFrame:
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        head_row = QHBoxLayout(head)
        head_row.setContentsMargins(px(24), px(8), px(20), px(8))
        head_row.setSpacing(px(12))
        self.tabs = QTabBar(head)
        self.tabs.setAccessibleName("Which sessions")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for label, _ in _TABS:
            self.tabs.addTab(label)
        self.tabs.addTab(_AUDIT_TAB)
        self.tabs.currentChanged.connect(self._show_tab)
        self.search = QLineEdit(head)
        self.search.setPlaceholderText("Search problems, answers, hosts, error codes")
        self.search.setAccessibleName("Search sessions")
        self.search.setClearButtonEnabled(True)
        self.search.setMaxLength(1000)
        self.search.textChanged.connect(self._model.search)
        head_row.addWidget(PlainText("History", head, role="head", wraps=False))
        head_row.addWidget(self.tabs)
        head_row.addWidget(self.search, 1)
        return head

    def _details(self) -> QFrame:
        px = theme().px
        panel = QFrame(self)
        panel.setProperty("role", "panel")
        rows = QVBoxLayout(panel)
        rows.setContentsMargins(px(18), px(14), px(18), px(14))
        rows.setSpacing(px(8))
        line = QHBoxLayout()
        self.title = PlainText("", panel, role="title")
        self.badge = Badge("", "neutral", panel)
        line.addWidget(self.title, 1)
        line.addWidget(self.badge)
        self.line = ElidedText("", panel, tone="muted")
        self.push = PlainText("", panel)
        self.retry = Button("Retry", icon="refresh", parent=panel)
        self.retry.clicked.connect(self._retry)
        self.items = PushPanel(self._push, panel)
        push_row = QHBoxLayout()
        push_row.addWidget(self.push, 1)
        push_row.addWidget(self.retry)
        self.note = QPlainTextEdit(panel)
        self.note.setReadOnly(True)
        self.note.setProperty("role", "code")
        self.note.setAccessibleName("The session's note")
        self.open = Button("Open session", icon="sessions", parent=panel)
        self.open.clicked.connect(self._open)
        self.copy = Button("Copy note", icon="copy", parent=panel)
        self.copy.clicked.connect(self._copy)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open)
        buttons.addWidget(self.copy)
        self.make_flow = Button("Make a flow", icon="edit", parent=panel)
        self.make_flow.setToolTip("A first draft of a flow out of what was done here")
        self.make_flow.clicked.connect(self._make_flow)
        buttons.addWidget(self.make_flow)
        buttons.addStretch(1)
        rows.addLayout(line)
        rows.addWidget(self.line)
        rows.addLayout(push_row)
        rows.addWidget(self.items)
        rows.addWidget(self.note, 1)
        rows.addLayout(buttons)
        return panel

    @Slot()
    def _render(self) -> None:
        model = self._model
        rows = model.sessions.rowCount()
        if self.queue is not None:
            self.queue.setVisible(model.which is SessionFilter.ESCALATED)
        words = ""
        if model.error is not None:
            words = joined(model.error.message, model.error.hint)
        elif not rows and model.is_loading:
            words = "Reading…"
        elif not rows:
            words = "No session matches." if model.search_text else "No sessions here yet."
        self.empty.show_text(words)
        self.empty.setVisible(bool(words))
        self.list.setVisible(rows > 0)
        self.details.setVisible(model.chosen is not None)
        if model.chosen is not None:
            self._show(model.chosen)

    def _show(self, view: SessionView) -> None:
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
        push, tone = _PUSH_WORDS.get(view.push_status, ("", "muted"))
        reason = f": {view.push_error}" if tone == "red" and view.push_error else ""
        self.push.show_text(push.format(session.ticket_id) + reason)
        self.push.set_tone(tone)
        self.push.setVisible(bool(push))
        failed = sum(item.state is PushState.FAILED for item in view.push_items)
        self.retry.show_text("Retry all" if failed > 1 else "Retry")
        self.retry.setVisible(failed > 1)  # a single one has its own button
        self.items.setVisible(bool(view.push_items))
        note = bounded_runs(view.documentation or "The note is written when the session ends.")
        if note != self.note.toPlainText():
            self.note.setPlainText(note)
        self.copy.setEnabled(bool(view.documentation))

    @Slot(int)
    def _show_tab(self, place: int) -> None:
        is_audit = place == len(_TABS)
        self.split.setVisible(not is_audit)
        self.search.setEnabled(not is_audit)
        self.audit.setVisible(is_audit)
        if is_audit:
            self._audit.show()
        else:
            self._audit.hide()
            self._model.filter_by(_TABS[place][1])

    @Slot(object)
    def _choose(self, row: SessionListing) -> None:
        self._model.choose(row.session.id)

    @Slot()
    def _open(self) -> None:
        if self._model.chosen is not None:
            self.session_opened.emit(self._model.chosen.session.id)

    @Slot()
    def _retry(self) -> None:
        if self._model.chosen is not None:
            self._model.retry_push(self._model.chosen.session.id)

    @Slot()
    def _make_flow(self) -> None:
        if self._model.chosen is not None:
            self.flow_wanted.emit(self._model.chosen)

    @Slot()
    def _copy(self) -> None:
        if self._model.chosen is not None:
            QGuiApplication.clipboard().setText(self._model.chosen.documentation)

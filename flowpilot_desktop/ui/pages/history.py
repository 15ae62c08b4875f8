"""The history: tabs, search, filters, the lists, and what is chosen beside them."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QSplitter,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.history import SessionFilter, SessionListing, TicketListing
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.fields import Choice
from flowpilot_desktop.ui.lists import RowList, RowWords
from flowpilot_desktop.ui.pages.history_details import SessionDetails, TicketDetails
from flowpilot_desktop.ui.pages.intake import listing_words
from flowpilot_desktop.ui.pages.push import AuditView
from flowpilot_desktop.ui.text import PlainText, copied, displayable
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined, ticket_badges, ticket_line, told
from flowpilot_desktop.viewmodels.history import HistoryViewModel
from flowpilot_desktop.viewmodels.push import AuditViewModel, PushViewModel

_TABS = (
    ("All", SessionFilter.ALL),
    ("Paused", SessionFilter.PAUSED),
    ("Escalated", SessionFilter.ESCALATED),
    ("Resolved", SessionFilter.RESOLVED),
)
_AUDIT_TAB = "Sent to tickets"
_EVERYBODY = "All clients"
_NAME_LIMIT = 60
_TICKETS_SHOWN = 4
"""Rows of tickets that are seen below the sessions at once."""


def found_words(row: SessionListing) -> RowWords:
    """Return how a session that was found reads: with where it matched."""
    words = listing_words(row)
    session = row.session
    number = f"#{session.ticket_id}" if session.ticket_id else ""
    line = joined(number, session.company, ago(session.updated_at), row.snippet)
    return RowWords(words.title, line, words.badges)


def ticket_words(row: TicketListing) -> RowWords:
    """Return how a ticket that was found reads."""
    line = joined(ticket_line(row.ticket), row.snippet)
    return RowWords(row.ticket.summary, line, ticket_badges(row.ticket)[:1])


class HistoryPage(QWidget):
    """Every session on this computer."""

    session_opened = Signal(str)
    ticket_wanted = Signal(object)
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
        self._audit = audit
        self.setProperty("role", "page")
        px = theme().px
        self.queue = queue
        self.split = QSplitter(self)
        self.split.addWidget(self._lists())
        self.split.addWidget(self._beside(push))
        self.split.setStretchFactor(0, 2)
        self.split.setStretchFactor(1, 3)
        self.split.setChildrenCollapsible(False)
        self.split.setSizes([px(400), px(640)])
        self.audit = AuditView(audit, self)
        self.audit.session_chosen.connect(self.session_opened)
        self.audit.hide()
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(self._head())
        rows.addWidget(self.split, 1)
        rows.addWidget(self.audit, 1)
        model.changed.connect(self._render)
        self._render()

    # Building

    def _head(self) -> QFrame:
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        rows = QVBoxLayout(head)
        rows.setContentsMargins(px(24), px(8), px(20), px(8))
        rows.setSpacing(px(8))
        first = QHBoxLayout()
        first.setSpacing(px(12))
        self.tabs = QTabBar(head)
        self.tabs.setAccessibleName("Which sessions")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for label, _ in _TABS:
            self.tabs.addTab(label)
        self.tabs.addTab(_AUDIT_TAB)
        self.tabs.currentChanged.connect(self._show_tab)
        self.search = self._line(head, "Search sessions", "Search problems, answers, tickets")
        self.search.textChanged.connect(self._model.search)
        first.addWidget(PlainText("History", head, role="head", wraps=False))
        first.addWidget(self.tabs)
        first.addWidget(self.search, 1)
        self.filters = QWidget(head)
        second = QHBoxLayout(self.filters)
        second.setContentsMargins(0, 0, 0, 0)
        second.setSpacing(px(8))
        self.client = Choice(self.filters)
        self.client.setAccessibleName("Client")
        self.client.addItem(_EVERYBODY, "")
        self.client.setMinimumWidth(px(170))
        self.client.setSizeAdjustPolicy(
            Choice.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.client.activated.connect(self._client_chosen)
        self.device = self._line(self.filters, "Device", "Device: name, address or serial number")
        self.device.textChanged.connect(self._device_typed)
        self.fault = self._line(self.filters, "Error text", "Error: its code or words in a row")
        self.fault.textChanged.connect(self._fault_typed)
        self.clear = Button("Clear", icon="close", variant="quiet", parent=self.filters)
        self.clear.setAccessibleName("Clear search and filters")
        self.clear.clicked.connect(self._clear)
        second.addWidget(self.client)
        second.addWidget(self.device, 1)
        second.addWidget(self.fault, 1)
        second.addWidget(self.clear)
        rows.addLayout(first)
        rows.addWidget(self.filters)
        return head

    def _line(self, parent: QWidget, name: str, hint: str) -> QLineEdit:
        line = QLineEdit(parent)
        line.setPlaceholderText(hint)
        line.setAccessibleName(name)
        line.setToolTip(hint)
        line.setClearButtonEnabled(True)
        line.setMaxLength(1000)
        line.returnPressed.connect(self.focus_found)
        return line

    def _lists(self) -> QWidget:
        px = theme().px
        left = QWidget(self)
        left.setMinimumWidth(px(260))
        rows = QVBoxLayout(left)
        rows.setContentsMargins(px(12), px(10), px(6), px(10))
        self.empty = PlainText("", left, tone="muted")
        self.list = RowList(self._model.sessions, self._words, "Sessions", left)
        self.list.chosen.connect(self._choose)
        self.list.ending.connect(self._model.more)
        self.tickets_head = PlainText(
            "TICKETS READ BEFORE", left, role="kicker", tone="muted", wraps=False
        )
        self.tickets = RowList(self._model.tickets, ticket_words, "Tickets read before", left)
        self.tickets.chosen.connect(self._choose_ticket)
        if self.queue is not None:
            rows.addWidget(self.queue, 1)
            self.queue.hide()
        rows.addWidget(self.empty)
        rows.addWidget(self.list, 1)
        rows.addWidget(self.tickets_head)
        rows.addWidget(self.tickets)
        rows.addStretch(0)
        return left

    def _words(self, row: SessionListing) -> RowWords:
        return found_words(row) if self._model.is_asked else listing_words(row)

    def _beside(self, push: PushViewModel) -> QWidget:
        beside = QWidget(self)
        rows = QVBoxLayout(beside)
        rows.setContentsMargins(0, 0, 0, 0)
        self.details = SessionDetails(push, beside)
        self.details.opened.connect(self._open)
        self.details.retried.connect(self._retry)
        self.details.flow_wanted.connect(self._make_flow)
        self.items = self.details.items
        self.ticket = TicketDetails(beside)
        self.ticket.started.connect(self._start)
        words = "Choose a session to see what was done."
        self.nothing = PlainText(words, beside, tone="muted")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        rows.addWidget(self.details)
        rows.addWidget(self.ticket)
        rows.addWidget(self.nothing)
        return beside

    # Showing

    @Slot()
    def _render(self) -> None:
        model = self._model
        if self.queue is not None:
            self.queue.setVisible(model.which is SessionFilter.ESCALATED)
        words = model.empty_words
        if model.error is not None:
            words = told(model.error.message, model.error.hint)
        self.empty.show_text(words)
        self.empty.setVisible(bool(words))
        self.list.setVisible(model.sessions.rowCount() > 0)
        count = model.tickets.rowCount()
        self.tickets_head.setVisible(count > 0)
        self.tickets.setVisible(count > 0)
        height = max(1, self.tickets.sizeHintForRow(0)) * min(max(count, 1), _TICKETS_SHOWN)
        self.tickets.setFixedHeight(height + theme().px(8))
        self.clear.setVisible(model.is_asked)
        self._render_clients()
        self.details.setVisible(model.chosen is not None)
        self.ticket.setVisible(model.chosen is None and model.chosen_ticket is not None)
        is_open = model.chosen is not None or model.chosen_ticket is not None
        self.nothing.setVisible(not is_open and model.sessions.rowCount() > 0)
        if model.chosen is not None:
            self.details.show_view(model.chosen)
        elif model.chosen_ticket is not None:
            self.ticket.show_context(model.chosen_ticket)

    def _render_clients(self) -> None:
        """Offer the clients there are, and the chosen one in any case."""
        chosen = self._model.narrowing.client
        clients = list(self._model.clients)
        if chosen and chosen not in clients:
            clients.insert(0, chosen)
        if [self.client.itemData(i) for i in range(1, self.client.count())] != clients:
            self.client.clear()
            self.client.addItem(_EVERYBODY, "")
            for name in clients:
                self.client.addItem(copied(displayable(name, _NAME_LIMIT)), name)
        self.client.setCurrentIndex(max(0, self.client.findData(chosen)))

    # Doing

    @Slot()
    def focus_found(self) -> None:
        """Give the focus to what was found: the first session, else the first ticket."""
        for found in (self.list, self.tickets):
            if found.isVisible():
                if not found.currentIndex().isValid():
                    found.setCurrentIndex(found.model().index(0, 0))
                found.setFocus(Qt.FocusReason.OtherFocusReason)
                return

    @Slot(int)
    def _client_chosen(self, place: int) -> None:
        self._model.narrow(client=str(self.client.itemData(place) or ""))

    @Slot(str)
    def _device_typed(self, text: str) -> None:
        self._model.narrow(device=text)

    @Slot(str)
    def _fault_typed(self, text: str) -> None:
        self._model.narrow(error=text)

    @Slot()
    def _clear(self) -> None:
        for line in (self.search, self.device, self.fault):
            with QSignalBlocker(line):
                line.clear()
        self._model.widen()
        self.search.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot(int)
    def _show_tab(self, place: int) -> None:
        is_audit = place == len(_TABS)
        self.split.setVisible(not is_audit)
        self.search.setEnabled(not is_audit)
        self.filters.setVisible(not is_audit)
        self.audit.setVisible(is_audit)
        if is_audit:
            self._audit.show()
        else:
            self._audit.hide()
            self._model.filter_by(_TABS[place][1])

    @Slot(object)
    def _choose(self, row: SessionListing) -> None:
        self._model.choose(row.session.id)

    @Slot(object)
    def _choose_ticket(self, row: TicketListing) -> None:
        self._model.choose_ticket(row)

    @Slot()
    def _open(self) -> None:
        if self._model.chosen is not None:
            self.session_opened.emit(self._model.chosen.session.id)

    @Slot()
    def _start(self) -> None:
        if self._model.chosen_ticket is not None:
            self.ticket_wanted.emit(self._model.chosen_ticket.ticket)

    @Slot()
    def _retry(self) -> None:
        if self._model.chosen is not None:
            self._model.retry_push(self._model.chosen.session.id)

    @Slot()
    def _make_flow(self) -> None:
        if self._model.chosen is not None:
            self.flow_wanted.emit(self._model.chosen)

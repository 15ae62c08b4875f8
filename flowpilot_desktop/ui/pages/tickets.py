"""The ticket picker: the same part on the intake page and for linking in mid-session."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QTabBar, QVBoxLayout, QWidget

from flowpilot_desktop.core.ticket import Reference, Ticket, TicketScope
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.fields import Choice
from flowpilot_desktop.ui.lists import RowList, RowWords
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined, ticket_badges, ticket_line
from flowpilot_desktop.viewmodels.intake import CONNECT_TIP, FALLBACK_TIP, TicketPicker
from flowpilot_desktop.viewmodels.rows import row_at

_SCOPES = (
    ("My tickets", TicketScope.MINE),
    ("All open", TicketScope.ALL_OPEN),
    ("All", TicketScope.ALL),
)


class TicketPickerView(QWidget):
    """Search field, scopes, list, and what to do when ConnectWise is away."""

    chosen = Signal(object)
    number_chosen = Signal()

    def __init__(self, model: TicketPicker, take: str, parent: QWidget | None = None) -> None:
        """``take`` is on the button that takes the ticket."""
        super().__init__(parent)
        self._model = model
        px = theme().px
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Search number, summary, company or contact")
        self.search.setAccessibleName("Search tickets")
        self.search.setClearButtonEnabled(True)
        self.search.setMaxLength(500)
        self.search.textChanged.connect(model.search)
        self.search.returnPressed.connect(self._take_first)
        self.scopes = QTabBar(self)
        self.scopes.setAccessibleName("Which tickets")
        self.scopes.setDrawBase(False)
        self.scopes.setExpanding(False)
        for label, _ in _SCOPES:
            self.scopes.addTab(label)
        self.scopes.currentChanged.connect(self._show_scope)
        self.tip = PlainText("", self, tone="muted")
        self.number = Button("", variant="link", icon="ticket", parent=self)
        self.number.clicked.connect(self._take_number)
        filters = self._filters(take)
        self.list = RowList(model.tickets, self._words, "Tickets", self)
        self.list.chosen.connect(self._take)
        self.list.ending.connect(model.more)
        self.empty = PlainText("", self, tone="muted")
        head = QHBoxLayout()
        head.setSpacing(px(8))
        head.addWidget(self.search, 1)
        head.addWidget(self.scopes)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(6))
        rows.addLayout(head)
        rows.addLayout(filters)
        rows.addWidget(self.tip)
        rows.addWidget(self.number)
        rows.addWidget(self.empty)
        rows.addWidget(self.list, 1)
        model.changed.connect(self._render)
        self._render()

    def _filters(self, take: str) -> QHBoxLayout:
        self.board = Choice(self)
        self.board.setAccessibleName("Board")
        self.board.activated.connect(self._board_chosen)
        self.status = Choice(self)
        self.status.setAccessibleName("Status")
        self.status.activated.connect(self._status_chosen)
        self.take = Button(take, icon="ticket", parent=self)
        self.take.clicked.connect(self._take_marked)
        filters = QHBoxLayout()
        filters.setSpacing(theme().px(8))
        filters.addWidget(self.board)
        filters.addWidget(self.status)
        filters.addStretch(1)
        filters.addWidget(self.take)
        return filters

    def _words(self, ticket: Ticket) -> RowWords:
        seen = self._model.seen.get(ticket.id)
        age = f"seen {ago(seen)}" if seen is not None else ""
        return RowWords(
            ticket.summary or "(no summary)",
            joined(ticket_line(ticket), age),
            ticket_badges(ticket),
        )

    @Slot()
    def _render(self) -> None:
        model = self._model
        rows = model.tickets.rowCount()
        self.search.setEnabled(model.is_connected)
        self.scopes.setEnabled(model.is_connected)
        self.take.setEnabled(model.is_connected)
        self.take.setToolTip("" if model.is_connected else CONNECT_TIP)
        self.list.setVisible(model.is_connected and rows > 0)
        self._fill(self.board, "All boards", [board.name for board in model.boards])
        self.board.setVisible(model.is_connected and bool(model.boards))
        self._fill(self.status, "Any status", [status.name for status in model.statuses])
        self.status.setVisible(bool(model.board.id) and bool(model.statuses))
        tip = ""
        if not model.is_connected:
            tip = CONNECT_TIP
        elif model.error is not None:
            cached = " Tickets seen before are listed." if rows else ""
            tip = f"{FALLBACK_TIP}.{cached} Type a ticket number above to start from it."
        self.tip.show_text(tip)
        self.tip.set_tone("amber" if model.error is not None else "muted")
        self.tip.setVisible(bool(tip))
        number = model.typed_number
        known = {ticket.id for ticket in model.tickets.rows}
        self.number.setVisible(bool(number) and number not in known and not model.is_searching)
        self.number.show_text(f"Start from ticket #{number}")
        empty = ""
        if model.is_searching and not rows:
            empty = "Looking for tickets…"
        elif model.is_connected and not rows and model.error is None:
            empty = "No ticket matches." if model.query.text else "No tickets here."
        self.empty.show_text(empty)
        self.empty.setVisible(bool(empty))

    def _fill(self, box: QComboBox, nothing: str, names: list[str]) -> None:
        wanted = [nothing, *names]
        if [box.itemText(place) for place in range(box.count())] != wanted:
            with QSignalBlocker(box):
                box.clear()
                box.addItems(wanted)

    @Slot(int)
    def _board_chosen(self, place: int) -> None:
        self._model.choose_board(self._model.boards[place - 1] if place else Reference())

    @Slot(int)
    def _status_chosen(self, place: int) -> None:
        self._model.choose_status(self._model.statuses[place - 1].name if place else "")

    @Slot(int)
    def _show_scope(self, place: int) -> None:
        self._model.show_scope(_SCOPES[place][1])

    @Slot(object)
    def _take(self, ticket: Ticket) -> None:
        # When the list comes back, a row that is still marked would read as the chosen ticket.
        self.list.setCurrentIndex(QModelIndex())
        self.chosen.emit(ticket)

    @Slot()
    def _take_marked(self) -> None:
        """Take the marked ticket or the typed number, else lead to the list."""
        ticket = row_at(self.list.currentIndex()) if self.list.isVisible() else None
        if ticket is not None:
            self._take(ticket)
        else:
            self._take_first()

    @Slot()
    def _take_first(self) -> None:
        tickets = self._model.tickets.rows
        number = self._model.typed_number
        exact = next((ticket for ticket in tickets if ticket.id == number), None)
        if exact is not None:
            self.chosen.emit(exact)
        elif number and not self._model.is_searching:
            self.number_chosen.emit()
        elif tickets:
            self.list.setFocus()
            self.list.setCurrentIndex(self._model.tickets.index(0))
        else:
            self.search.setFocus()

    @Slot()
    def _take_number(self) -> None:
        self.number_chosen.emit()

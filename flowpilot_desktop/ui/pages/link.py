"""Linking a ticket in the middle of a session: the same picker as at intake."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.ticket import Ticket
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.pages.tickets import TicketPickerView
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.viewmodels.intake import TicketPicker

_COLUMN = 780


class LinkPage(QWidget):
    """Choose the ticket that a session belongs to."""

    chosen = Signal(str, object)
    left = Signal(str)

    def __init__(self, model: TicketPicker, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._session_id = ""
        self.setProperty("role", "page")
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        row = QHBoxLayout(head)
        row.setContentsMargins(px(16), px(10), px(20), px(10))
        row.setSpacing(px(10))
        self.back = Button(icon="chevron-left", variant="icon", hint="Back to the session")
        self.back.clicked.connect(self._leave)
        row.addWidget(self.back)
        row.addWidget(PlainText("Link a ticket", head, role="head", wraps=False), 1)
        column = QFrame(self)
        column.setProperty("role", "panel")
        column.setMaximumWidth(px(_COLUMN))
        inside = QVBoxLayout(column)
        inside.setContentsMargins(px(16), px(14), px(16), px(14))
        self.picker = TicketPickerView(model, "Link Ticket", column)
        self.picker.chosen.connect(self._choose)
        self.picker.number_chosen.connect(self._choose_number)
        inside.addWidget(self.picker)
        middle = QHBoxLayout()
        middle.setContentsMargins(px(16), px(16), px(16), px(16))
        middle.addStretch(1)
        middle.addWidget(column, 100)
        middle.addStretch(1)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(head)
        page.addLayout(middle, 1)

    def open(self, session_id: str) -> None:
        """Choose a ticket for this session."""
        self._session_id = session_id
        self._model.open()
        self._focus_search()
        if not self.picker.search.isEnabled():  # until it is known whether there is a PSA
            self.back.setFocus()
            self._model.changed.connect(self._focus_search, Qt.ConnectionType.SingleShotConnection)

    @Slot()
    def _focus_search(self) -> None:
        if self.picker.search.isEnabled():
            self.picker.search.setFocus()

    @Slot(object)
    def _choose(self, ticket: Ticket) -> None:
        self.chosen.emit(self._session_id, ticket)

    @Slot()
    def _choose_number(self) -> None:
        self.chosen.emit(self._session_id, Ticket(id=self._model.typed_number, summary=""))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go back to the session with Esc."""
        if event.key() == Qt.Key.Key_Escape:
            self._leave()
            event.accept()
        else:
            super().keyPressEvent(event)

    @Slot()
    def _leave(self) -> None:
        self.left.emit(self._session_id)

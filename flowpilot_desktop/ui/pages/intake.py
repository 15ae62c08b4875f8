"""The page on which a session starts, and from which an open one is gone on with."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.history import SessionListing, SimilarSession, TicketListing
from flowpilot_desktop.core.ticket import Ticket
from flowpilot_desktop.ui.controls import AnswerEdit, Badge, Button, LineButton, announce
from flowpilot_desktop.ui.lists import RowList, RowWords
from flowpilot_desktop.ui.pages.tickets import TicketPickerView
from flowpilot_desktop.ui.text import ElidedText, PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.thumbnails import Thumbnails, pictures_of
from flowpilot_desktop.ui.viewer import Viewer
from flowpilot_desktop.ui.words import (
    STATUS_BADGES,
    ago,
    joined,
    session_line,
    ticket_badges,
    ticket_line,
    told,
)
from flowpilot_desktop.viewmodels.evidence import Exhibit
from flowpilot_desktop.viewmodels.history import HistoryViewModel
from flowpilot_desktop.viewmodels.intake import IntakeViewModel

_COLUMN = 780
_LEAST_TICKETS = 2
"""Rows of the ticket list that stay visible in the smallest window."""
_SOLVED_SHOWN = 3
_SOLVED_LETTERS = 90
_HINT = "Ctrl+Enter starts the session"


def listing_words(row: SessionListing) -> RowWords:
    """Return how a session reads in a list."""
    return RowWords(
        row.session.problem_summary,
        session_line(row.session, row.step_count),
        (STATUS_BADGES[row.session.status],),
    )


class IntakePage(QWidget):
    """Ticket, own words, what was solved before, and the button."""

    session_chosen = Signal(str)
    ticket_shown = Signal(object)

    def __init__(
        self, model: IntakeViewModel, open_sessions: HistoryViewModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._open_sessions = open_sessions
        self.setProperty("role", "page")
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        head_row = QHBoxLayout(head)
        head_row.setContentsMargins(px(24), px(12), px(20), px(12))
        head_row.addWidget(PlainText("New session", head, role="head", wraps=False), 1)
        self.ticket_panel = self._ticket_panel()
        self.words_panel = self._words_panel()
        self.before_panel = self._before_panel()
        self.open_panel = self._open_panel()
        middle = QWidget(self)
        column = QWidget(middle)
        column.setMaximumWidth(px(_COLUMN))
        rows = self._column = QVBoxLayout(column)
        rows.setContentsMargins(px(16), px(16), px(16), px(16))
        rows.setSpacing(px(12))
        rows.addWidget(self.open_panel)
        rows.addWidget(self.ticket_panel)
        rows.addWidget(self.words_panel)
        rows.addWidget(self.before_panel)
        rows.addStretch(0)
        self.area = self._area(middle, column)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(head)
        page.addWidget(self.area, 1)
        page.addWidget(self._foot())
        model.changed.connect(self._render)
        open_sessions.changed.connect(self._render)
        theme().changed.connect(self._render)  # heights follow the size of the text
        self._render()

    def _area(self, middle: QWidget, column: QWidget) -> QScrollArea:
        """Return what scrolls the column, in the middle, where the window is too small for it."""
        across = QHBoxLayout(middle)
        across.setContentsMargins(0, 0, 0, 0)
        across.addStretch(1)
        across.addWidget(column, 100)
        across.addStretch(1)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # every part of it has a stop
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(middle)
        return area

    def _foot(self) -> QFrame:
        px = theme().px
        foot = QFrame(self)
        foot.setProperty("role", "pagefoot")
        foot_row = QHBoxLayout(foot)
        foot_row.setContentsMargins(px(24), px(10), px(20), px(10))
        self.error = PlainText("", foot, tone="red")
        self.start = Button("Start Session", variant="primary", icon="play", parent=foot)
        self.start.clicked.connect(self._start)
        foot_row.addWidget(self.error, 1)
        foot_row.addWidget(self.start)
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
        panel, rows = self._panel("Ticket")
        self.picker = TicketPickerView(self._model.picker, "Pull from Ticket", panel)
        self.picker.chosen.connect(self._choose)
        self.picker.number_chosen.connect(self._choose_number)
        self.chosen = QWidget(panel)
        card = QVBoxLayout(self.chosen)
        card.setContentsMargins(0, 0, 0, 0)
        card.setSpacing(theme().px(4))
        line = QHBoxLayout()
        self.chosen_title = PlainText("", self.chosen, role="title")
        self.change = Button("Change", variant="link", parent=self.chosen)
        self.change.clicked.connect(self._model.clear_ticket)
        line.addWidget(self.chosen_title, 1)
        line.addWidget(self.change, 0, Qt.AlignmentFlag.AlignTop)
        self.chosen_line = ElidedText("", self.chosen, tone="muted")
        self.chosen_badges = QHBoxLayout()
        self.chosen_badges.setSpacing(theme().px(6))
        self.badges = [Badge("", "neutral", self.chosen) for _ in range(2)]
        for badge in self.badges:
            self.chosen_badges.addWidget(badge)
        self.chosen_badges.addStretch(1)
        card.addLayout(line)
        card.addLayout(self.chosen_badges)
        card.addWidget(self.chosen_line)
        rows.addWidget(self.picker, 1)
        rows.addWidget(self.chosen)
        return panel

    def _words_panel(self) -> QFrame:
        panel, rows = self._panel("What is going on?")
        self.words = AnswerEdit(
            "Describe the problem, or paste a log or an error message",
            "What is going on",
            panel,
            sends=False,
            lines=3,
        )
        self.words.textChanged.connect(self._typed)
        self.words.submitted.connect(self._start)
        self.words.pictured.connect(self._attach)
        rows.addWidget(self.words)
        self.thumbnails = Thumbnails(panel)
        self.thumbnails.removed.connect(self._model.remove_picture)
        self.thumbnails.opened.connect(self._open_picture)
        self.viewer = Viewer(self)
        rows.addWidget(self.thumbnails)
        self.words.shortened.connect(self._tell_shortened)
        self.words_hint = PlainText(_HINT, panel, role="small", tone="muted")
        rows.addWidget(self.words_hint)
        return panel

    def _before_panel(self) -> QFrame:
        panel, self._before_rows = self._panel("Solved before")
        self._before_lines: list[LineButton] = []
        return panel

    def _open_panel(self) -> QFrame:
        panel, rows = self._panel("Continue")
        self.open_list = RowList(
            self._open_sessions.sessions, listing_words, "Open sessions", panel
        )
        self.open_list.chosen.connect(self._continue)
        rows.addWidget(self.open_list)
        return panel

    def focus_first(self) -> None:
        """Give the focus to where a session starts: the search, or, without a PSA, the words."""
        has_search = self.picker.isVisibleTo(self) and self.picker.search.isEnabled()
        (self.picker.search if has_search else self.words).setFocus()

    # Showing

    @Slot()
    def _render(self) -> None:
        model, px = self._model, theme().px
        ticket = model.ticket
        self.picker.setVisible(ticket is None)
        self.chosen.setVisible(ticket is not None)
        # The list takes the room there is; a chosen ticket takes what it needs.
        # Asked of the model: the picker may hear of the same change only after this page.
        picker = model.picker
        has_list = ticket is None and picker.is_connected and picker.tickets.rowCount() > 0
        self._column.setStretchFactor(self.ticket_panel, int(has_list))
        self._column.setStretch(self._column.count() - 1, int(not has_list))
        if ticket is not None:
            self._show_ticket(ticket)
        placeholder = (
            "Add context (optional): what you know beyond the ticket"
            if ticket is not None
            else "Describe the problem, or paste a log or an error message"
        )
        self.words.setPlaceholderText(placeholder)
        self.words.show_text(model.text)
        if not model.text:
            self.words_hint.show_text(_HINT)
            self.words_hint.set_tone("muted")
        pictures = tuple(Exhibit.of_attachment(one) for one in model.pictures)
        self.thumbnails.show_exhibits(pictures, can_remove=True)
        self.start.show_text("Starting…" if model.is_starting else model.start_label)
        self.start.setEnabled(model.can_start)
        self.error.show_text(
            told(model.error.message, model.error.hint) if model.error is not None else ""
        )
        self._show_before()
        rows = self._open_sessions.sessions.rowCount()
        self.open_panel.setVisible(rows > 0)
        height = self.open_list.sizeHintForRow(0)
        self.open_list.setFixedHeight(max(1, min(rows, 3)) * max(height, 1) + px(8))
        self.picker.list.setMinimumHeight(_LEAST_TICKETS * max(height, px(40)))

    def _show_ticket(self, ticket: Ticket) -> None:
        self.chosen_title.show_text(ticket.summary or f"Ticket #{ticket.id}")
        line = ticket_line(ticket) if ticket.summary else "Its details load when the session starts"
        self.chosen_line.show_text(line)
        shown = ticket_badges(ticket)
        for place, badge in enumerate(self.badges):
            badge.setVisible(place < len(shown))
            if place < len(shown):
                badge.show_text(*shown[place])

    def _show_before(self) -> None:
        """Show what was solved before, the likest first: sessions, and tickets that were read."""
        all_found: list[SimilarSession | TicketListing] = []
        all_found += self._model.similar
        all_found += self._model.similar_tickets
        found = sorted(all_found, key=lambda one: one.likeness, reverse=True)[:_SOLVED_SHOWN]
        self.before_panel.setVisible(bool(found))
        while len(self._before_lines) < len(found):
            button = LineButton(icon="history", parent=self.before_panel)
            button.clicked.connect(self._open_similar)
            self._before_rows.addWidget(button)
            self._before_lines.append(button)
        for place, button in enumerate(self._before_lines):
            button.setVisible(place < len(found))
            if place < len(found):
                button.setProperty("found", found[place])
                button.show_line(*_solved_words(found[place]))

    @Slot(int)
    def _tell_shortened(self, characters: int) -> None:
        self.words_hint.show_text(
            f"The end did not fit: {counted(characters, 'character')} left out. {_HINT}"
        )
        self.words_hint.set_tone("amber")
        announce(self.words, self.words_hint.text())

    # Doing

    @Slot(object)
    def _attach(self, source: QMimeData) -> None:
        self._model.attach_pictures(pictures_of(source))

    @Slot(str)
    def _open_picture(self, picture_id: str) -> None:
        picture = self._model.picture(picture_id)
        if picture is not None:
            self.viewer.show_attachment(picture)

    @Slot()
    def _typed(self) -> None:
        self._model.set_text(self.words.text)

    @Slot(object)
    def _choose(self, ticket: Ticket) -> None:
        self._model.choose(ticket)
        self.words.setFocus()

    @Slot()
    def _choose_number(self) -> None:
        self._model.choose_typed_number()
        self.words.setFocus()

    @Slot()
    def _start(self) -> None:
        self._model.start()

    @Slot(object)
    def _continue(self, row: SessionListing) -> None:
        self.session_chosen.emit(row.session.id)

    @Slot()
    def _open_similar(self) -> None:
        sender = self.sender()
        found = sender.property("found") if isinstance(sender, Button) else None
        if isinstance(found, SimilarSession):
            self.session_chosen.emit(found.session.id)
        elif isinstance(found, TicketListing):
            self.ticket_shown.emit(found)


def _solved_words(found: SimilarSession | TicketListing) -> tuple[str, str]:
    """Return how it was solved, and for which client, how long ago, how alike it is."""
    if isinstance(found, SimilarSession):
        session = found.session
        solved = session.resolution_summary or session.problem_summary
        company, when = session.company, session.resolved_at or session.updated_at
    else:
        ticket = found.ticket
        solved = f"Ticket #{ticket.id}: {found.snippet or ticket.summary}"
        company, when = ticket.company.name, ticket.updated_at or found.fetched_at
    facts = joined(company, ago(when), f"{found.likeness:.0%} alike")
    return " ".join(solved[:_SOLVED_LETTERS].split()), f" · {facts}"

"""Where a session starts: a ticket from the picker, a typed number, own words, or several of them.

The ticket picker is a part of its own (``TicketPicker``), because linking in the middle of a
session shows the same one. Nothing waits for ConnectWise: a search that fails shows what the cache
has and why, and a number can always be typed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from PySide6.QtCore import QObject, Signal, Slot

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import ReachChanged, SettingsChanged, System
from flowpilot_desktop.core.history import SimilarSession, TicketListing
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.core.ticket import (
    RecordKind,
    Reference,
    Ticket,
    TicketQuery,
    TicketScope,
    TicketStatus,
)
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.viewmodels.drafts import Drafts
from flowpilot_desktop.viewmodels.rows import Rows
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

TYPING_PAUSE = 0.25
"""Seconds without a key before a search begins."""
LEAST_ALIKE = 0.15
"""From this likeness on, what was solved before is worth a line."""
_FIELD = "intake"
CONNECT_TIP = "Connect your PSA in Settings → Integrations"
FALLBACK_TIP = "Couldn't reach ConnectWise — you can still type the ticket details manually"


class TicketPicker(ViewModel):
    """Finds tickets: my own first, then what matches; from the cache when ConnectWise is away."""

    def __init__(self, engine: FlowPilotEngine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self.tickets: Rows[Ticket] = Rows(
            lambda ticket: ticket.id, lambda ticket: f"#{ticket.id} {ticket.summary}", self
        )
        self.query = TicketQuery(scope=TicketScope.MINE)
        self.is_connected = False
        self.is_searching = False
        self.has_more = False
        self.from_cache = False
        self.error: FlowPilotError | None = None
        self.connection_id = ""
        self.boards: tuple[Reference, ...] = ()
        self.statuses: tuple[TicketStatus, ...] = ()
        self.board = Reference()
        self.status = ""
        self.seen: dict[str, datetime] = {}
        self._wants_more = False
        self._listen(engine.events, SettingsChanged, self._settings_changed)

    def open(self) -> None:
        """Learn whether a PSA is connected, and list the technician's own tickets."""
        self.tasks.start("search", self._open())

    def search(self, text: str) -> None:
        """Search for the text once the technician pauses; empty lists the scope."""
        self._ask(text=text.strip())

    def show_scope(self, scope: TicketScope) -> None:
        """List mine, all open, or all."""
        self._ask(scope=scope)

    def choose_board(self, board: Reference) -> None:
        """Narrow to a board; an empty one stands for all."""
        if board != self.board:
            self.board, self.status, self.statuses = board, "", ()
            if board.id:
                self.tasks.start("statuses", self._load_statuses(board))
            self._ask(now=True)

    def choose_status(self, status: str) -> None:
        """Narrow to a status of the board; an empty one stands for all."""
        if status != self.status:
            self.status = status
            self._ask(now=True)

    def more(self) -> None:
        """Append the next page; asked for during a search, as soon as that has ended."""
        self._wants_more = self.is_searching
        if self.has_more and not self.is_searching:
            self.tasks.start("search", self._search(self.query.page + 1, pause=0))

    def _end(self, name: str) -> None:
        if name == "search" and self._wants_more:
            self.more()

    @property
    def typed_number(self) -> str:
        """The ticket number that the search text is, or an empty string."""
        text = self.query.text.lstrip("#").strip()
        return text if text.isascii() and text.isdigit() and len(text) <= 12 else ""  # noqa: PLR2004

    def _ask(
        self, text: str | None = None, scope: TicketScope | None = None, *, now: bool = False
    ) -> None:
        self.query = TicketQuery(
            text=self.query.text if text is None else text,
            scope=scope or self.query.scope,
        )
        self._wants_more = False
        self.tasks.start("search", self._search(1, pause=0 if scope or now else TYPING_PAUSE))

    async def _open(self) -> None:
        connection = await self._engine.tickets.connection()
        self.is_connected = connection is not None
        self.connection_id = connection.id if connection else ""
        if connection is None:
            self.tickets.show(())
            self.changed.emit()
        else:
            if not self.boards:
                self.tasks.start("boards", self._load_boards())
            await self._search(1, pause=0)

    async def _load_boards(self) -> None:
        """Fill the filter; without ConnectWise there is none, and the search says why."""
        with suppress(FlowPilotError):
            self.boards = await self._engine.tickets.boards()
            self.changed.emit()

    async def _load_statuses(self, board: Reference) -> None:
        with suppress(FlowPilotError):
            self.statuses = await self._engine.tickets.board_statuses(board.id)
            self.changed.emit()

    async def _search(self, page: int, pause: float) -> None:
        if pause:
            await asyncio.sleep(pause)
        self.is_searching = True
        self.changed.emit()
        query = TicketQuery(
            text=self.query.text,
            scope=self._effective_scope(),
            board=self.board.name,
            status=self.status,
            page=page,
            page_size=50,
        )
        try:
            found = await self._engine.tickets.find(query, self._engine.me)
        finally:
            self.is_searching = False
        self.query = TicketQuery(text=query.text, scope=self.query.scope, page=page)
        before = self.tickets.rows if page > 1 else ()
        self.tickets.show((*before, *found.page.tickets))
        self.has_more = found.page.has_more
        self.from_cache, self.seen, self.error = found.from_cache, found.seen, found.error
        if found.error is None and not self.boards and not self.tasks.is_running("boards"):
            self.tasks.start("boards", self._load_boards())
        self.changed.emit()

    def _effective_scope(self) -> TicketScope:
        """Search widely when words are given; the scope only orders what is listed without."""
        if self.query.text and self.query.scope is TicketScope.MINE:
            return TicketScope.ALL_OPEN
        return self.query.scope

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key.startswith("psa."):
            self.boards, self.statuses = (), ()
            self.board, self.status = Reference(), ""
            self.open()


class IntakeViewModel(ViewModel):
    """The page on which a session starts."""

    started = Signal(str)

    def __init__(self, engine: FlowPilotEngine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self.picker = TicketPicker(engine, self)
        self.picker.changed.connect(self.changed)
        self.text = ""
        self.ticket: Ticket | None = None
        self.pictures: tuple[Attachment, ...] = ()
        self.is_starting = False
        self._drafts = Drafts(self._save_draft, self.tasks, self.changed.emit)
        self.similar: tuple[SimilarSession, ...] = ()
        self.similar_tickets: tuple[TicketListing, ...] = ()
        self.error: FlowPilotError | None = None
        self.saved_at: datetime | None = None
        self._listen(engine.events, ReachChanged, self._reach_changed)

    def open(self) -> None:
        """Restore what was typed before and list tickets."""
        self.tasks.start("restore", self._restore())
        self.picker.open()

    def set_text(self, text: str) -> None:
        """Take what is typed; it is on the disk a quarter of a second later, paused or not."""
        if text != self.text:
            self.text = text
            self.error = None
            self._drafts.keep(_FIELD, text)
            self.tasks.start("similar", self._find_similar())
            self.changed.emit()

    def choose(self, ticket: Ticket) -> None:
        """Start from this ticket."""
        self.ticket = ticket
        self.error = None
        self.tasks.start("similar", self._find_similar())
        self.changed.emit()

    def choose_typed_number(self) -> None:
        """Start from the number that was typed, found or not."""
        number = self.picker.typed_number
        if number:
            self.choose(Ticket(id=number, summary="", kind=RecordKind.SERVICE))

    def clear_ticket(self) -> None:
        """Go back to choosing."""
        self.ticket = None
        self.changed.emit()

    @property
    def start_label(self) -> str:
        """The words on the button."""
        return f"Start Session with Ticket #{self.ticket.id}" if self.ticket else "Start Session"

    @property
    def can_start(self) -> bool:
        """Whether there is anything to start from."""
        has_any = self.ticket is not None or bool(self.text.strip()) or bool(self.pictures)
        return not self.is_starting and has_any

    def attach_pictures(self, pictures: list[bytes]) -> None:
        """Keep screenshots for the session to be started."""
        if pictures:
            self.tasks.start("pictures", self._attach(pictures))

    def picture(self, picture_id: str) -> Attachment | None:
        """Return a screenshot."""
        return next((one for one in self.pictures if one.id == picture_id), None)

    @Slot(str)
    def remove_picture(self, picture_id: str) -> None:
        """Forget a screenshot."""
        picture = self.picture(picture_id)
        if picture is not None:
            self.tasks.start("pictures", self._remove_picture(picture))

    def start(self) -> None:
        """Begin the session; a second click begins no second one."""
        if self.can_start:
            self.tasks.start_unless_running("start", self._start())

    async def _start(self) -> None:
        self.is_starting, self.error = True, None
        self.changed.emit()
        try:
            intake = Intake(
                text=self.text,
                connection_id=self.picker.connection_id if self.ticket else "",
                ticket_id=self.ticket.id if self.ticket else "",
                attachment_ids=tuple(one.id for one in self.pictures),
            )
            started = await self._engine.start_session(intake)
        except FlowPilotError as error:
            self.error = error
            return
        else:
            self._forget_started(intake.text)
            self.ticket, self.pictures = None, ()
            self.similar, self.similar_tickets = (), ()
            self.started.emit(started.session.id)
        finally:
            self.is_starting = False
            self.changed.emit()

    async def _attach(self, pictures: list[bytes]) -> None:
        try:
            for picture in pictures:
                await self._engine.attach_picture("", picture)
        except FlowPilotError as error:
            self.error = error
        self.pictures = await self._engine.pictures("")
        self.changed.emit()

    async def _remove_picture(self, picture: Attachment) -> None:
        await self._engine.remove_picture(picture)
        self.pictures = await self._engine.pictures("")
        self.changed.emit()

    async def _restore(self) -> None:
        self.pictures = await self._engine.pictures("")
        text = (await self._engine.drafts("")).get(_FIELD, "")
        if text and not self.text:
            self.text = text
            await self._find_similar()
        self.changed.emit()

    def _forget_started(self, text: str) -> None:
        """Clear what the session started with; what was typed meanwhile is the next one's."""
        rest = self.text.removeprefix(text)
        self.text = rest if rest.strip() else ""
        self._drafts.drop(_FIELD)
        if self.text:
            self._drafts.keep(_FIELD, self.text)

    async def _save_draft(self, session_id: str, where: str, text: str) -> None:
        await self._engine.save_draft(session_id, where, text)

    async def _find_similar(self) -> None:
        await asyncio.sleep(TYPING_PAUSE)
        words = f"{self.ticket.summary if self.ticket else ''} {self.text[:2000]}".strip()
        company = self.ticket.company.name if self.ticket else ""
        self.similar, self.similar_tickets = (), ()
        if words:
            alike_sessions = await self._engine.similar_sessions(words, company)
            self.similar = tuple(one for one in alike_sessions if one.likeness >= LEAST_ALIKE)
            chosen = self.ticket.id if self.ticket else ""
            # A ticket that a suggested session was about says the same once more.
            told = {chosen, *(one.session.ticket_id for one in self.similar)}
            alike = await self._engine.similar_tickets(words, company)
            self.similar_tickets = tuple(
                one for one in alike if one.likeness >= LEAST_ALIKE and one.ticket.id not in told
            )
        self.changed.emit()

    def _reach_changed(self, event: ReachChanged) -> None:
        if event.system is System.PSA:
            self.changed.emit()

    async def aclose(self) -> None:
        """Keep what was typed last, then end."""
        try:
            await self._drafts.aclose()
        finally:
            await self.picker.aclose()
            await super().aclose()

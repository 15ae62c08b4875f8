"""Sessions as a list: the page of open ones and the history with its tabs, search and filters.

The history also finds tickets that were read before: what was typed is looked for in both. The
store answers from its own thread, a page at a time, so thousands of sessions cost what sixty do.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from PySide6.QtCore import QObject

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import PushChanged, SessionChanged
from flowpilot_desktop.core.history import (
    Narrowing,
    SessionFilter,
    SessionListing,
    TicketListing,
)
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.services.engine import FlowPilotEngine, SessionView
from flowpilot_desktop.viewmodels.rows import Rows
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

PAGE = 60
TYPING_PAUSE = 0.2
_NOTHING_YET = {
    SessionFilter.ALL: "No sessions yet. Each one that you start is kept here.",
    SessionFilter.PAUSED: "Nothing is paused.",
    SessionFilter.ESCALATED: "No session of yours was escalated.",
    SessionFilter.RESOLVED: "Nothing is resolved yet.",
}


class HistoryViewModel(ViewModel):
    """A filtered, searched list of sessions, the tickets found with it, and what is chosen."""

    def __init__(
        self,
        engine: FlowPilotEngine,
        which: SessionFilter = SessionFilter.ALL,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self.sessions: Rows[SessionListing] = Rows(
            lambda row: row.session.id, lambda row: row.session.problem_summary, self
        )
        self.tickets: Rows[TicketListing] = Rows(
            lambda row: (row.connection_id, row.ticket.id),
            lambda row: f"Ticket #{row.ticket.id} {row.ticket.summary}",
            self,
        )
        self.which = which
        self.search_text = ""
        self.narrowing = Narrowing()
        self.clients: tuple[str, ...] = ()
        self.is_loading = False
        self.has_more = False
        self.error: FlowPilotError | None = None
        self.chosen: SessionView | None = None
        self.chosen_ticket: TicketContext | None = None
        self._is_stale = True
        self._is_shown = False
        self._listen(engine.events, SessionChanged, self._changed_elsewhere)
        self._listen(engine.events, PushChanged, self._changed_elsewhere)

    def show(self) -> None:
        """Begin to be on the screen: catch up when something changed meanwhile."""
        self._is_shown = True
        if self._is_stale:
            self.reload()

    def hide(self) -> None:
        """Leave the screen: from now on changes only mark the list stale."""
        self._is_shown = False

    def filter_by(self, which: SessionFilter) -> None:
        """Show another tab."""
        if which is not self.which:
            self.which = which
            self.tasks.start("load", self._load(0))

    def search(self, text: str) -> None:
        """Search once the technician pauses typing."""
        if text != self.search_text:
            self.search_text = text
            self.tasks.start("load", self._load(TYPING_PAUSE))

    def narrow(
        self, *, client: str | None = None, device: str | None = None, error: str | None = None
    ) -> None:
        """Narrow to a client at once, to a device or an error once the technician pauses."""
        before = self.narrowing
        wanted = replace(
            before,
            client=before.client if client is None else client,
            device=before.device if device is None else device,
            error=before.error if error is None else error,
        )
        if wanted != before:
            self.narrowing = wanted
            pause = TYPING_PAUSE if client is None else 0
            self.tasks.start("load", self._load(pause))

    def widen(self) -> None:
        """Search for nothing and narrow to nothing: the whole tab again."""
        if self.is_asked:
            self.search_text, self.narrowing = "", Narrowing()
            self.tasks.start("load", self._load(0))

    @property
    def is_asked(self) -> bool:
        """Whether the list is searched or narrowed."""
        return bool(self.search_text.strip() or self.narrowing)

    @property
    def empty_words(self) -> str:
        """What is said in place of an empty list; nothing while there are sessions."""
        if self.sessions.rowCount():
            return ""
        if self.is_loading:
            return "Reading…"
        if not self.is_asked:
            return _NOTHING_YET.get(self.which, "No sessions here.")
        to = self.narrowing
        kind = "" if self.which is SessionFilter.ALL else f"{self.which.value} "
        client = f" of {to.client.strip()}" if to.client.strip() else ""
        wanted = [
            f"{name}“{text.strip()}”"
            for name, text in (
                ("", self.search_text),
                ("the device ", to.device),
                ("the error ", to.error),
            )
            if text.strip()
        ]
        has = f" has {' and '.join(wanted)}" if wanted else " is here"
        found = " These tickets do." if self.tickets.rowCount() else ""
        return f"No {kind}session{client}{has}.{found}"

    def reload(self) -> None:
        """Read the list again, as far as it was read already."""
        self.tasks.start("load", self._load(0, limit=len(self.sessions.rows)))

    def more(self) -> None:
        """Append the next page."""
        if self.has_more and not self.is_loading:
            self.tasks.start("load", self._load(0, offset=len(self.sessions.rows)))

    def choose(self, session_id: str) -> None:
        """Show a session's details."""
        self.tasks.start("choose", self._choose(session_id))

    def choose_ticket(self, row: TicketListing) -> None:
        """Show what was read of a ticket."""
        self.tasks.start("choose", self._choose_ticket(row))

    def retry_push(self, session_id: str) -> None:
        """Try failed documentation again."""
        self.tasks.start_unless_running("retry", self._engine.retry_psa_push(session_id))

    async def _load(self, pause: float, offset: int = 0, limit: int = 0) -> None:
        limit = max(PAGE, limit)
        if pause:
            await asyncio.sleep(pause)
        self.is_loading = True
        self.changed.emit()
        try:
            found = await self._engine.sessions(
                self.which, self.search_text, limit, offset, self.narrowing
            )
            tickets: tuple[TicketListing, ...] = ()
            if self.is_asked:
                tickets = await self._engine.tickets_matching(self.search_text, self.narrowing)
            if not offset:
                self.clients = await self._engine.clients()
        except FlowPilotError as error:
            self.error = error
        else:
            self.error = None
            before = self.sessions.rows if offset else ()
            self.sessions.show((*before, *found))
            self.tickets.show(tickets)
            self.has_more = len(found) == limit
            self._is_stale = False
        finally:
            self.is_loading = False
            self.changed.emit()

    async def _choose(self, session_id: str) -> None:
        self.chosen = await self._engine.session(session_id)
        self.chosen_ticket = None
        self.changed.emit()

    async def _choose_ticket(self, row: TicketListing) -> None:
        self.chosen_ticket = await self._engine.tickets.cached_context(
            row.connection_id, row.ticket.id
        )
        self.chosen = None
        self.changed.emit()

    def _changed_elsewhere(self, event: SessionChanged | PushChanged) -> None:
        self._is_stale = True
        if self._is_shown:
            self.reload()
        if self.chosen is not None and self.chosen.session.id == event.session_id:
            self.choose(event.session_id)

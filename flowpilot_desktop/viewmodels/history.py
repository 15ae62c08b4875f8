"""Sessions as a list: the page of open ones and the history with its tabs and its search."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import QObject

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import PushChanged, SessionChanged
from flowpilot_desktop.core.history import SessionFilter, SessionListing
from flowpilot_desktop.services.engine import FlowPilotEngine, SessionView
from flowpilot_desktop.viewmodels.rows import Rows
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

PAGE = 60
TYPING_PAUSE = 0.2


class HistoryViewModel(ViewModel):
    """A filtered, searched list of sessions, and the one that is chosen."""

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
        self.which = which
        self.search_text = ""
        self.is_loading = False
        self.has_more = False
        self.error: FlowPilotError | None = None
        self.chosen: SessionView | None = None
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
            found = await self._engine.sessions(self.which, self.search_text, limit, offset)
        except FlowPilotError as error:
            self.error = error
        else:
            self.error = None
            before = self.sessions.rows if offset else ()
            self.sessions.show((*before, *found))
            self.has_more = len(found) == limit
            self._is_stale = False
        finally:
            self.is_loading = False
            self.changed.emit()

    async def _choose(self, session_id: str) -> None:
        self.chosen = await self._engine.session(session_id)
        self.changed.emit()

    def _changed_elsewhere(self, event: SessionChanged | PushChanged) -> None:
        self._is_stale = True
        if self._is_shown:
            self.reload()
        if self.chosen is not None and self.chosen.session.id == event.session_id:
            self.choose(event.session_id)

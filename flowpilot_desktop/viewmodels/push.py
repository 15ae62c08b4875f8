"""What became of a session's documentation, item by item, and the record of all that ever left.

Both are read from the durable rows, so they say the same after a restart. A note part, a time entry
and a status change each have their own state, reason and next try; what failed can be retried,
changed or skipped, one by one.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from flowpilot_desktop.core.errors import FlowPilotError, InvalidInput
from flowpilot_desktop.core.events import PushChanged
from flowpilot_desktop.core.push import PushItem, PushKind, PushPayload, PushState, TimePayload
from flowpilot_desktop.core.ticket import Reference, Ticket, TicketStatus
from flowpilot_desktop.services.audit import (
    Audit,
    AuditRow,
    content,
    with_span,
    with_status,
    with_text,
    with_work,
)
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.tickets import TimeChoice
from flowpilot_desktop.viewmodels.rows import Rows
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

log = logging.getLogger(__name__)

PAGE = 100
_STATE_WORDS = {
    PushState.PENDING: ("Waiting", "amber"),
    PushState.SENDING: ("Being sent", "amber"),
    PushState.UNCLEAR: ("Not certain", "amber"),
    PushState.SENT: ("Sent", "green"),
    PushState.FAILED: ("Failed", "red"),
    PushState.SKIPPED: ("Not sent", "muted"),
}
_PLURAL_FROM = 1.5


def item_title(item: PushItem, parts: int) -> str:
    """Return what an item is: "Note", "Note 2 of 3", "Time entry, 0.25 h", "Status “Closed”"."""
    match item.kind:
        case PushKind.NOTE:
            return f"Note {item.part} of {parts}" if parts > 1 else "Note"
        case PushKind.TIME:
            hours = item.payload.actual_hours if isinstance(item.payload, TimePayload) else 0.0
            return f"Time entry, {hours:g} h"
        case PushKind.STATUS:
            return f"Status {content(item.payload)}"


def state_words(item: PushItem) -> tuple[str, str]:
    """Return an item's state in words, and their tone."""
    return _STATE_WORDS[item.state]


def next_words(item: PushItem, now: datetime) -> str:
    """Return when an item is tried or looked for again: "next try in 4 min"."""
    if item.state not in (PushState.PENDING, PushState.UNCLEAR):
        return ""
    what = "looked for again" if item.state is PushState.UNCLEAR else "next try"
    seconds = (item.next_try_at - now).total_seconds() if item.next_try_at else 0.0
    if seconds <= 1:
        return f"{what} now"
    if seconds < 60 * _PLURAL_FROM:
        return f"{what} in {round(seconds)} s"
    return f"{what} in {round(seconds / 60)} min"


def detail(item: PushItem, now: datetime) -> str:
    """Return all there is to say of an item beside its state."""
    told = [item.error, item.warning, next_words(item, now)]
    if item.state is PushState.SENT:
        when = f"{item.sent_at.astimezone():%a %d %b, %H:%M}" if item.sent_at else ""
        told = [f"{when}, record {item.remote_id}".strip(", "), item.warning]
    elif item.state is PushState.SKIPPED:
        told = [item.error or "It stays on this computer.", item.warning]
    return " · ".join(one.rstrip() for one in told if one)


class PushViewModel(ViewModel):
    """The items of one session."""

    def __init__(self, engine: FlowPilotEngine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self.session_id = ""
        self.items: tuple[PushItem, ...] = ()
        self.editing: PushItem | None = None
        self.statuses: tuple[TicketStatus, ...] = ()
        self.seen: Ticket | None = None
        self.work_types: tuple[Reference, ...] = ()
        self.work_roles: tuple[Reference, ...] = ()
        self.error: FlowPilotError | None = None
        self._listen(engine.events, PushChanged, self._push_changed)

    def show(self, session_id: str) -> None:
        """Show a session's items; an empty id shows none."""
        if session_id != self.session_id:
            self.session_id, self.items = session_id, ()
            self.editing = self.error = None
            self.changed.emit()
        if session_id:
            self.tasks.start("show", self._show())

    @property
    def now(self) -> datetime:
        """The moment that words like "in 4 min" count from."""
        return datetime.now(UTC)

    @property
    def is_busy(self) -> bool:
        """Whether something is being done to an item."""
        return self.tasks.is_running("act")

    def title(self, item: PushItem) -> str:
        """Return what an item is."""
        return item_title(item, sum(other.kind is item.kind for other in self.items))

    def retry(self, item_id: str) -> None:
        """Try a failed item again, now."""
        self._act(self._engine.push.retry(self.session_id, item_id))

    def skip(self, item_id: str) -> None:
        """Leave a failed item unsent."""
        self._act(self._engine.push.skip(item_id, self.session_id))

    def edit(self, item_id: str) -> None:
        """Begin to change a failed item."""
        self.error, self.statuses, self.seen = None, (), None
        self.editing = next(
            (i for i in self.items if i.id == item_id and i.state is PushState.FAILED), None
        )
        if self.editing is not None and self.editing.kind is PushKind.STATUS:
            self.tasks.start("statuses", self._load_statuses(self.editing))
        elif self.editing is not None and self.editing.kind is PushKind.TIME:
            self.tasks.start("work", self._load_work(self.editing))
        self.changed.emit()

    def leave_edit(self) -> None:
        """Change nothing after all."""
        self.editing = self.error = None
        self.changed.emit()

    def send_text(self, text: str) -> None:
        """Send the item that is being changed with another text."""
        if self.editing is not None:
            self._act(self._edited(self.editing, lambda item: with_text(item, text)))

    def send_time(
        self, text: str, start: datetime, end: datetime, work: TimeChoice | None = None
    ) -> None:
        """Send the time entry that is being changed with another text, span and kind of work."""

        def changed(item: PushItem) -> PushPayload:
            payload = with_text(item, text)
            assert isinstance(payload, TimePayload)
            if work is not None:
                payload = with_work(payload, work.work_type, work.work_role, work.billable)
            if (start, end) == (payload.start, payload.end):
                return payload
            return with_span(payload, start, end)

        if self.editing is not None:
            self._act(self._edited(self.editing, changed))

    def send_status(self, status: TicketStatus) -> None:
        """Send the status change that is being changed with another status."""
        if self.editing is not None and self.seen is not None:
            payload = with_status(status, self.seen)
            self._act(self._edited(self.editing, lambda _: payload))

    def _act(self, work: Any) -> None:
        self.error = None
        if self.tasks.start_unless_running("act", self._told(work)):
            self.changed.emit()
        else:
            work.close()

    async def _told(self, work: Any) -> None:
        try:
            await work
        except FlowPilotError as error:
            self.error = error
        await self._show()

    async def _edited(self, item: PushItem, change: Any) -> None:
        payload = change(item)
        await self._engine.push.edit(item.id, item.session_id, payload)
        self.editing = None

    async def _load_statuses(self, item: PushItem) -> None:
        try:
            self.seen, self.statuses = await self._engine.tickets.statuses(
                item.connection_id, item.ticket_id
            )
        except FlowPilotError as error:
            self.error = error
        self.changed.emit()

    async def _load_work(self, item: PushItem) -> None:
        try:
            self.work_types, self.work_roles = await self._engine.tickets.time_options(
                item.connection_id
            )
        except FlowPilotError as error:
            # The entry can be sent as it was; what it is can't be chosen now.
            log.info("Work types and roles could not be read: %s", type(error).__name__)
        self.changed.emit()

    async def _show(self) -> None:
        session_id = self.session_id
        view = await self._engine.session(session_id)
        if session_id == self.session_id:
            self.items = view.push_items
            if self.editing is not None and not any(
                item.id == self.editing.id and item.state is PushState.FAILED for item in self.items
            ):
                self.editing = None
            self.changed.emit()

    def _push_changed(self, event: PushChanged) -> None:
        if event.session_id == self.session_id:
            self.tasks.start("show", self._show())

    def _end(self, name: str) -> None:
        if name == "act":
            self.changed.emit()


class AuditViewModel(ViewModel):
    """What left this computer for the ticketing system, as a list and as a file."""

    def __init__(
        self, engine: FlowPilotEngine, audit: Audit, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._audit = audit
        self.rows: Rows[AuditRow] = Rows(
            lambda row: row.item.id,
            lambda row: f"{item_title(row.item, 1)} to ticket {row.item.ticket_id}",
            self,
        )
        self.has_more = False
        self.words = ""
        self.error: FlowPilotError | None = None
        self._is_shown = False
        self._listen(engine.events, PushChanged, self._push_changed)

    def show(self) -> None:
        """Begin to be on the screen."""
        self._is_shown = True
        self.words, self.error = "", None
        self.tasks.start("load", self._load(0))

    def hide(self) -> None:
        """Leave the screen."""
        self._is_shown = False

    def more(self) -> None:
        """Append the next page."""
        if self.has_more and not self.tasks.is_running("load"):
            self.tasks.start("load", self._load(len(self.rows.rows)))

    def export(self, path: Path) -> None:
        """Write the whole record into a file."""
        self.tasks.start_unless_running("export", self._export(path))

    async def _load(self, offset: int) -> None:
        limit = PAGE if offset else max(PAGE, len(self.rows.rows))
        found = await self._audit.rows(limit, offset)
        self.rows.show((*(self.rows.rows if offset else ()), *found))
        self.has_more = len(found) == limit
        self.changed.emit()

    async def _export(self, path: Path) -> None:
        self.words, self.error = "", None
        try:
            await self._audit.export(path)
        except OSError as error:
            self.error = InvalidInput(
                f"The file could not be written: {error.strerror or type(error).__name__}.",
                hint="Choose another folder; the record itself is safe.",
            )
        else:
            self.words = f"Written to {path}"
        self.changed.emit()

    def _push_changed(self, _: PushChanged) -> None:
        if self._is_shown:
            self.tasks.start("load", self._load(0))

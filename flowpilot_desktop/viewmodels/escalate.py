"""The page that hands a session over: why, to whom, what goes along, and what the ticket gets.

Note, time and status work as on the page that resolves. Writing waits for nothing: without a
network the escalation is kept and leaves by itself.
"""

from __future__ import annotations

import asyncio

from PySide6.QtCore import QObject, Signal

from flowpilot_desktop.core.errors import FlowPilotError, QueueNotOpen
from flowpilot_desktop.core.escalation import HandOff, Teammate
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.escalations import Escalations
from flowpilot_desktop.viewmodels.resolve import PREVIEW_PAUSE, ResolveViewModel

REASON, NOTE = "escalate.reason", "escalate.note"


class EscalateViewModel(ResolveViewModel):
    """What the escalate page knows and can do."""

    escalated = Signal(str)

    def __init__(
        self,
        engine: FlowPilotEngine,
        escalations: Escalations,
        parent: QObject | None = None,
        *,
        asks_status: bool = False,
    ) -> None:
        self._escalations = escalations
        super().__init__(engine, parent, asks_status=asks_status)

    def _forget_entries(self) -> None:
        super()._forget_entries()
        self.reason = ""
        self.assign_to = ""
        self.members: tuple[Teammate, ...] = ()
        self.hand_off: HandOff | None = None
        self.queue_error: QueueNotOpen | None = None

    # What the technician does

    def set_reason(self, text: str) -> None:
        """Take why somebody else should look at it."""
        if text != self.reason:
            self.reason = text
            self._edited(REASON, text)

    def set_note(self, text: str) -> None:
        """Take the note as edited by hand; from now on it is the technician's."""
        if text != self.note:
            self.note, self.note_is_edited = text, True
            self._keep(NOTE, text)
            self.changed.emit()

    def write_note_again(self) -> None:
        """Replace the edited note by the written one."""
        self.note_is_edited = False
        self._keep(NOTE, "")
        self.tasks.start("preview", self._show_preview(pause=0))

    def assign(self, engineer_id: str) -> None:
        """Ask one teammate; an empty id asks everybody."""
        if engineer_id != self.assign_to:
            self.assign_to = engineer_id
            self.changed.emit()

    def escalate(self) -> None:
        """Hand the session over with what is shown; a second click does nothing."""
        if self.can_escalate:
            self.tasks.start_unless_running("close", self._escalate())

    # What the page shows

    @property
    def can_escalate(self) -> bool:
        """Whether everything needed is there."""
        ready = self.preview is not None and not self.is_closing and self.closing is None
        return ready and bool(self.reason.strip()) and self.queue_error is None

    @property
    def escalate_label(self) -> str:
        """The words on the button."""
        if self.is_closing:
            return "Escalating…"
        return "Escalate & Update Ticket" if self.has_ticket and self.will_push else "Escalate"

    # Inside

    async def _open(self, session_id: str) -> None:
        try:
            view = await self._engine.session(session_id)
            drafts = await self._engine.drafts(session_id)
            self.members = tuple(one for one in await self._escalations.members() if one.is_active)
            if not await self._escalations.link.is_set_up():
                await self._escalations.link.queue()
        except QueueNotOpen as error:
            self.queue_error = error
        except FlowPilotError as error:
            self.error = error
            self.changed.emit()
            return
        self.view = view
        self.reason = drafts.get(REASON, "")
        if NOTE in drafts:
            self.note, self.note_is_edited = drafts[NOTE], True
        await self._show_preview(pause=0)
        if self.asks_status and self.has_ticket:
            self.tasks.start("statuses", self._load_statuses())

    async def _show_preview(self, pause: float = PREVIEW_PAUSE) -> None:
        if pause:
            await asyncio.sleep(pause)
        try:
            shown = await self._engine.preview_escalation(self.session_id, self.reason)
        except FlowPilotError as error:
            self.error = error
        else:
            self.preview, self.hand_off = shown.documentation, shown.hand_off
            if not self.note_is_edited:
                self.note = shown.documentation.note
        self.changed.emit()

    async def _escalate(self) -> None:
        self.is_closing, self.error = True, None
        self.changed.emit()
        try:
            self.closing = await self._engine.escalate_session(
                self.session_id, self.reason, self.assign_to, self._choices()
            )
            self.view = await self._engine.session(self.session_id)
            self.escalated.emit(self.session_id)
        except FlowPilotError as error:
            self.error = error
        finally:
            self.is_closing = False
            self.changed.emit()

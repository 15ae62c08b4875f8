"""The page that hands a session over: why, to whom, what goes along, and what the ticket gets.

Writing waits for nothing: without a network the escalation is kept and leaves by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal

from flowpilot_desktop.core.errors import FlowPilotError, QueueNotOpen
from flowpilot_desktop.core.escalation import HandOff, Teammate
from flowpilot_desktop.services.documentation import DocumentationPreview
from flowpilot_desktop.services.engine import Closing, FlowPilotEngine, SessionView
from flowpilot_desktop.services.escalations import Escalations
from flowpilot_desktop.viewmodels.closing import ClosingViewModel

REASON = "escalate.reason"


class EscalateViewModel(ClosingViewModel):
    """What the escalate page knows and can do."""

    name = "escalate"
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

    def set_reason(self, text: str) -> None:
        """Take why somebody else should look at it."""
        if text != self.reason:
            self.reason = text
            self._edited(REASON, text)

    def assign(self, engineer_id: str) -> None:
        """Ask one teammate; an empty id asks everybody."""
        if engineer_id != self.assign_to:
            self.assign_to = engineer_id
            self.changed.emit()

    def escalate(self) -> None:
        """Hand the session over with what is shown; a second click does nothing."""
        if self.can_escalate:
            self.tasks.start_unless_running("close", self._close())

    @property
    def can_escalate(self) -> bool:
        """Whether there is a queue and a reason."""
        return self.can_close and bool(self.reason.strip()) and self.queue_error is None

    @property
    def escalate_label(self) -> str:
        """The words on the button."""
        if self.is_closing:
            return "Escalating…"
        return "Escalate & Update Ticket" if self.has_ticket and self.will_push else "Escalate"

    # Inside

    async def _prepare(self) -> None:
        await self._know_team()
        self.tasks.start("team", self._refresh_team())
        try:
            if not await self._escalations.link.is_set_up():
                await self._escalations.link.queue()  # raises with the words for it
        except QueueNotOpen as error:
            self.queue_error = error

    async def _know_team(self) -> None:
        self.members = tuple(one for one in await self._escalations.members() if one.is_active)

    async def _refresh_team(self) -> None:
        """Offer whoever joined the team lately, too; without a network those that are known."""
        try:
            await self._escalations.refresh()
        except FlowPilotError:
            return
        known = self.members
        await self._know_team()
        if self.members != known:
            self.changed.emit()

    def _restore(self, view: SessionView, drafts: Mapping[str, str]) -> None:  # noqa: ARG002
        self.reason = drafts.get(REASON, "")

    async def _previewed(self) -> DocumentationPreview:
        shown = await self._engine.preview_escalation(self.session_id, self.reason)
        self.hand_off = shown.hand_off
        return shown.documentation

    async def _closed(self) -> Closing:
        return await self._engine.escalate_session(
            self.session_id, self.reason, self.assign_to, self._choices()
        )

    def _announce(self) -> None:
        self.escalated.emit(self.session_id)

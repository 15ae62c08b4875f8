"""The team's queue on the screen: a filtered list, and the request that is chosen.

The list is what this desktop last heard, with its age; only taking a session needs the queue.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.escalation import EscalationFilter, Teammate
from flowpilot_desktop.core.events import EscalationsChanged
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.escalations import Escalations, QueueEntry, QueuePicture
from flowpilot_desktop.viewmodels.rows import Rows
from flowpilot_desktop.viewmodels.viewmodel import ViewModel


class EscalationsViewModel(ViewModel):
    """The queue's list and what can be done with a request."""

    picked_up = Signal(str)

    def __init__(
        self, engine: FlowPilotEngine, escalations: Escalations, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._escalations = escalations
        self.entries: Rows[QueueEntry] = Rows(
            lambda entry: entry.escalation.id,
            lambda entry: f"{entry.escalation.summary}, from {entry.raised_by}",
            self,
        )
        self.which = EscalationFilter.ALL
        self.picture: QueuePicture | None = None
        self.members: tuple[Teammate, ...] = ()
        self.chosen_id = ""
        self.read_back = ""
        self.error: FlowPilotError | None = None
        self._listen(escalations.events, EscalationsChanged, self._hear)

    @property
    def chosen(self) -> QueueEntry | None:
        """The request whose details are shown, if it still lives in the list."""
        rows = self.entries.rows
        return next((one for one in rows if one.escalation.id == self.chosen_id), None)

    @property
    def waiting(self) -> int:
        """How many requests ask for this technician or for anybody."""
        return self.picture.waiting if self.picture is not None else 0

    @property
    def is_busy(self) -> bool:
        """Whether a verb is on its way."""
        return self.tasks.is_running("verb")

    @property
    def is_refreshing(self) -> bool:
        """Whether the queue is being read."""
        return self.tasks.is_running("refresh")

    def reload(self) -> None:
        """Show the last known state again: ages grow."""
        self.tasks.start("load", self._load())

    def refresh(self) -> None:
        """Read the queue now."""
        self.error = None
        self.tasks.start_unless_running("refresh", self._refresh())
        self.changed.emit()

    def filter_by(self, which: EscalationFilter) -> None:
        """Show mine, the unassigned, or all."""
        if which is not self.which:
            self.which = which
            self.reload()

    def choose(self, escalation_id: str) -> None:
        """Show a request's details."""
        if escalation_id != self.chosen_id:
            self.chosen_id, self.read_back, self.error = escalation_id, "", None
            self.changed.emit()

    def set_read_back(self, text: str) -> None:
        """Take what the technician says as they take it."""
        self.read_back = text

    def pick_up(self) -> None:
        """Take the chosen one over."""
        entry = self.chosen
        if entry is not None and entry.can_pick_up:
            self._verb(self._pick_up(entry.escalation.id))

    def pick_up_now(self, escalation_id: str) -> None:
        """Take one over from a notification."""
        self.choose(escalation_id)
        self._verb(self._pick_up(escalation_id))

    def take_back(self) -> None:
        """Put a silent handler's session back for everybody."""
        entry = self.chosen
        if entry is not None and entry.can_take_back:
            reason = f"{entry.handler} has not been heard of."
            self._verb(self._engine.take_back_escalation(entry.escalation.id, reason))

    def reassign(self, engineer_id: str) -> None:
        """Ask another teammate, or everybody."""
        entry = self.chosen
        if entry is not None and engineer_id != entry.escalation.assigned_to:
            self._verb(self._engine.reassign_escalation(entry.escalation.id, engineer_id))

    def withdraw(self, session_id: str = "") -> None:
        """Take back what the technician raised."""
        entry = self.chosen
        wanted = session_id or (entry.escalation.session_id if entry is not None else "")
        if wanted:
            self._verb(self._withdraw(wanted))

    # Inside

    def _verb(self, work: Coroutine[Any, Any, None]) -> None:
        if self.is_busy:
            work.close()  # a second click is no second verb
            return
        self.error = None
        self.tasks.start_unless_running("verb", self._shown(work))
        self.changed.emit()

    async def _shown(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except FlowPilotError as error:
            self.error = error
        await self._load()

    def _end(self, name: str) -> None:
        if name in ("verb", "refresh"):
            self.changed.emit()

    async def _pick_up(self, escalation_id: str) -> None:
        session = await self._engine.pickup_session(escalation_id, self.read_back)
        self.read_back = ""
        self.picked_up.emit(session.id)

    async def _withdraw(self, session_id: str) -> None:
        session = await self._engine.withdraw_escalation(session_id)
        self.picked_up.emit(session.id)

    async def _refresh(self) -> None:
        try:
            await self._escalations.refresh()
        except FlowPilotError as error:
            self.error = error
        await self._load()

    async def _load(self) -> None:
        picture = await self._engine.escalation_queue(self.which)
        self.members = tuple(one for one in await self._escalations.members() if one.is_active)
        self.picture = picture
        self.entries.show(picture.entries)
        self.changed.emit()

    def _hear(self, _: EscalationsChanged) -> None:
        self.reload()

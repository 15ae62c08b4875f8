"""The settings of the team's queue: paste the invitation, try it, see the team."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from PySide6.QtCore import QObject

from flowpilot_desktop.core.errors import FlowPilotError, InvalidInput
from flowpilot_desktop.core.escalation import Teammate
from flowpilot_desktop.core.events import EscalationsChanged, Events, SettingsChanged
from flowpilot_desktop.services.queue import SETTING, QueueLink, Team
from flowpilot_desktop.viewmodels.viewmodel import ViewModel


class TeamQueueViewModel(ViewModel):
    """Whether there is a queue, and who is in the team."""

    def __init__(self, link: QueueLink, events: Events, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self.is_set_up = False
        self.team: Team | None = None
        self.error: FlowPilotError | None = None
        self._listen(events, EscalationsChanged, self._hear)
        self._listen(events, SettingsChanged, self._settings_changed)

    @property
    def is_busy(self) -> bool:
        """Whether the queue is being tried."""
        return self.tasks.is_running("verb")

    @property
    def members(self) -> tuple[Teammate, ...]:
        """The team's active members."""
        return tuple(one for one in self.team.members if one.is_active) if self.team else ()

    def open(self) -> None:
        """Learn whether there is an invitation, and try it."""
        self.tasks.start("open", self._open())

    def join(self, token: str) -> None:
        """Try an invitation and keep it when it works."""
        self._verb(self._join(token))

    def test(self, token: str = "") -> None:
        """Try a pasted invitation, or what is kept."""
        self._verb(self._test(token))

    def leave(self) -> None:
        """Forget the invitation."""
        self._verb(self._leave())

    def _verb(self, work: Coroutine[Any, Any, None]) -> None:
        if self.is_busy:
            work.close()  # a second click is no second verb
            return
        self.error = None
        self.tasks.start_unless_running("verb", self._shown(work))
        self.changed.emit()

    def _end(self, name: str) -> None:
        if name == "verb":
            self.changed.emit()

    async def _shown(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except FlowPilotError as error:
            self.error = error
            self.team = None

    async def _open(self) -> None:
        try:
            self.is_set_up = await self._link.is_set_up()
            if self.is_set_up:
                self.team = await (await self._link.queue()).team()
                self.error = None
        except FlowPilotError as error:
            self.error = error
        self.changed.emit()

    async def _join(self, token: str) -> None:
        if not token.strip():
            raise InvalidInput("Paste your invitation first.")
        self.team = await self._link.keep(token)
        self.is_set_up = True

    async def _test(self, token: str) -> None:
        if not token.strip() and not self.is_set_up:
            raise InvalidInput("Paste your invitation first.")
        self.team = await self._link.test(token)

    async def _leave(self) -> None:
        await self._link.forget()
        self.is_set_up, self.team = False, None

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == SETTING and not self.is_busy:
            self.open()

    def _hear(self, _: EscalationsChanged) -> None:
        if self.is_set_up and not self.is_busy and self.error is not None:
            self.open()

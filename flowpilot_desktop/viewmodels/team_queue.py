"""The settings of the team's queue: paste the invitation, try it, see the team.

Joining uses the pasted text up: afterwards it is worthless, and the field is emptied. Where an
invitation names no certificate authority, its file can be chosen beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from flowpilot_desktop.core.errors import FlowPilotError, InvalidInput
from flowpilot_desktop.core.escalation import Teammate
from flowpilot_desktop.core.events import EscalationsChanged, Events, SettingsChanged
from flowpilot_desktop.services.queue import SETTING, QueueLink, Team
from flowpilot_desktop.services.queue.membership import authority
from flowpilot_desktop.viewmodels.viewmodel import ViewModel


class TeamQueueViewModel(ViewModel):
    """Whether there is a queue, and who is in the team."""

    joined = Signal()
    """The pasted invitation is kept; its text is of no use any more."""

    def __init__(self, link: QueueLink, events: Events, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._link = link
        self.is_set_up = False
        self.team: Team | None = None
        self.error: FlowPilotError | None = None
        self._is_about_kept = False
        self.token = ""
        self.authority = ""
        self.authority_name = ""
        self.asks_authority = False
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

    def set_token(self, text: str) -> None:
        """Take the invitation as it is being pasted."""
        if text != self.token:
            self.token = text
            self.tasks.start("look", self._look())

    def choose_authority(self, path: str) -> None:
        """Trust the authority in this file; an empty path leaves it to the computer again."""
        self._verb(self._choose_authority(path))

    def join(self) -> None:
        """Try the pasted invitation and keep it when it works."""
        self._verb(self._join())

    def test(self) -> None:
        """Try the pasted invitation, or what is kept."""
        self._verb(self._test())

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
            is_typed = isinstance(error, InvalidInput) or bool(self.token.strip())
            self._is_about_kept = not is_typed
            self.team = None

    async def _open(self) -> None:
        try:
            self.is_set_up = await self._link.is_set_up()
            if self.is_set_up:
                self.team = await (await self._link.queue()).team()
                self.error = None
        except FlowPilotError as error:
            self.error, self._is_about_kept = error, True
        await self._look()
        self.changed.emit()

    async def _look(self) -> None:
        """Learn whether the invitation names an authority."""
        try:
            asks = await self._link.lacks_authority(self.token.strip())
        except FlowPilotError:
            asks = False  # the keyring's refusal is told where the invitation is needed
        if asks != self.asks_authority:
            self.asks_authority = asks
            self.changed.emit()

    async def _choose_authority(self, path: str) -> None:
        chosen = Path(path)
        self.authority = await asyncio.to_thread(authority, chosen) if path else ""
        self.authority_name = chosen.name if path else ""

    def _wanted(self) -> str:
        token = self.token.strip()
        if not token and not self.is_set_up:
            raise InvalidInput("Paste your invitation first.")
        return token

    async def _join(self) -> None:
        token = self._wanted()
        if not token and not self.authority:
            raise InvalidInput("Paste your invitation first.")
        try:
            self.team = await self._link.keep(token, self.authority if self.asks_authority else "")
        finally:
            self.is_set_up = await self._link.is_set_up()
        self.token = self.authority = self.authority_name = ""
        self.joined.emit()
        await self._look()

    async def _test(self) -> None:
        token = self._wanted()
        self.team = await self._link.test(token, self.authority if self.asks_authority else "")

    async def _leave(self) -> None:
        await self._link.forget()
        self.is_set_up, self.team = False, None
        await self._look()

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == SETTING and not self.is_busy:
            self.open()

    def _hear(self, _: EscalationsChanged) -> None:
        """Look again when what is kept may work again; what was pasted stays told."""
        if self.is_set_up and not self.is_busy and self.error is not None and self._is_about_kept:
            self.open()

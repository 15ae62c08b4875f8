"""Text typed but not sent: on the disk at most a quarter of a second after the key.

Typing on does not put the saving off, and whatever is typed during a write goes round again. A text
whose verb is on its way is no draft any more, and one again when the verb fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.viewmodels.tasks import Tasks

DRAFT_DELAY = 0.25
"""Seconds from a key to its draft being saved."""
_TASK = "drafts"

Save = Callable[[str, str, str], Awaitable[Any]]
"""Keeps a text of a session under a field; an empty text forgets it."""


class Drafts:
    """The drafts of one screen. ``texts`` are those of the session that is open, by field."""

    def __init__(self, save: Save, tasks: Tasks, changed: Callable[[], None]) -> None:
        self._save = save
        self._tasks = tasks
        self._changed = changed
        self._unsaved: dict[tuple[str, str], str] = {}
        self.session_id = ""
        self.texts: dict[str, str] = {}

    @property
    def is_saved(self) -> bool:
        """Whether everything that was typed is on the disk."""
        return not self._unsaved

    def open(self, session_id: str) -> None:
        """Be the drafts of another session; what is unsaved of the last one is still saved."""
        self.session_id, self.texts = session_id, {}

    def read(self, texts: Mapping[str, str]) -> None:
        """Take what the disk has, but for what was typed since."""
        mine = {
            where: text for (one, where), text in self._unsaved.items() if one == self.session_id
        }
        self.texts = {**texts, **mine}

    def keep(self, where: str, text: str) -> None:
        """Save a text soon."""
        was_saved = self.is_saved
        self._unsaved[self.session_id, where] = text
        self.texts[where] = text
        self._tasks.start_unless_running(_TASK, self._written(DRAFT_DELAY))
        if was_saved:  # the screen must not say "saved" of what is not
            self._changed()

    def drop(self, where: str) -> None:
        """Forget a text that a verb has taken with it."""
        self._unsaved.pop((self.session_id, where), None)
        self.texts.pop(where, None)

    def flush(self) -> None:
        """Save now: the technician goes elsewhere."""
        if self._unsaved:
            self._tasks.start(_TASK, self._written(0.0))

    async def sent(self, fields: tuple[str, ...], verb: Awaitable[Any]) -> None:
        """Run a verb that commits what was typed there; the drafts go with it, or stay."""
        session_id = self.session_id
        # A late draft must not outlive the commit.
        taken = {
            where: text
            for where in fields
            if (text := self._unsaved.pop((session_id, where), None)) is not None
        }
        try:
            await verb
        except FlowPilotError:
            for where, text in taken.items():
                self._unsaved.setdefault((session_id, where), text)
            if taken:
                self._tasks.start_unless_running(_TASK, self._written(DRAFT_DELAY))
            raise
        if session_id == self.session_id:
            for where in fields:
                self.texts.pop(where, None)

    async def aclose(self) -> None:
        """Save what was typed last."""
        self._tasks.cancel(_TASK)
        await self._written(0.0)

    async def _written(self, delay: float) -> None:
        await asyncio.sleep(delay)
        while self._unsaved:
            (session_id, where), text = next(iter(self._unsaved.items()))
            await self._save(session_id, where, text)
            # Whatever was typed during the write is another text, and goes round again.
            if self._unsaved.get((session_id, where)) == text:
                del self._unsaved[session_id, where]
        self._changed()

"""Who is in the team, as the queue last said: names, presence, and who can be asked."""

from __future__ import annotations

from contextlib import suppress

from flowpilot_desktop.core.errors import QueueError, QueueNotOpen
from flowpilot_desktop.core.escalation import Escalation, Teammate
from flowpilot_desktop.core.events import EscalationsChanged
from flowpilot_desktop.core.session import Engineer
from flowpilot_desktop.services.queue import QueueLink, TeamQueue
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.store.documents import from_json, to_json

_TEAM = "queue team"


class Roster:
    """Remembers the team and its engineers' names."""

    def __init__(self, sessions: Sessions, link: QueueLink) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._link = link
        self.limit: QueueNotOpen | None = None
        """Why the queue can be read and not changed now; None while it takes changes."""

    async def members(self) -> tuple[Teammate, ...]:
        """Return the team as last known, without the technician at this desktop."""
        kept = await self._store.remembered(_TEAM)
        if not kept:
            return ()
        team: tuple[Teammate, ...] = from_json(kept, tuple[Teammate, ...])
        return tuple(one for one in team if one.id != self._sessions.me.id)

    async def learn(self, queue: TeamQueue) -> None:
        """Ask the queue who is there. Raises QueueUnreachable, QueueNotOpen."""
        team = await queue.team()
        limit = None if team.may_write else QueueNotOpen(team.notice, why="version", hint="")
        if (limit is None) is not (self.limit is None):
            self.limit = limit
            self._sessions.events.publish(EscalationsChanged())
        text = to_json(team.members, tuple[Teammate, ...])
        if text == await self._store.remembered(_TEAM):
            return
        me = self._sessions.me.id
        await self._store.save(*(Engineer(o.id, o.name) for o in team.members if o.id != me))
        await self._store.remember(_TEAM, text)
        self._sessions.events.publish(EscalationsChanged())

    async def learn_everybody_in(self, rows: tuple[Escalation, ...]) -> None:
        """Learn the names of engineers who joined the team since it was last read."""
        known = {one.id for one in await self._store.engineers()} | {self._sessions.me.id, ""}
        named = {one for row in rows for one in (row.raised_by, row.handler_id, row.assigned_to)}
        if named - known:
            with suppress(QueueError):
                await self.learn(await self._link.queue())

    async def forget(self) -> None:
        """Forget the team of a former invitation."""
        await self._store.remember(_TEAM, "")

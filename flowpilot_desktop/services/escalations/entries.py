"""The queue as a list shows it: with names, presence, age, and what can be done.

Everything comes from what this desktop last knew, so the list works without a network and says how
old it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationFilter,
    EscalationState,
    OperationKind,
    Teammate,
)
from flowpilot_desktop.services.escalations.feed import Feed
from flowpilot_desktop.services.escalations.roster import Roster
from flowpilot_desktop.services.sessions import Sessions


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One request as a list shows it: with names, presence, and what can be done."""

    escalation: Escalation
    raised_by: str
    assigned_to: str = ""
    handler: str = ""
    last_seen: datetime | None = None
    is_unsent: bool = False
    is_mine: bool = False
    """Whether the technician at this desktop raised it."""
    for_me: bool = False
    is_silent: bool = False
    """Whether its handler has not been heard of for longer than a claim holds."""
    can_pick_up: bool = False
    can_take_back: bool = False
    can_cancel: bool = False
    idle_since: datetime | None = None
    """For one that this technician handles: when they last did something about it."""

    @property
    def asks_me(self) -> bool:
        """Whether it waits for this technician, or for anybody."""
        row = self.escalation
        is_open = row.state is EscalationState.OPEN
        return is_open and not self.is_mine and (self.for_me or not row.assigned_to)


@dataclass(frozen=True, slots=True)
class QueuePicture:
    """The queue as last known; ``as_of`` is when it was last heard of, None for never."""

    entries: tuple[QueueEntry, ...]
    as_of: datetime | None
    is_set_up: bool
    error: FlowPilotError | None = None
    limit: FlowPilotError | None = None
    """Why the queue can be read and not changed."""
    waiting: int = 0
    """How many ask for this technician or for anybody."""


class QueueList:
    """Draws the picture."""

    def __init__(self, sessions: Sessions, roster: Roster, feed: Feed) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._roster = roster
        self._feed = feed

    async def picture(self, which: EscalationFilter) -> QueuePicture:
        """Return the requests that live, newest first, from the last known state."""
        rows = await self._store.escalations(live_only=True)
        names = {one.id: one.name for one in await self._store.engineers()}
        team = {one.id: one for one in await self._roster.members()}
        unsent = {
            one.escalation_id
            for one in await self._store.queue_operations()
            if one.kind in (OperationKind.ESCALATE, OperationKind.RELEASE)
        }
        entries = [
            replace(
                self._entry(row, names, team),
                is_unsent=row.id in unsent,
                idle_since=await self._idle_since(row),
            )
            for row in rows
        ]
        return QueuePicture(
            tuple(entry for entry in entries if self._passes(entry, which)),
            await self._feed.last_heard(),
            await self._feed.is_set_up(),
            self._feed.error,
            self._roster.limit,
            sum(entry.asks_me for entry in entries),
        )

    def _entry(
        self, row: Escalation, names: dict[str, str], team: dict[str, Teammate]
    ) -> QueueEntry:
        me, now = self._sessions.me.id, self._sessions.clock.now()
        is_open = row.state is EscalationState.OPEN
        lapsed = row.lease_until is not None and row.lease_until < now
        is_silent = row.state is EscalationState.CLAIMED and lapsed
        is_mine = row.raised_by == me
        raiser = team.get(row.raised_by)
        return QueueEntry(
            row,
            raised_by="You" if is_mine else names.get(row.raised_by, "A teammate"),
            assigned_to="you" if row.assigned_to == me else names.get(row.assigned_to, ""),
            handler="you" if row.handler_id == me else names.get(row.handler_id, ""),
            last_seen=raiser.last_seen if raiser else None,
            is_mine=is_mine,
            for_me=row.assigned_to == me,
            is_silent=is_silent,
            can_pick_up=not is_mine and (is_open or (is_silent and row.handler_id != me)),
            can_cancel=is_open and row.originator_id == me,
            can_take_back=is_silent and row.originator_id == me and row.handler_id != me,
        )

    async def _idle_since(self, row: Escalation) -> datetime | None:
        if row.state is not EscalationState.CLAIMED or row.handler_id != self._sessions.me.id:
            return None
        session = await self._store.session(row.session_id)
        return session.updated_at if session else row.claimed_at

    def _passes(self, entry: QueueEntry, which: EscalationFilter) -> bool:
        row = entry.escalation
        match which:
            case EscalationFilter.MINE:
                return row.assigned_to == self._sessions.me.id
            case EscalationFilter.UNASSIGNED:
                return row.state is EscalationState.OPEN and not row.assigned_to
            case EscalationFilter.ALL:
                return True

"""What the queue says of a session, brought about on this desktop.

Whoever had a session before follows whoever has it now: the state by the life cycle's table, the
steps as they are appended. A handler whose claim was lost keeps a copy of what the team never got;
from there on they follow like everybody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import QueueError
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationState,
    OperationKind,
    QueueOperation,
)
from flowpilot_desktop.core.session import Note, Session, SessionStatus, Source, Step, new_id
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.services.diagnosis import NOTE_CORRECTS
from flowpilot_desktop.services.escalations.roster import Roster
from flowpilot_desktop.services.escalations.shared_steps import SharedSteps, merged
from flowpilot_desktop.services.following import followed
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share
from flowpilot_desktop.store.tables import Record

_TAKEN_OVER = "Somebody else has taken over"


class Follower:
    """Follows what others do with sessions that this desktop knows."""

    def __init__(
        self,
        sessions: Sessions,
        share: Share,
        roster: Roster,
        told: Callable[[str, str], None],
    ) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._share = share
        self._outbox = share.outbox
        self._roster = roster
        self._told = told

    async def take(self, row: Escalation) -> None:
        """Take over one request as the queue has it now; what is older changes nothing."""
        kept = await self._store.escalation(row.id)
        if kept is not None and kept.fence > row.fence:
            return
        await self._store.save(row)
        async with self._sessions.exclusive(row.session_id):
            session = await self._store.session(row.session_id)
            if session is None or session.escalation_id != row.id:
                return
            if self._is_lost(session, row):
                if not await self._has_left_it(row.id):
                    await self._lose(session, row)
            elif not await self._outbox.waiting(row.id):
                await self._go_along(session, row)
            session = await self._sessions.session(row.session_id)
        if not self._share.is_held(session):
            await self._pull(session, row)

    async def _go_along(self, session: Session, row: Escalation, *records: Record) -> None:
        after = followed(session, row, self._sessions.clock.now())
        if after is session:
            await self._store.save(*records)
            return
        segments: tuple[Segment, ...] = ()
        me = self._sessions.me.id
        if session.handler_id == me and after.handler_id != me:
            segments = await self._sessions.timekeeping.ended(session.id)
        await self._store.save(after, *segments, *records)
        self._sessions.changed(session.id)

    # The steps that a handler appends

    async def _pull(self, session: Session, row: Escalation) -> None:
        """Bring the steps that a handler appended into the session as it is here."""
        key = steps_key(row.id)
        known = int(await self._store.remembered(key) or 0)
        if row.steps_appended <= known:
            return
        shared = await (await self._share.link.queue()).steps(row.id, known)
        added = SharedSteps(one.content for one in shared)
        me = self._sessions.me.id
        async with self._sessions.exclusive(session.id):
            steps = {step.id: step for step in await self._store.steps(session.id)}
            gone = {one for one in added.set_aside if one in steps and steps[one].is_open}
            await self._store.forget(*(steps[one] for one in gone))
            local = {one: step for one, step in steps.items() if one not in added.set_aside}
            await self._store.save(
                *merged(session.id, local, added.steps), *added.segments(session.id, but=me)
            )
            await self._sessions.ledger.know(session.id, added.billed, but=me)
        if shared:
            await self._store.remember(key, str(shared[-1].number))
        self._sessions.changed(session.id)

    # A claim that was lost

    def _is_lost(self, session: Session, row: Escalation) -> bool:
        """Return whether somebody else has what this technician believes to handle."""
        me = self._sessions.me.id
        return (
            self._share.is_held(session)
            and session.status in (SessionStatus.ACTIVE, SessionStatus.PAUSED)
            and row.fence >= session.fence
            and not (row.state is EscalationState.CLAIMED and row.handler_id == me)
        )

    async def _has_left_it(self, escalation_id: str) -> bool:
        kinds = (OperationKind.RELEASE, OperationKind.RESOLVE, OperationKind.PICK_UP)
        return bool(await self._outbox.waiting(escalation_id, *kinds))

    async def _lose(self, session: Session, row: Escalation) -> None:
        """Keep a copy of what did not reach the queue; from here on the session is the other's."""
        waiting = await self._outbox.waiting(row.id)
        records, words = await self._copy(session, waiting, row)
        await self._go_along(session, row, *records, *self._dropped(waiting))
        self._told(_TAKEN_OVER, words)

    async def claim_refused(self, one: QueueOperation) -> tuple[Record, ...]:
        """Return what follows when the queue refused a handler's word for an old claim."""
        waiting = tuple(
            kept for kept in await self._outbox.waiting(one.escalation_id) if kept.id != one.id
        )
        session = await self._store.session(one.session_id)
        row = None
        with suppress(QueueError):
            queue = await self._share.link.queue()
            await self._roster.learn(queue)
            row = await queue.escalation(one.escalation_id)
        row = row or await self._store.escalation(one.escalation_id)
        dropped = self._dropped(waiting)
        if session is None or row is None:
            return dropped
        records, words = await self._copy(session, (one, *waiting), row)
        self._told(_TAKEN_OVER, words)
        after = session
        if not session.status.is_final:
            after = followed(session, row, self._sessions.clock.now())
        segments: tuple[Segment, ...] = ()
        if after.handler_id != self._sessions.me.id:
            segments = await self._sessions.timekeeping.ended(session.id)
        self._share.background.begin(self._changed_then(session.id))
        return (*records, *dropped, row, after, *segments)

    async def _changed_then(self, session_id: str) -> None:
        """Tell the screens in the loop's next turn: the outbox commits first."""
        self._sessions.changed(session_id)

    def _dropped(self, waiting: Iterable[QueueOperation]) -> tuple[QueueOperation, ...]:
        return tuple(self._outbox.dropped(one, f"{_TAKEN_OVER}.") for one in waiting)

    async def _copy(
        self, session: Session, waiting: tuple[QueueOperation, ...], row: Escalation
    ) -> tuple[tuple[Record, ...], str]:
        """Return what the team never got, as a note and an attachment, and words about it."""
        steps = await self._store.steps(session.id)
        unsent = {
            document["step"]["id"]
            for one in waiting
            if one.kind is OperationKind.APPEND
            for document in json.loads(one.body)["steps"]
            if document.get("step")
        }
        kept = [step for step in steps if step.id in unsent and not step.is_open]
        lines = [f"{step.number}. {step.body.text}\n   → {step.response_label}" for step in kept]
        drafts = [
            one.text
            for one in await self._store.drafts(session.id)
            if one.text.strip() and one.field != NOTE_CORRECTS
        ]
        lines += [f"Typed, not sent: {text}" for text in drafts]
        names = await self._sessions.names()
        who = names.get(row.handler_id) or names.get(row.raised_by) or "A teammate"
        count = f"{len(kept)} step{'' if len(kept) == 1 else 's'}"
        words = (
            f"{who} has taken over “{session.problem_summary}”. "
            f"{count} of yours had not reached the team queue; your own copy is kept here."
        )
        if not lines:
            return (), words
        now, me = self._sessions.clock.now(), self._sessions.me.id
        text = "\n".join(["Your own copy; the team does not see it.", *lines])
        copy = Attachment(
            f"conflict-{row.id}-{session.fence}",
            session.id,
            "your own copy.txt",
            "text/plain",
            text.encode("utf-8", "replace"),
            now,
        )
        note = Step(
            id=new_id(),
            session_id=session.id,
            number=max((step.number for step in steps), default=0) + 1,
            body=Note(f"Conflict copy. {words}\n{text}"),
            source=Source.ENGINEER,
            created_at=now,
            created_by=me,
            answered_at=now,
            answered_by=me,
        )
        return (copy, note), words


def steps_key(escalation_id: str) -> str:
    """Return under what the store remembers how many appended steps were taken over."""
    return f"queue steps {escalation_id}"

"""Taking a session over: what arrives, the briefing, and everything there is of the work before.

A pickup needs the queue's word, and the first one wins. What the package, the steps appended since
and this desktop's own records say is merged into one session, a briefing is put on top, and the
whole is one commit. The ticket and the fast model's words are fetched afterwards; nobody waits.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from flowpilot_desktop.core.errors import (
    ClaimLost,
    FlowPilotError,
    NotAllowed,
    NotFound,
    QueueRefused,
)
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationState,
    HandOff,
    OperationKind,
    QueueOperation,
)
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.lifecycle import Verb, moved
from flowpilot_desktop.core.ports import BriefingDraft
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import (
    Briefing,
    ContextStatus,
    Engineer,
    Hypothesis,
    Intake,
    Session,
    SessionStatus,
    Source,
    Step,
    new_id,
)
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.flows import walk
from flowpilot_desktop.services.assistant import Case
from flowpilot_desktop.services.escalations.briefing import BriefingWriter
from flowpilot_desktop.services.escalations.follower import steps_key
from flowpilot_desktop.services.escalations.shared_steps import SharedSteps, merged
from flowpilot_desktop.services.hand_off import Parcel, opened_parcel, tried
from flowpilot_desktop.services.intake import Intakes
from flowpilot_desktop.services.queue import TeamQueue
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share
from flowpilot_desktop.store.tables import Record

log = logging.getLogger(__name__)

READ_BACK_LIMIT = 2_000


class Taking:
    """The verbs of whoever picks up."""

    def __init__(
        self,
        sessions: Sessions,
        share: Share,
        writer: BriefingWriter,
        intakes: Intakes,
    ) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._share = share
        self._outbox = share.outbox
        self._writer = writer
        self._intakes = intakes

    async def pick_up(self, escalation_id: str, read_back: str = "") -> Session:
        """Take a session over; the briefing waits as a card.

        Raises AlreadyPickedUp, which names who has it, QueueUnreachable, QueueNotOpen.
        """
        row = await self._store.escalation(escalation_id)
        if row is None:
            raise NotFound("This escalation is not in the list any more.")
        if row.raised_by == self._sessions.me.id:
            raise NotAllowed(
                "You raised this escalation yourself.",
                hint="Withdraw it to carry on with it, or let a teammate pick it up.",
            )
        body = {"read_back": Redactor().redact(cleaned(read_back, READ_BACK_LIMIT)).text}
        await self._outbox.now(
            self._outbox.operation(OperationKind.PICK_UP, row.session_id, row.id, body)
        )
        self._sessions.changed(row.session_id)
        return await self._sessions.session(row.session_id)

    # What the queue granted

    async def granted(self, one: QueueOperation, queue: TeamQueue) -> tuple[Record, ...]:
        """Return what follows from a pickup that the queue granted."""
        row = await queue.escalation(one.escalation_id)
        if row.state is not EscalationState.CLAIMED or row.handler_id != self._sessions.me.id:
            raise ClaimLost("Somebody else has taken this session over since.", why="stale")
        local = await self._store.session(row.session_id)
        if local is not None and self._share.is_held(local) and local.escalation_id == row.id:
            return (row, replace(local, fence=row.fence))  # a repeat of what was done already
        try:
            package = opened_parcel(await queue.package(row.id))
        except QueueRefused as error:
            log.warning("The package of escalation %s can't be read: %s", row.id, error.why)
            package = _bare(row)
        shared = await queue.steps(row.id, 0)
        added = SharedSteps(step.content for step in shared)
        async with self._sessions.exclusive(row.session_id):
            records = await self._arrived(row, package, added)
        await self._store.remember(steps_key(row.id), str(len(shared)))
        times = (*package.billed, *added.billed)
        await self._sessions.ledger.know(row.session_id, times, but=self._sessions.me.id)
        await self._store.remember("last_session", row.session_id)
        self._share.background.begin(
            self._catch_up(row.session_id, is_briefed=package.hand_off.is_briefed)
        )
        return records

    async def _arrived(
        self, row: Escalation, package: Parcel, added: SharedSteps
    ) -> tuple[Record, ...]:
        sessions, me = self._sessions, self._sessions.me.id
        session = await self._session(row, package)
        local = {step.id: step for step in await self._store.steps(session.id)}
        old = {
            one
            for one, step in local.items()
            if step.is_open and (one in added.set_aside or isinstance(step.body, Briefing))
        }
        if await self._store.session(session.id) is not None:
            await self._store.forget(*(local[one] for one in old))
        kept = {one: step for one, step in local.items() if one not in old}
        incoming = [step for step in package.steps if step.id not in added.set_aside]
        new = merged(
            session.id,
            kept,
            (
                step
                for step in (*incoming, *added.steps)
                if not (step.is_open and isinstance(step.body, Briefing))
            ),
        )
        steps = sorted((kept | {s.id: s for s in new}).values(), key=lambda step: step.number)
        briefing = Step(
            id=new_id(),
            session_id=session.id,
            number=max((step.number for step in steps), default=0) + 1,
            body=_briefing(row, package.hand_off, tuple(steps)),
            source=Source.ENGINEER,
            created_at=sessions.clock.now(),
            created_by=row.raised_by,
        )
        known = {one.id for one in await self._store.engineers()} | {me}
        names = [Engineer(one.engineer_id, one.name) for one in package.names]
        return (
            session,
            *(one for one in names if one.id not in known),
            *new,
            *added.segments(session.id, but=me, before=package.segments),
            *await self._opening(session),
            briefing,
            *await sessions.timekeeping.begun(session, me),
            row,
            sessions.audit(session, Verb.PICK_UP),
        )

    async def _session(self, row: Escalation, package: Parcel) -> Session:
        """Return the session as this technician's, whatever was known of it before."""
        sessions, now = self._sessions, self._sessions.clock.now()
        local = await self._store.session(row.session_id)
        waiting = replace(
            package.session,
            id=row.session_id,
            user_id=row.originator_id,
            handler_id=row.raised_by,
            status=SessionStatus.REQUESTING_ESCALATION,
            updated_at=now,
            paused_at=None,
            resolved_at=None,
            ticket_id=row.ticket_number,
            psa_context_status=ContextStatus.NONE,
        )
        connection = await sessions.tickets.connection()
        if row.ticket_number and connection is not None:
            waiting = replace(
                waiting,
                connection_id=connection.id,
                psa_context_status=ContextStatus.UNAVAILABLE,
            )
        if local is not None:
            waiting = replace(
                waiting,
                intake=local.intake,
                connection_id=local.connection_id or waiting.connection_id,
                psa_context_status=local.psa_context_status,
            )
        if not waiting.flow_id:
            problem = Case(waiting, (), None).problem_text
            flow = await sessions.assistant.matched_flow(problem)
            waiting = replace(waiting, flow_id=flow.id if flow is not None else "")
        return replace(
            moved(waiting, Verb.PICK_UP, sessions.me.id, now),
            hop_count=max(1, row.hop_count),
            escalation_id=row.id,
            escalation_reason=row.reason,
            escalated_to=row.assigned_to,
            fence=row.fence,
        )

    async def _opening(self, session: Session) -> tuple[Happening, ...]:
        """Return the opening that a mind is told, unless this desktop has it already."""
        if await self._store.happenings(session.id):
            return ()
        flow = await self._sessions.assistant.flow(session.flow_id)
        text = walk.flow_text(flow) if flow is not None else ""
        now, opened = self._sessions.clock.now(), HappeningKind.OPENED
        return (Happening(new_id(), session.id, 0, now, opened, None, text),)

    # Afterwards

    async def _catch_up(self, session_id: str, *, is_briefed: bool) -> None:
        """Fetch the ticket anew, and let the fast model add what the package came without."""
        session = await self._sessions.session(session_id)
        if session.ticket_id and session.connection_id:
            with suppress(FlowPilotError):
                await self._intakes.refresh_ticket(session_id)
        if is_briefed:
            return
        draft, spent = await self._writer.draft(session_id, session.escalation_reason)
        async with self._sessions.exclusive(session_id):
            filled = () if draft is None else await self._filled_in(session_id, draft)
            await self._store.save(*spent, *filled)
        self._sessions.changed(session_id)
        self._share.wake()

    async def _filled_in(self, session_id: str, draft: BriefingDraft) -> tuple[Record, ...]:
        """Return the briefing with the model's words; one that was answered gets a correction."""
        session = await self._sessions.session(session_id)
        steps = await self._store.steps(session_id)
        card = next((step for step in reversed(steps) if isinstance(step.body, Briefing)), None)
        if card is None or not self._share.is_held(session) or session.status.is_final:
            return ()
        assert isinstance(card.body, Briefing)
        known = {item.text for item in card.body.hypotheses}
        body = replace(
            card.body,
            next_steps=tuple(dict.fromkeys((*draft.next_steps, *card.body.next_steps))),
            hypotheses=(
                *card.body.hypotheses,
                *(Hypothesis(text, 0.0) for text in draft.hypotheses if text not in known),
            ),
        )
        if card.is_open:
            return (replace(card, body=body),)
        now = self._sessions.clock.now()
        late = replace(
            card,
            id=new_id(),
            number=max(step.number for step in steps) + 1,
            body=body,
            created_at=now,
            answered_at=now,
            corrects=card.id,
        )
        return (late, *self._share.told(session, late))


def _briefing(row: Escalation, hand_off: HandOff, steps: tuple[Step, ...]) -> Briefing:
    return Briefing(
        text=hand_off.problem or row.summary,
        escalated_by=hand_off.raised_by_name or "a teammate",
        reason=row.reason,
        steps=tried(steps),
        ruled_out=hand_off.ruled_out,
        hypotheses=hand_off.hypotheses,
        next_steps=hand_off.next_steps,
        environment=hand_off.environment,
        hop=max(1, row.hop_count),
    )


def _bare(row: Escalation) -> Parcel:
    """Return what is known of a session whose package can't be read."""
    session = Session(
        id=row.session_id,
        user_id=row.originator_id,
        handler_id=row.raised_by,
        status=SessionStatus.REQUESTING_ESCALATION,
        intake=Intake(text=row.summary),
        created_at=row.created_at,
        updated_at=datetime.now(UTC),
        problem_summary=row.summary,
    )
    hand_off = HandOff(row.summary, "", row.originator_id, "", "", row.reason, row.hop_count)
    return Parcel(session, hand_off)

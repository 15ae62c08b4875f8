"""Giving a session away, and taking back what was given.

Escalating and releasing need nobody's word: the move, the documentation and the operation for the
queue are one commit, and the operation leaves when it can. The fast model may add its words until
then. What surely never left is withdrawn, cancelled or reassigned here; what may have left needs
the queue's word, and only its answer moves the session.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flowpilot_desktop.core.errors import InvalidInput, NotFound, QueueRefused, TransitionRefused
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationState,
    HandOff,
    OperationKind,
    OperationState,
    QueueOperation,
)
from flowpilot_desktop.core.events import EscalationsChanged
from flowpilot_desktop.core.lifecycle import Verb, moved, transition
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import Session, SessionStatus, new_id
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.services.closing import Closing, documented
from flowpilot_desktop.services.documentation import (
    DocumentationChoices,
    DocumentationPreview,
    Dossier,
    preview,
)
from flowpilot_desktop.services.escalations.briefing import BRIEFING_SECONDS, BriefingWriter
from flowpilot_desktop.services.hand_off import (
    Parcel,
    billed_times,
    opened_parcel,
    parcel,
    sealed,
)
from flowpilot_desktop.services.queue import Answer
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share, latest
from flowpilot_desktop.store.tables import Record

REASON_LIMIT = 4_000
SUMMARY_LIMIT = 300
_DRAFTS = ("escalate.reason", "escalate.note", "escalate.choices")


@dataclass(frozen=True, slots=True)
class EscalationPreview:
    """What would leave if the session were escalated now."""

    hand_off: HandOff
    documentation: DocumentationPreview


class Giving:
    """The verbs of whoever hands a session over."""

    def __init__(
        self,
        sessions: Sessions,
        share: Share,
        writer: BriefingWriter,
        refresh: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._clock = sessions.clock
        self._share = share
        self._outbox = share.outbox
        self._writer = writer
        self._refresh = refresh

    # Giving

    async def preview(self, session_id: str, reason: str = "") -> EscalationPreview:
        """Return what a teammate would get and what would go to the ticket, redacted."""
        session = await self._sessions.session(session_id)
        reason = cleaned(reason, REASON_LIMIT)
        dossier = await self._sessions.dossier(replace(session, escalation_reason=reason))
        shown = opened_parcel(json.dumps(sealed(await self._parcel(dossier))))
        rules = self._sessions.rules()
        return EscalationPreview(shown.hand_off, preview(dossier, rules, escalating=True))

    async def escalate(
        self,
        session_id: str,
        reason: str,
        assign_to: str = "",
        choices: DocumentationChoices | None = None,
    ) -> Closing:
        """Ask that somebody else take over; a handler who picked it up puts it back with this."""
        sessions, me = self._sessions, self._sessions.me.id
        reason = _checked(reason)
        if assign_to == me:
            raise InvalidInput("An escalation can't be assigned to yourself.")
        if not await self._share.link.is_set_up():
            await self._share.link.queue()  # raises with the words for it
        async with sessions.closing(session_id):
            session = await sessions.session(session_id)
            is_held = self._share.is_held(session)
            verb = Verb.RELEASE if is_held else Verb.ESCALATE
            transition(session, verb, me)
            session = replace(session, escalation_reason=reason, escalated_to=assign_to)
            dossier = await sessions.dossier(session)
            after = replace(
                moved(session, verb, me, dossier.as_of),
                escalation_id=session.escalation_id if is_held else new_id(),
            )
            written = documented(
                dossier, sessions.rules(), choices or DocumentationChoices(), escalating=True
            )
            segments = await sessions.timekeeping.ended(session_id)
            dossier = replace(
                dossier,
                session=after,
                sent=(*dossier.sent, *written.items),
                segments=latest((*dossier.segments, *segments)),
            )
            operation = self._handing_over(
                after, sealed(await self._parcel(dossier)), is_held=is_held
            )
            await self._store.save(
                after,
                *segments,
                *written.items,
                operation,
                await self._own_row(after, len(dossier.steps)),
                sessions.written_down(after, written.note, dossier.as_of),
                sessions.audit(after, verb),
                clear_drafts=[(session_id, where) for where in _DRAFTS],
            )
        sessions.changed(session_id)
        self._share.background.begin(self._writer.complete(operation))
        return written.closing(after)

    async def release(self, session_id: str, reason: str, assign_to: str = "") -> Closing:
        """Put a session that was picked up back into the queue."""
        if not self._share.is_held(await self._sessions.session(session_id)):
            raise TransitionRefused("Only a session that you picked up can be put back.")
        return await self.escalate(session_id, reason, assign_to)

    async def _parcel(self, dossier: Dossier) -> Parcel:
        session = dossier.session
        return parcel(
            dossier,
            await self._sessions.context(session),
            reason=session.escalation_reason,
            hop=session.hop_count + 1,
            billed=billed_times(dossier),
        )

    def _handing_over(
        self, session: Session, package: dict[str, Any], *, is_held: bool
    ) -> QueueOperation:
        body = {
            **_told(session),
            "ticket_number": session.ticket_id[:64],
            "step_count": len(package["steps"]),
            "assigned_to": session.escalated_to,
            "package": package,
        }
        if is_held:
            body["fence"] = session.fence
        return self._outbox.operation(
            OperationKind.RELEASE if is_held else OperationKind.ESCALATE,
            session.id,
            session.escalation_id,
            body,
            next_try_at=self._clock.now() + timedelta(seconds=BRIEFING_SECONDS),
        )

    async def _own_row(self, session: Session, steps: int) -> Escalation:
        """Return the request as this desktop knows it before the queue has confirmed it."""
        now, me = self._clock.now(), self._sessions.me.id
        row = await self._store.escalation(session.escalation_id) or Escalation(
            session.escalation_id,
            session.id,
            EscalationState.OPEN,
            session.user_id,
            me,
            "",
            "",
            created_at=now,
            raised_at=now,
        )
        return replace(
            row,
            **_told(session),
            state=EscalationState.OPEN,
            raised_by=me,
            raised_at=now,
            assigned_to=session.escalated_to,
            handler_id="",
            lease_until=None,
            ticket_number=session.ticket_id,
            step_count=steps,
            hop_count=session.hop_count + 1,
        )

    # Taking back

    async def withdraw(self, session_id: str) -> Session:
        """Take back what one raised, while nobody has picked it up.

        What never left is dropped and never leaves. What left already needs the queue's word.
        """
        operation = None
        async with self._outbox.sending, self._sessions.exclusive(session_id):
            session = await self._sessions.session(session_id)
            after = moved(session, Verb.WITHDRAW, self._sessions.me.id, self._clock.now())
            raised = await self._raising(session)
            if raised is not None and _never_left(raised):
                await self._take_back_unsent(session, after, raised)
            else:
                operation = self._outbox.operation(
                    OperationKind.WITHDRAW, session_id, session.escalation_id, {}
                )
        return await self._settled(session_id, operation)

    async def cancel(self, session_id: str, reason: str) -> Session:
        """End a request of one's own for good; the session ends with its reason."""
        reason = _checked(reason)
        operation = None
        async with self._outbox.sending, self._sessions.exclusive(session_id):
            session = await self._sessions.session(session_id)
            after = moved(session, Verb.CANCEL, self._sessions.me.id, self._clock.now())
            raised = await self._raising(session)
            if raised is not None and _never_left(raised):
                row = await self._store.escalation(session.escalation_id)
                await self._store.save(
                    replace(after, end_reason=reason),
                    self._outbox.dropped(raised, "Cancelled before it left."),
                    *(() if row is None else (self._cancelled(row, reason),)),
                    self._sessions.audit(after, Verb.CANCEL),
                )
            else:
                body = {"reason": Redactor().redact(reason).text}
                operation = self._outbox.operation(
                    OperationKind.CANCEL, session_id, session.escalation_id, body
                )
        return await self._settled(session_id, operation)

    async def reassign(self, escalation_id: str, assign_to: str) -> None:
        """Ask another teammate, or everybody with an empty id."""
        row = await self._row(escalation_id)
        if assign_to == self._sessions.me.id:
            raise InvalidInput("An escalation can't be assigned to yourself.")
        async with self._outbox.sending:
            session = await self._store.session(row.session_id)
            raised = await self._raising(session) if session is not None else None
            if raised is not None and _never_left(raised):
                body = {**json.loads(raised.body), "assigned_to": assign_to}
                await self._store.save(
                    replace(raised, body=json.dumps(body, ensure_ascii=False)),
                    replace(row, assigned_to=assign_to),
                )
                self._sessions.events.publish(EscalationsChanged())
                return
        await self._tell(OperationKind.REASSIGN, row, {"assigned_to": assign_to})

    async def take_back(self, escalation_id: str, reason: str) -> None:
        """Put one's own escalation back for everybody when its handler has gone silent."""
        row = await self._row(escalation_id)
        body = {"fence": None, "reason": Redactor().redact(_checked(reason)).text}
        await self._tell(OperationKind.RELEASE, row, body)

    async def _tell(self, kind: OperationKind, row: Escalation, body: dict[str, Any]) -> None:
        await self._outbox.now(self._outbox.operation(kind, row.session_id, row.id, body))
        await self._refresh()

    async def _settled(self, session_id: str, operation: QueueOperation | None) -> Session:
        """Get the queue's word where it is needed, and return the session as it is then."""
        if operation is not None:
            await self._outbox.now(operation)
        self._sessions.changed(session_id)
        self._sessions.events.publish(EscalationsChanged())
        return await self._sessions.session(session_id)

    async def _raising(self, session: Session) -> QueueOperation | None:
        """Return the operation that asked for the session's present pickup, if it is known."""
        every = await self._store.queue_operations(OperationState, session.id)
        kinds = (OperationKind.ESCALATE, OperationKind.RELEASE)
        mine = [
            one for one in every if one.escalation_id == session.escalation_id and one.kind in kinds
        ]
        return mine[-1] if mine else None

    async def _take_back_unsent(
        self, session: Session, after: Session, raised: QueueOperation
    ) -> None:
        """Move a session back whose request never reached the queue, and drop the request."""
        me = self._sessions.me.id
        row = await self._store.escalation(session.escalation_id)
        records: list[Record] = []
        if raised.kind is OperationKind.ESCALATE:
            after = replace(after, escalation_id="", fence=0)
            if row is not None:
                await self._store.forget(row)
        elif row is not None:
            records.append(replace(row, state=EscalationState.CLAIMED, handler_id=me))
        if raised.state is OperationState.WAITING:
            records.append(self._outbox.dropped(raised, "Withdrawn before it left."))
        await self._store.save(
            after,
            *records,
            *await self._sessions.timekeeping.begun(after, me),
            self._sessions.audit(after, Verb.WITHDRAW),
        )

    async def _row(self, escalation_id: str) -> Escalation:
        row = await self._store.escalation(escalation_id)
        if row is None:
            raise NotFound("This escalation is not in the list any more.")
        return row

    # What the queue answered

    async def ended(self, one: QueueOperation, answer: Answer) -> tuple[Record, ...]:
        """Return what follows from a withdrawal or a cancellation that the queue granted."""
        session = await self._store.session(one.session_id)
        row = await self._store.escalation(one.escalation_id)
        now, me = self._clock.now(), self._sessions.me.id
        told: tuple[Escalation, ...] = ()
        if row is not None:
            told = (replace(row, state=answer.state, fence=answer.fence, ended_at=now),)
        if (
            session is None
            or session.escalation_id != one.escalation_id
            or session.status is not SessionStatus.REQUESTING_ESCALATION
        ):
            return told
        if one.kind is OperationKind.CANCEL:
            reason = str(json.loads(one.body)["reason"])
            after = moved(session, Verb.CANCEL, me, now)
            return (*told, replace(after, end_reason=reason, fence=answer.fence))
        after = moved(session, Verb.WITHDRAW, me, now)
        if answer.state is EscalationState.CLAIMED:  # raised by a later handler: theirs again
            after = replace(after, fence=answer.fence)
            told = tuple(replace(row, handler_id=me, ended_at=None) for row in told)
        else:
            after = replace(after, escalation_id="", fence=0)
        segments = await self._sessions.timekeeping.begun(after, me)
        return (*told, after, *segments, self._sessions.audit(after, Verb.WITHDRAW))

    async def refused(self, one: QueueOperation, error: QueueRefused) -> tuple[Record, ...]:
        """Return what follows when the queue did not take an escalation."""
        row = await self._store.escalation(one.escalation_id)
        return () if row is None else (self._cancelled(row, error.message),)

    def _cancelled(self, row: Escalation, outcome: str) -> Escalation:
        ended = EscalationState.CANCELLED
        return replace(row, state=ended, outcome=outcome, ended_at=self._clock.now())


def _told(session: Session) -> dict[str, Any]:
    """Return a request's texts as the team reads them."""
    redact = Redactor().redact
    return {
        "summary": redact(session.problem_summary).text[:SUMMARY_LIMIT],
        "reason": redact(session.escalation_reason).text[:REASON_LIMIT],
    }


def _never_left(raised: QueueOperation) -> bool:
    """Return whether the queue surely knows nothing of a request."""
    if raised.state is OperationState.WAITING:
        return raised.tries == 0
    return raised.state is OperationState.REFUSED


def _checked(reason: str) -> str:
    if not reason.strip():
        raise InvalidInput("Say in a sentence why somebody else should look at it.")
    if len(reason) > REASON_LIMIT:
        raise InvalidInput(
            f"The reason has {len(reason):,} characters; {REASON_LIMIT:,} are the most."
        )
    return cleaned(reason, REASON_LIMIT).strip()

"""What the team's queue says of a session, told as the life cycle's own verbs.

The queue reports states, and a desktop may have missed some in between. ``followed`` finds the
verbs that lead from the session as it is here to the state there and does each by the one table
of the life cycle, as the engineer who did it. A state that is older than what is known here
changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flowpilot_desktop.core.escalation import Escalation, EscalationState
from flowpilot_desktop.core.lifecycle import Verb, moved
from flowpilot_desktop.core.session import Session, SessionStatus

EXPIRED_WORDS = "Nobody picked it up in time."
WITHDRAWN_WORDS = "The originator took it back."


def followed(session: Session, row: Escalation, at: datetime) -> Session:
    """Return the session as the queue's row has it; the same one when nothing is new."""
    if session.status.is_final or session.escalation_id != row.id or row.fence < session.fence:
        return session
    path = _Path(session, at)
    match row.state:
        case EscalationState.OPEN:
            path.waits(row.raised_by)
            path.session = replace(
                path.session, escalated_to=row.assigned_to, escalation_reason=row.reason
            )
        case EscalationState.CLAIMED:
            path.handled_by(row.handler_id)
        case EscalationState.RESOLVED:
            path.handled_by(row.handler_id)
            path.go(Verb.RESOLVE, row.handler_id)
            summary, _, action = row.outcome.partition("\n")
            path.session = replace(
                path.session, resolution_summary=summary, resolution_action=action
            )
        case EscalationState.CANCELLED:
            path.waits(path.session.handler_id)
            path.go(Verb.CANCEL, path.session.user_id)
            path.session = replace(path.session, end_reason=row.outcome or WITHDRAWN_WORDS)
        case EscalationState.EXPIRED:
            path.waits(path.session.handler_id)
            path.go(Verb.EXPIRE, "")
            path.session = replace(path.session, end_reason=EXPIRED_WORDS)
    after = replace(path.session, fence=row.fence)
    if row.state in (EscalationState.CLAIMED, EscalationState.RESOLVED):
        after = replace(after, hop_count=max(1, row.hop_count))
    same = replace(after, updated_at=session.updated_at) == session
    return session if same else after


class _Path:
    """A session on its way through the table."""

    def __init__(self, session: Session, at: datetime) -> None:
        self.session = session
        self._at = at

    def go(self, verb: Verb, engineer_id: str) -> None:
        """Do one verb."""
        self.session = moved(self.session, verb, engineer_id, self._at)

    def waits(self, raised_by: str) -> None:
        """Lead to where it waits for somebody, raised by this engineer."""
        session = self.session
        if session.status is SessionStatus.REQUESTING_ESCALATION:
            if session.handler_id != raised_by:  # picked up and put back meanwhile
                self.go(Verb.PICK_UP, raised_by)
                self._put_back()
            return
        self._put_back()
        # After an expiry the originator may have put it back in the silent handler's place.
        self.session = replace(self.session, handler_id=raised_by)

    def handled_by(self, handler_id: str) -> None:
        """Lead to where this engineer handles it."""
        session = self.session
        if session.status is not SessionStatus.REQUESTING_ESCALATION:
            if session.handler_id == handler_id:
                return
            self._put_back()
        if self.session.handler_id == handler_id:
            self.go(Verb.WITHDRAW, handler_id)
        else:
            self.go(Verb.PICK_UP, handler_id)

    def _put_back(self) -> None:
        handler = self.session.handler_id
        if self.session.status is SessionStatus.PAUSED:
            self.go(Verb.RESUME, handler)
        self.go(Verb.RELEASE if self.session.was_handed_off else Verb.ESCALATE, handler)

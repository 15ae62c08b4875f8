"""The life of a session as one table.

``TRANSITIONS`` is the whole rule book; every change that is not in it is refused with an error
that names the state and the verb. Who may do it is part of the row, as a ``Role`` that is derived
from the session and the engineer. No text of a model's moves a session: only these verbs do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from flowpilot_desktop.core.errors import NotAllowed, TransitionRefused
from flowpilot_desktop.core.session import Session, SessionStatus


class Verb(StrEnum):
    """What an engineer can do to a session."""

    PAUSE = "pause"
    RESUME = "resume"
    ESCALATE = "escalate"
    PICK_UP = "pick up"
    WITHDRAW = "withdraw"
    RELEASE = "release"
    RESOLVE = "resolve"
    CANCEL = "cancel"
    EXPIRE = "expire"
    ABANDON = "abandon"


class Role(StrEnum):
    """What an engineer is to a session, for one row of the table."""

    HANDLER = "the handler"
    PICKED_UP_HANDLER = "a handler who picked it up"
    SOLE_HANDLER = "the originator, when it was never handed off"
    OTHER_ENGINEER = "another engineer of the team"
    RAISER = "the engineer who raised it"
    ORIGINATOR = "the originator"
    CLOCK = "the queue, on expiry"


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed change."""

    before: SessionStatus
    verb: Verb
    role: Role
    after: SessionStatus


_S = SessionStatus
TRANSITIONS: tuple[Transition, ...] = (
    Transition(_S.ACTIVE, Verb.PAUSE, Role.HANDLER, _S.PAUSED),
    Transition(_S.PAUSED, Verb.RESUME, Role.HANDLER, _S.ACTIVE),
    Transition(_S.ACTIVE, Verb.ESCALATE, Role.HANDLER, _S.REQUESTING_ESCALATION),
    Transition(_S.REQUESTING_ESCALATION, Verb.PICK_UP, Role.OTHER_ENGINEER, _S.ACTIVE),
    Transition(_S.REQUESTING_ESCALATION, Verb.WITHDRAW, Role.RAISER, _S.ACTIVE),
    Transition(_S.ACTIVE, Verb.RELEASE, Role.PICKED_UP_HANDLER, _S.REQUESTING_ESCALATION),
    Transition(_S.ACTIVE, Verb.RESOLVE, Role.SOLE_HANDLER, _S.RESOLVED),
    Transition(_S.ACTIVE, Verb.RESOLVE, Role.PICKED_UP_HANDLER, _S.ESCALATED),
    Transition(_S.REQUESTING_ESCALATION, Verb.CANCEL, Role.ORIGINATOR, _S.ESCALATED),
    Transition(_S.REQUESTING_ESCALATION, Verb.EXPIRE, Role.CLOCK, _S.ESCALATED),
    Transition(_S.ACTIVE, Verb.ABANDON, Role.HANDLER, _S.ABANDONED),
    Transition(_S.PAUSED, Verb.ABANDON, Role.HANDLER, _S.ABANDONED),
)


def has_role(session: Session, engineer_id: str, role: Role) -> bool:
    """Return whether the engineer is that to the session (``CLOCK``: an empty engineer id).

    While an escalation waits, ``handler_id`` is still the engineer who raised it, so the
    originator may pick up what a later handler raised, and nobody picks up their own.
    """
    is_handler = bool(engineer_id) and session.handler_id == engineer_id
    match role:
        case Role.HANDLER | Role.RAISER:
            return is_handler
        case Role.PICKED_UP_HANDLER:
            return is_handler and session.was_handed_off
        case Role.SOLE_HANDLER:
            return is_handler and session.user_id == engineer_id and not session.was_handed_off
        case Role.OTHER_ENGINEER:
            return bool(engineer_id) and not is_handler
        case Role.ORIGINATOR:
            return bool(engineer_id) and session.user_id == engineer_id
        case Role.CLOCK:
            return not engineer_id


def transition(session: Session, verb: Verb, engineer_id: str) -> Transition:
    """Return the row that allows the verb, or raise TransitionRefused or NotAllowed."""
    rows = [row for row in TRANSITIONS if row.before is session.status and row.verb is verb]
    if not rows:
        raise TransitionRefused(f"A session that is {_words(session.status)} can't {verb}.")
    for row in rows:
        if has_role(session, engineer_id, row.role):
            return row
    who = " or ".join(row.role for row in rows)
    raise NotAllowed(f"Only {who} can {verb} a session that is {_words(session.status)}.")


def moved(session: Session, verb: Verb, engineer_id: str, at: datetime) -> Session:
    """Return the session after the verb, with the stamps that the verb sets or clears."""
    after = transition(session, verb, engineer_id).after
    stamps: dict[str, Any] = {}
    match verb:
        case Verb.PAUSE:
            stamps = {"paused_at": at}
        case Verb.RESUME:
            stamps = {"paused_at": None}
        case Verb.ESCALATE | Verb.RELEASE:
            stamps = {"escalated_at": at, "resolved_at": None}
        case Verb.PICK_UP:
            stamps = {"handler_id": engineer_id, "hop_count": session.hop_count + 1}
        case Verb.WITHDRAW:
            stamps = {"escalated_at": None, "escalation_reason": "", "escalated_to": ""}
        case Verb.RESOLVE:
            stamps = {"resolved_at": at}
        case Verb.CANCEL | Verb.EXPIRE | Verb.ABANDON:
            pass
    return replace(session, status=after, updated_at=at, **stamps)


def _words(status: SessionStatus) -> str:
    return "waiting for a pickup" if status is _S.REQUESTING_ESCALATION else status.value

"""Escalations as the team's queue has them, and what this desktop still has to tell the queue.

An ``Escalation`` is the last known state of one request, kept so that the page works without a
network and says how old it is. A ``QueueOperation`` is one thing to tell the queue: durable before
it is sent, with an id by which the queue recognises a repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flowpilot_desktop.core.session import Hypothesis, TriedStep


class EscalationState(StrEnum):
    """Where a request is in its life."""

    OPEN = "open"
    CLAIMED = "claimed"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self not in (self.OPEN, self.CLAIMED)


class EscalationFilter(StrEnum):
    """Which requests a list shows."""

    MINE = "assigned to me"
    UNASSIGNED = "unassigned"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Escalation:
    """One request that somebody else take over; engineers by their ids on this desktop."""

    id: str
    session_id: str
    state: EscalationState
    originator_id: str
    raised_by: str
    summary: str
    reason: str
    created_at: datetime
    raised_at: datetime
    assigned_to: str = ""
    handler_id: str = ""
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    ended_at: datetime | None = None
    ticket_number: str = ""
    step_count: int = 0
    hop_count: int = 0
    steps_appended: int = 0
    fence: int = 0
    read_back: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Teammate:
    """An engineer of the team. ``last_seen`` is exact to about a minute."""

    id: str
    name: str
    is_active: bool = True
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class HandOff:
    """The package that goes with an escalation; every text in it is redacted."""

    problem: str
    domain: str
    originator_id: str
    originator_name: str
    raised_by_name: str
    reason: str
    hop: int
    steps: tuple[TriedStep, ...] = ()
    ruled_out: tuple[str, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    next_steps: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    is_briefed: bool = False
    """Whether the fast model has added its words; else whoever picks it up asks for them."""


class OperationKind(StrEnum):
    """What can be told to the queue."""

    ESCALATE = "escalate"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    PICK_UP = "pick_up"
    RELEASE = "release"
    REASSIGN = "reassign"
    RESOLVE = "resolve"
    APPEND = "append"


class OperationState(StrEnum):
    """Where an operation stands."""

    WAITING = "waiting"
    ANSWERED = "answered"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class QueueOperation:
    """One thing to tell the queue. ``body`` is JSON, redacted where people's words are in it.

    ``tries`` above zero means that it may have reached the queue already. ``number`` orders the
    operations of one desktop.
    """

    id: str
    session_id: str
    escalation_id: str
    kind: OperationKind
    body: str
    created_at: datetime
    number: int = 0
    state: OperationState = OperationState.WAITING
    tries: int = 0
    next_try_at: datetime | None = None
    answered_at: datetime | None = None
    answer: str = ""
    error: str = ""

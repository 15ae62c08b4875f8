"""What was done before: sessions as a list shows them, ones like the present one, the trail.

These are the answers to questions asked of the past; nothing here changes a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flowpilot_desktop.core.session import Session, SessionStatus
from flowpilot_desktop.core.ticket import Ticket


class SessionFilter(StrEnum):
    """Which sessions a list shows."""

    ALL = "all"
    OPEN = "open"
    ACTIVE = "active"
    PAUSED = "paused"
    REQUESTING_ESCALATION = "requesting_escalation"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    ABANDONED = "abandoned"
    CLOSED = "closed"

    @property
    def statuses(self) -> frozenset[SessionStatus]:
        """The states that pass. ``ESCALATED`` shows those that wait for a pickup as well."""
        match self:
            case SessionFilter.ALL:
                return frozenset(SessionStatus)
            case SessionFilter.OPEN:
                return frozenset(status for status in SessionStatus if not status.is_final)
            case SessionFilter.CLOSED:
                return frozenset(status for status in SessionStatus if status.is_final)
            case SessionFilter.ESCALATED:
                return frozenset((SessionStatus.REQUESTING_ESCALATION, SessionStatus.ESCALATED))
            case _:
                return frozenset((SessionStatus(self.value),))


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a list of sessions is narrowed to; empty narrows to nothing.

    ``client`` is a company's name as it stands, ``device`` the beginning of a name or an address
    that came up, ``error`` words that follow each other, as a message has them.
    """

    client: str = ""
    device: str = ""
    error: str = ""

    def __bool__(self) -> bool:
        """Tell whether there is anything to narrow to."""
        return any(text.strip() for text in (self.client, self.device, self.error))


@dataclass(frozen=True, slots=True)
class SessionListing:
    """A session as a list shows it. ``snippet`` is where a search matched, else the problem."""

    session: Session
    step_count: int
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class SimilarSession:
    """A session solved before that reads like this one.

    ``relevance`` is the index's rank (bm25, higher is better, comparable within one answer only);
    ``likeness`` in 0..1 is the share of the asked words, the rare ones counting more, that it has.
    """

    session: Session
    relevance: float
    likeness: float
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class TicketListing:
    """A cached ticket as a search finds it, with where it matched and when it was fetched.

    ``likeness`` is as with ``SimilarSession``, 0 where nothing was compared.
    """

    ticket: Ticket
    fetched_at: datetime
    snippet: str = ""
    likeness: float = 0.0
    connection_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the trail: who did what to which session, when. ``detail`` is for people."""

    id: str
    at: datetime
    engineer_id: str
    verb: str
    session_id: str = ""
    detail: str = ""

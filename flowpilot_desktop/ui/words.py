"""How the product's nouns read in lists, badges and lines: one place, so they read alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.session import Session, SessionStatus
from flowpilot_desktop.core.ticket import Ticket

STATUS_BADGES: dict[SessionStatus, tuple[str, str]] = {
    SessionStatus.ACTIVE: ("Active", "accent"),
    SessionStatus.PAUSED: ("Paused", "neutral"),
    SessionStatus.REQUESTING_ESCALATION: ("Waiting for pickup", "soft_amber"),
    SessionStatus.ESCALATED: ("Escalated", "soft_amber"),
    SessionStatus.RESOLVED: ("Resolved", "green"),
    SessionStatus.ABANDONED: ("Abandoned", "neutral"),
}


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was, in words: "just now", "12 min ago", "3 d ago"."""
    span = (now or datetime.now(UTC)) - moment
    if span < timedelta(minutes=1):
        return "just now"
    if span < timedelta(hours=1):
        return f"{span // timedelta(minutes=1)} min ago"
    if span < timedelta(days=1):
        return f"{span // timedelta(hours=1)} h ago"
    return f"{span.days} d ago"


def local_time(moment: datetime) -> str:
    """Return a moment in the technician's own time: "Mon 23 Nov, 09:41"."""
    return moment.astimezone().strftime("%a %d %b, %H:%M")


def joined(*parts: str) -> str:
    """Return the parts that say something, with a middle dot between."""
    return " · ".join(part for part in parts if part)


def told(*sentences: str) -> str:
    """Return the sentences that say something, one after the other."""
    return " ".join(sentence for sentence in sentences if sentence)


def ticket_line(ticket: Ticket) -> str:
    """Return a ticket's quieter line."""
    age = ago(ticket.created_at) if ticket.created_at else ""
    return joined(f"#{ticket.id}", ticket.company.name, ticket.contact.name, age)


def ticket_badges(ticket: Ticket) -> tuple[tuple[str, str], ...]:
    """Return a ticket's status and priority."""
    badges: list[tuple[str, str]] = []
    if ticket.status.name:
        badges.append((ticket.status.name, "neutral"))
    if ticket.priority.name:
        badges.append((ticket.priority.name, priority_tone(ticket.priority.name)))
    return tuple(badges)


def priority_tone(priority: str) -> str:
    """Return the tone of a priority by its usual words; an unknown one is neutral."""
    words = priority.casefold()
    if any(word in words for word in ("critical", "emergency", "priority 1", "p1", "high")):
        return "red"
    return "soft_amber" if any(word in words for word in ("priority 2", "p2")) else "neutral"


def session_line(session: Session, step_count: int) -> str:
    """Return a session's quieter line."""
    number = f"#{session.ticket_id}" if session.ticket_id else ""
    return joined(number, session.company, counted(step_count, "step"), ago(session.updated_at))

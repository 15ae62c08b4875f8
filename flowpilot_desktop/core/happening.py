"""What happened to a session between its steps, kept because a model is told of it.

A consultation must come out the same, byte for byte, after a restart and on another computer. What
it is built from beside the session and its steps is here: the ticket and the flow as they were at
the start, tickets linked or read again, and pauses, each with the number of the last step before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flowpilot_desktop.core.ticket import TicketContext


class HappeningKind(StrEnum):
    """The kinds of happening."""

    OPENED = "opened"
    TICKET_LINKED = "ticket_linked"
    TICKET_REFRESHED = "ticket_refreshed"
    RESTED = "rested"


@dataclass(frozen=True, slots=True)
class Happening:
    """One happening; ``after`` is the number of the last step before it, 0 for none."""

    id: str
    session_id: str
    after: int
    at: datetime
    kind: HappeningKind
    context: TicketContext | None = None
    flow_text: str = ""
    minutes: int = 0

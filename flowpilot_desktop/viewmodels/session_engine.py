"""What the session screen asks of the engine: a face small enough to stand in for in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from flowpilot_desktop.core.attachment import INTAKE, Attachment, Kept
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import Engineer, Response, Session, Step
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.services.probes import Probe


class SessionEngine(Protocol):
    """The part of the engine that this screen uses."""

    events: Events

    @property
    def me(self) -> Engineer:
        """The technician at this desktop."""
        ...

    async def session(self, session_id: str) -> SessionView:
        """Return all that a screen shows of a session."""
        ...

    async def go_back(self, session_id: str) -> Step:
        """Ask the flow's last answered card anew."""
        ...

    def notice(self, session_id: str) -> str:
        """Return why the session goes on without Claude."""
        ...

    def asks_budget(self, session_id: str) -> bool:
        """Return whether Claude waits for a yes to the rest of the budget."""
        ...

    async def agree_to_spend(self) -> None:
        """Say that yes."""
        ...

    async def probe(self, session_id: str, probe: Probe) -> Step:
        """Look at a host and log what was seen."""
        ...

    async def attach_picture(
        self, session_id: str, content: bytes, step_id: str = INTAKE
    ) -> Attachment:
        """Keep a screenshot with a card."""
        ...

    async def evidence(self, session_id: str) -> tuple[Kept, ...]:
        """Return what is kept with the session's cards."""
        ...

    async def attachment(self, attachment_id: str) -> Attachment:
        """Return what is kept, whole."""
        ...

    async def remove_picture(self, picture: Attachment) -> None:
        """Forget a screenshot."""
        ...

    async def drafts(self, session_id: str) -> dict[str, str]:
        """Return the text typed but not sent."""
        ...

    async def save_draft(self, session_id: str, where: str, text: str) -> None:
        """Keep text typed but not sent."""
        ...

    async def work_on(self, session_id: str) -> None:
        """Let the technician's time run on this session."""
        ...

    async def respond(self, session_id: str, step_id: str, response: Response) -> Step:
        """Commit an answer."""
        ...

    async def next_step(
        self, session_id: str, progress: Callable[[StepProgress], None] | None = None
    ) -> Step | None:
        """Think of the next card and commit it."""
        ...

    async def add_note(self, session_id: str, text: str, corrects: str = "") -> Step:
        """Log a step by hand, or a correction of an answered one."""
        ...

    async def pause_session(self, session_id: str) -> Session:
        """Pause."""
        ...

    async def resume_session(self, session_id: str) -> Session:
        """Go on."""
        ...

    async def link_ticket(self, session_id: str, connection_id: str, ticket_id: str) -> SessionView:
        """Link a ticket."""
        ...

    async def refresh_ticket(self, session_id: str) -> SessionView:
        """Pull the ticket anew."""
        ...

    async def retry_psa_push(self, session_id: str) -> PsaPushStatus:
        """Send failed documentation again."""
        ...

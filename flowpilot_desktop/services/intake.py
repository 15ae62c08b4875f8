"""What a session starts from: words, a ticket, or both, and the ticket that comes to it later.

Nothing here waits for ConnectWise to be well. A session starts with the number and what was typed;
the context is fetched when it can be had, and what was said before stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flowpilot_desktop.core.attachment import INTAKE
from flowpilot_desktop.core.errors import FlowPilotError, InvalidInput
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.session import (
    ContextStatus,
    Intake,
    Session,
    SessionStatus,
    intake_type,
    new_id,
)
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.flows import walk
from flowpilot_desktop.services.assistant import Case
from flowpilot_desktop.services.evidence import Evidence, pasted
from flowpilot_desktop.services.sessions import Sessions

SUMMARY_LIMIT = 160
"""Characters of a problem's headline."""


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """What starting answers."""

    session: Session
    psa_context_status: ContextStatus
    psa_error: FlowPilotError | None = None


class Intakes:
    """Starts sessions and brings tickets to them."""

    def __init__(self, sessions: Sessions, evidence: Evidence) -> None:
        self._sessions = sessions
        self._evidence = evidence

    async def start(self, intake: Intake) -> SessionStarted:
        """Begin a session; without ConnectWise it begins all the same."""
        sessions, assistant = self._sessions, self._sessions.assistant
        text = pasted(intake.text)
        if not text.strip() and not intake.ticket_id and not intake.attachment_ids:
            raise InvalidInput(
                "There is nothing to start from yet.",
                hint="Choose a ticket or describe the problem in a few words.",
            )
        context: TicketContext | None = None
        status, error = ContextStatus.NONE, None
        if intake.ticket_id:
            context, status, error = await sessions.tickets.context(
                intake.connection_id, intake.ticket_id
            )
        now, me = sessions.clock.now(), sessions.me
        kind = intake_type(text, intake.ticket_id, has_screenshot=bool(intake.attachment_ids))
        session_id = new_id()
        headline = _headline(text, context, intake.ticket_id)
        text, kept = await self._evidence.read(session_id, text, "intake", INTAKE)
        session = Session(
            id=session_id,
            user_id=me.id,
            handler_id=me.id,
            status=SessionStatus.ACTIVE,
            intake=replace(intake, text=text, type=kind),
            created_at=now,
            updated_at=now,
            problem_summary=headline,
            connection_id=intake.connection_id if intake.ticket_id else "",
            ticket_id=intake.ticket_id,
            company=context.ticket.company.name if context else "",
            psa_context_status=status,
        )
        flow = await assistant.matched_flow(Case(session, (), context).problem_text)
        if flow is not None:
            session = replace(session, flow_id=flow.id, problem_domain=flow.domain)
        opened = Happening(
            new_id(),
            session.id,
            0,
            now,
            HappeningKind.OPENED,
            context,
            walk.flow_text(flow) if flow is not None else "",
        )
        await sessions.store.save(
            session,
            me,
            opened,
            *kept,
            *await self._evidence.brought(intake.attachment_ids, session.id),
            *await sessions.timekeeping.begun(session, me.id),
            sessions.audit(session, "start"),
            clear_drafts=[("", "intake")],
        )
        await sessions.store.remember("last_session", session.id)
        sessions.changed(session.id)
        return SessionStarted(session, status, error)

    async def link_ticket(self, session_id: str, connection_id: str, ticket_id: str) -> None:
        """Link a ticket in the middle of a session; what was said so far stays as it is."""
        sessions = self._sessions
        if not ticket_id.strip():
            raise InvalidInput("Choose a ticket or type its number.")
        await sessions.workable(session_id)
        context, status, error = await sessions.tickets.context(connection_id, ticket_id)
        linked = HappeningKind.TICKET_LINKED
        async with sessions.exclusive(session_id):
            session = await sessions.workable(session_id)
            session = replace(
                session,
                connection_id=connection_id,
                ticket_id=ticket_id,
                psa_context_status=status,
                company=context.ticket.company.name if context else session.company,
                updated_at=sessions.clock.now(),
            )
            await sessions.store.save(
                session,
                await sessions.happening(session_id, linked, context=context),
                sessions.audit(session, "link ticket", f"#{ticket_id}"),
            )
        sessions.changed(session_id)
        if error is not None and context is None:
            sessions.notices[session_id] = f"{error.message} The ticket is linked by its number."

    async def refresh_ticket(self, session_id: str) -> None:
        """Fetch the linked ticket again; the error is raised, what is known stays."""
        sessions = self._sessions
        session = await sessions.session(session_id)
        if not session.ticket_id:
            raise InvalidInput("No ticket is linked to this session yet.")
        context, status, error = await sessions.tickets.context(
            session.connection_id, session.ticket_id
        )
        if error is not None:
            raise error
        refreshed = HappeningKind.TICKET_REFRESHED
        async with sessions.exclusive(session_id):
            session = await sessions.session(session_id)
            company = context.ticket.company.name if context else session.company
            await sessions.store.save(
                replace(session, psa_context_status=status, company=company),
                await sessions.happening(session_id, refreshed, context=context),
            )
        sessions.changed(session_id)


def _headline(text: str, context: TicketContext | None, ticket_id: str) -> str:
    """Return one line that names the problem."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = context.ticket.summary.strip() if context else ""
    line = line or first or (f"Ticket #{ticket_id}" if ticket_id else "Screenshot")
    return line if len(line) <= SUMMARY_LIMIT else line[: SUMMARY_LIMIT - 1].rstrip() + "…"

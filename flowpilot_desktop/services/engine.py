"""The face of the product: every verb that a technician has, as plain async Python.

Screens, tests and the command line drive FlowPilot through this class. A verb checks the life-cycle
table, builds the new records and commits them in one transaction; when it returns, what it did is
on the disk. The work is done behind it: ``intake`` starts sessions, ``diagnosis`` walks the cards,
``evidence`` keeps what is pasted and photographed, ``closing`` ends with documentation, and
``escalations`` hands sessions over. All stand on ``sessions``, none on another's face. This file is
long because the product has many verbs; each is one line here.

Whatever a crash interrupts is put right by ``open``: segments that nobody closed end at their
last sign of life, documentation that was being sent becomes unclear and is looked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from flowpilot_desktop.core.attachment import INTAKE, Attachment, Kept
from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.escalation import EscalationFilter
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.history import (
    Narrowing,
    SessionFilter,
    SessionListing,
    SimilarSession,
    TicketListing,
)
from flowpilot_desktop.core.push import PsaPushStatus, PushItem, session_push_status
from flowpilot_desktop.core.redaction import RedactedText
from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    BRIEFING_FRESH,
    Briefing,
    Draft,
    Engineer,
    Intake,
    Response,
    Session,
    SessionStatus,
    Step,
    is_verified,
    open_step,
)
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.core.timing import active_time
from flowpilot_desktop.core.usage import UsageTotal
from flowpilot_desktop.services.assistant import Progress
from flowpilot_desktop.services.closing import Closing, Closings
from flowpilot_desktop.services.diagnosis import Diagnosis
from flowpilot_desktop.services.documentation import DocumentationChoices, DocumentationPreview
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.escalations import EscalationPreview, Escalations, QueuePicture
from flowpilot_desktop.services.evidence import Evidence
from flowpilot_desktop.services.intake import Intakes, SessionStarted
from flowpilot_desktop.services.probes import Probe
from flowpilot_desktop.services.sessions import Sessions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with all that a screen shows of it."""

    session: Session
    steps: tuple[Step, ...]
    context: TicketContext | None
    push_items: tuple[PushItem, ...]
    push_status: PsaPushStatus
    active_seconds: float
    clock_runs: bool
    engineers: dict[str, str] = field(default_factory=dict)
    flow_title: str = ""
    ticket_url: str = ""
    documentation: str = ""
    advice: str = ""
    spent: UsageTotal = UsageTotal()

    @property
    def open_step(self) -> Step | None:
        """The card that waits for an answer."""
        return open_step(self.steps)

    @property
    def is_verified(self) -> bool:
        """Whether a person said that the fix holds."""
        return is_verified(self.steps)

    @property
    def push_error(self) -> str:
        """Why the documentation is not in the ticket, in the server's words."""
        return next((item.error for item in self.push_items if item.error), "")


class FlowPilotEngine:
    """Everything that a technician can do to sessions."""

    def __init__(
        self, sessions: Sessions, push: DocumentationPush, escalations: Escalations
    ) -> None:
        self.events: Events = sessions.events
        self.tickets = sessions.tickets
        self.push = push
        self._sessions = sessions
        self._store = sessions.store
        self._escalations = escalations
        self._evidence = Evidence(sessions)
        self._intakes = Intakes(sessions, self._evidence)
        self._diagnosis = Diagnosis(sessions, escalations.share, self._evidence)
        self._closings = Closings(sessions, escalations.share)

    async def open(self) -> None:
        """Put right what a crash left behind."""
        closed = await self._sessions.timekeeping.recover()
        await self.push.recover()
        if closed:
            log.info("%d work segments were left open and end at their last activity", closed)

    async def aclose(self) -> None:
        """End the running time; everything else is on the disk already."""
        await self._sessions.timekeeping.end_all()

    @property
    def me(self) -> Engineer:
        """The technician at this desktop."""
        return self._sessions.me

    # Reading

    async def session(self, session_id: str) -> SessionView:
        """Return a session with all that a screen shows of it."""
        sessions, assistant = self._sessions, self._sessions.assistant
        session = await sessions.session(session_id)
        steps = await self._store.steps(session_id)
        segments = await self._store.segments(session_id)
        push_items = await self._store.push_items(session_id)
        context = await sessions.context(session)
        flow = await assistant.flow(session.flow_id)
        worked = active_time(segments, self.me.id, sessions.clock.now())
        return SessionView(
            session=session,
            steps=steps,
            context=context,
            push_items=push_items,
            push_status=session_push_status(push_items, has_ticket=bool(session.ticket_id)),
            active_seconds=worked.total_seconds(),
            clock_runs=any(s.is_open and s.engineer_id == self.me.id for s in segments),
            engineers=await sessions.names(),
            flow_title=flow.title if flow else "",
            ticket_url=context.ticket.url if context is not None else "",
            documentation=await sessions.written(session_id),
            advice=assistant.advice(steps, worked)
            if session.status is SessionStatus.ACTIVE
            else "",
            spent=await self._store.usage(session_id=session_id),
        )

    async def sessions(
        self,
        which: SessionFilter = SessionFilter.ALL,
        search: str = "",
        limit: int = 50,
        offset: int = 0,
        narrowing: Narrowing = Narrowing(),  # noqa: B008 - frozen
    ) -> tuple[SessionListing, ...]:
        """Return sessions, newest first, that pass the filter and contain the words."""
        return await self._store.sessions(which, search, limit, offset, narrowing)

    async def tickets_matching(
        self,
        search: str,
        narrowing: Narrowing = Narrowing(),  # noqa: B008 - frozen
    ) -> tuple[TicketListing, ...]:
        """Return tickets that were read before and contain the words."""
        return await self._store.tickets_matching(search, narrowing)

    async def clients(self) -> tuple[str, ...]:
        """Return the companies that sessions and read tickets are about."""
        return await self._store.clients()

    async def similar_sessions(self, text: str, company: str = "") -> tuple[SimilarSession, ...]:
        """Return sessions solved before that read like this text."""
        return await self._store.similar_sessions(text, 5, company)

    async def similar_tickets(self, text: str, company: str = "") -> tuple[TicketListing, ...]:
        """Return read tickets that tell their solution and read like this text."""
        return await self._store.similar_tickets(text, 3, company)

    async def last_open_session(self) -> str:
        """Return the id of the session that was on the screen last, if it still lives."""
        session_id = await self._store.remembered("last_session") or ""
        session = await self._store.session(session_id) if session_id else None
        return session_id if session is not None and not session.status.is_final else ""

    async def work_on(self, session_id: str) -> None:
        """Let the technician's time run on this session: it is on the screen now."""
        session = await self._sessions.session(session_id)
        await self._store.remember("last_session", session_id)
        if session.handler_id == self.me.id and session.status is SessionStatus.ACTIVE:
            segments = await self._sessions.timekeeping.begun(session, self.me.id)
            await self._store.save(*segments)

    async def drafts(self, session_id: str) -> dict[str, str]:
        """Return the text typed but not sent, by field."""
        return {draft.field: draft.text for draft in await self._store.drafts(session_id)}

    async def save_draft(self, session_id: str, where: str, text: str) -> None:
        """Keep text typed but not sent; an empty one, or one of an ended session, is forgotten."""
        draft = Draft(session_id, where, text, self._sessions.clock.now())
        if text:
            await self._store.save(draft)
        # Looked at afterwards: a session that ends during the write leaves no draft either.
        session = await self._store.session(session_id) if session_id and text else None
        if not text or (session is not None and session.status.is_final):
            await self._store.forget(draft)

    # From intake to answer

    async def start_session(self, intake: Intake) -> SessionStarted:
        """Begin a session; without ConnectWise it begins all the same."""
        return await self._intakes.start(intake)

    async def next_step(self, session_id: str, progress: Progress | None = None) -> Step | None:
        """Think of the next card and commit it; return the open one if there is one already.

        Returns None when no mind has a further card; ``notice`` then says what can be done.
        Cancelling leaves the session as it was.
        """
        return await self._diagnosis.next_step(session_id, progress)

    def notice(self, session_id: str) -> str:
        """Return why the session goes on without Claude, or an empty string."""
        return self._sessions.notices.get(session_id, "")

    def asks_budget(self, session_id: str) -> bool:
        """Return whether Claude waits for the technician to agree to spend the rest."""
        return self._diagnosis.asks_budget(session_id)

    async def agree_to_spend(self) -> None:
        """Let Claude go on to the end of this month's budget, in every session."""
        await self._diagnosis.agree_to_spend()

    async def respond(self, session_id: str, step_id: str, response: Response) -> Step:
        """Commit the answer to the open card and return it; its draft vanishes with it."""
        return await self._diagnosis.respond(session_id, step_id, response)

    async def add_note(self, session_id: str, text: str, corrects: str = "") -> Step:
        """Log a step by hand, or a correction of an answered one."""
        return await self._diagnosis.add_note(session_id, text, corrects)

    async def probe(self, session_id: str, probe: Probe) -> Step:
        """Look at a host from here and log what was seen; only ever at a technician's click.

        Cancelling ends the probe and logs nothing. Raises InvalidInput for what is no host.
        """
        return await self._diagnosis.probe(session_id, probe)

    async def go_back(self, session_id: str) -> Step:
        """Ask the flow's last answered card anew; its first answer stays, and is corrected."""
        return await self._diagnosis.go_back(session_id)

    async def ask_verification(self, session_id: str) -> Step:
        """Put a verification on the screen: no session ends as resolved without one."""
        return await self._diagnosis.ask_verification(session_id)

    # What belongs to a session

    async def link_ticket(self, session_id: str, connection_id: str, ticket_id: str) -> SessionView:
        """Link a ticket in the middle of a session; what was said so far stays as it is."""
        await self._intakes.link_ticket(session_id, connection_id, ticket_id)
        return await self.session(session_id)

    async def refresh_ticket(self, session_id: str) -> SessionView:
        """Fetch the linked ticket again; the error is raised, what is known stays."""
        await self._intakes.refresh_ticket(session_id)
        return await self.session(session_id)

    async def attach_picture(
        self, session_id: str, content: bytes, step_id: str = INTAKE
    ) -> Attachment:
        """Keep a screenshot with a card, or for the intake when the session's id is empty."""
        return await self._evidence.attach_picture(session_id, content, step_id)

    async def evidence(self, session_id: str) -> tuple[Kept, ...]:
        """Return the screenshots and long pastes that are kept with a session's cards."""
        return await self._evidence.of_session(session_id)

    async def attachment(self, attachment_id: str) -> Attachment:
        """Return what is kept, whole."""
        return await self._evidence.content(attachment_id)

    async def pictures(self, session_id: str) -> tuple[Attachment, ...]:
        """Return the screenshots of a session, or those of the intake for an empty id."""
        return await self._sessions.pictures(session_id)

    async def remove_picture(self, picture: Attachment) -> None:
        """Forget a screenshot."""
        await self._evidence.remove_picture(picture)

    # Pausing and ending

    async def pause_session(self, session_id: str) -> Session:
        """Stop the clock: lunch, or waiting for the customer."""
        return await self._closings.pause(session_id)

    async def resume_session(self, session_id: str) -> Session:
        """Go on at the same card; nothing is asked anew."""
        return await self._closings.resume(session_id)

    async def abandon_session(self, session_id: str, reason: str = "") -> Session:
        """Close without documentation; the session stays in the history."""
        return await self._closings.abandon(session_id, reason)

    async def preview_documentation(
        self, session_id: str, summary: str = "", action: str = ""
    ) -> DocumentationPreview:
        """Return the note and the time as they would leave if the session were resolved now."""
        return await self._closings.preview(session_id, summary, action)

    async def resolve_session(
        self,
        session_id: str,
        summary: str,
        action: str = "",
        choices: DocumentationChoices | None = None,
    ) -> Closing:
        """End a session as resolved; its documentation is durable before this returns."""
        return await self._closings.resolve(session_id, summary, action, choices)

    async def retry_psa_push(self, session_id: str) -> PsaPushStatus:
        """Try failed documentation again; offered only when it failed."""
        await self.push.retry(session_id)
        push_items = await self._store.push_items(session_id)
        return session_push_status(push_items, has_ticket=True)

    async def export(self, session_id: str) -> RedactedText:
        """Return a session's note for a file: as it was agreed to, else as it stands now."""
        return await self._closings.export(session_id)

    # Handing over

    async def preview_escalation(self, session_id: str, reason: str = "") -> EscalationPreview:
        """Return what a teammate would get and what would go to the ticket, redacted."""
        return await self._escalations.giving.preview(session_id, reason)

    async def escalate_session(
        self,
        session_id: str,
        reason: str,
        assign_to: str = "",
        choices: DocumentationChoices | None = None,
    ) -> Closing:
        """Ask that somebody else take over; waits for no network."""
        return await self._escalations.giving.escalate(session_id, reason, assign_to, choices)

    async def withdraw_escalation(self, session_id: str) -> Session:
        """Take back what one raised, while nobody has picked it up."""
        return await self._escalations.giving.withdraw(session_id)

    async def release_session(self, session_id: str, reason: str, assign_to: str = "") -> Closing:
        """Put a session that was picked up back into the queue."""
        return await self._escalations.giving.release(session_id, reason, assign_to)

    async def cancel_escalation(self, session_id: str, reason: str) -> Session:
        """End a request of one's own for good; the session ends with its reason."""
        return await self._escalations.giving.cancel(session_id, reason)

    async def reassign_escalation(self, escalation_id: str, assign_to: str) -> None:
        """Ask another teammate, or everybody with an empty id."""
        await self._escalations.giving.reassign(escalation_id, assign_to)

    async def take_back_escalation(self, escalation_id: str, reason: str) -> None:
        """Put one's own escalation back for everybody when its handler has gone silent."""
        await self._escalations.giving.take_back(escalation_id, reason)

    async def pickup_session(
        self,
        escalation_id: str,
        read_back: str = "",
        resume_mode: str = "",
        additional_context: str = "",
    ) -> Session:
        """Take a session over: first one wins. Needs the queue.

        ``resume_mode`` ("continue" or "fresh") answers the briefing at once; without it the
        briefing waits as a card. Raises AlreadyPickedUp, which names who has it, QueueUnreachable,
        QueueNotOpen.
        """
        if resume_mode not in ("", BRIEFING_CONTINUE, BRIEFING_FRESH):
            raise InvalidInput("Choose to continue or to start fresh.")
        session = await self._escalations.pick_up(escalation_id, read_back)
        if resume_mode:
            steps = await self._store.steps(session.id)
            card = next(step for step in reversed(steps) if isinstance(step.body, Briefing))
            if card.is_open:
                answer = Response(option=resume_mode, text=additional_context)
                await self.respond(session.id, card.id, answer)
        return await self._sessions.session(session.id)

    async def escalation_queue(
        self, which: EscalationFilter = EscalationFilter.ALL
    ) -> QueuePicture:
        """Return the requests that live, newest first, from the last known state."""
        return await self._escalations.queue(which)


__all__ = ["Closing", "FlowPilotEngine", "SessionStarted", "SessionView"]

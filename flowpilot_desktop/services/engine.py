"""The face of the product: every verb that a technician has, as plain async Python.

Screens, tests and the command line drive FlowPilot through this class and nothing else. A verb
checks the life-cycle table, builds the new records and commits them in one transaction; when it
returns, what it did is on the disk. Thinking of the next card is a verb of its own
(``next_step``), so an answer is safe before anybody starts to think, and Stop is a cancelled task.

Whatever a crash interrupts is put right by ``open``: segments that nobody closed end at their
last sign of life, documentation that was being sent becomes unclear and is looked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from flowpilot_desktop.core.attachment import (
    PICTURE_LIMIT,
    PICTURES_LIMIT,
    Attachment,
    picture_type,
)
from flowpilot_desktop.core.errors import (
    FlowPilotError,
    InvalidInput,
    NotAllowed,
    NotFound,
    StepRefused,
    TransitionRefused,
)
from flowpilot_desktop.core.escalation import QueueOperation
from flowpilot_desktop.core.events import Events, SessionChanged
from flowpilot_desktop.core.evidence import evidence
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.history import (
    AuditEntry,
    SessionFilter,
    SessionListing,
    SimilarSession,
)
from flowpilot_desktop.core.lifecycle import Verb, moved, transition
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.push import (
    PsaPushStatus,
    PushItem,
    PushState,
    session_push_status,
)
from flowpilot_desktop.core.redaction import RedactedText, Redactor
from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    Briefing,
    ContextStatus,
    Draft,
    Engineer,
    Intake,
    Note,
    Response,
    Session,
    SessionStatus,
    Source,
    Step,
    StepDraft,
    Verification,
    answered,
    intake_type,
    is_verified,
    new_id,
    open_step,
)
from flowpilot_desktop.core.ticket import TicketContext, cleaned
from flowpilot_desktop.core.timing import Billed, Segment, active_time
from flowpilot_desktop.core.usage import UsageRecord, UsageTotal
from flowpilot_desktop.flows import walk
from flowpilot_desktop.services.assistant import Assistant, Case, Progress
from flowpilot_desktop.services.documentation import (
    MAPPING_WARNING_AFTER,
    DocumentationChoices,
    DocumentationPreview,
    DocumentationRules,
    Dossier,
    items,
    preview,
)
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.probes import Probe, run_probe
from flowpilot_desktop.services.tickets import Tickets
from flowpilot_desktop.services.timekeeping import Timekeeping
from flowpilot_desktop.store import Store

log = logging.getLogger(__name__)

SUMMARY_LIMIT = 160
"""Characters of a problem's headline."""
NOTE_LIMIT = 100_000
"""Characters of one answer or note; what is longer is refused with the number."""


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """What starting answers."""

    session: Session
    psa_context_status: ContextStatus
    psa_error: FlowPilotError | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """What closing answers."""

    status: SessionStatus
    documentation: str
    psa_push_status: PsaPushStatus
    psa_push_error: str = ""
    member_mapping_warning: str = ""


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


class SharedSessions(Protocol):
    """What a session that was handed over needs beside the store: its share of every commit."""

    def told(
        self,
        session: Session,
        *steps: Step,
        set_aside: tuple[str, ...] = (),
    ) -> tuple[QueueOperation, ...]:
        """Return what tells the team of these steps, for the same transaction."""
        ...

    async def still_held(self, session: Session) -> None:
        """Raise ClaimLost when somebody else has taken the session over meanwhile."""
        ...

    def ended(
        self,
        session: Session,
        outcome: str,
        segments: tuple[Segment, ...],
        items: tuple[PushItem, ...],
    ) -> tuple[QueueOperation, ...]:
        """Return what tells the team how the session ended, for the same transaction."""
        ...

    async def billed_elsewhere(self, session_id: str) -> tuple[Billed, ...]:
        """Return the time entries that other engineers made for the session."""
        ...

    def wake(self) -> None:
        """Send what a commit has just made."""
        ...


class FlowPilotEngine:
    """Everything that a technician can do to sessions."""

    def __init__(
        self,
        *,
        store: Store,
        tickets: Tickets,
        assistant: Assistant,
        push: DocumentationPush,
        timekeeping: Timekeeping,
        clock: Clock,
        events: Events,
        me: Callable[[], Engineer],
        rules: Callable[[], DocumentationRules],
    ) -> None:
        self.events = events
        self.tickets = tickets
        self.push = push
        self.timekeeping = timekeeping
        self._store = store
        self._assistant = assistant
        self._clock = clock
        self._me = me
        self._rules = rules
        self._locks: dict[str, asyncio.Lock] = {}
        self._notices: dict[str, str] = {}
        self._asking: set[str] = set()
        self.shared: SharedSessions | None = None

    async def open(self) -> None:
        """Put right what a crash left behind."""
        closed = await self.timekeeping.recover()
        await self.push.recover()
        if closed:
            log.info("%d work segments were left open and end at their last activity", closed)

    async def aclose(self) -> None:
        """End the running time; everything else is on the disk already."""
        await self.timekeeping.end_all()

    @property
    def me(self) -> Engineer:
        """The technician at this desktop."""
        return self._me()

    # Reading

    async def session(self, session_id: str) -> SessionView:
        """Return a session with all that a screen shows of it."""
        session = await self._session(session_id)
        steps = await self._store.steps(session_id)
        segments = await self._store.segments(session_id)
        push_items = await self._store.push_items(session_id)
        context = await self._context(session)
        flow = await self._assistant.flow(session.flow_id)
        now = self._clock.now()
        worked = active_time(segments, self.me.id, now)
        return SessionView(
            session=session,
            steps=steps,
            context=context,
            push_items=push_items,
            push_status=session_push_status(push_items, has_ticket=bool(session.ticket_id)),
            active_seconds=worked.total_seconds(),
            clock_runs=any(s.is_open and s.engineer_id == self.me.id for s in segments),
            engineers=await self._names(),
            flow_title=flow.title if flow else "",
            ticket_url=context.ticket.url if context is not None else "",
            documentation=await self._written(session_id),
            advice=self._assistant.advice(steps, worked)
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
    ) -> tuple[SessionListing, ...]:
        """Return sessions, newest first, that pass the filter and contain the words."""
        return await self._store.sessions(which, search, limit, offset)

    async def similar_sessions(self, text: str, company: str = "") -> tuple[SimilarSession, ...]:
        """Return sessions solved before that read like this text."""
        return await self._store.similar_sessions(text, 5, company)

    def notice(self, session_id: str) -> str:
        """Return why the session goes on without Claude, or an empty string."""
        return self._notices.get(session_id, "")

    def asks_budget(self, session_id: str) -> bool:
        """Return whether Claude waits for the technician to agree to spend the rest."""
        return session_id in self._asking

    async def agree_to_spend(self) -> None:
        """Let Claude go on to the end of this month's budget, in every session."""
        await self._assistant.agree_to_spend()
        asked, self._asking = self._asking, set()
        for session_id in asked:
            self._notices.pop(session_id, None)
            self._changed(session_id)

    async def drafts(self, session_id: str) -> dict[str, str]:
        """Return the text typed but not sent, by field."""
        return {draft.field: draft.text for draft in await self._store.drafts(session_id)}

    async def save_draft(self, session_id: str, where: str, text: str) -> None:
        """Keep text typed but not sent; an empty one, or one of an ended session, is forgotten."""
        draft = Draft(session_id, where, text, self._clock.now())
        if text:
            await self._store.save(draft)
        # Looked at afterwards: a session that ends during the write leaves no draft either.
        session = await self._store.session(session_id) if session_id and text else None
        if not text or (session is not None and session.status.is_final):
            await self._store.forget(draft)

    async def last_open_session(self) -> str:
        """Return the id of the session that was on the screen last, if it still lives."""
        session_id = await self._store.remembered("last_session") or ""
        session = await self._store.session(session_id) if session_id else None
        return session_id if session is not None and not session.status.is_final else ""

    # From intake to answer

    async def start_session(self, intake: Intake) -> SessionStarted:
        """Begin a session; without ConnectWise it begins all the same."""
        text = cleaned(intake.text)
        if not text.strip() and not intake.ticket_id and not intake.attachment_ids:
            raise InvalidInput(
                "There is nothing to start from yet.",
                hint="Choose a ticket or describe the problem in a few words.",
            )
        context: TicketContext | None = None
        status, error = ContextStatus.NONE, None
        if intake.ticket_id:
            context, status, error = await self.tickets.context(
                intake.connection_id, intake.ticket_id
            )
        now, me = self._clock.now(), self.me
        kind = intake_type(text, intake.ticket_id, has_screenshot=bool(intake.attachment_ids))
        session_id = new_id()
        headline = _headline(text, context, intake.ticket_id)
        text, pasted = await self._read_evidence(session_id, text, "intake")
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
        flow = await self._assistant.matched_flow(Case(session, (), context).problem_text)
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
        await self._store.save(
            session,
            me,
            opened,
            *pasted,
            *await self._brought(intake.attachment_ids, session.id),
            *await self.timekeeping.begun(session, me.id),
            self._audit(session, "start"),
            clear_drafts=[("", "intake")],
        )
        await self._store.remember("last_session", session.id)
        self._changed(session.id)
        return SessionStarted(session, status, error)

    async def work_on(self, session_id: str) -> None:
        """Let the technician's time run on this session: it is on the screen now."""
        session = await self._session(session_id)
        await self._store.remember("last_session", session_id)
        if session.handler_id == self.me.id and session.status is SessionStatus.ACTIVE:
            segments = await self.timekeeping.begun(session, self.me.id)
            await self._store.save(*segments)

    async def respond(self, session_id: str, step_id: str, response: Response) -> Step:
        """Commit the answer to the open card and return it; its draft vanishes with it."""
        response = replace(response, text=_typed(response.text))
        async with self._lock(session_id):
            session = await self._mine(session_id)
            steps = await self._store.steps(session_id)
            step = next((step for step in steps if step.id == step_id), None)
            if step is None:
                raise NotFound("That card is not part of this session.")
            now = self._clock.now()
            words, pasted = await self._read_evidence(
                session_id, response.text, f"step {step.number}"
            )
            response = replace(response, text=words)
            done = answered(step, response, by=self.me.id, at=now)
            set_aside: tuple[Step, ...] = ()
            if isinstance(done.body, Briefing) and response.option == BRIEFING_FRESH:
                # Nobody did what was only asked: a fresh start may ask it again, or something else.
                set_aside = tuple(one for one in steps if one.is_open and one.id != step_id)
                await self._store.forget(*set_aside)
            await self._store.save(
                replace(session, updated_at=now),
                done,
                *pasted,
                *await self.timekeeping.begun(session, self.me.id),
                *self._told(session, done, set_aside=tuple(one.id for one in set_aside)),
                clear_drafts=[(session_id, step_id)],
            )
        self._changed(session_id)
        self._wake()
        return done

    async def next_step(self, session_id: str, progress: Progress | None = None) -> Step | None:
        """Think of the next card and commit it; return the open one if there is one already.

        Returns None when no mind has a further card; ``notice`` then says what can be done.
        Cancelling leaves the session as it was.
        """
        async with self._lock(f"think {session_id}"):
            session = await self._session(session_id)
            steps = await self._store.steps(session_id)
            waiting = open_step(steps)
            if waiting is not None or session.status is not SessionStatus.ACTIVE:
                return waiting
            case = await self.case(session, steps)
            proposal = await self._assistant.propose(case, progress)
            self._notices[session_id] = proposal.notice
            if proposal.asks_budget:
                self._asking.add(session_id)
            else:
                self._asking.discard(session_id)
            spent = (proposal.spent,) if proposal.spent is not None else ()
            if proposal.draft is None:
                await self._store.save(*spent)
                self._changed(session_id)
                return None
            async with self._lock(session_id):
                now = await self._session(session_id)
                waiting = open_step(await self._store.steps(session_id))
                goes_on = now.status is SessionStatus.ACTIVE and now.handler_id == self.me.id
                if waiting is not None or not goes_on:
                    # The session was paused, ended or given away while the card was thought of.
                    await self._store.save(*spent)
                    return waiting
                step = await self._append(session_id, proposal.draft, spent=spent)
        self._changed(session_id)
        return step

    async def add_note(self, session_id: str, text: str, corrects: str = "") -> Step:
        """Log a step by hand, or a correction of an answered one."""
        text = _typed(text)
        if not text.strip():
            raise InvalidInput("Type what you did or saw.")
        async with self._lock(session_id):
            await self._mine(session_id)
            text, pasted = await self._read_evidence(session_id, text, "note")
            if pasted:
                await self._store.save(*pasted)
            draft = StepDraft(Note(text), Source.ENGINEER)
            step = await self._append(
                session_id, draft, corrects=corrects, clear_drafts=[(session_id, "note")]
            )
        self._changed(session_id)
        return step

    async def go_back(self, session_id: str) -> Step:
        """Ask the flow's last answered card anew; its first answer stays, and is corrected.

        The card that was open and never answered makes room: it comes again when it is due.
        """
        async with self._lock(session_id):
            session = await self._mine(session_id)
            steps = await self._store.steps(session_id)
            correction = await self._assistant.back(await self.case(session, steps))
            if correction is None:
                raise InvalidInput("There is no earlier card of the flow to go back to.")
            left = open_step(steps)
            unsent = await self._store.draft(session_id, left.id) if left is not None else None
            if left is not None:
                await self._store.forget(left)
            step = await self._append(session_id, correction.draft, corrects=correction.corrects)
            if unsent is not None:
                await self._store.save(replace(unsent, field=step.id))
                await self._store.forget(unsent)
        self._changed(session_id)
        return step

    async def ask_verification(self, session_id: str) -> Step:
        """Put a verification on the screen: no session ends as resolved without one."""
        async with self._lock(session_id):
            await self._mine(session_id)
            waiting = open_step(await self._store.steps(session_id))
            if waiting is not None and isinstance(waiting.body, Verification):
                return waiting
            body = Verification(
                "Does it hold? Have the person who reported it try it again.",
                expected_outcome="The problem no longer occurs.",
            )
            step = await self._append(session_id, StepDraft(body, Source.ENGINEER))
        self._changed(session_id)
        return step

    # The ticket

    async def link_ticket(self, session_id: str, connection_id: str, ticket_id: str) -> SessionView:
        """Link a ticket in the middle of a session; what was said so far stays as it is."""
        if not ticket_id.strip():
            raise InvalidInput("Choose a ticket or type its number.")
        await self._mine(session_id)
        context, status, error = await self.tickets.context(connection_id, ticket_id)
        async with self._lock(session_id):
            session = await self._mine(session_id)
            session = replace(
                session,
                connection_id=connection_id,
                ticket_id=ticket_id,
                psa_context_status=status,
                company=context.ticket.company.name if context else session.company,
                updated_at=self._clock.now(),
            )
            await self._store.save(
                session,
                await self._happening(session_id, HappeningKind.TICKET_LINKED, context=context),
                self._audit(session, "link ticket", f"#{ticket_id}"),
            )
        self._changed(session_id)
        if error is not None and context is None:
            self._notices[session_id] = f"{error.message} The ticket is linked by its number."
        return await self.session(session_id)

    async def refresh_ticket(self, session_id: str) -> SessionView:
        """Fetch the linked ticket again; the error is raised, what is known stays."""
        session = await self._session(session_id)
        if not session.ticket_id:
            raise InvalidInput("No ticket is linked to this session yet.")
        context, status, error = await self.tickets.context(
            session.connection_id, session.ticket_id
        )
        if error is not None:
            raise error
        async with self._lock(session_id):
            session = await self._session(session_id)
            company = context.ticket.company.name if context else session.company
            await self._store.save(
                replace(session, psa_context_status=status, company=company),
                await self._happening(session_id, HappeningKind.TICKET_REFRESHED, context=context),
            )
        self._changed(session_id)
        return await self.session(session_id)

    # Pausing and ending

    async def pause_session(self, session_id: str) -> Session:
        """Stop the clock: lunch, or waiting for the customer."""
        return await self._move(session_id, Verb.PAUSE)

    async def resume_session(self, session_id: str) -> Session:
        """Go on at the same card; nothing is asked anew."""
        paused_at = (await self._session(session_id)).paused_at or self._clock.now()
        minutes = int((self._clock.now() - paused_at).total_seconds() // 60)
        rested = await self._happening(session_id, HappeningKind.RESTED, minutes=max(0, minutes))
        return await self._move(session_id, Verb.RESUME, rested)

    async def abandon_session(self, session_id: str, reason: str = "") -> Session:
        """Close without documentation; the session stays in the history."""
        return await self._move(session_id, Verb.ABANDON, end_reason=_typed(reason))

    async def preview_documentation(
        self, session_id: str, summary: str = "", action: str = ""
    ) -> DocumentationPreview:
        """Return the note and the time as they would leave if the session were resolved now."""
        session = await self._session(session_id)
        dossier = await self.dossier(session)
        return preview(dossier, self._rules(), summary=_typed(summary), action=_typed(action))

    async def resolve_session(
        self,
        session_id: str,
        summary: str,
        action: str = "",
        choices: DocumentationChoices | None = None,
    ) -> Closing:
        """End a session as resolved; its documentation is durable before this returns."""
        choices = choices or DocumentationChoices()
        summary, action = _typed(summary), _typed(action)
        if not summary.strip():
            raise InvalidInput("Say in a sentence what the solution was.")
        async with self._lock(session_id):
            session = await self._session(session_id)
            transition(session, Verb.RESOLVE, self.me.id)
            if self.shared is not None:
                await self.shared.still_held(session)
            if not is_verified(await self._store.steps(session_id)):
                raise StepRefused(
                    "Nobody has verified yet that the fix holds.",
                    hint="Answer the verification card first; the text you typed is kept.",
                )
            dossier = await self.dossier(session)
            now = dossier.as_of
            session = moved(session, Verb.RESOLVE, self.me.id, now)
            session = replace(
                session, resolution_summary=summary.strip(), resolution_action=action.strip()
            )
            dossier = replace(dossier, session=session)
            rules = self._rules()
            shown = preview(dossier, rules, summary=summary, action=action)
            # What is kept, shown and copied is what leaves: an edited note is masked as well.
            note = shown.note if choices.note is None else Redactor().redact(choices.note).text
            push_items = items(dossier, rules, choices, note)
            segments = await self.timekeeping.ended(session_id)
            outcome = "\n".join(filter(None, (summary.strip(), action.strip())))
            await self._store.save(
                session,
                *segments,
                *push_items,
                *self._ended(session, outcome, (*dossier.segments, *segments), push_items),
                self._audit(session, "resolve"),
                self.written_down(session, note, now),
                clear_drafts=[(session_id, where) for where in await self.drafts(session_id)],
            )
        self._changed(session_id)
        self._wake()
        return Closing(
            status=session.status,
            documentation=note,
            psa_push_status=session_push_status(push_items, has_ticket=bool(session.ticket_id)),
            member_mapping_warning=MAPPING_WARNING_AFTER if shown.member_mapping_warning else "",
        )

    async def retry_psa_push(self, session_id: str) -> PsaPushStatus:
        """Try failed documentation again; offered only when it failed."""
        await self.push.retry(session_id)
        push_items = await self._store.push_items(session_id)
        return session_push_status(push_items, has_ticket=True)

    async def export(self, session_id: str) -> RedactedText:
        """Return a session's note for a file: as it was agreed to, else as it stands now."""
        session = await self._session(session_id)
        written = await self._written(session_id)
        if not written:
            written = preview(await self.dossier(session), self._rules()).note
        return Redactor().redact(written)

    # Inside

    async def _read_evidence(
        self, session_id: str, text: str, where: str
    ) -> tuple[str, tuple[Attachment, ...]]:
        """Return what a step holds of a text, and a long paste as what is kept beside it."""
        found = await asyncio.to_thread(evidence, text)
        if found is None:
            return text, ()
        before = await self._store.attachments(session_id)
        name = f"{where}, {found.kind} {len(before) + 1}.txt"
        content = text.encode("utf-8", "replace")
        kept = Attachment(new_id(), session_id, name, "text/plain", content, self._clock.now())
        return found.digest(name), (kept,)

    async def _brought(self, ids: tuple[str, ...], session_id: str) -> list[Attachment]:
        """Return what was attached before the session started, as the session's own."""
        found = [await self._store.attachment(one) for one in ids]
        return [replace(one, session_id=session_id) for one in found if one is not None]

    async def probe(self, session_id: str, probe: Probe) -> Step:
        """Look at a host from here and log what was seen; only ever at a technician's click.

        Cancelling ends the probe and logs nothing. Raises InvalidInput for what is no host.
        """
        await self._mine(session_id)
        seen = cleaned(await run_probe(probe), NOTE_LIMIT)
        async with self._lock(session_id):
            await self._mine(session_id)
            step = await self._append(session_id, StepDraft(Note(seen), Source.ENGINEER))
        self._changed(session_id)
        return step

    # Screenshots

    async def attach_picture(self, session_id: str, content: bytes) -> Attachment:
        """Keep a screenshot with the session, or for the intake when the id is empty."""
        media_type = picture_type(content)
        if not media_type:
            raise InvalidInput(
                "This is no picture that can be kept.",
                hint="PNG, JPEG, GIF and WebP pictures work.",
            )
        if len(content) > PICTURE_LIMIT:
            raise InvalidInput(
                f"That picture has {len(content) / 2**20:.1f} MB; "
                f"{PICTURE_LIMIT // 2**20} MB are the most.",
                hint="Take a picture of only the part that matters.",
            )
        if session_id:
            await self._mine(session_id)
        before = await self.pictures(session_id)
        if len(before) >= PICTURES_LIMIT:
            raise InvalidInput(f"{PICTURES_LIMIT} pictures are the most for a session.")
        now = self._clock.now()
        name = f"screenshot {len(before) + 1}.{media_type.partition('/')[2]}"
        picture = Attachment(new_id(), session_id, name, media_type, content, now)
        await self._store.save(picture)
        if session_id:
            self._changed(session_id)
        return picture

    async def pictures(self, session_id: str) -> tuple[Attachment, ...]:
        """Return the screenshots of a session, or those of the intake for an empty id."""
        return tuple(
            one
            for one in await self._store.attachments(session_id)
            if one.media_type.startswith("image/")
        )

    async def remove_picture(self, picture: Attachment) -> None:
        """Forget a screenshot."""
        await self._store.forget(picture)
        if picture.session_id:
            self._changed(picture.session_id)

    async def _session(self, session_id: str) -> Session:
        session = await self._store.session(session_id)
        if session is None:
            raise NotFound("This session is not on this computer.")
        return session

    async def _mine(self, session_id: str) -> Session:
        """Return the session if the technician may work on it now."""
        session = await self._session(session_id)
        if session.status is not SessionStatus.ACTIVE:
            raise TransitionRefused(
                f"This session is {session.status.value.replace('_', ' ')}.",
                hint="Resume it first." if session.status is SessionStatus.PAUSED else "",
            )
        if session.handler_id != self.me.id:
            raise NotAllowed("Another engineer works on this session.")
        return session

    async def _move(
        self, session_id: str, verb: Verb, *happened: Happening, **changes: str
    ) -> Session:
        async with self._lock(session_id):
            session = await self._session(session_id)
            session = moved(session, verb, self.me.id, self._clock.now())
            session = replace(session, **changes)  # type: ignore[arg-type]  # text fields by name
            if session.status is SessionStatus.ACTIVE:
                segments = await self.timekeeping.begun(session, self.me.id)
            else:
                segments = await self.timekeeping.ended(session_id)
            told: tuple[QueueOperation, ...] = ()
            if session.status is SessionStatus.ABANDONED:
                why = session.end_reason or "Closed without documentation."
                every = (*await self._store.segments(session_id), *segments)
                told = self._ended(session, why, every, ())
            await self._store.save(
                session, *segments, *happened, *told, self._audit(session, verb.value)
            )
        self._changed(session_id)
        self._wake()
        return session

    async def _append(
        self,
        session_id: str,
        draft: StepDraft,
        *,
        corrects: str = "",
        clear_drafts: list[tuple[str, str]] | None = None,
        spent: tuple[UsageRecord, ...] = (),
    ) -> Step:
        """Commit a draft as the session's next step; call with the session's lock held."""
        session = await self._session(session_id)
        steps = await self._store.steps(session_id)
        now = self._clock.now()
        step = Step(
            id=new_id(),
            session_id=session_id,
            number=max((step.number for step in steps), default=0) + 1,
            body=draft.body,
            source=draft.source,
            created_at=now,
            created_by=self.me.id,
            confidence=draft.confidence,
            hypotheses=draft.hypotheses,
            flow_id=draft.flow_id,
            flow_node=draft.flow_node,
            model=draft.model,
            prompt_version=draft.prompt_version,
            usage=draft.usage,
            corrects=corrects,
        )
        if isinstance(step.body, Note):
            step = replace(step, response=None, answered_at=now, answered_by=self.me.id)
        session = replace(
            session,
            updated_at=now,
            problem_domain=draft.problem_domain or session.problem_domain,
        )
        await self._store.save(
            session,
            step,
            *spent,
            *await self.timekeeping.begun(session, self.me.id),
            *self._told(session, step),
            clear_drafts=clear_drafts or [],
        )
        self._wake()
        return step

    def _told(
        self, session: Session, *steps: Step, set_aside: tuple[str, ...] = ()
    ) -> tuple[QueueOperation, ...]:
        if self.shared is None:
            return ()
        return self.shared.told(session, *steps, set_aside=set_aside)

    def _ended(
        self,
        session: Session,
        outcome: str,
        segments: tuple[Segment, ...],
        push_items: tuple[PushItem, ...],
    ) -> tuple[QueueOperation, ...]:
        if self.shared is None:
            return ()
        return self.shared.ended(session, outcome, segments, push_items)

    def _wake(self) -> None:
        if self.shared is not None:
            self.shared.wake()

    async def case(self, session: Session, steps: tuple[Step, ...]) -> Case:
        """Return all that a mind may know of a session."""
        return Case(
            session,
            steps,
            await self._context(session),
            await self._store.happenings(session.id),
            active_time(await self._store.segments(session.id), self.me.id, self._clock.now()),
            await self.pictures(session.id),
        )

    async def _happening(
        self,
        session_id: str,
        kind: HappeningKind,
        *,
        context: TicketContext | None = None,
        minutes: int = 0,
    ) -> Happening:
        steps = await self._store.steps(session_id)
        after = max((step.number for step in steps), default=0)
        now = self._clock.now()
        return Happening(new_id(), session_id, after, now, kind, context, minutes=minutes)

    async def _context(self, session: Session) -> TicketContext | None:
        if not session.ticket_id:
            return None
        return await self.tickets.cached_context(session.connection_id, session.ticket_id)

    async def dossier(self, session: Session) -> Dossier:
        """Return the records that documentation is made from, as of now."""
        context = await self._context(session)
        flow = await self._assistant.flow(session.flow_id)
        mapping = None
        if session.ticket_id:
            mapping = await self.tickets.mapping(session.connection_id, self.me)
        return Dossier(
            session=session,
            steps=await self._store.steps(session.id),
            segments=await self._store.segments(session.id),
            sent=await self._store.push_items(session.id),
            names=await self._names(),
            as_of=self._now_whole(),
            engineer_id=self.me.id,
            mapping=mapping,
            ticket=context.ticket if context else None,
            flow_name=flow.title if flow else "",
            elsewhere=await self.shared.billed_elsewhere(session.id) if self.shared else (),
        )

    def written_down(self, session: Session, note: str, at: datetime) -> Attachment:
        """Return the note as it was agreed to, kept with the session."""
        return Attachment(
            _note_id(session.id),
            session.id,
            "note.txt",
            "text/plain",
            Redactor().redact(note).text.encode("utf-8", "replace"),
            at,
        )

    async def _written(self, session_id: str) -> str:
        kept = await self._store.attachment(_note_id(session_id))
        return kept.content.decode() if kept is not None else ""

    async def _names(self) -> dict[str, str]:
        names = {engineer.id: engineer.name for engineer in await self._store.engineers()}
        names[self.me.id] = self.me.name
        return names

    def _now_whole(self) -> datetime:
        return self._clock.now().replace(microsecond=0)

    def _audit(self, session: Session, verb: str, detail: str = "") -> AuditEntry:
        return AuditEntry(new_id(), self._clock.now(), self.me.id, verb, session.id, detail)

    def exclusive(self, session_id: str) -> asyncio.Lock:
        """Return the lock that every verb on a session holds."""
        return self._lock(session_id)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _changed(self, session_id: str) -> None:
        self.events.publish(SessionChanged(session_id))


def _note_id(session_id: str) -> str:
    return f"note-{session_id}"


def _headline(text: str, context: TicketContext | None, ticket_id: str) -> str:
    """Return one line that names the problem."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = context.ticket.summary.strip() if context else ""
    line = line or first or (f"Ticket #{ticket_id}" if ticket_id else "Screenshot")
    return line if len(line) <= SUMMARY_LIMIT else line[: SUMMARY_LIMIT - 1].rstrip() + "…"


def _typed(text: str) -> str:
    """Return what a technician typed, cleaned; refuse what is too long to be meant."""
    if len(text) > NOTE_LIMIT:
        raise InvalidInput(
            f"That text has {len(text):,} characters; {NOTE_LIMIT:,} are the most.",
            hint="Nothing was lost: it is still in the field. Keep the lines that matter.",
        )
    return cleaned(text, NOTE_LIMIT)


__all__ = ["Closing", "FlowPilotEngine", "PushState", "SessionStarted", "SessionView"]

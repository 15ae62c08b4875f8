"""The sessions of this desktop, as every verb reads, holds and writes them.

A verb takes the session's lock, reads the session, lets the life-cycle table move it, and commits
all that follows in one transaction. What those verbs share stands here and nowhere else: who works
at this desktop, what a mind may know of a session (``case``), what documentation is made from
(``dossier``), the note as it was agreed to, and the line in the audit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import NotAllowed, NotFound, TransitionRefused
from flowpilot_desktop.core.events import Events, SessionChanged
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.history import AuditEntry
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import Engineer, Session, SessionStatus, Step, new_id
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.core.timing import active_time
from flowpilot_desktop.services.assistant import Assistant, Case
from flowpilot_desktop.services.documentation import DocumentationRules, Dossier
from flowpilot_desktop.services.tickets import Tickets
from flowpilot_desktop.services.time_ledger import TimeLedger
from flowpilot_desktop.services.timekeeping import Timekeeping
from flowpilot_desktop.store import Store


class Sessions:
    """The records of all sessions, and one lock for each."""

    def __init__(
        self,
        *,
        store: Store,
        tickets: Tickets,
        assistant: Assistant,
        timekeeping: Timekeeping,
        clock: Clock,
        events: Events,
        me: Callable[[], Engineer],
        rules: Callable[[], DocumentationRules],
    ) -> None:
        self.store = store
        self.tickets = tickets
        self.assistant = assistant
        self.timekeeping = timekeeping
        self.clock = clock
        self.events = events
        self.rules = rules
        self.ledger = TimeLedger(store)
        self.notices: dict[str, str] = {}
        """The sentence for each session's banner; it lives as long as the program runs."""
        self._me = me
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def me(self) -> Engineer:
        """The technician at this desktop."""
        return self._me()

    def exclusive(self, name: str) -> asyncio.Lock:
        """Return the lock that every verb on a session holds."""
        return self._locks.setdefault(name, asyncio.Lock())

    @asynccontextmanager
    async def closing(self, session_id: str) -> AsyncIterator[None]:
        """Hold a session while it is written up, one at a time: no minute is entered twice."""
        async with self.exclusive("books"), self.exclusive(session_id):
            yield

    def changed(self, session_id: str) -> None:
        """Tell the screens that a session is not what it was."""
        self.events.publish(SessionChanged(session_id))

    # Reading

    async def session(self, session_id: str) -> Session:
        """Return a session; raises NotFound."""
        session = await self.store.session(session_id)
        if session is None:
            raise NotFound("This session is not on this computer.")
        return session

    async def workable(self, session_id: str) -> Session:
        """Return the session if the technician may work on it now."""
        session = await self.session(session_id)
        if session.status is not SessionStatus.ACTIVE:
            raise TransitionRefused(
                f"This session is {session.status.value.replace('_', ' ')}.",
                hint="Resume it first." if session.status is SessionStatus.PAUSED else "",
            )
        if session.handler_id != self.me.id:
            raise NotAllowed("Another engineer works on this session.")
        return session

    async def context(self, session: Session) -> TicketContext | None:
        """Return what was last pulled for the session's ticket, or None."""
        if not session.ticket_id:
            return None
        return await self.tickets.cached_context(session.connection_id, session.ticket_id)

    async def pictures(self, session_id: str) -> tuple[Attachment, ...]:
        """Return the screenshots of a session, or those of the intake for an empty id."""
        return tuple(
            one
            for one in await self.store.attachments(session_id)
            if one.media_type.startswith("image/")
        )

    async def names(self) -> dict[str, str]:
        """Return what every known engineer is called, by id."""
        names = {engineer.id: engineer.name for engineer in await self.store.engineers()}
        names[self.me.id] = self.me.name
        return names

    async def case(self, session: Session, steps: tuple[Step, ...]) -> Case:
        """Return all that a mind may know of a session."""
        return Case(
            session,
            steps,
            await self.context(session),
            await self.store.happenings(session.id),
            active_time(await self.store.segments(session.id), self.me.id, self.clock.now()),
            await self.pictures(session.id),
        )

    async def dossier(self, session: Session) -> Dossier:
        """Return the records that documentation is made from, as of now."""
        context = await self.context(session)
        flow = await self.assistant.flow(session.flow_id)
        mapping = None
        if session.ticket_id:
            mapping = await self.tickets.mapping(session.connection_id, self.me)
        segments = await self.store.segments(session.id)
        begun = min((one.started_at for one in segments), default=session.created_at)
        return Dossier(
            session=session,
            steps=await self.store.steps(session.id),
            segments=segments,
            sent=await self.store.push_items(session.id),
            names=await self.names(),
            as_of=self.clock.now().replace(microsecond=0),
            engineer_id=self.me.id,
            mapping=mapping,
            ticket=context.ticket if context else None,
            flow_name=flow.title if flow else "",
            elsewhere=await self.ledger.elsewhere(session.id),
            busy=await self.ledger.busy(self.me.id, since=begun, but=session.id),
        )

    # What goes into a verb's transaction

    async def happening(
        self,
        session_id: str,
        kind: HappeningKind,
        *,
        context: TicketContext | None = None,
        minutes: int = 0,
    ) -> Happening:
        """Return something that happens now, after the session's last step."""
        steps = await self.store.steps(session_id)
        after = max((step.number for step in steps), default=0)
        now = self.clock.now()
        return Happening(new_id(), session_id, after, now, kind, context, minutes=minutes)

    def audit(self, session: Session, verb: str, detail: str = "") -> AuditEntry:
        """Return the line that says who did what to the session."""
        return AuditEntry(new_id(), self.clock.now(), self.me.id, str(verb), session.id, detail)

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

    async def written(self, session_id: str) -> str:
        """Return the note as it was agreed to, or an empty string."""
        kept = await self.store.attachment(_note_id(session_id))
        return kept.content.decode() if kept is not None else ""


def _note_id(session_id: str) -> str:
    return f"note-{session_id}"

"""The walk from card to card: what a mind proposes, what a technician answers, and notes by hand.

Thinking is a verb of its own: an answer is on the disk before anybody thinks, and Stop is a
cancelled task that leaves nothing behind. Answered steps never change; a correction is a new step.
"""

from __future__ import annotations

from dataclasses import replace

from flowpilot_desktop.core.attachment import NOTE, Attachment
from flowpilot_desktop.core.errors import InvalidInput, NotFound
from flowpilot_desktop.core.evidence import WORDS_LIMIT
from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    Briefing,
    Note,
    Response,
    SessionStatus,
    Source,
    Step,
    StepDraft,
    Verification,
    answered,
    new_id,
    open_step,
)
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.services.assistant import Progress
from flowpilot_desktop.services.evidence import Evidence, pasted
from flowpilot_desktop.services.probes import Probe, run_probe
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share

NOTE_CORRECTS = "note.corrects"
"""The draft field that says which step a note corrects; the note itself is ``NOTE``."""


class Diagnosis:
    """The cards of all sessions."""

    def __init__(self, sessions: Sessions, share: Share, evidence: Evidence) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._assistant = sessions.assistant
        self._share = share
        self._evidence = evidence
        self._asking: set[str] = set()

    def asks_budget(self, session_id: str) -> bool:
        """Return whether Claude waits for the technician to agree to spend the rest."""
        return session_id in self._asking

    async def agree_to_spend(self) -> None:
        """Let Claude go on to the end of this month's budget, in every session."""
        await self._assistant.agree_to_spend()
        asked, self._asking = self._asking, set()
        for session_id in asked:
            self._sessions.notices.pop(session_id, None)
            self._sessions.changed(session_id)

    async def respond(self, session_id: str, step_id: str, response: Response) -> Step:
        """Commit the answer to the open card and return it; its draft vanishes with it."""
        response = replace(response, text=pasted(response.text))
        sessions = self._sessions
        async with sessions.exclusive(session_id):
            session = await sessions.workable(session_id)
            steps = await self._store.steps(session_id)
            step = next((step for step in steps if step.id == step_id), None)
            if step is None:
                raise NotFound("That card is not part of this session.")
            now = sessions.clock.now()
            words, kept = await self._evidence.read(
                session_id, response.text, f"step {step.number}", step_id
            )
            response = replace(response, text=words)
            done = answered(step, response, by=sessions.me.id, at=now)
            set_aside: tuple[Step, ...] = ()
            if isinstance(done.body, Briefing) and response.option == BRIEFING_FRESH:
                # Nobody did what was only asked: a fresh start may ask it again, or something else.
                set_aside = tuple(one for one in steps if one.is_open and one.id != step_id)
                await self._store.forget(*set_aside)
            await self._store.save(
                replace(session, updated_at=now),
                done,
                *kept,
                *await sessions.timekeeping.begun(session, sessions.me.id),
                *self._share.told(session, done, set_aside=tuple(one.id for one in set_aside)),
                clear_drafts=[(session_id, step_id)],
            )
        sessions.changed(session_id)
        self._share.wake()
        return done

    async def next_step(self, session_id: str, progress: Progress | None = None) -> Step | None:
        """Think of the next card and commit it; return the open one if there is one already.

        Returns None when no mind has a further card; the notice then says what can be done.
        Cancelling leaves the session as it was.
        """
        sessions = self._sessions
        async with sessions.exclusive(f"think {session_id}"):
            session = await sessions.session(session_id)
            steps = await self._store.steps(session_id)
            waiting = open_step(steps)
            if waiting is not None or session.status is not SessionStatus.ACTIVE:
                return waiting
            case = await sessions.case(session, steps)
            proposal = await self._assistant.propose(case, progress)
            sessions.notices[session_id] = proposal.notice
            if proposal.asks_budget:
                self._asking.add(session_id)
            else:
                self._asking.discard(session_id)
            spent = (proposal.spent,) if proposal.spent is not None else ()
            if proposal.draft is None:
                await self._store.save(*spent)
                sessions.changed(session_id)
                return None
            async with sessions.exclusive(session_id):
                now = await sessions.session(session_id)
                waiting = open_step(await self._store.steps(session_id))
                goes_on = now.status is SessionStatus.ACTIVE and now.handler_id == sessions.me.id
                if waiting is not None or not goes_on:
                    # The session was paused, ended or given away while the card was thought of.
                    await self._store.save(*spent)
                    return waiting
                step = await self._append(session_id, proposal.draft, spent=spent)
        sessions.changed(session_id)
        return step

    async def add_note(self, session_id: str, text: str, corrects: str = "") -> Step:
        """Log a step by hand, or a correction of an answered one."""
        text = pasted(text)
        if not text.strip():
            raise InvalidInput("Type what you did or saw.")
        async with self._sessions.exclusive(session_id):
            await self._sessions.workable(session_id)
            step_id = new_id()
            text, kept = await self._evidence.read(session_id, text, "note", step_id)
            pictures = await self._evidence.of_step(session_id, NOTE)
            step = await self._append(
                session_id,
                StepDraft(Note(text), Source.ENGINEER),
                step_id=step_id,
                corrects=corrects,
                brings=(*kept, *(replace(one, step_id=step_id) for one in pictures)),
                clear_drafts=[(session_id, NOTE), (session_id, NOTE_CORRECTS)],
            )
        self._sessions.changed(session_id)
        return step

    async def probe(self, session_id: str, probe: Probe) -> Step:
        """Look at a host from here and log what was seen; only ever at a technician's click.

        Cancelling ends the probe and logs nothing. Raises InvalidInput for what is no host.
        """
        await self._sessions.workable(session_id)
        seen = cleaned(await run_probe(probe), WORDS_LIMIT)
        async with self._sessions.exclusive(session_id):
            await self._sessions.workable(session_id)
            step = await self._append(session_id, StepDraft(Note(seen), Source.ENGINEER))
        self._sessions.changed(session_id)
        return step

    async def go_back(self, session_id: str) -> Step:
        """Ask the flow's last answered card anew; its first answer stays, and is corrected.

        The card that was open and never answered makes room: it comes again when it is due.
        """
        async with self._sessions.exclusive(session_id):
            session = await self._sessions.workable(session_id)
            steps = await self._store.steps(session_id)
            correction = await self._assistant.back(await self._sessions.case(session, steps))
            if correction is None:
                raise InvalidInput("There is no earlier card of the flow to go back to.")
            left = open_step(steps)
            unsent = await self._store.draft(session_id, left.id) if left is not None else None
            if left is not None:
                await self._store.forget(left)
            step = await self._append(session_id, correction.draft, corrects=correction.corrects)
            if left is not None:
                pictures = await self._evidence.of_step(session_id, left.id)
                await self._store.save(*(replace(one, step_id=step.id) for one in pictures))
            if unsent is not None:
                await self._store.save(replace(unsent, field=step.id))
                await self._store.forget(unsent)
        self._sessions.changed(session_id)
        return step

    async def ask_verification(self, session_id: str) -> Step:
        """Put a verification on the screen: no session ends as resolved without one."""
        async with self._sessions.exclusive(session_id):
            await self._sessions.workable(session_id)
            waiting = open_step(await self._store.steps(session_id))
            if waiting is not None and isinstance(waiting.body, Verification):
                return waiting
            body = Verification(
                "Does it hold? Have the person who reported it try it again.",
                expected_outcome="The problem no longer occurs.",
            )
            step = await self._append(session_id, StepDraft(body, Source.ENGINEER))
        self._sessions.changed(session_id)
        return step

    async def _append(
        self,
        session_id: str,
        draft: StepDraft,
        *,
        step_id: str = "",
        corrects: str = "",
        brings: tuple[Attachment, ...] = (),
        clear_drafts: list[tuple[str, str]] | None = None,
        spent: tuple[UsageRecord, ...] = (),
    ) -> Step:
        """Commit a draft as the session's next step; call with the session's lock held."""
        sessions = self._sessions
        session = await sessions.session(session_id)
        steps = await self._store.steps(session_id)
        now, me = sessions.clock.now(), sessions.me.id
        step = Step(
            id=step_id or new_id(),
            session_id=session_id,
            number=max((step.number for step in steps), default=0) + 1,
            body=draft.body,
            source=draft.source,
            created_at=now,
            created_by=me,
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
            step = replace(step, response=None, answered_at=now, answered_by=me)
        session = replace(
            session,
            updated_at=now,
            problem_domain=draft.problem_domain or session.problem_domain,
        )
        await self._store.save(
            session,
            step,
            *brings,
            *spent,
            *await sessions.timekeeping.begun(session, me),
            *self._share.told(session, step),
            clear_drafts=clear_drafts or [],
        )
        self._share.wake()
        return step

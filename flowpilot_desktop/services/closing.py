"""Leaving a session: paused, closed without a word, or resolved with its documentation.

Resolving and escalating write the same way: the note as it leaves and the durable items for the
ticket come out of ``documented`` and are committed with the move of the session, so documentation
is safe before the screen changes and nothing waits for ConnectWise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flowpilot_desktop.core.errors import InvalidInput, StepRefused
from flowpilot_desktop.core.escalation import QueueOperation
from flowpilot_desktop.core.evidence import WORDS_LIMIT
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.lifecycle import Verb, moved, transition
from flowpilot_desktop.core.push import PsaPushStatus, PushItem, session_push_status
from flowpilot_desktop.core.redaction import RedactedText, Redactor
from flowpilot_desktop.core.session import Session, SessionStatus, is_verified
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.services.documentation import (
    MAPPING_WARNING_AFTER,
    DocumentationChoices,
    DocumentationPreview,
    DocumentationRules,
    Dossier,
    items,
    preview,
)
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share


@dataclass(frozen=True, slots=True)
class Closing:
    """What closing answers."""

    status: SessionStatus
    documentation: str
    psa_push_status: PsaPushStatus
    psa_push_error: str = ""
    member_mapping_warning: str = ""


@dataclass(frozen=True, slots=True)
class Documented:
    """A closing session's documentation: the note as it leaves, and the items for the ticket."""

    note: str
    items: tuple[PushItem, ...]
    warning: str

    def closing(self, session: Session) -> Closing:
        """Return what closing the session answers."""
        return Closing(
            status=session.status,
            documentation=self.note,
            psa_push_status=session_push_status(self.items, has_ticket=bool(session.ticket_id)),
            member_mapping_warning=self.warning,
        )


def documented(
    dossier: Dossier,
    rules: DocumentationRules,
    choices: DocumentationChoices,
    *,
    escalating: bool = False,
) -> Documented:
    """Return the documentation as the technician chose it."""
    shown = preview(dossier, rules, escalating=escalating)
    # What is kept, shown and copied is what leaves: an edited note is masked as well.
    note = shown.note if choices.note is None else Redactor().redact(choices.note).text
    return Documented(
        note,
        items(dossier, rules, choices, note),
        MAPPING_WARNING_AFTER if shown.member_mapping_warning else "",
    )


class Closings:
    """What ends or rests a session on this desktop."""

    def __init__(self, sessions: Sessions, share: Share) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._share = share

    async def pause(self, session_id: str) -> Session:
        """Stop the clock: lunch, or waiting for the customer."""
        return await self._move(session_id, Verb.PAUSE)

    async def resume(self, session_id: str) -> Session:
        """Go on at the same card; nothing is asked anew."""
        now = self._sessions.clock.now()
        paused_at = (await self._sessions.session(session_id)).paused_at or now
        minutes = max(0, int((now - paused_at).total_seconds() // 60))
        rested = await self._sessions.happening(session_id, HappeningKind.RESTED, minutes=minutes)
        return await self._move(session_id, Verb.RESUME, rested)

    async def abandon(self, session_id: str, reason: str = "") -> Session:
        """Close without documentation; the session stays in the history."""
        return await self._move(session_id, Verb.ABANDON, end_reason=typed(reason))

    async def preview(
        self, session_id: str, summary: str = "", action: str = ""
    ) -> DocumentationPreview:
        """Return the note and the time as they would leave if the session were resolved now."""
        dossier = await self._sessions.dossier(await self._sessions.session(session_id))
        rules = self._sessions.rules()
        return preview(dossier, rules, summary=typed(summary), action=typed(action))

    async def resolve(
        self,
        session_id: str,
        summary: str,
        action: str = "",
        choices: DocumentationChoices | None = None,
    ) -> Closing:
        """End a session as resolved; its documentation is durable before this returns."""
        summary, action = typed(summary).strip(), typed(action).strip()
        if not summary:
            raise InvalidInput("Say in a sentence what the solution was.")
        sessions = self._sessions
        async with sessions.closing(session_id):
            session = await sessions.session(session_id)
            transition(session, Verb.RESOLVE, sessions.me.id)
            await self._share.still_held(session)
            if not is_verified(await self._store.steps(session_id)):
                raise StepRefused(
                    "Nobody has verified yet that the fix holds.",
                    hint="Answer the verification card first; the text you typed is kept.",
                )
            dossier = await sessions.dossier(session)
            now = dossier.as_of
            session = replace(
                moved(session, Verb.RESOLVE, sessions.me.id, now),
                resolution_summary=summary,
                resolution_action=action,
            )
            dossier = replace(dossier, session=session)
            written = documented(dossier, sessions.rules(), choices or DocumentationChoices())
            segments = await sessions.timekeeping.ended(session_id)
            worked = (*dossier.segments, *segments)
            outcome = "\n".join(filter(None, (summary, action)))
            drafts = await self._store.drafts(session_id)
            await self._store.save(
                session,
                *segments,
                *written.items,
                *self._share.ended(session, outcome, worked, written.items),
                sessions.audit(session, Verb.RESOLVE),
                sessions.written_down(session, written.note, now),
                clear_drafts=[(session_id, draft.field) for draft in drafts],
            )
        sessions.changed(session_id)
        self._share.wake()
        return written.closing(session)

    async def export(self, session_id: str) -> RedactedText:
        """Return a session's note for a file: as it was agreed to, else as it stands now."""
        session = await self._sessions.session(session_id)
        written = await self._sessions.written(session_id)
        if not written:
            written = preview(await self._sessions.dossier(session), self._sessions.rules()).note
        return Redactor().redact(written)

    async def _move(
        self, session_id: str, verb: Verb, *happened: Happening, end_reason: str = ""
    ) -> Session:
        sessions = self._sessions
        async with sessions.exclusive(session_id):
            session = await sessions.session(session_id)
            session = moved(session, verb, sessions.me.id, sessions.clock.now())
            told: tuple[QueueOperation, ...] = ()
            if session.status is SessionStatus.ACTIVE:
                segments = await sessions.timekeeping.begun(session, sessions.me.id)
            else:
                segments = await sessions.timekeeping.ended(session_id)
            if session.status is SessionStatus.ABANDONED:
                session = replace(session, end_reason=end_reason)
                why = end_reason or "Closed without documentation."
                worked = (*await self._store.segments(session_id), *segments)
                told = self._share.ended(session, why, worked, ())
            await self._store.save(
                session, *segments, *happened, *told, sessions.audit(session, verb)
            )
        sessions.changed(session_id)
        self._share.wake()
        return session


def typed(text: str) -> str:
    """Return what a technician typed, cleaned; refuse what is too long to be meant."""
    if len(text) > WORDS_LIMIT:
        raise InvalidInput(
            f"That text has {len(text):,} characters; {WORDS_LIMIT:,} are the most.",
            hint="Nothing was lost: it is still in the field. Keep the lines that matter.",
        )
    return cleaned(text, WORDS_LIMIT)

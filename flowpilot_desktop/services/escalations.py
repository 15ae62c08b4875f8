"""The hand-off: escalate, withdraw, release, pick up, and everybody who had the session follows.

A verb that gives a session away commits the move, the documentation and the operation for the
queue in one transaction and never waits for a network; ``QueueOutbox`` sends it. A verb that takes
a session (pick up, withdraw what already left) needs the queue's word first: its operation is
durable, then sent, and only the answer moves the session. What the queue reports of others is
``followed`` by the life cycle's table. No text of a model's moves anything.

The fast model is asked once for what a teammate should look at; the escalation waits for it at
most ``BRIEFING_SECONDS``. A package that left without it is filled in by the desktop that picks
it up.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import (
    ClaimLost,
    FlowPilotError,
    InvalidInput,
    ModelError,
    NotAllowed,
    NotFound,
    QueueError,
    QueueNotOpen,
    QueueRefused,
    TransitionRefused,
)
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationFilter,
    EscalationState,
    HandOff,
    OperationKind,
    OperationState,
    QueueOperation,
    Teammate,
)
from flowpilot_desktop.core.events import (
    EscalationsChanged,
    Events,
    SessionChanged,
    SettingsChanged,
)
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.history import AuditEntry
from flowpilot_desktop.core.lifecycle import Verb, moved, transition
from flowpilot_desktop.core.ports import BriefingDraft, Clock
from flowpilot_desktop.core.push import PushItem, TimePayload, session_push_status
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    BRIEFING_FRESH,
    Briefing,
    ContextStatus,
    Engineer,
    Hypothesis,
    Intake,
    Note,
    Response,
    Session,
    SessionStatus,
    Source,
    Step,
    new_id,
)
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.core.timing import Billed, Segment
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.flows import walk
from flowpilot_desktop.llm.conversation import briefing_consultation
from flowpilot_desktop.services.assistant import Assistant, Case
from flowpilot_desktop.services.documentation import (
    MAPPING_WARNING_AFTER,
    DocumentationChoices,
    DocumentationPreview,
    DocumentationRules,
    Dossier,
    items,
    preview,
)
from flowpilot_desktop.services.engine import Closing, FlowPilotEngine
from flowpilot_desktop.services.following import followed
from flowpilot_desktop.services.hand_off import (
    Addition,
    BilledTime,
    Parcel,
    as_billed,
    billed_times,
    opened_addition,
    opened_parcel,
    parcel,
    sealed,
    tried,
    with_briefing,
)
from flowpilot_desktop.services.model_access import ModelAccess
from flowpilot_desktop.services.queue import SETTING, Answer, News, QueueLink, Team, TeamQueue
from flowpilot_desktop.services.queue_outbox import QueueOutbox
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.documents import from_json, to_json
from flowpilot_desktop.store.tables import Record

log = logging.getLogger(__name__)

BRIEFING_SECONDS = 15.0
"""How long an escalation waits for the fast model at most."""
RENEW_SECONDS = 240.0
"""How often a claim is renewed while FlowPilot runs."""
CLAIM_CHECK_SECONDS = 3.0
"""How long resolving waits to learn whether the claim still holds."""
REASON_LIMIT = 4_000
SUMMARY_LIMIT = 300
OUTCOME_LIMIT = 20_000
OFFERED_AGAIN = timedelta(days=30)
"""Acknowledged operations that are offered again when the queue came back from a backup."""
_CURSOR, _SEEN, _TEAM = "queue cursor", "queue seen", "queue team"


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One request as a list shows it: with names, presence, and what can be done."""

    escalation: Escalation
    raised_by: str
    assigned_to: str = ""
    handler: str = ""
    last_seen: datetime | None = None
    is_unsent: bool = False
    is_mine: bool = False
    """Whether the technician at this desktop raised it."""
    for_me: bool = False
    is_silent: bool = False
    """Whether its handler has not been heard of for longer than a claim holds."""
    can_pick_up: bool = False
    can_take_back: bool = False
    can_cancel: bool = False
    idle_since: datetime | None = None
    """For one that this technician handles: when they last did something about it."""


@dataclass(frozen=True, slots=True)
class QueuePicture:
    """The queue as last known; ``as_of`` is when it was last heard of, None for never."""

    entries: tuple[QueueEntry, ...]
    as_of: datetime | None
    is_set_up: bool
    error: FlowPilotError | None = None
    waiting: int = 0
    """How many ask for this technician or for anybody."""


@dataclass(frozen=True, slots=True)
class EscalationPreview:
    """What would leave if the session were escalated now."""

    hand_off: HandOff
    documentation: DocumentationPreview


Told = Callable[[str, str], None]
"""Hears a title and a sentence for the technician, about something that happened elsewhere."""


class Escalations:
    """What a technician can do with sessions that change hands."""

    def __init__(
        self,
        *,
        store: Store,
        engine: FlowPilotEngine,
        assistant: Assistant,
        access: ModelAccess,
        link: QueueLink,
        clock: Clock,
        events: Events,
        rules: Callable[[], DocumentationRules],
        poll_seconds: Callable[[], float] = lambda: 5.0,
    ) -> None:
        self.link = link
        self.events = events
        self.told: Told = _only_log
        self._store = store
        self._engine = engine
        self._assistant = assistant
        self._access = access
        self._clock = clock
        self._rules = rules
        self._poll_seconds = poll_seconds
        self._outbox = QueueOutbox(
            store=store,
            link=link,
            clock=clock,
            events=events,
            consequences=self._consequences,
            refused=self._refused,
        )
        self._running: set[asyncio.Task[Any]] = set()
        self._poller: Any = None
        self._is_following = False
        self._is_closed = False
        self._renewed: dict[str, float] = {}
        self._error: FlowPilotError | None = None
        self._end_listening = events.listen(SettingsChanged, self._settings_changed)
        engine.shared = self._share = _Share(self)

    @property
    def me(self) -> Engineer:
        """The technician at this desktop."""
        return self._engine.me

    async def open(self) -> None:
        """Learn what a former run left behind; nothing is sent yet."""
        await self._outbox.open()

    async def aclose(self) -> None:
        """Stop; what is on its way is settled by its row."""
        self._is_closed = True
        self._end_listening()
        await self._stop_following()
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self.link.aclose()

    # Giving a session away

    async def preview_package(self, session_id: str, reason: str = "") -> EscalationPreview:
        """Return what a teammate would get and what would go to the ticket, redacted."""
        session = await self._session(session_id)
        reason = cleaned(reason, REASON_LIMIT)
        dossier = await self._engine.dossier(replace(session, escalation_reason=reason))
        package = await self._parcel(dossier, reason)
        shown = opened_parcel(json.dumps(sealed(package)))
        return EscalationPreview(shown.hand_off, preview(dossier, self._rules(), escalating=True))

    async def escalate(
        self,
        session_id: str,
        reason: str,
        assign_to: str = "",
        choices: DocumentationChoices | None = None,
    ) -> Closing:
        """Ask that somebody else take over; a handler who picked it up puts it back with this.

        The move, the note, the time entry and the operation for the queue are one commit.
        """
        choices = choices or DocumentationChoices()
        reason = self._reason(reason)
        if assign_to == self.me.id:
            raise InvalidInput("An escalation can't be assigned to yourself.")
        if not await self.link.is_set_up():
            await self.link.queue()  # raises with the words for it
        async with self._engine.exclusive(session_id):
            session = await self._session(session_id)
            is_held = self._share.is_held(session)
            verb = Verb.RELEASE if is_held else Verb.ESCALATE
            transition(session, verb, self.me.id)
            dossier = await self._engine.dossier(
                replace(session, escalation_reason=reason, escalated_to=assign_to)
            )
            now = dossier.as_of
            after = replace(
                moved(session, verb, self.me.id, now),
                escalation_id=session.escalation_id if is_held else new_id(),
                escalation_reason=reason,
                escalated_to=assign_to,
            )
            rules = self._rules()
            segments = await self._engine.timekeeping.ended(session_id)
            shown = preview(dossier, rules, escalating=True)
            note = choices.note if choices.note is not None else shown.note
            push_items = items(dossier, rules, choices, note)
            dossier = replace(
                dossier,
                session=after,
                sent=(*dossier.sent, *push_items),
                segments=_latest((*dossier.segments, *segments)),
            )
            package = sealed(await self._parcel(dossier, reason))
            operation = self._handing_over(after, package, reason, is_held=is_held)
            await self._store.save(
                after,
                *segments,
                *push_items,
                operation,
                await self._own_row(after, len(dossier.steps)),
                self._engine.written_down(after, note, now),
                self._audit(after, verb),
                clear_drafts=[(session_id, where) for where in _DRAFTS],
            )
        self._changed(session_id)
        self._begin(self._ask_for_briefing(operation.id, session_id, reason))
        return Closing(
            status=after.status,
            documentation=note,
            psa_push_status=session_push_status(push_items, has_ticket=bool(after.ticket_id)),
            member_mapping_warning=MAPPING_WARNING_AFTER if shown.member_mapping_warning else "",
        )

    async def release(self, session_id: str, reason: str, assign_to: str = "") -> Closing:
        """Put a session that was picked up back into the queue."""
        if not self._share.is_held(await self._session(session_id)):
            raise TransitionRefused("Only a session that you picked up can be put back.")
        return await self.escalate(session_id, reason, assign_to)

    async def withdraw(self, session_id: str) -> Session:
        """Take back what one raised, while nobody has picked it up.

        What never left is dropped and never leaves. What left already needs the queue's word.
        """
        operation = None
        async with self._outbox.sending, self._engine.exclusive(session_id):
            session = await self._session(session_id)
            after = moved(session, Verb.WITHDRAW, self.me.id, self._clock.now())
            raised = await self._raising(session)
            if raised is not None and _never_left(raised):
                await self._taken_back(session, after, raised)
            else:
                operation = self._outbox.operation(
                    OperationKind.WITHDRAW, session_id, session.escalation_id, {}
                )
        if operation is not None:
            await self._outbox.now(operation)
        self._changed(session_id)
        self.events.publish(EscalationsChanged())
        return await self._session(session_id)

    async def cancel(self, session_id: str, reason: str) -> Session:
        """End a request of one's own for good; the session ends with its reason."""
        reason = self._reason(reason)
        operation = None
        async with self._outbox.sending, self._engine.exclusive(session_id):
            session = await self._session(session_id)
            after = moved(session, Verb.CANCEL, self.me.id, self._clock.now())
            raised = await self._raising(session)
            if raised is not None and _never_left(raised):
                row = await self._store.escalation(session.escalation_id)
                ended = () if row is None else (_ended_row(row, reason, self._clock.now()),)
                await self._store.save(
                    replace(after, end_reason=reason),
                    self._outbox.dropped(raised, "Cancelled before it left."),
                    *ended,
                    self._audit(after, Verb.CANCEL),
                )
            else:
                body = {"reason": Redactor().redact(reason).text}
                operation = self._outbox.operation(
                    OperationKind.CANCEL, session_id, session.escalation_id, body
                )
        if operation is not None:
            await self._outbox.now(operation)
        self._changed(session_id)
        self.events.publish(EscalationsChanged())
        return await self._session(session_id)

    async def reassign(self, escalation_id: str, assign_to: str) -> None:
        """Ask another teammate, or everybody with an empty id."""
        row = await self._row(escalation_id)
        if assign_to == self.me.id:
            raise InvalidInput("An escalation can't be assigned to yourself.")
        async with self._outbox.sending:
            session = await self._store.session(row.session_id)
            raised = await self._raising(session) if session is not None else None
            if raised is not None and _never_left(raised):
                body = {**json.loads(raised.body), "assigned_to": assign_to}
                await self._store.save(
                    replace(raised, body=json.dumps(body, ensure_ascii=False)),
                    replace(row, assigned_to=assign_to),
                )
                self.events.publish(EscalationsChanged())
                return
        body = {"assigned_to": assign_to}
        await self._outbox.now(
            self._outbox.operation(OperationKind.REASSIGN, row.session_id, escalation_id, body)
        )
        await self.refresh()

    async def take_back(self, escalation_id: str, reason: str) -> None:
        """Put one's own escalation back for everybody when its handler has gone silent."""
        row = await self._row(escalation_id)
        body = {"fence": None, "reason": Redactor().redact(self._reason(reason)).text}
        await self._outbox.now(
            self._outbox.operation(OperationKind.RELEASE, row.session_id, escalation_id, body)
        )
        await self.refresh()

    # Taking a session

    async def pick_up(
        self,
        escalation_id: str,
        read_back: str = "",
        resume_mode: str = "",
        additional_context: str = "",
    ) -> Session:
        """Take a session over: first one wins. Needs the queue.

        ``resume_mode`` answers the briefing at once; without it the briefing waits as a card.
        Raises AlreadyPickedUp, which names who has it, QueueUnreachable, QueueNotOpen.
        """
        if resume_mode not in ("", BRIEFING_CONTINUE, BRIEFING_FRESH):
            raise InvalidInput("Choose to continue or to start fresh.")
        row = await self._row(escalation_id)
        if row.raised_by == self.me.id:
            raise NotAllowed(
                "You raised this escalation yourself.",
                hint="Withdraw it to carry on with it, or let a teammate pick it up.",
            )
        body = {"read_back": Redactor().redact(cleaned(read_back, 2_000)).text}
        try:
            await self._outbox.now(
                self._outbox.operation(OperationKind.PICK_UP, row.session_id, row.id, body)
            )
        except QueueRefused:
            with suppress(FlowPilotError):
                await self.refresh()
            raise
        session = await self._session(row.session_id)
        self._changed(session.id)
        if resume_mode:
            steps = await self._store.steps(session.id)
            card = next(step for step in reversed(steps) if isinstance(step.body, Briefing))
            if card.is_open:
                answer = Response(option=resume_mode, text=additional_context)
                await self._engine.respond(session.id, card.id, answer)
        return await self._session(session.id)

    # The queue as a list

    async def queue(self, which: EscalationFilter = EscalationFilter.ALL) -> QueuePicture:
        """Return the requests that live, newest first, from the last known state."""
        rows = await self._store.escalations(live_only=True)
        names = {one.id: one.name for one in await self._store.engineers()}
        team = {one.id: one for one in await self.members()}
        unsent = {
            one.escalation_id
            for one in await self._store.queue_operations()
            if one.kind in (OperationKind.ESCALATE, OperationKind.RELEASE)
        }
        entries = [self._entry(row, names, team, unsent) for row in rows]
        entries = [await self._with_idleness(entry) for entry in entries]
        seen = await self._store.remembered(_SEEN)
        return QueuePicture(
            tuple(entry for entry in entries if _passes(entry, which, self.me.id)),
            datetime.fromisoformat(seen) if seen else None,
            await self._is_set_up(),
            self._error,
            sum(_asks_me(entry) for entry in entries),
        )

    async def _with_idleness(self, entry: QueueEntry) -> QueueEntry:
        row = entry.escalation
        if row.state is not EscalationState.CLAIMED or row.handler_id != self.me.id:
            return entry
        session = await self._store.session(row.session_id)
        return replace(entry, idle_since=session.updated_at if session else row.claimed_at)

    async def history(self) -> tuple[Escalation, ...]:
        """Return every request that this desktop knows, ended ones too, the newest first."""
        return await self._store.escalations()

    async def members(self) -> tuple[Teammate, ...]:
        """Return the team as last known, without the technician at this desktop."""
        kept = await self._store.remembered(_TEAM)
        if not kept:
            return ()
        team: tuple[Teammate, ...] = from_json(kept, tuple[Teammate, ...])
        return tuple(one for one in team if one.id != self.me.id)

    def _entry(
        self,
        row: Escalation,
        names: dict[str, str],
        team: dict[str, Teammate],
        unsent: set[str],
    ) -> QueueEntry:
        me, now = self.me.id, self._clock.now()
        is_open = row.state is EscalationState.OPEN
        lapsed = row.lease_until is not None and row.lease_until < now
        is_silent = row.state is EscalationState.CLAIMED and lapsed
        is_mine = row.raised_by == me
        raiser = team.get(row.raised_by)
        return QueueEntry(
            row,
            raised_by="You" if is_mine else names.get(row.raised_by, "A teammate"),
            assigned_to="you" if row.assigned_to == me else names.get(row.assigned_to, ""),
            handler="you" if row.handler_id == me else names.get(row.handler_id, ""),
            last_seen=raiser.last_seen if raiser else None,
            is_unsent=row.id in unsent,
            is_mine=is_mine,
            for_me=row.assigned_to == me,
            is_silent=is_silent,
            can_pick_up=not is_mine and (is_open or (is_silent and row.handler_id != me)),
            can_cancel=is_open and row.originator_id == me,
            can_take_back=is_silent and row.originator_id == me and row.handler_id != me,
        )

    # Following

    def start(self) -> None:
        """Begin to follow the queue and to send what waits, if there is a queue."""
        self._is_following = True
        self._begin(self._follow())

    async def refresh(self) -> None:
        """Read the queue now. Raises QueueUnreachable, QueueNotOpen."""
        try:
            queue = await self.link.queue()
            team = await queue.team()
            await self._know(team)
            await self._deliver(await queue.changes(await self._store.remembered(_CURSOR) or ""))
        except QueueError as error:
            self._noted(error)
            raise
        self._noted(None)

    async def tend(self) -> None:
        """Renew claims, send what is due, learn who is there; to be called every few seconds."""
        await self._outbox.run_due()
        queue = await self._reachable()
        if queue is None:
            return
        now = self._clock.monotonic()
        for row in await self._store.escalations(live_only=True):
            session = await self._store.session(row.session_id)
            if session is None or not self._share.is_held(session) or session.status.is_final:
                continue
            if now - self._renewed.get(row.id, float("-inf")) < RENEW_SECONDS:
                continue
            try:
                await queue.renew(row.id, session.fence)
                self._renewed[row.id] = now
            except QueueRefused:
                await self._after_loss(queue, row.id)
            except QueueError as error:
                self._noted(error)
                return

    async def network_is_back(self) -> None:
        """Send what only waited for the queue, and read it."""
        await self._outbox.network_is_back()
        with suppress(QueueError):
            await self.refresh()

    async def next_due(self) -> datetime | None:
        """Return when something can be sent next, or None."""
        return await self._outbox.next_due()

    async def run_due(self) -> None:
        """Send what is due."""
        await self._outbox.run_due()

    async def settled(self) -> None:
        """Wait until nothing runs in the background."""
        while self._running:
            await asyncio.wait(tuple(self._running))

    def set_idle(self, *, idle: bool) -> None:
        """Look at the queue more rarely while nobody is there."""
        if self._poller is not None:
            self._poller.idle = idle

    # Following — inside

    async def _follow(self) -> None:
        await self._stop_following()
        try:
            queue = await self.link.queue()
        except QueueError as error:
            self._noted(error)
            return
        with suppress(QueueError):
            await self._know(await queue.team())
        self._poller = queue.poller(
            self._deliver,
            cursor=await self._store.remembered(_CURSOR) or "",
            interval=self._poll_seconds(),
            noted=self._contact,
        )
        self._poller.start()
        await self._outbox.run_due()

    async def _stop_following(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            await poller.aclose()

    def _contact(self, error: FlowPilotError | None) -> None:
        was_away = self._error is not None
        self._noted(error)
        if error is None and was_away:
            self._begin(self._outbox.network_is_back())

    def _noted(self, error: FlowPilotError | None) -> None:
        self.link.note(error)
        if type(error) is not type(self._error):
            self._error = error
            self.events.publish(EscalationsChanged())
        self._error = error

    async def _reachable(self) -> TeamQueue | None:
        try:
            queue = await self.link.queue()
            await self._know(await queue.team())
        except QueueError as error:
            self._noted(error)
            return None
        self._noted(None)
        return queue

    async def _know(self, team: Team) -> None:
        text = to_json(team.members, tuple[Teammate, ...])
        if text == await self._store.remembered(_TEAM):
            return
        me = self.me.id
        others = [Engineer(one.id, one.name) for one in team.members if one.id != me]
        await self._store.save(*others)
        await self._store.remember(_TEAM, text)
        self.events.publish(EscalationsChanged())

    async def _deliver(self, news: News) -> None:
        """Take over what changed; the cursor is remembered after the rows it brought."""
        if news.resync:
            await self._forget_vanished({row.id for row in news.rows})
        if news.restored:
            await self._offer_again()
        await self._know_everybody_in(news.rows)
        for row in news.rows:
            await self._take(row)
        if news.cursor != await self._store.remembered(_CURSOR):
            await self._store.remember(_CURSOR, news.cursor)
        await self._store.remember(_SEEN, self._clock.now().isoformat())
        if news.rows or news.resync:
            self.events.publish(EscalationsChanged())

    async def _know_everybody_in(self, rows: tuple[Escalation, ...]) -> None:
        """Learn the names of engineers who joined the team since it was last read."""
        known = {one.id for one in await self._store.engineers()} | {self.me.id, ""}
        named = {one for row in rows for one in (row.raised_by, row.handler_id, row.assigned_to)}
        if named - known:
            with suppress(QueueError):
                await self._know(await (await self.link.queue()).team())

    async def _forget_vanished(self, present: set[str]) -> None:
        waiting = {one.escalation_id for one in await self._store.queue_operations()}
        gone = [
            row
            for row in await self._store.escalations(live_only=True)
            if row.id not in present and row.id not in waiting
        ]
        await self._store.forget(*gone)

    async def _offer_again(self) -> None:
        since = self._clock.now() - OFFERED_AGAIN
        for one in await self._store.queue_operations((OperationState.ANSWERED,)):
            if one.answered_at is not None and one.answered_at > since:
                again = replace(one, state=OperationState.WAITING, next_try_at=None)
                await self._store.save(again)
        self.wake()

    async def _take(self, row: Escalation) -> None:
        kept = await self._store.escalation(row.id)
        if kept is not None and kept.fence > row.fence:
            return
        await self._store.save(row)
        async with self._engine.exclusive(row.session_id):
            session = await self._store.session(row.session_id)
            if session is None or session.escalation_id != row.id:
                return
            if self._is_lost(session, row):
                if not await self._has_left_it(row.id):
                    await self._lose(session, row)
            elif not await self._outbox.waiting(row.id):
                await self._go_along(session, row)
            session = await self._session(row.session_id)
        if not self._share.is_held(session):
            await self._pull(session, row)

    def _is_lost(self, session: Session, row: Escalation) -> bool:
        """Return whether somebody else has what this technician believes to handle."""
        return (
            self._share.is_held(session)
            and session.status in (SessionStatus.ACTIVE, SessionStatus.PAUSED)
            and row.fence >= session.fence
            and not (row.state is EscalationState.CLAIMED and row.handler_id == self.me.id)
        )

    async def _has_left_it(self, escalation_id: str) -> bool:
        kinds = (OperationKind.RELEASE, OperationKind.RESOLVE, OperationKind.PICK_UP)
        return bool(await self._outbox.waiting(escalation_id, *kinds))

    async def _go_along(self, session: Session, row: Escalation, *records: Record) -> None:
        after = followed(session, row, self._clock.now())
        if after is session:
            if records:
                await self._store.save(*records)
            return
        segments: tuple[Segment, ...] = ()
        if session.handler_id == self.me.id and after.handler_id != self.me.id:
            segments = await self._engine.timekeeping.ended(session.id)
        await self._store.save(after, *segments, *records)
        self._changed(session.id)

    async def _pull(self, session: Session, row: Escalation) -> None:
        """Bring the steps that a handler appended into the session as it is here."""
        key = f"queue steps {row.id}"
        known = int(await self._store.remembered(key) or 0)
        if row.steps_appended <= known:
            return
        shared = await (await self.link.queue()).steps(row.id, known)
        additions = _readable(one.content for one in shared)
        async with self._engine.exclusive(session.id):
            await self._add(session, additions)
        if shared:
            await self._store.remember(key, str(shared[-1].number))
        self._changed(session.id)

    async def _add(self, session: Session, additions: tuple[Addition, ...]) -> None:
        steps = {step.id: step for step in await self._store.steps(session.id)}
        set_aside = {one for addition in additions for one in addition.set_aside}
        await self._store.forget(
            *(step for step in steps.values() if step.is_open and step.id in set_aside)
        )
        steps = {one: step for one, step in steps.items() if one not in set_aside}
        merged = _merged(session.id, steps, [one.step for one in additions if one.step])
        segments = [
            replace(segment, session_id=session.id)
            for addition in additions
            for segment in addition.segments
            if segment.engineer_id != self.me.id and not segment.is_open
        ]
        await self._store.save(*merged, *_latest(segments))
        await self._know_billed(session.id, [t for one in additions for t in one.billed])

    async def _know_billed(self, session_id: str, times: list[BilledTime]) -> None:
        others = [one for one in times if one.engineer_id != self.me.id]
        if others:
            kept = await self._kept_billed(session_id)
            every = tuple(dict.fromkeys((*kept, *others)))
            text = to_json(every, tuple[BilledTime, ...])
            await self._store.remember(f"queue billed {session_id}", text)

    async def _kept_billed(self, session_id: str) -> tuple[BilledTime, ...]:
        kept = await self._store.remembered(f"queue billed {session_id}")
        times: tuple[BilledTime, ...] = from_json(kept, tuple[BilledTime, ...]) if kept else ()
        return times

    async def billed_elsewhere(self, session_id: str) -> tuple[Billed, ...]:
        """Return the time entries that other engineers made for the session."""
        return as_billed(await self._kept_billed(session_id))

    # Losing a claim — inside

    async def _after_loss(self, queue: TeamQueue, escalation_id: str) -> None:
        with suppress(QueueError):
            await self._take(await queue.escalation(escalation_id))
            self.events.publish(EscalationsChanged())

    async def _lose(self, session: Session, row: Escalation) -> None:
        """Keep a copy of what did not reach the queue; from here on the session is the other's."""
        waiting = await self._outbox.waiting(row.id)
        records, words = await self._conflict_copy(session, waiting, row)
        dropped = [self._outbox.dropped(one, "Somebody else has taken over.") for one in waiting]
        await self._go_along(session, row, *records, *dropped)
        self.told("Somebody else has taken over", words)

    async def _conflict_copy(
        self, session: Session, waiting: tuple[QueueOperation, ...], row: Escalation
    ) -> tuple[tuple[Record, ...], str]:
        steps = await self._store.steps(session.id)
        unsent = {
            document["step"]["id"]
            for one in waiting
            if one.kind is OperationKind.APPEND
            for document in json.loads(one.body)["steps"]
            if document.get("step")
        }
        kept = [step for step in steps if step.id in unsent and not step.is_open]
        lines = [f"{step.number}. {step.body.text}\n   → {step.response_label}" for step in kept]
        drafts = [one.text for one in await self._store.drafts(session.id) if one.text.strip()]
        lines += [f"Typed, not sent: {text}" for text in drafts]
        names = {one.id: one.name for one in await self._store.engineers()}
        who = names.get(row.handler_id) or names.get(row.raised_by) or "A teammate"
        count = f"{len(kept)} step{'' if len(kept) == 1 else 's'}"
        words = (
            f"{who} has taken over “{session.problem_summary}”. "
            f"{count} of yours had not reached the team queue; your own copy is kept here."
        )
        if not lines:
            return (), words
        now = self._clock.now()
        text = "\n".join(["Your own copy; the team does not see it.", *lines])
        copy = Attachment(
            f"conflict-{row.id}-{session.fence}",
            session.id,
            "your own copy.txt",
            "text/plain",
            text.encode("utf-8", "replace"),
            now,
        )
        note = Step(
            id=new_id(),
            session_id=session.id,
            number=max((step.number for step in steps), default=0) + 1,
            body=Note(f"Conflict copy. {words}\n{text}"),
            source=Source.ENGINEER,
            created_at=now,
            created_by=self.me.id,
            answered_at=now,
            answered_by=self.me.id,
        )
        return (copy, note), words

    # Answers and refusals — inside

    async def _consequences(
        self, one: QueueOperation, answer: Answer, queue: TeamQueue
    ) -> tuple[Record, ...]:
        match one.kind:
            case OperationKind.PICK_UP:
                return await self._picked_up(one, queue)
            case OperationKind.WITHDRAW | OperationKind.CANCEL:
                return await self._ended_waiting(one, answer)
            case _:
                row = await self._store.escalation(one.escalation_id)
                if row is None or row.fence >= answer.fence:
                    return ()
                return (replace(row, fence=answer.fence, state=answer.state),)

    async def _ended_waiting(self, one: QueueOperation, answer: Answer) -> tuple[Record, ...]:
        session = await self._store.session(one.session_id)
        row = await self._store.escalation(one.escalation_id)
        now = self._clock.now()
        records: list[Record] = []
        if row is not None:
            records.append(replace(row, state=answer.state, fence=answer.fence, ended_at=now))
        if (
            session is None
            or session.escalation_id != one.escalation_id
            or session.status is not SessionStatus.REQUESTING_ESCALATION
        ):
            return tuple(records)
        if one.kind is OperationKind.CANCEL:
            reason = str(json.loads(one.body)["reason"])
            after = moved(session, Verb.CANCEL, self.me.id, now)
            return (*records, replace(after, end_reason=reason, fence=answer.fence))
        after = moved(session, Verb.WITHDRAW, self.me.id, now)
        if answer.state is EscalationState.CLAIMED:  # raised by a later handler: theirs again
            after = replace(after, fence=answer.fence)
            if row is not None:
                records[-1] = replace(
                    row, state=answer.state, fence=answer.fence, handler_id=self.me.id
                )
        else:
            after = replace(after, escalation_id="", fence=0)
        segments = await self._engine.timekeeping.begun(after, self.me.id)
        return (*records, after, *segments, self._audit(after, Verb.WITHDRAW))

    async def _refused(self, one: QueueOperation, error: QueueRefused) -> tuple[Record, ...]:
        """Return what follows from a no: whoever lost a claim keeps a copy, the rest is told."""
        if isinstance(error, ClaimLost) and one.kind in _HANDLERS:
            return await self._claim_refused(one)
        if one.kind is OperationKind.ESCALATE:
            row = await self._store.escalation(one.escalation_id)
            self.told(
                "Your escalation did not reach the team",
                f"{error.message} {error.hint} Withdraw it in the session, then escalate again.",
            )
            if row is not None:
                now = self._clock.now()
                return (_ended_row(row, error.message, now),)
        elif one.kind in (OperationKind.APPEND, OperationKind.RESOLVE, OperationKind.RELEASE):
            self.told("The team queue refused", f"{error.message} {error.hint}".strip())
        return ()

    async def _claim_refused(self, one: QueueOperation) -> tuple[Record, ...]:
        waiting = tuple(
            kept for kept in await self._outbox.waiting(one.escalation_id) if kept.id != one.id
        )
        session = await self._store.session(one.session_id)
        row = None
        with suppress(QueueError):
            queue = await self.link.queue()
            await self._know(await queue.team())
            row = await queue.escalation(one.escalation_id)
        row = row or await self._store.escalation(one.escalation_id)
        dropped = [self._outbox.dropped(kept, "Somebody else has taken over.") for kept in waiting]
        if session is None or row is None:
            return tuple(dropped)
        records, words = await self._conflict_copy(session, (one, *waiting), row)
        self.told("Somebody else has taken over", words)
        after = session
        if not session.status.is_final:
            after = followed(session, row, self._clock.now())
        segments: tuple[Segment, ...] = ()
        if after.handler_id != self.me.id:
            segments = await self._engine.timekeeping.ended(session.id)
        self._begin(self._told_later(session.id))
        return (*records, *dropped, row, after, *segments)

    async def _told_later(self, session_id: str) -> None:
        self._changed(session_id)

    # Picking up — inside

    async def _picked_up(self, one: QueueOperation, queue: TeamQueue) -> tuple[Record, ...]:
        row = await queue.escalation(one.escalation_id)
        if row.state is not EscalationState.CLAIMED or row.handler_id != self.me.id:
            raise ClaimLost("Somebody else has taken this session over since.", why="stale")
        local = await self._store.session(row.session_id)
        if local is not None and self._share.is_held(local) and local.escalation_id == row.id:
            return (row, replace(local, fence=row.fence))  # a repeat of what was done already
        try:
            package = opened_parcel(await queue.package(row.id))
        except QueueRefused as error:
            log.warning("The package of escalation %s can't be read: %s", row.id, error.why)
            package = _bare(row)
        shared = await queue.steps(row.id, 0)
        additions = _readable(step.content for step in shared)
        async with self._engine.exclusive(row.session_id):
            records = await self._taken_over(row, package, additions)
        await self._store.remember(f"queue steps {row.id}", str(len(shared)))
        times = [*package.billed, *(time for added in additions for time in added.billed)]
        await self._know_billed(row.session_id, times)
        await self._store.remember("last_session", row.session_id)
        self._renewed[row.id] = self._clock.monotonic()
        self._begin(self._catch_up(row.session_id))
        return records

    async def _taken_over(
        self, row: Escalation, package: Parcel, additions: tuple[Addition, ...]
    ) -> tuple[Record, ...]:
        now, me = self._clock.now(), self.me
        session = await self._arrived(row, package)
        local = {step.id: step for step in await self._store.steps(session.id)}
        set_aside = {one for addition in additions for one in addition.set_aside}
        old = [
            step
            for step in local.values()
            if step.is_open and (step.id in set_aside or isinstance(step.body, Briefing))
        ]
        incoming = [
            *(step for step in package.steps if step.id not in set_aside),
            *(one.step for one in additions if one.step),
        ]
        incoming = [s for s in incoming if not (s.is_open and isinstance(s.body, Briefing))]
        kept = {one: step for one, step in local.items() if step not in old}
        if await self._store.session(session.id) is not None:
            await self._store.forget(*old)
        merged = _merged(session.id, kept, incoming)
        steps = tuple(sorted((kept | {s.id: s for s in merged}).values(), key=lambda s: s.number))
        briefing = Step(
            id=new_id(),
            session_id=session.id,
            number=max((step.number for step in steps), default=0) + 1,
            body=_briefing(row, package.hand_off, steps),
            source=Source.ENGINEER,
            created_at=now,
            created_by=row.raised_by,
        )
        names = [Engineer(one.engineer_id, one.name) for one in package.names]
        known = {one.id for one in await self._store.engineers()} | {me.id}
        segments = [
            replace(segment, session_id=session.id)
            for group in (package.segments, *(added.segments for added in additions))
            for segment in group
            if segment.engineer_id != me.id and not segment.is_open
        ]
        opened: list[Record] = []
        if not await self._store.happenings(session.id):
            flow = await self._assistant.flow(session.flow_id)
            text = walk.flow_text(flow) if flow is not None else ""
            opened = [Happening(new_id(), session.id, 0, now, HappeningKind.OPENED, None, text)]
        return (
            session,
            *(one for one in names if one.id not in known),
            *merged,
            *_latest(segments),
            *opened,
            briefing,
            *await self._engine.timekeeping.begun(session, me.id),
            row,
            self._audit(session, Verb.PICK_UP),
        )

    async def _arrived(self, row: Escalation, package: Parcel) -> Session:
        """Return the session as this technician's, whatever was known of it before."""
        now, there = self._clock.now(), package.session
        local = await self._store.session(row.session_id)
        waiting = replace(
            there,
            id=row.session_id,
            user_id=row.originator_id,
            handler_id=row.raised_by,
            status=SessionStatus.REQUESTING_ESCALATION,
            updated_at=now,
            paused_at=None,
            resolved_at=None,
            ticket_id=row.ticket_number,
            psa_context_status=ContextStatus.NONE,
        )
        connection = await self._engine.tickets.connection()
        if row.ticket_number and connection is not None:
            waiting = replace(
                waiting,
                connection_id=connection.id,
                psa_context_status=ContextStatus.UNAVAILABLE,
            )
        if local is not None:
            waiting = replace(
                waiting,
                intake=local.intake,
                connection_id=local.connection_id or waiting.connection_id,
                psa_context_status=local.psa_context_status,
            )
        if not waiting.flow_id:
            flow = await self._assistant.matched_flow(Case(waiting, (), None).problem_text)
            waiting = replace(waiting, flow_id=flow.id if flow is not None else "")
        session = moved(waiting, Verb.PICK_UP, self.me.id, now)
        return replace(
            session,
            hop_count=max(1, row.hop_count),
            escalation_id=row.id,
            escalation_reason=row.reason,
            escalated_to=row.assigned_to,
            fence=row.fence,
        )

    async def _catch_up(self, session_id: str) -> None:
        """Fetch the ticket anew, and let the fast model add what the package came without."""
        session = await self._session(session_id)
        if session.ticket_id and session.connection_id:
            with suppress(FlowPilotError):
                await self._engine.refresh_ticket(session_id)
        steps = await self._store.steps(session_id)
        card = next((step for step in reversed(steps) if isinstance(step.body, Briefing)), None)
        if card is None or not card.is_open:
            return
        assert isinstance(card.body, Briefing)
        if card.body.next_steps:
            return
        draft, spent = await self._asked(session_id, session.escalation_reason)
        async with self._engine.exclusive(session_id):
            latest = {step.id: step for step in await self._store.steps(session_id)}.get(card.id)
            records: list[Record] = [spent] if spent else []
            if draft is not None and latest is not None and latest.is_open:
                added = tuple(Hypothesis(text, 0.0) for text in draft.hypotheses)
                known = {item.text for item in card.body.hypotheses}
                body = replace(
                    card.body,
                    next_steps=draft.next_steps,
                    hypotheses=(
                        *card.body.hypotheses,
                        *(one for one in added if one.text not in known),
                    ),
                )
                records.append(replace(latest, body=body))
            if records:
                await self._store.save(*records)
        self._changed(session_id)

    # The fast model — inside

    async def _ask_for_briefing(self, operation_id: str, session_id: str, reason: str) -> None:
        """Ask once; whatever comes in before the escalation left goes with it."""
        try:
            draft, spent = await self._asked(session_id, reason)
        except Exception:
            await self._let_go(operation_id, None)
            raise
        if spent is not None:
            await self._store.save(spent)
        await self._let_go(operation_id, draft)

    async def _asked(
        self, session_id: str, reason: str
    ) -> tuple[BriefingDraft | None, UsageRecord | None]:
        session = await self._session(session_id)
        steps = await self._store.steps(session_id)
        case = await self._engine.case(session, steps)
        flow = await self._assistant.flow(session.flow_id)
        try:
            model = await self._access.model_about(session)
            record = self._assistant.record(case, flow)
            draft = await model.briefing(briefing_consultation(record, reason))
        except ModelError as error:
            self._access.failed(error)
            log.info("No briefing from the model: %s", type(error).__name__)
            return None, None
        return draft, self._access.usage_record(session_id, draft.model, draft.usage)

    async def _let_go(self, operation_id: str, draft: BriefingDraft | None) -> None:
        """Add the model's words to what has not left yet, and let it leave."""
        async with self._outbox.sending:
            for one in await self._store.queue_operations():
                if one.id == operation_id and not one.tries:
                    body = json.loads(one.body)
                    if draft is not None:
                        body["package"] = with_briefing(
                            body["package"], draft.hypotheses, draft.next_steps
                        )
                    text = json.dumps(body, ensure_ascii=False)
                    await self._store.save(replace(one, body=text, next_try_at=None))
        await self._outbox.run_due()

    # Small parts — inside

    async def _parcel(self, dossier: Dossier, reason: str) -> Parcel:
        session = dossier.session
        context = None
        if session.ticket_id:
            context = await self._engine.tickets.cached_context(
                session.connection_id, session.ticket_id
            )
        return parcel(
            dossier,
            context,
            reason=reason,
            hop=session.hop_count + 1,
            billed=billed_times(dossier),
        )

    def _handing_over(
        self, session: Session, package: dict[str, Any], reason: str, *, is_held: bool
    ) -> QueueOperation:
        redact = Redactor().redact
        body = {
            "summary": redact(session.problem_summary).text[:SUMMARY_LIMIT],
            "reason": redact(reason).text[:REASON_LIMIT],
            "ticket_number": session.ticket_id[:64],
            "step_count": len(package["steps"]),
            "assigned_to": session.escalated_to,
            "package": package,
        }
        if is_held:
            body["fence"] = session.fence
        return self._outbox.operation(
            OperationKind.RELEASE if is_held else OperationKind.ESCALATE,
            session.id,
            session.escalation_id,
            body,
            next_try_at=self._clock.now() + timedelta(seconds=BRIEFING_SECONDS),
        )

    async def _own_row(self, session: Session, steps: int) -> Escalation:
        """Return the request as this desktop knows it before the queue has confirmed it."""
        redact = Redactor().redact
        now = self._clock.now()
        before = await self._store.escalation(session.escalation_id)
        row = before or Escalation(
            session.escalation_id,
            session.id,
            EscalationState.OPEN,
            session.user_id,
            self.me.id,
            "",
            "",
            created_at=now,
            raised_at=now,
        )
        return replace(
            row,
            state=EscalationState.OPEN,
            raised_by=self.me.id,
            summary=redact(session.problem_summary).text[:SUMMARY_LIMIT],
            reason=redact(session.escalation_reason).text[:REASON_LIMIT],
            raised_at=now,
            assigned_to=session.escalated_to,
            handler_id="",
            lease_until=None,
            ticket_number=session.ticket_id,
            step_count=steps,
            hop_count=session.hop_count + 1,
        )

    async def _raising(self, session: Session) -> QueueOperation | None:
        """Return the operation that asked for the session's present pickup, if it is known."""
        every = await self._store.queue_operations(OperationState, session.id)
        kinds = (OperationKind.ESCALATE, OperationKind.RELEASE)
        mine = [
            one for one in every if one.escalation_id == session.escalation_id and one.kind in kinds
        ]
        return mine[-1] if mine else None

    async def _taken_back(self, session: Session, after: Session, raised: QueueOperation) -> None:
        """Move a session back whose request never reached the queue, and drop the request."""
        row = await self._store.escalation(session.escalation_id)
        records: list[Record] = []
        if raised.kind is OperationKind.ESCALATE:
            after = replace(after, escalation_id="", fence=0)
            if row is not None:
                await self._store.forget(row)
        elif row is not None:
            records.append(replace(row, state=EscalationState.CLAIMED, handler_id=self.me.id))
        if raised.state is OperationState.WAITING:
            records.append(self._outbox.dropped(raised, "Withdrawn before it left."))
        await self._store.save(
            after,
            *records,
            *await self._engine.timekeeping.begun(after, self.me.id),
            self._audit(after, Verb.WITHDRAW),
        )

    async def _session(self, session_id: str) -> Session:
        session = await self._store.session(session_id)
        if session is None:
            raise NotFound("This session is not on this computer.")
        return session

    async def _row(self, escalation_id: str) -> Escalation:
        row = await self._store.escalation(escalation_id)
        if row is None:
            raise NotFound("This escalation is not in the list any more.")
        return row

    async def _is_set_up(self) -> bool:
        try:
            return await self.link.is_set_up()
        except QueueNotOpen:
            return False

    def _reason(self, reason: str) -> str:
        if not reason.strip():
            raise InvalidInput("Say in a sentence why somebody else should look at it.")
        if len(reason) > REASON_LIMIT:
            raise InvalidInput(
                f"The reason has {len(reason):,} characters; {REASON_LIMIT:,} are the most."
            )
        return cleaned(reason, REASON_LIMIT).strip()

    def _audit(self, session: Session, verb: Verb) -> AuditEntry:
        return AuditEntry(new_id(), self._clock.now(), self.me.id, verb.value, session.id)

    def _changed(self, session_id: str) -> None:
        self.events.publish(SessionChanged(session_id))

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key in (SETTING, "queue.poll_seconds") and self._is_following:
            self._begin(self._anew() if event.key == SETTING else self._follow())

    async def _anew(self) -> None:
        """Begin with another invitation: what was known of the former team is forgotten."""
        await self._store.remember(_CURSOR, "")
        await self._store.remember(_TEAM, "")
        await self._follow()

    def wake(self) -> None:
        """Send what is due, in the background."""
        self._begin(self._outbox.run_due())

    def look_soon(self) -> None:
        """Read the queue, in the background."""
        self._begin(self.refresh())

    def operation(
        self, kind: OperationKind, session: Session, body: dict[str, Any]
    ) -> QueueOperation:
        """Return a new operation of a shared session, for the caller's transaction."""
        return self._outbox.operation(kind, session.id, session.escalation_id, body)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if self._is_closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, FlowPilotError):
            log.info("In the background: %s", type(error).__name__)
        elif error is not None:
            log.error("A background task of the hand-off failed", exc_info=error)


class _Share:
    """What the engine asks for in its commits: see ``SharedSessions``."""

    def __init__(self, escalations: Escalations) -> None:
        self._of = escalations

    def is_held(self, session: Session) -> bool:
        """Return whether this technician handles a session that was picked up."""
        me = self._of.me.id
        return bool(session.escalation_id) and session.fence > 0 and session.handler_id == me

    def told(
        self, session: Session, *steps: Step, set_aside: tuple[str, ...] = ()
    ) -> tuple[QueueOperation, ...]:
        """Return what tells the team of these steps."""
        if not self.is_held(session):
            return ()
        additions = [Addition(step=step) for step in steps]
        if set_aside:
            additions.append(Addition(set_aside=set_aside))
        return (self._appended(session, *additions),)

    def _appended(self, session: Session, *additions: Addition) -> QueueOperation:
        body = {"fence": session.fence, "steps": [sealed(one) for one in additions]}
        return self._of.operation(OperationKind.APPEND, session, body)

    async def still_held(self, session: Session) -> None:
        """Raise ClaimLost when somebody else has taken the session over meanwhile."""
        if not self.is_held(session):
            return
        try:
            async with asyncio.timeout(CLAIM_CHECK_SECONDS):
                queue = await self._of.link.queue()
                await queue.renew(session.escalation_id, session.fence)
        except ClaimLost:
            self._of.look_soon()
            raise
        except (TimeoutError, QueueError) as error:
            log.info("The claim could not be checked: %s", type(error).__name__)

    def ended(
        self,
        session: Session,
        outcome: str,
        segments: tuple[Segment, ...],
        items: tuple[PushItem, ...],
    ) -> tuple[QueueOperation, ...]:
        """Return what tells the team how it ended: the time worked first, then the outcome."""
        if not self.is_held(session):
            return ()
        me = session.handler_id
        own = tuple(s for s in _latest(segments) if s.engineer_id == me and not s.is_open)
        billed = tuple(
            BilledTime(me, item.payload.start, item.payload.end, item.created_at)
            for item in items
            if isinstance(item.payload, TimePayload)
        )
        text = Redactor().redact(outcome).text[:OUTCOME_LIMIT]
        body = {"fence": session.fence, "outcome": text}
        return (
            self._appended(session, Addition(segments=own, billed=billed)),
            self._of.operation(OperationKind.RESOLVE, session, body),
        )

    async def billed_elsewhere(self, session_id: str) -> tuple[Billed, ...]:
        """Return the time entries that other engineers made for the session."""
        return await self._of.billed_elsewhere(session_id)

    def wake(self) -> None:
        """Send what a commit has just made."""
        self._of.wake()


_HANDLERS = (OperationKind.APPEND, OperationKind.RELEASE, OperationKind.RESOLVE)
_DRAFTS = ("escalate.reason", "escalate.note")


def _only_log(title: str, _: str) -> None:
    log.info("%s", title)


def _never_left(raised: QueueOperation) -> bool:
    """Return whether the queue surely knows nothing of a request."""
    if raised.state is OperationState.WAITING:
        return raised.tries == 0
    return raised.state is OperationState.REFUSED


def _latest(segments: Any) -> tuple[Segment, ...]:
    """Return the last word on each segment."""
    return tuple({segment.id: segment for segment in segments}.values())


def _ended_row(row: Escalation, outcome: str, at: datetime) -> Escalation:
    return replace(row, state=EscalationState.CANCELLED, outcome=outcome, ended_at=at)


def _readable(contents: Any) -> tuple[Addition, ...]:
    """Return the additions that can be read; what a newer desktop wrote otherwise is left out."""
    found: list[Addition] = []
    for content in contents:
        with suppress(QueueRefused):
            found.append(opened_addition(content))
    return tuple(found)


def _merged(session_id: str, local: dict[str, Step], incoming: list[Step]) -> list[Step]:
    """Return the steps to save: an answered one never changes, a number is never taken twice."""
    merged: dict[str, Step] = {}
    numbers = {step.number: step.id for step in local.values()}
    for step in incoming:
        known = merged.get(step.id) or local.get(step.id)
        if known is not None and not known.is_open:
            continue
        number = known.number if known is not None else step.number
        if numbers.get(number, step.id) != step.id:
            number = max(numbers) + 1
        numbers[number] = step.id
        merged[step.id] = replace(step, session_id=session_id, number=number)
    return list(merged.values())


def _briefing(row: Escalation, hand_off: HandOff, steps: tuple[Step, ...]) -> Briefing:
    return Briefing(
        text=hand_off.problem or row.summary,
        escalated_by=hand_off.raised_by_name or "a teammate",
        reason=row.reason,
        steps=tried(steps),
        ruled_out=hand_off.ruled_out,
        hypotheses=hand_off.hypotheses,
        next_steps=hand_off.next_steps,
        environment=hand_off.environment,
        hop=max(1, row.hop_count),
    )


def _bare(row: Escalation) -> Parcel:
    """Return what is known of a session whose package can't be read."""
    now = datetime.now(UTC)
    session = Session(
        id=row.session_id,
        user_id=row.originator_id,
        handler_id=row.raised_by,
        status=SessionStatus.REQUESTING_ESCALATION,
        intake=Intake(text=row.summary),
        created_at=row.created_at,
        updated_at=now,
        problem_summary=row.summary,
    )
    hand_off = HandOff(row.summary, "", row.originator_id, "", "", row.reason, row.hop_count)
    return Parcel(session, hand_off)


def _passes(entry: QueueEntry, which: EscalationFilter, me: str) -> bool:
    match which:
        case EscalationFilter.MINE:
            return entry.escalation.assigned_to == me
        case EscalationFilter.UNASSIGNED:
            row = entry.escalation
            return row.state is EscalationState.OPEN and not row.assigned_to
        case EscalationFilter.ALL:
            return True


def _asks_me(entry: QueueEntry) -> bool:
    """Return whether a request waits for this technician, or for anybody."""
    row = entry.escalation
    is_open = row.state is EscalationState.OPEN
    return is_open and entry.can_pick_up and (entry.for_me or not row.assigned_to)

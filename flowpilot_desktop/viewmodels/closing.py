"""How a session leaves a technician's hands: the note and the time, before they go to the ticket.

Resolving and escalating are told apart by what else they ask (``resolve``, ``escalate``); the
documentation is the same. The preview follows what is typed. A note that the technician edited by
hand is theirs: it is no longer overwritten, until they ask for the written one again. Everything
typed is a draft on disk a quarter of a second after the key, whether or not the technician pauses;
so is what was chosen.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from PySide6.QtCore import QObject

from flowpilot_desktop.core.attachment import NOTE
from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import PushChanged
from flowpilot_desktop.core.push import NoteVisibility
from flowpilot_desktop.core.redaction import Masked, Redactor
from flowpilot_desktop.core.ticket import Reference, Ticket, TicketStatus
from flowpilot_desktop.core.timing import TimeEntryPlan
from flowpilot_desktop.services.documentation import (
    DocumentationChoices,
    DocumentationPreview,
    StatusChoice,
)
from flowpilot_desktop.services.engine import Closing, FlowPilotEngine, SessionView
from flowpilot_desktop.services.tickets import TimeChoice
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

PREVIEW_PAUSE = 0.25
DRAFT_DELAY = 0.25
"""Seconds from a key to its draft being saved; typing on does not put it off."""


class ClosingViewModel(ViewModel):
    """What both pages know and can do.

    ``name`` stands before the drafts' fields: ``name.note``, and ``name.choices`` for what was
    chosen rather than typed, as JSON.
    """

    name = ""

    def __init__(
        self, engine: FlowPilotEngine, parent: QObject | None = None, *, asks_status: bool = False
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self.asks_status = asks_status
        self.session_id = ""
        self.view: SessionView | None = None
        self.preview: DocumentationPreview | None = None
        self.closing: Closing | None = None
        self.error: FlowPilotError | None = None
        self.is_closing = False
        self._unsaved: dict[tuple[str, str], str] = {}
        self._forget_entries()
        self._listen(engine.events, PushChanged, self._push_changed)

    def _forget_entries(self) -> None:
        self.note = ""
        self.note_is_edited = False
        self.unsent: tuple[str, ...] = ()
        self.push: bool | None = None
        self.visibility: NoteVisibility | None = None
        self.minutes: int | None = None
        self.seen: Ticket | None = None
        self.statuses: tuple[TicketStatus, ...] = ()
        self.status: TicketStatus | None = None
        self.status_error: FlowPilotError | None = None
        self.span: tuple[datetime, datetime] | None = None
        self.masked: tuple[Masked, ...] = ()
        self.time_choice = TimeChoice()
        self.shows_more = False
        self.work_types: tuple[Reference, ...] = ()
        self.work_roles: tuple[Reference, ...] = ()
        self.options_error: FlowPilotError | None = None

    def open(self, session_id: str) -> None:
        """Show a session's end; what was typed for it before comes back."""
        self.flush_drafts()
        self.session_id = session_id
        self.view = self.preview = self.closing = self.error = None
        self._forget_entries()
        self.changed.emit()
        self.tasks.start("open", self._open(session_id))

    # What the technician does

    def set_note(self, text: str) -> None:
        """Take the note as edited by hand; from now on it is the technician's."""
        if text != self.note:
            self.note, self.note_is_edited = text, True
            self._keep(self._note_field, text)
            self.tasks.start("masked", self._look_for_secrets(text))
            self.changed.emit()

    def write_note_again(self) -> None:
        """Replace the edited note by the written one."""
        self.note_is_edited = False
        self._keep(self._note_field, "")
        self.tasks.start("preview", self._show_preview(pause=0))

    def set_minutes(self, minutes: int) -> None:
        """Set the time to bill; 0 means no time entry."""
        self.minutes = max(0, minutes)
        self._chosen()

    def set_span(self, start: datetime, end: datetime) -> None:
        """Set start and end of the time to bill, all of it billed."""
        self.error = None
        self.span = (start, end)
        self.minutes = max(0, round((end - start) / timedelta(minutes=1)))
        self._chosen()

    def show_more(self) -> None:
        """Open or close the row with work type, work role and billing."""
        self.shows_more = not self.shows_more
        if self.shows_more and not self.work_types:
            self.tasks.start("options", self._load_options())
        self.changed.emit()

    def choose_time(self, choice: TimeChoice) -> None:
        """Choose work type, work role and billing; the ticket's board remembers it."""
        self.time_choice = choice
        self._chosen()

    def set_push(self, push: bool) -> None:  # noqa: FBT001 - a check box's state
        """Choose whether anything goes to the ticket."""
        self.push = push
        self._chosen()

    def set_visibility(self, visibility: NoteVisibility) -> None:
        """Choose who can read the note."""
        self.visibility = visibility
        self._chosen()

    def choose_status(self, status: TicketStatus | None) -> None:
        """Choose the ticket's status, or None to leave it as it is."""
        self.status = status
        self.changed.emit()

    def flush_drafts(self) -> None:
        """Save what was typed now: the technician goes elsewhere."""
        if self._unsaved:
            self.tasks.start("drafts", self._save_drafts(0.0))

    async def aclose(self) -> None:
        """Save what was typed last, then end."""
        self.tasks.cancel("drafts")
        try:
            await self._save_drafts(0.0)
        finally:
            await super().aclose()

    # What the page shows

    @property
    def can_close(self) -> bool:
        """Whether the documentation is there and nothing has left yet."""
        ready = self.view is not None and self.preview is not None
        return ready and not self.is_closing and self.closing is None

    @property
    def has_ticket(self) -> bool:
        """Whether there is a ticket to write to."""
        return self.view is not None and bool(self.view.session.ticket_id)

    @property
    def will_push(self) -> bool:
        """Whether the documentation goes to the ticket."""
        if self.push is not None:
            return self.push and self.has_ticket
        return self.preview is not None and self.preview.will_push

    @property
    def planned_minutes(self) -> int:
        """The minutes that the time entries sum up to as planned."""
        plans = self.preview.time if self.preview else ()
        return round(sum((plan.rounded for plan in plans), timedelta()) / timedelta(minutes=1))

    @property
    def shown_minutes(self) -> int:
        """The minutes to bill as they stand: edited, else planned."""
        return self.planned_minutes if self.minutes is None else self.minutes

    @property
    def shown_span(self) -> tuple[datetime, datetime] | None:
        """Start and end of the time to bill as they stand, None without any."""
        edited = self._time()
        plans = edited if edited is not None else self.preview.time if self.preview else ()
        return (plans[0].start, plans[-1].end) if plans else None

    @property
    def ticket_warning(self) -> str:
        """What the ticket as it is now makes of this: merged, moved, or closed to time."""
        seen, context = self.seen, self.view.context if self.view else None
        if seen is None:
            return ""
        told = []
        if seen.merged_into:
            told.append(f"The ticket was merged into #{seen.merged_into}.")
        if context is not None and context.ticket.board.id not in (0, seen.board.id):
            told.append(
                f"The ticket moved from “{context.ticket.board.name}” to “{seen.board.name}”."
            )
        current = next((one for one in self.statuses if one.id == seen.status.id), None)
        if current is not None and not current.time_entry_allowed and self.shown_minutes:
            told.append(
                f"Its status “{current.name}” takes no time entries: ConnectWise will refuse the "
                "time. Choose no time entry, or change the status in ConnectWise first."
            )
        return " ".join(told)

    @property
    def worked(self) -> timedelta:
        """The unbilled time that was worked, before rounding."""
        return (
            sum((plan.worked for plan in self.preview.time), timedelta())
            if self.preview
            else (timedelta())
        )

    @property
    def status_warning(self) -> str:
        """What to know about the chosen status before it hurts."""
        if self.status is not None and not self.status.time_entry_allowed and self.shown_minutes:
            return (
                f"“{self.status.name}” does not accept time entries. "
                "The time is entered first, then the status changes."
            )
        return ""

    @property
    def push_words(self) -> str:
        """Where the documentation stands, in the words of the page."""
        if self.closing is None or not self.has_ticket or self.view is None:
            return ""
        number = self.view.session.ticket_id
        return {
            "sent": f"Documentation pushed to ticket #{number}",
            "pending": f"Documentation for ticket #{number} is queued, will sync shortly",
            "pending_retry": f"Documentation for ticket #{number} is queued, will sync shortly",
            "failed": f"Documentation did not reach ticket #{number}: {self.view.push_error}",
        }.get(self.view.push_status.value, "")

    # Inside

    def _edited(self, where: str, text: str) -> None:
        self.error = None
        self._keep(where, text)
        self.tasks.start("preview", self._show_preview(PREVIEW_PAUSE))
        self.changed.emit()

    def _chosen(self) -> None:
        span = self.span
        facts = {
            "push": self.push,
            "visibility": self.visibility.value if self.visibility is not None else None,
            "minutes": self.minutes,
            "span": [end.isoformat() for end in span] if span is not None else None,
            "type": [self.time_choice.work_type.id, self.time_choice.work_type.name],
            "role": [self.time_choice.work_role.id, self.time_choice.work_role.name],
            "billable": self.time_choice.billable,
        }
        self._keep(self._choices_field, json.dumps(facts))
        self.changed.emit()

    def _restore_choices(self, kept: str) -> bool:
        """Take up what was chosen before; return whether there was anything to be read."""
        try:
            facts = json.loads(kept)
            push, minutes, span = facts["push"], facts["minutes"], facts["span"]
            visibility = facts["visibility"]
            choice = TimeChoice(
                Reference(int(facts["type"][0]), str(facts["type"][1])),
                Reference(int(facts["role"][0]), str(facts["role"][1])),
                str(facts["billable"]),
            )
            self.visibility = NoteVisibility(visibility) if visibility is not None else None
            self.span = _span(*span) if span is not None else None
            self.minutes = int(minutes) if minutes is not None else None
            self.push = bool(push) if push is not None else None
            self.time_choice = choice
        except (ValueError, KeyError, TypeError, IndexError):
            return False
        return True

    def _keep(self, where: str, text: str) -> None:
        if self.session_id and self.closing is None:
            self._unsaved[self.session_id, where] = text
            if not self.is_closing:  # a late draft must not outlive the session
                self.tasks.start_unless_running("drafts", self._save_drafts(DRAFT_DELAY))

    async def _save_drafts(self, delay: float) -> None:
        await asyncio.sleep(delay)
        while self._unsaved:
            key, text = next(iter(self._unsaved.items()))
            await self._engine.save_draft(*key, text)
            if self._unsaved.get(key) == text:
                del self._unsaved[key]

    @property
    def _note_field(self) -> str:
        return f"{self.name}.note"

    @property
    def _choices_field(self) -> str:
        return f"{self.name}.choices"

    async def _open(self, session_id: str) -> None:
        try:
            view = await self._engine.session(session_id)
            drafts = await self._engine.drafts(session_id)
            await self._prepare()
        except FlowPilotError as error:
            self.error = error
            self.changed.emit()
            return
        drafts |= {where: text for (one, where), text in self._unsaved.items() if one == session_id}
        self.view = view
        self._restore(view, drafts)
        cards = (NOTE, *(step.id for step in view.steps if step.is_open))
        self.unsent = tuple(text for one in cards if (text := drafts.get(one, "").strip()))
        if drafts.get(self._note_field):
            self.note, self.note_is_edited = drafts[self._note_field], True
        has_choices = self._restore_choices(drafts.get(self._choices_field, ""))
        await self._show_preview(pause=0)
        if self.has_ticket:
            self.tasks.start("statuses", self._load_statuses())
            if not has_choices:
                await self._recall_time_choice()

    async def _prepare(self) -> None:
        """Learn what the page needs beside the session."""

    @abstractmethod
    def _restore(self, view: SessionView, drafts: Mapping[str, str]) -> None:
        """Take up what was typed before."""

    @abstractmethod
    async def _previewed(self) -> DocumentationPreview:
        """Return what would leave now."""

    @abstractmethod
    async def _closed(self) -> Closing:
        """Do it."""

    def _announce(self) -> None:
        """Tell that it was done."""

    async def _show_preview(self, pause: float = PREVIEW_PAUSE) -> None:
        if pause:
            await asyncio.sleep(pause)
        try:
            shown = await self._previewed()
        except FlowPilotError as error:
            self.error = error
        else:
            self.preview = shown
            if not self.note_is_edited:
                self.note, self.masked = shown.note, shown.masked
            elif pause == 0:
                self.tasks.start("masked", self._look_for_secrets(self.note))
        self.changed.emit()

    async def _look_for_secrets(self, text: str) -> None:
        """Find what will be masked in a note that was edited by hand."""
        await asyncio.sleep(PREVIEW_PAUSE)
        redacted = await asyncio.to_thread(Redactor().redact, text)
        self.masked = redacted.masked
        self.changed.emit()

    @property
    def _board_id(self) -> int:
        if self.seen is not None:
            return self.seen.board.id
        context = self.view.context if self.view else None
        return context.ticket.board.id if context else 0

    async def _recall_time_choice(self) -> None:
        assert self.view is not None
        connection_id = self.view.session.connection_id
        self.time_choice = await self._engine.tickets.time_choice(connection_id, self._board_id)
        self.changed.emit()

    async def _load_options(self) -> None:
        assert self.view is not None
        self.options_error = None
        try:
            self.work_types, self.work_roles = await self._engine.tickets.time_options(
                self.view.session.connection_id
            )
        except FlowPilotError as error:
            self.options_error = error
        self.changed.emit()

    async def _load_statuses(self) -> None:
        assert self.view is not None
        session = self.view.session
        try:
            self.seen, self.statuses = await self._engine.tickets.statuses(
                session.connection_id, session.ticket_id
            )
        except FlowPilotError as error:
            self.status_error = error
        self.changed.emit()

    def _push_changed(self, event: PushChanged) -> None:
        if self.closing is not None and event.session_id == self.session_id:
            self.tasks.start("pushed", self._show_push())

    async def _show_push(self) -> None:
        self.view = await self._engine.session(self.session_id)
        self.changed.emit()

    async def _close(self) -> None:
        self.is_closing, self.error = True, None
        self.changed.emit()
        self.tasks.cancel("drafts")
        session_id = self.session_id
        try:
            self.closing = await self._closed()
            for key in [key for key in self._unsaved if key[0] == session_id]:
                del self._unsaved[key]
            self.view = await self._engine.session(self.session_id)
            if self.has_ticket:
                await self._engine.tickets.remember_time_choice(
                    self.view.session.connection_id, self._board_id, self.time_choice
                )
            self._announce()
        except FlowPilotError as error:
            self.error = error
        finally:
            self.is_closing = False
            if self._unsaved:
                self.tasks.start_unless_running("drafts", self._save_drafts(DRAFT_DELAY))
            self.changed.emit()

    def _choices(self) -> DocumentationChoices:
        status = None
        if self.status is not None and self.seen is not None:
            status = StatusChoice(self.status, self.seen)
        return DocumentationChoices(
            note=self.note if self.note_is_edited else None,
            time=self._time(),
            visibility=self.visibility,
            status=status,
            push=self.push,
            work_type=self.time_choice.work_type,
            work_role=self.time_choice.work_role,
            billable=self.time_choice.billable,
        )

    def _time(self) -> tuple[TimeEntryPlan, ...] | None:
        """Return the planned entries with the edited minutes, or None for the plan as it is."""
        if self.minutes is None or self.preview is None:
            return None
        if self.span is None and self.minutes == self.planned_minutes:
            return None
        if (not self.minutes and self.span is None) or not self.preview.time:
            return ()
        first = self.preview.time[0]
        if self.span is not None:
            first = replace(first, start=self.span[0], end=self.span[1])
            if first.end <= first.start:
                return (first,)  # refused with the reason when it is to be written
            if not self.minutes:
                return ()
        wanted = timedelta(minutes=self.minutes)
        span = first.end - first.start
        if wanted <= span:
            return (replace(first, rounded=wanted, deducted=span - wanted),)
        return (replace(first, start=first.end - wanted, rounded=wanted, deducted=timedelta()),)


def _span(start: str, end: str) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(start), datetime.fromisoformat(end)

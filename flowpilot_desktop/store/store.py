"""The local store: SQLite behind one door.

``Store`` is what everybody else sees: frozen dataclasses in and out, every method a coroutine.
Behind it one thread has the one connection; a call is a small function that runs there. Checks and
copies of the whole file run beside it (``copying``). Writes are shielded: cancelling an await never
undoes or skips a write. What is acknowledged is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, case, delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError

from flowpilot_desktop.core.attachment import Attachment, Kept
from flowpilot_desktop.core.errors import StoreError
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationState,
    OperationState,
    QueueOperation,
)
from flowpilot_desktop.core.happening import Happening
from flowpilot_desktop.core.history import (
    AuditEntry,
    Narrowing,
    SessionFilter,
    SessionListing,
    SimilarSession,
    TicketListing,
)
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.push import PushItem, PushKind, PushState
from flowpilot_desktop.core.session import Draft, Engineer, Session, Step, Usage
from flowpilot_desktop.core.ticket import MemberMapping, PsaConnection, Ticket, TicketContext
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.core.usage import DailyUsage, SessionUsage, UsageRecord, UsageTotal
from flowpilot_desktop.store import tables as t
from flowpilot_desktop.store.connection import trigger_refused
from flowpilot_desktop.store.history import (
    clients,
    listings,
    similar,
    similar_tickets,
    ticket_listings,
)
from flowpilot_desktop.store.opening import Opened, OpenReport, open_profile

log = logging.getLogger(__name__)
T = TypeVar("T")


class Store:
    """One profile's store. ``report`` tells how opening went, ``folder`` where it lies."""

    def __init__(self, worker: ThreadPoolExecutor, opened: Opened, clock: Clock) -> None:
        self._worker = worker
        self._opened = opened
        self._clock = clock
        self._closing: asyncio.Future[None] | None = None
        self.report: OpenReport = opened.report
        self.folder = opened.folder

    @classmethod
    async def open(cls, folder: Path, clock: Clock) -> Store:
        """Open the profile's store, making, migrating or restoring it where needed.

        Raises ProfileInUse, StoreTooNew, StoreFull, StoreError.
        """
        worker = ThreadPoolExecutor(1, thread_name_prefix="flowpilot-store")
        opening = worker.submit(open_profile, folder, clock)
        try:
            opened = await _undisturbed(opening)
        except BaseException:
            # Nobody will have the store: whatever comes of the opening is closed again.
            opening.add_done_callback(_close_unwanted)
            worker.shutdown(wait=False)
            raise
        return cls(worker, opened, clock)

    async def aclose(self) -> None:
        """Write the WAL back, note the clean end and let go of the profile; twice is fine."""
        if self._closing is None:
            self._closing = asyncio.wrap_future(self._worker.submit(self._opened.close))
            self._worker.shutdown(wait=False)
        await asyncio.shield(self._closing)

    async def integrity_faults(self) -> tuple[str, ...]:
        """Return what a check of every page finds wrong; nothing for a sound store."""
        self._check_open()
        return await asyncio.to_thread(self._opened.copying.faults)

    # Writing

    async def save(self, *records: t.Record, clear_drafts: Iterable[tuple[str, str]] = ()) -> None:
        """Add or replace records in one transaction, and drop the drafts that they answer.

        ``clear_drafts`` holds (session id, field). Raises StepRefused for a change to an answered
        step, StoreFull, StoreError; then nothing of it is stored.
        """
        cleared = tuple(clear_drafts)
        await self._write(lambda connection: _save(connection, records, cleared))

    async def forget(self, *records: t.Record) -> None:
        """Delete records by their keys, in one transaction; absent ones are fine.

        Raises StepRefused for an answered step, or a session that has one.
        """

        def forget(connection: Connection) -> None:
            for record in records:
                shelf = t.SHELVES[type(record)]
                row = shelf.row(record)
                key = [shelf.table.c[name] == row[name] for name in shelf.key]
                connection.execute(delete(shelf.table).where(*key))

        await self._write(forget)

    async def remember(self, key: str, value: str) -> None:
        """Keep a small piece of this profile's state."""
        statement = insert(t.remembered).values(key=key, value=value)
        statement = statement.on_conflict_do_update(
            index_elements=["key"], set_={"value": statement.excluded.value}
        )
        await self._write(lambda connection: connection.execute(statement))

    # Sessions

    async def session(self, session_id: str) -> Session | None:
        """Return a session, or None."""
        return await self._one(Session, t.sessions.c.id == session_id)

    async def steps(self, session_id: str) -> tuple[Step, ...]:
        """Return a session's steps in their order."""
        return await self._all(Step, t.steps.c.session_id == session_id, order=[t.steps.c.number])

    async def segments(self, session_id: str) -> tuple[Segment, ...]:
        """Return a session's stretches of work in the order of their starts."""
        table = t.segments
        return await self._all(
            Segment, table.c.session_id == session_id, order=[table.c.started_at, table.c.id]
        )

    async def open_segments(self) -> tuple[Segment, ...]:
        """Return every stretch of work that has not ended."""
        table = t.segments
        return await self._all(
            Segment, table.c.ended_at.is_(None), order=[table.c.started_at, table.c.id]
        )

    async def draft(self, session_id: str, field: str) -> Draft | None:
        """Return text typed but not sent, or None."""
        table = t.drafts
        return await self._one(Draft, table.c.session_id == session_id, table.c.field == field)

    async def drafts(self, session_id: str) -> tuple[Draft, ...]:
        """Return all text of a session that was typed but not sent."""
        table = t.drafts
        return await self._all(Draft, table.c.session_id == session_id, order=[table.c.field])

    async def sessions(
        self,
        which: SessionFilter = SessionFilter.ALL,
        search: str = "",
        limit: int = 50,
        offset: int = 0,
        narrowing: Narrowing = Narrowing(),  # noqa: B008 - frozen
    ) -> tuple[SessionListing, ...]:
        """Return sessions that pass the filter and contain every word, newest first.

        The last word counts as a beginning.
        """

        def ask(connection: Connection) -> tuple[SessionListing, ...]:
            return listings(connection, which, search, narrowing, limit=limit, offset=offset)

        is_asked = bool(search.strip() or narrowing)
        return await (self._search(ask) if is_asked else self._read(ask))

    async def tickets_matching(
        self,
        search: str,
        narrowing: Narrowing = Narrowing(),  # noqa: B008 - frozen
        limit: int = 20,
    ) -> tuple[TicketListing, ...]:
        """Return cached tickets that contain every word, the latest first."""
        return await self._search(
            lambda connection: ticket_listings(connection, search, narrowing, limit)
        )

    async def clients(self) -> tuple[str, ...]:
        """Return the companies that sessions and cached tickets are about, by name."""
        return await self._read(clients)

    async def similar_sessions(
        self, text: str, limit: int = 5, company: str = ""
    ) -> tuple[SimilarSession, ...]:
        """Return sessions solved before that read like the text, the likest first.

        Among equals, those of the same company come first.
        """
        return await self._search(lambda connection: similar(connection, text, limit, company))

    async def similar_tickets(
        self, text: str, limit: int = 3, company: str = ""
    ) -> tuple[TicketListing, ...]:
        """Return cached tickets with a solution that read like the text, the likest first."""
        return await self._search(
            lambda connection: similar_tickets(connection, text, limit, company)
        )

    async def attachment(self, attachment_id: str) -> Attachment | None:
        """Return an attachment with its content, or None."""
        return await self._one(Attachment, t.attachments.c.id == attachment_id)

    async def attachments(self, session_id: str) -> tuple[Attachment, ...]:
        """Return a session's attachments with their content, the oldest first."""
        table = t.attachments
        return await self._all(
            Attachment, table.c.session_id == session_id, order=[table.c.created_at, table.c.id]
        )

    async def kept(self, session_id: str) -> tuple[Kept, ...]:
        """Return a session's attachments without their content, the oldest first."""
        table = t.attachments
        statement = (
            select(
                *(table.c[name] for name in ("id", "session_id", "step_id", "name", "media_type")),
                func.length(table.c.content),
                table.c.created_at,
            )
            .where(table.c.session_id == session_id)
            .order_by(table.c.created_at, table.c.id)
        )
        return await self._read(lambda connection: tuple(map(_kept, connection.execute(statement))))

    # What happened between the steps, and the hand-off

    async def happenings(self, session_id: str) -> tuple[Happening, ...]:
        """Return what happened between a session's steps, in order."""
        table = t.happenings
        return await self._all(
            Happening, table.c.session_id == session_id, order=[table.c.after, table.c.at]
        )

    async def escalations(self, *, live_only: bool = False) -> tuple[Escalation, ...]:
        """Return the team's requests as last seen, the newest first."""
        table = t.escalations
        live = (EscalationState.OPEN, EscalationState.CLAIMED)
        conditions = (table.c.state.in_(live),) if live_only else ()
        return await self._all(Escalation, *conditions, order=[table.c.raised_at.desc()])

    async def escalation(self, escalation_id: str) -> Escalation | None:
        """Return one request as last seen, or None."""
        return await self._one(Escalation, t.escalations.c.id == escalation_id)

    async def queue_operations(
        self, states: Iterable[OperationState] = (OperationState.WAITING,), session_id: str = ""
    ) -> tuple[QueueOperation, ...]:
        """Return what is to be told to the queue in those states, in the order it was meant."""
        table = t.queue_operations
        conditions = [
            table.c.state.in_(tuple(states)),
            *([table.c.session_id == session_id] if session_id else []),
        ]
        return await self._all(QueueOperation, *conditions, order=[table.c.number, table.c.id])

    # Documentation on its way to the ticket

    async def push_items(self, session_id: str) -> tuple[PushItem, ...]:
        """Return a session's items in the order of sending."""
        return await self._all(
            PushItem, t.push_items.c.session_id == session_id, order=_SENDING_ORDER
        )

    async def push_items_in(self, states: Iterable[PushState]) -> tuple[PushItem, ...]:
        """Return every item in one of the states, in the order of sending."""
        return await self._all(
            PushItem, t.push_items.c.state.in_(tuple(states)), order=_SENDING_ORDER
        )

    async def due_push_items(self, now: datetime) -> tuple[PushItem, ...]:
        """Return what waits to be sent or looked for, and whose time has come."""
        table = t.push_items
        return await self._all(
            PushItem,
            table.c.state.in_((PushState.PENDING, PushState.UNCLEAR)),
            or_(table.c.next_try_at.is_(None), table.c.next_try_at <= now),
            order=_SENDING_ORDER,
        )

    async def push_history(self, limit: int = 100, offset: int = 0) -> tuple[PushItem, ...]:
        """Return what was ever to be sent, the newest first."""
        table = t.push_items
        return await self._all(
            PushItem,
            order=[table.c.created_at.desc(), table.c.id],
            limit=limit,
            offset=offset,
        )

    # The ticketing system

    async def ticket_context(self, connection_id: str, ticket_id: str) -> TicketContext | None:
        """Return what was last pulled for a ticket, or None."""
        table = t.ticket_contexts
        return await self._one(
            TicketContext,
            table.c.connection_id == connection_id,
            table.c.ticket_id == ticket_id,
        )

    async def recent_tickets(
        self, connection_id: str, limit: int = 50
    ) -> tuple[tuple[Ticket, datetime], ...]:
        """Return tickets from the cache with when they were fetched, the latest first."""
        table = t.ticket_contexts
        return await self._tickets(table.c.connection_id == connection_id, limit=limit)

    async def search_cached_tickets(
        self, text: str, limit: int = 50
    ) -> tuple[tuple[Ticket, datetime], ...]:
        """Return cached tickets whose number, summary, company or contact has every word."""
        table = t.ticket_contexts
        words = text[:_LONGEST_SEARCH].casefold().removeprefix("#").split()[:_MOST_WORDS]
        return await self._tickets(
            *(table.c.search_text.contains(word, autoescape=True) for word in words), limit=limit
        )

    async def connections(self) -> tuple[PsaConnection, ...]:
        """Return the connections to ticketing systems."""
        return await self._all(PsaConnection, order=[t.psa_connections.c.id])

    async def mapping(self, connection_id: str, engineer_id: str) -> MemberMapping | None:
        """Return who an engineer is in the ticketing system, or None."""
        table = t.member_mappings
        return await self._one(
            MemberMapping,
            table.c.connection_id == connection_id,
            table.c.engineer_id == engineer_id,
        )

    async def mappings(self, connection_id: str) -> tuple[MemberMapping, ...]:
        """Return who every engineer is in one ticketing system."""
        table = t.member_mappings
        return await self._all(MemberMapping, table.c.connection_id == connection_id)

    async def engineers(self) -> tuple[Engineer, ...]:
        """Return every engineer that this profile has heard of, by name."""
        return await self._all(Engineer, order=[t.engineers.c.name, t.engineers.c.id])

    # Money, trail, small state

    async def usage(
        self,
        *,
        session_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> UsageTotal:
        """Return what the model cost: of a session, of a time (``until`` excluded), or in all."""
        table = t.usage_records
        conditions = [
            *([table.c.session_id == session_id] if session_id is not None else ()),
            *([table.c.at >= since] if since is not None else ()),
            *([table.c.at < until] if until is not None else ()),
        ]
        statement = select(
            *(func.coalesce(func.sum(table.c[name]), 0) for name in _COUNTED),
            func.count(),
        ).where(*conditions)

        def total(connection: Connection) -> UsageTotal:
            row = connection.execute(statement).one()
            return UsageTotal(Usage(*row[:4]), row[4], row[5])

        return await self._read(total)

    async def daily_usage(
        self, since: datetime, until: datetime, zone: tzinfo
    ) -> tuple[DailyUsage, ...]:
        """Return what the model cost on each day that has calls, days as the zone has them."""
        table = t.usage_records
        records = await self._all(
            UsageRecord, table.c.at >= since, table.c.at < until, order=[table.c.at]
        )
        days: dict[date, UsageTotal] = {}
        for record in records:
            day = record.at.astimezone(zone).date()
            total = days.get(day, UsageTotal())
            days[day] = UsageTotal(
                total.usage + record.usage, total.cost_micros + record.cost_micros, total.calls + 1
            )
        return tuple(DailyUsage(day, total) for day, total in days.items())

    async def usage_by_session(self, since: datetime, limit: int = 8) -> tuple[SessionUsage, ...]:
        """Return what the model cost by session since then, the dearest first."""
        table = t.usage_records
        cost = func.sum(table.c.cost_micros)
        statement = (
            select(
                table.c.session_id,
                func.coalesce(t.sessions.c.problem_summary, ""),
                *(func.sum(table.c[name]) for name in _COUNTED),
                func.count(),
            )
            .select_from(table.outerjoin(t.sessions, t.sessions.c.id == table.c.session_id))
            .where(table.c.at >= since)
            .group_by(table.c.session_id)
            .order_by(cost.desc(), table.c.session_id)
            .limit(max(0, limit))
        )
        return await self._read(
            lambda connection: tuple(
                SessionUsage(row[0], row[1], UsageTotal(Usage(*row[2:6]), row[6], row[7]))
                for row in connection.execute(statement)
            )
        )

    async def audit_entries(
        self, session_id: str | None = None, limit: int = 200, offset: int = 0
    ) -> tuple[AuditEntry, ...]:
        """Return who did what, the newest first: of a session, or of all."""
        table = t.audit_entries
        conditions = [table.c.session_id == session_id] if session_id is not None else []
        return await self._all(
            AuditEntry,
            *conditions,
            order=[table.c.at.desc(), table.c.id],
            limit=limit,
            offset=offset,
        )

    async def remembered(self, key: str) -> str | None:
        """Return a small piece of this profile's state, or None."""
        statement = select(t.remembered.c.value).where(t.remembered.c.key == key)
        return await self._read(lambda connection: connection.execute(statement).scalar())

    # The thread

    async def _one(self, noun: type[T], *conditions: ColumnElement[bool]) -> T | None:
        found = await self._all(noun, *conditions, limit=1)
        return found[0] if found else None

    async def _all(
        self,
        noun: type[T],
        *conditions: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[T, ...]:
        shelf = t.SHELVES[noun]
        statement = select(*shelf.columns).where(*conditions).order_by(*order)
        if limit is not None:
            statement = statement.limit(max(0, limit)).offset(max(0, offset))
        return await self._read(
            lambda connection: tuple(map(shelf.record, connection.execute(statement)))
        )

    async def _tickets(
        self, *conditions: ColumnElement[bool], limit: int
    ) -> tuple[tuple[Ticket, datetime], ...]:
        table = t.ticket_contexts
        statement = (
            select(table.c.ticket, table.c.fetched_at)
            .where(*conditions)
            .order_by(table.c.fetched_at.desc(), table.c.ticket_id)
            .limit(max(0, limit))
        )
        return await self._read(
            lambda connection: tuple((row[0], row[1]) for row in connection.execute(statement))
        )

    async def _read(self, ask: Callable[[Connection], T]) -> T:
        return await self._run(lambda: self._opened.read(ask))

    async def _search(self, ask: Callable[[Connection], T]) -> T:
        return await self._run(lambda: self._opened.search(ask))

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._submit(call))

    async def _write(self, change: Callable[[Connection], object]) -> None:
        await _undisturbed(self._submit(lambda: self._opened.write(change)))
        if self._opened.needs_care() and self._closing is None:
            self._submit(self._opened.care)

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        self._check_open()
        return self._worker.submit(call)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise StoreError("The local store is closed.", hint="Everything saved so far is safe.")


def _kept(row: Any) -> Kept:
    return Kept(*row)


_LONGEST_SEARCH = 1_000
_MOST_WORDS = 16
_COUNTED = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cost_micros",
)
_SENDING_ORDER: tuple[ColumnElement[Any], ...] = (
    t.push_items.c.created_at,
    case({kind.value: place for place, kind in enumerate(PushKind)}, value=t.push_items.c.kind),
    t.push_items.c.part,
    t.push_items.c.id,
)


async def _undisturbed(future: Future[T]) -> T:
    """Wait for a call; when the waiting is cancelled, the call goes on."""
    call = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        call.add_done_callback(_log_failure)
        raise


def _log_failure(call: asyncio.Future[T]) -> None:
    error = None if call.cancelled() else call.exception()
    if error is not None:
        log.warning("A change that nobody waited for any more failed: %s", error)


def _close_unwanted(opening: Future[Opened]) -> None:
    """Close a store whose opening ended after the one who waited for it had gone."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _save(
    connection: Connection, records: Sequence[t.Record], cleared: Sequence[tuple[str, str]]
) -> None:
    for noun, shelf in t.SHELVES.items():
        of_noun = [record for record in records if type(record) is noun]
        if of_noun:
            try:
                _upsert(connection, shelf, of_noun)
            except IntegrityError as error:
                if noun is not Step or not trigger_refused(error):
                    raise
                _upsert(connection, shelf, _without_final(connection, of_noun, error))
    for session_id, field in cleared:
        table = t.drafts
        connection.execute(
            delete(table).where(table.c.session_id == session_id, table.c.field == field)
        )


def _upsert(connection: Connection, shelf: t.Shelf, records: Sequence[Any]) -> None:
    rows = [shelf.row(record) for record in records]
    if rows:
        connection.execute(shelf.upsert, rows if len(rows) > 1 else rows[0])


def _without_final(
    connection: Connection, records: Sequence[Any], refusal: IntegrityError
) -> list[Step]:
    """Drop steps that are stored just so already, though an older version wrote them otherwise."""
    shelf = t.SHELVES[Step]
    ids = [step.id for step in records]
    rows = connection.execute(select(*shelf.columns).where(t.steps.c.id.in_(ids)))
    stored = {step.id: step for step in map(shelf.record, rows)}
    changed = [step for step in records if stored.get(step.id) != step]
    if len(changed) == len(records):
        raise refusal
    return changed

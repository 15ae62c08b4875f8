"""One ticket and everything that belongs to it.

A ticket is in one of two tables, service and project; which one is found out by asking. Its
description is its first discussion note, its configurations are bare references, and what solved
its relatives stands in their resolution notes. So a context takes as long as its longest chain of
dependent requests: the ticket; then company, contact, site, notes, configurations and the company's
other tickets side by side; then those tickets' resolutions and configurations. A part that fails is
named, the others stand.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Coroutine, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from flowpilot_desktop.core.errors import (
    PsaError,
    PsaForbidden,
    PsaNotFound,
    PsaRefused,
    PsaUnreachable,
)
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    RecordKind,
    RelatedTicket,
    Site,
    Ticket,
    TicketContext,
    TicketNote,
)
from flowpilot_desktop.psa.connectwise import conditions, reading
from flowpilot_desktop.psa.connectwise.paging import PAGE_SIZE, Page, all_rows
from flowpilot_desktop.psa.connectwise.reading import Record
from flowpilot_desktop.psa.connectwise.wire import Wire

RELATED_LIMIT = 7
"""Related tickets; with their configurations and resolutions they go out in one wave."""

SAME_DEVICE = "Same configuration"

_RELATED_LOOKED_AT = 50
_PART_SECONDS = 25.0
_NOTES_PAGE = 250
_NOTES_PAGES = 4
_IDS_AT_A_TIME = 100  # what an address has room for
_TICKET_ID = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_NEVER = datetime.min.replace(tzinfo=UTC)

log = logging.getLogger(__name__)

_T = TypeVar("_T")


def is_ticket_id(text: str) -> bool:
    """Tell whether a text can be a ticket's number; nothing else may get into an address."""
    return _TICKET_ID.fullmatch(text) is not None


def checked_id(ticket_id: str) -> str:
    """Return a ticket's number; raises PsaNotFound for what can't be one."""
    if not is_ticket_id(ticket_id):
        raise PsaNotFound(f"“{ticket_id[:40]}” is no ticket number of ConnectWise.", status=404)
    return ticket_id


class TicketReader:
    """Reads tickets of one site, remembering which table each is in."""

    def __init__(self, wire: Wire, clock: Clock, connection_id: str) -> None:
        self._wire = wire
        self._clock = clock
        self._connection_id = connection_id
        self._kinds: dict[str, RecordKind] = {}

    def url(self, ticket_id: str) -> str:
        """Return the address that opens a ticket in a browser, empty for what is no number."""
        return self._wire.site.ticket(ticket_id) if is_ticket_id(ticket_id) else ""

    def read(self, record: Record, kind: RecordKind, description: str = "") -> Ticket:
        """Return a record as a ticket."""
        ticket_id = str(reading.number(record.get("id")))
        return reading.ticket(record, kind, self.url(ticket_id), description)

    async def ticket(self, ticket_id: str) -> Ticket:
        """Return one ticket's own fields as they are now; its description is in a note."""
        record, kind = await self._record(ticket_id)
        try:
            description = _description(_as_notes(await self._discussion(kind, ticket_id)))
        except PsaError as error:
            log.info("A ticket's description could not be read: %s", type(error).__name__)
            description = ""
        return self.read(record, kind, description)

    async def context(self, ticket_id: str) -> TicketContext:
        """Return all that belongs to a ticket; parts that fail are named in ``missing``."""
        record, kind = await self._record(ticket_id)
        ticket = self.read(record, kind)
        missing: list[str] = []
        references = asyncio.ensure_future(self._configuration_references(ticket))

        async def part(name: str, work: Coroutine[Any, Any, _T], nothing: _T) -> _T:
            try:
                async with asyncio.timeout(_PART_SECONDS):
                    return await work
            except (PsaError, TimeoutError) as error:
                log.warning("A ticket's %s could not be read: %s", name, type(error).__name__)
                missing.append(name)
                return nothing

        try:
            async with asyncio.TaskGroup() as group:
                company = group.create_task(part("company", self._company(ticket), Company()))
                contact = group.create_task(
                    part("contact", self._contact(ticket), _contact(ticket))
                )
                site = group.create_task(part("site", self._site(ticket), _site(ticket)))
                notes = group.create_task(part("notes", self._notes(ticket), ()))
                devices = group.create_task(
                    part("configurations", self._configurations(references), None)
                )
                related = group.create_task(
                    part("related tickets", self._related(ticket, references), ())
                )
        finally:
            references.cancel()
            await asyncio.gather(references, return_exceptions=True)
        described = replace(ticket, description=_description(notes.result()))
        if len(notes.result()) >= _NOTES_PAGE * _NOTES_PAGES:
            missing.append("older notes")
        return TicketContext(
            connection_id=self._connection_id,
            ticket=described,
            fetched_at=self._clock.now(),
            company=company.result(),
            contact=contact.result(),
            site=site.result(),
            configurations=devices.result() or _bare(references),
            notes=notes.result(),
            related=related.result(),
            missing=tuple(sorted(missing)),
        )

    # One ticket

    async def _record(self, ticket_id: str) -> tuple[Record, RecordKind]:
        """Return a ticket as ConnectWise has it; a project ticket is looked for elsewhere."""
        checked_id(ticket_id)
        kinds = [RecordKind.SERVICE, RecordKind.PROJECT]
        if self._kinds.get(ticket_id) is RecordKind.PROJECT:
            kinds.reverse()  # it may have become the other meanwhile
        for kind in kinds:
            try:
                record = await self._wire.record(f"{kind}/tickets/{ticket_id}")
            except PsaNotFound:
                if kind is kinds[-1]:
                    raise
                continue
            except PsaForbidden:
                if kind is RecordKind.PROJECT and kind is kinds[-1]:
                    break  # without a right to projects it may as well not exist
                raise
            if str(reading.number(record.get("id"))) != ticket_id:
                raise PsaUnreachable("ConnectWise answered with something else than the ticket.")
            self._kinds[ticket_id] = kind
            return record, kind
        raise PsaNotFound(
            f"ConnectWise has no ticket #{ticket_id} that these keys may see.",
            status=404,
            hint="If it is a project ticket, the API member's role needs "
            "“Project → Project Tickets: Inquire”.",
        )

    async def project_record(self, ticket_id: str) -> Record | None:
        """Return a project ticket, None without one that these keys may see: no list has them."""
        try:
            return await self._wire.record(f"{RecordKind.PROJECT}/tickets/{checked_id(ticket_id)}")
        except PsaError:
            return None

    async def _discussion(self, kind: RecordKind, ticket_id: str) -> list[Record]:
        """Return the first notes of a ticket's discussion, its description among them."""
        params = {"conditions": "detailDescriptionFlag = True", "orderBy": "id asc"}
        return Page.of(await self._wire.read(f"{kind}/tickets/{ticket_id}/notes", params)).rows

    async def _company(self, ticket: Ticket) -> Company:
        if not ticket.company.id:
            return Company(name=ticket.company.name)
        record = await self._wire.record(f"company/companies/{ticket.company.id}")
        return reading.company(record)

    async def _contact(self, ticket: Ticket) -> Contact:
        if not ticket.contact.id:
            return _contact(ticket)
        record = await self._wire.record(f"company/contacts/{ticket.contact.id}")
        contact = reading.contact(record)
        return replace(
            contact,
            name=contact.name or ticket.contact.name,
            phone=contact.phone or ticket.contact_phone,
            email=contact.email or ticket.contact_email,
        )

    async def _site(self, ticket: Ticket) -> Site:
        if not (ticket.site.id and ticket.company.id):
            return _site(ticket)
        answer = await self._wire.read(
            f"company/companies/{ticket.company.id}/sites",
            {"conditions": f"id = {ticket.site.id}", "pageSize": str(PAGE_SIZE)},
        )
        for record in Page.of(answer).rows:
            if reading.number(record.get("id")) == ticket.site.id:
                return reading.site(record)
        return _site(ticket)

    async def _notes(self, ticket: Ticket) -> tuple[TicketNote, ...]:
        """Return the notes with those of time entries and child tickets, oldest first.

        Of more than can be read, these are the newest, and the ticket's description.
        """
        start = f"{ticket.kind}/tickets/{ticket.id}"
        try:
            found = await self._pages_of_notes(f"{start}/allNotes")
        except PsaRefused as error:
            if error.status not in (400, 403, 404, 405):
                raise
            found = await self._pages_of_notes(f"{start}/notes")
        if len(found) >= _NOTES_PAGE * _NOTES_PAGES:
            known = {row.get("id") for row in found if row.get("noteType") != "TimeEntryNote"}
            found += [
                row
                for row in await self._discussion(ticket.kind, ticket.id)
                if row.get("id") not in known
            ]
        return _as_notes(found)

    async def _pages_of_notes(self, path: str) -> list[Record]:
        newest_first = {"orderBy": "id desc"}
        return await all_rows(
            self._wire, path, newest_first, page_size=_NOTES_PAGE, page_limit=_NOTES_PAGES
        )

    async def _configuration_references(self, ticket: Ticket) -> list[Record]:
        return await all_rows(self._wire, f"{ticket.kind}/tickets/{ticket.id}/configurations", {})

    async def _configurations(
        self, references: asyncio.Future[list[Record]]
    ) -> tuple[Configuration, ...]:
        """Return the devices of a ticket, which itself holds bare references only."""
        await _shared(references)
        bare = {device.id: device for device in _bare(references)}
        if not bare:
            return ()
        idents = list(bare)
        answers = await all_of(
            self._wire.read(
                "company/configurations",
                {
                    "conditions": conditions.one_of("id", idents[start : start + _IDS_AT_A_TIME]),
                    "pageSize": str(_IDS_AT_A_TIME),
                },
            )
            for start in range(0, len(idents), _IDS_AT_A_TIME)
        )
        rows = [row for answer in answers for row in Page.of(answer).rows]
        full = {c.id: c for c in map(reading.configuration, rows)}
        return tuple(full.get(ident, device) for ident, device in bare.items())

    async def _related(
        self, ticket: Ticket, references: asyncio.Future[list[Record]]
    ) -> tuple[RelatedTicket, ...]:
        """Return other tickets of the company, those with the same configuration first."""
        if not ticket.company.id:
            return ()
        answer = await self._wire.find(
            "service/tickets",
            {
                "conditions": f"company/id = {ticket.company.id} and id != {ticket.id}",
                "orderBy": "id desc",
                "pageSize": str(_RELATED_LOOKED_AT),
            },
        )
        others = [self.read(record, RecordKind.SERVICE) for record in Page.of(answer).rows]
        others = [
            other
            for other in others
            if other.company.id == ticket.company.id and other.id != ticket.id
        ]
        others.sort(key=lambda other: (_likeness(ticket, other), int(other.id)), reverse=True)
        others = others[:RELATED_LIMIT]
        own = await _idents(_shared(references))
        async with asyncio.TaskGroup() as group:
            shared = group.create_task(
                all_of(_idents(self._configuration_references(other)) for other in others if own)
            )
            solved = group.create_task(all_of(self._resolution_of(other) for other in others))
        related = [
            RelatedTicket(
                id=other.id,
                summary=other.summary,
                status=other.status.name,
                closed=other.is_closed,
                created_at=other.created_at,
                resolution=solved.result()[number],
                why_related=(
                    SAME_DEVICE if own and own & shared.result()[number] else "Same company"
                ),
            )
            for number, other in enumerate(others)
        ]
        related.sort(key=lambda item: item.why_related == SAME_DEVICE, reverse=True)
        return tuple(related)

    async def _resolution_of(self, ticket: Ticket) -> str:
        if not ticket.is_closed:
            return ""
        try:
            answer = await self._wire.read(
                f"service/tickets/{ticket.id}/notes",
                {"conditions": "resolutionFlag = True", "pageSize": str(PAGE_SIZE)},
            )
            found = Page.of(answer).rows
        except PsaError:
            return ""
        notes = [note for note in _as_notes(found) if note.is_resolution]
        return notes[-1].text if notes else ""


async def all_of(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Run coroutines side by side; the first failure cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in work]
    except* PsaError as failures:
        raise _first(failures) from None
    return [task.result() for task in tasks]


def _first(failures: BaseExceptionGroup[PsaError]) -> PsaError:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, PsaError)
    return found


def _bare(references: asyncio.Future[list[Record]]) -> tuple[Configuration, ...]:
    """Return as much of a ticket's configurations as the ticket itself says: their names."""
    if not references.done() or references.cancelled() or references.exception():
        return ()
    return tuple(c for c in map(reading.configuration, references.result()) if c.id)


async def _idents(work: Awaitable[list[Record]]) -> set[int]:
    """Return the numbers of configurations, none if they can't be had: they only rank tickets."""
    try:
        return {reading.number(record.get("id")) for record in await work} - {0}
    except PsaError:
        return set()


async def _shared(work: asyncio.Future[_T]) -> _T:
    """Wait for something that others wait for too: giving up here leaves it to them."""
    return await asyncio.shield(work)


def _as_notes(found: list[Record]) -> tuple[TicketNote, ...]:
    """Return notes with a text, oldest first; the first of the discussion is the description."""
    notes = []
    for record in found:
        note = reading.note(record)
        if note.text:
            notes.append((reading.flag(record.get("detailDescriptionFlag")), note))
    notes.sort(key=lambda item: (item[1].created_at or _NEVER, item[1].id))
    described = False
    marked = []
    for is_discussion, note in notes:
        is_description = is_discussion and not described
        described = described or is_description
        marked.append(replace(note, is_description=is_description))
    return tuple(marked)


def _description(notes: tuple[TicketNote, ...]) -> str:
    return next((note.text for note in notes if note.is_description), "")


def _contact(ticket: Ticket) -> Contact:
    """Return what the ticket itself says about its contact."""
    return Contact(
        ticket.contact.id,
        ticket.contact.name,
        phone=ticket.contact_phone,
        email=ticket.contact_email,
    )


def _site(ticket: Ticket) -> Site:
    return Site(ticket.site.id, ticket.site.name)


def _likeness(ticket: Ticket, other: Ticket) -> int:
    """Return how much another ticket looks like this one: shared words, type, solved."""
    own, others = (
        set(re.findall(r"\w{4,}", summary.casefold()))
        for summary in (ticket.summary, other.summary)
    )
    return 2 * len(own & others) + (other.type == ticket.type) + other.is_closed

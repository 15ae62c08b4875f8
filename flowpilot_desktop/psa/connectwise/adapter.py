"""A `Psa` that is ConnectWise.

What leaves is exact: a note names all three of its flags and asks for no notification, a time entry
names its member, all add-to and all e-mail flags, and carries UTC times in whole seconds; anything
left out would fall back to a board's defaults, and those have put internal words into e-mails to
clients. Nothing that changes something is repeated here: `services` owns that.

A ticket's context takes as long as its longest chain of dependent requests: the ticket; then
company, contact, site, notes, configurations and the company's other tickets side by side; then
those tickets' resolutions and configurations. A part that fails is named, the others stand.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx

from flowpilot_desktop.core.errors import (
    PsaError,
    PsaForbidden,
    PsaNotFound,
    PsaRefused,
    PsaUnclear,
    PsaUnreachable,
)
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushKind,
    RemoteRecord,
    StatusPayload,
    TimePayload,
)
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    Member,
    PermissionCheck,
    PsaConnection,
    PsaSelfTest,
    RecordKind,
    Reference,
    RelatedTicket,
    Site,
    Ticket,
    TicketContext,
    TicketNote,
    TicketPage,
    TicketQuery,
    TicketScope,
    TicketStatus,
)
from flowpilot_desktop.psa.connectwise import conditions, reading
from flowpilot_desktop.psa.connectwise.permissions import role_row
from flowpilot_desktop.psa.connectwise.reading import Record
from flowpilot_desktop.psa.connectwise.wire import Wire
from flowpilot_desktop.psa.matching import is_found
from flowpilot_desktop.psa.registry import PsaKeys

RELATED_LIMIT = 7
"""Related tickets; with their configurations and resolutions they go out in one wave."""

_RELATED_LOOKED_AT = 50
_PART_SECONDS = 25.0
_NOTES_PAGE = 250
_NOTES_PAGES = 4
_RECORDS_PAGE = 250
_RECORDS_PAGES = 40
_LIST_PAGE = 200
_LIST_PAGES = 10
_MANY = 1_000
_NOWHERE = 2**31 - 1  # a ticket id that no site has reached
_TICKET_ID = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_NEVER = datetime.min.replace(tzinfo=UTC)
_CHARGE_TYPES = {RecordKind.SERVICE: "ServiceTicket", RecordKind.PROJECT: "ProjectTicket"}

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class ConnectWisePsa:
    """A `Psa` over ConnectWise's REST interface. Keys stay in memory."""

    def __init__(
        self,
        connection: PsaConnection,
        keys: PsaKeys,
        clock: Clock,
        *,
        api_version: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._wire = Wire(
            connection, keys, clock, api_version=api_version, transport=transport, sleep=sleep
        )
        self._kinds: dict[str, RecordKind] = {}
        self._me: Member | None = None

    # Who

    async def self_test(self) -> PsaSelfTest:
        """Return what these keys may do, endpoint by endpoint, naming each missing right.

        The rights to change something are tried on a ticket that does not exist, so that nothing
        can be stored.
        """
        member = await self.me()
        nowhere = f"service/tickets/{_NOWHERE}"
        tries: list[tuple[str, str, str, Any]] = [
            ("Read tickets", "GET", "service/tickets", None),
            ("Read project tickets", "GET", f"project/tickets/{_NOWHERE}", None),
            ("Read companies", "GET", "company/companies", None),
            ("Read contacts", "GET", "company/contacts", None),
            ("Read configurations", "GET", "company/configurations", None),
            ("Read boards and statuses", "GET", "service/boards", None),
            ("Read work types", "GET", "time/workTypes", None),
            ("Read work roles", "GET", "time/workRoles", None),
            ("Read members", "GET", "system/members", None),
            ("Read time entries", "GET", "time/entries", None),
            ("Add notes", "POST", f"{nowhere}/notes", {"text": ""}),
            ("Add time entries", "POST", "time/entries/defaults", {"chargeToId": _NOWHERE}),
            ("Change status", "PATCH", nowhere, []),
        ]
        answers = await _all_of(
            self._wire.probe(method, path, body, **({"pageSize": "1"} if method == "GET" else {}))
            for _, method, path, body in tries
        )
        checks = []
        for (what, method, path, _), answer in zip(tries, answers, strict=True):
            passed = answer.status not in (
                httpx.codes.FORBIDDEN,
                httpx.codes.UNAUTHORIZED,
            )
            checks.append(PermissionCheck(what, passed, "" if passed else role_row(method, path)))
        return PsaSelfTest(
            member=member,
            server=self._wire.site.host,
            version=self._wire.version,
            clock_skew_seconds=self._wire.clock_skew,
            checks=tuple(checks),
        )

    async def me(self) -> Member:
        """Return the member that the keys belong to; this proves the keys."""
        record = await self._wire.read("system/myMembers/info")
        if not isinstance(record, dict) or not reading.text(record.get("identifier")):
            raise PsaUnreachable("ConnectWise did not say whom the keys belong to.")
        self._me = reading.member(record)
        return self._me

    async def members(self, text: str = "") -> tuple[Member, ...]:
        """Return active members whose name, identifier or e-mail contains the text."""
        params = {"conditions": "inactiveFlag = False", "orderBy": "identifier asc"}
        try:
            found = await self._list("system/members", params)
        except PsaForbidden:
            # Names and identifiers alone need no right to maintain members.
            found = await self._list("system/info/members", params)
        wanted = text.casefold().strip()
        members = (
            reading.member(record)
            for record in found
            if not reading.flag(record.get("inactiveFlag"))
        )
        return tuple(
            member
            for member in members
            if wanted in f"{member.name}\n{member.identifier}\n{member.email}".casefold()
        )

    # Tickets

    async def search(self, query: TicketQuery) -> TicketPage:
        """Return one page of tickets, newest first; the server's filter is not trusted.

        Whose tickets ``MINE`` means is the query's member, else the member of the keys.
        """
        mine = query.member_identifier
        if query.scope is TicketScope.MINE and not mine:
            mine = (self._me or await self.me()).identifier
        size = min(max(query.page_size, 1), _MANY)
        params = {
            "orderBy": "id desc",
            "page": str(max(query.page, 1)),
            "pageSize": str(size),
        }
        if filters := conditions.for_query(query, mine):
            params["conditions"] = filters
        rows = reading.records(await self._wire.find("service/tickets", params))
        tickets = []
        for record in rows:
            if query.scope is TicketScope.MINE and not _is_assigned(record, mine):
                continue
            ticket = self._read_ticket(record, RecordKind.SERVICE)
            if is_found(ticket, query):
                tickets.append(ticket)
        tickets.sort(key=lambda ticket: int(ticket.id), reverse=True)
        return TicketPage(tuple(tickets), has_more=len(rows) >= size)

    async def ticket(self, ticket_id: str) -> Ticket:
        """Return one ticket's own fields as they are now; its description is in a note."""
        record, kind = await self._record(ticket_id)
        path = f"{kind}/tickets/{ticket_id}/notes"
        try:
            params = {"conditions": "detailDescriptionFlag = True", "orderBy": "id asc"}
            notes = reading.records(await self._wire.read(path, params))
        except PsaError as error:
            log.info("A ticket's description could not be read: %s", type(error).__name__)
            notes = []
        return self._read_ticket(record, kind, _description(_as_notes(notes)))

    async def context(self, ticket_id: str) -> TicketContext:
        """Return all that belongs to a ticket; parts that fail are named in ``missing``."""
        record, kind = await self._record(ticket_id)
        ticket = self._read_ticket(record, kind)
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
                    part("configurations", self._configurations(references), ())
                )
                related = group.create_task(
                    part("related tickets", self._related(ticket, references), ())
                )
        finally:
            references.cancel()
            await asyncio.gather(references, return_exceptions=True)
        described = replace(ticket, description=_description(notes.result()))
        return TicketContext(
            connection_id=self._connection.id,
            ticket=described,
            fetched_at=self._clock.now(),
            company=company.result(),
            contact=contact.result(),
            site=site.result(),
            configurations=devices.result(),
            notes=notes.result(),
            related=related.result(),
            missing=tuple(sorted(missing)),
        )

    def ticket_url(self, ticket_id: str) -> str:
        """Return the address that opens the ticket in a browser."""
        return self._wire.site.ticket(ticket_id) if _TICKET_ID.fullmatch(ticket_id) else ""

    # Lists to choose from

    async def statuses(self, board_id: int) -> tuple[TicketStatus, ...]:
        """Return the active statuses of a board in their order."""
        found = await self._list(f"service/boards/{int(board_id)}/statuses", {"orderBy": "id asc"})
        active = (
            reading.status(record)
            for record in found
            if not reading.flag(record.get("inactive")) and reading.number(record.get("id"))
        )
        return tuple(sorted(active, key=lambda status: (status.sort_order, status.name)))

    async def work_types(self) -> tuple[Reference, ...]:
        """Return the active work types."""
        return await self._active("time/workTypes")

    async def work_roles(self) -> tuple[Reference, ...]:
        """Return the active work roles."""
        return await self._active("time/workRoles")

    # What goes back to the ticket

    async def highest_record(self, ticket_id: str, kind: PushKind, record_kind: RecordKind) -> int:
        """Return the highest id of a note or time entry on the ticket, 0 without any.

        Too low a number is harmless (more is looked through later), so one page is enough.
        """
        path, filters = _records_of(ticket_id, kind, record_kind)
        params = {"orderBy": "id desc", "pageSize": "50", **_conditions(filters)}
        found = reading.records(await self._wire.read(path, params))
        own = (record for record in found if _belongs(record, ticket_id, kind))
        return max((reading.number(record.get("id")) for record in own), default=0)

    async def records_above(
        self, ticket_id: str, kind: PushKind, record_kind: RecordKind, watermark: int
    ) -> tuple[RemoteRecord, ...]:
        """Return the ticket's notes or time entries with an id above the watermark, all of them.

        Raises PsaUnreachable rather than return a part: an answer decides whether to post again.
        """
        path, filters = _records_of(ticket_id, kind, record_kind)
        params = _conditions([*filters, f"id > {watermark}"])
        read = reading.remote_note if kind is PushKind.NOTE else reading.remote_time
        found: dict[int, RemoteRecord] = {}
        after = 0
        for _ in range(_RECORDS_PAGES):
            page = reading.records(
                await self._wire.read(
                    path,
                    {**params, "pageSize": str(_RECORDS_PAGE), "pageId": str(after)},
                    pagination_type="forward-only",
                )
            )
            for record in page:
                if _belongs(record, ticket_id, kind) and reading.number(record.get("id")):
                    found[reading.number(record.get("id"))] = read(record)
            last = max((reading.number(record.get("id")) for record in page), default=0)
            if len(page) < _RECORDS_PAGE or last <= after:
                above = (record for ident, record in found.items() if ident > watermark)
                return tuple(sorted(above, key=lambda record: record.id))
            after = last
        raise PsaUnreachable("The ticket has more records than could be looked through.")

    async def add_note(self, ticket_id: str, record_kind: RecordKind, note: NotePayload) -> int:
        """Add a note and return its id. Once only: no retry inside.

        An internal note never becomes part of the discussion, and nobody is notified by one.
        """
        body: Record = {
            "text": note.text.text,
            "internalAnalysisFlag": True,
            "detailDescriptionFlag": note.visibility is NoteVisibility.INTERNAL_AND_EXTERNAL,
            "resolutionFlag": False,
            "processNotifications": False,
        }
        if note.member_identifier:
            body["member"] = {"identifier": note.member_identifier}
        path = f"{record_kind}/tickets/{_checked(ticket_id)}/notes"
        return _new_id(await self._wire.write("POST", path, body))

    async def add_time(self, ticket_id: str, record_kind: RecordKind, time: TimePayload) -> int:
        """Add a time entry and return its id. Once only: no retry inside."""
        if not time.member_identifier:
            raise PsaRefused(
                "A time entry needs a ConnectWise member.",
                hint="Map your CW account in Settings → Integrations.",
            )
        body: Record = {
            "chargeToType": _CHARGE_TYPES[record_kind],
            "chargeToId": int(_checked(ticket_id)),
            "member": {"identifier": time.member_identifier},
            "timeStart": _wire_time(time.start),
            "timeEnd": _wire_time(time.end),
            "hoursDeduct": time.hours_deduct,
            "actualHours": time.actual_hours,
            "notes": time.notes.text,
            "internalNotes": time.internal_notes.text,
            "addToDetailDescriptionFlag": False,
            "addToInternalAnalysisFlag": False,
            "addToResolutionFlag": False,
            "emailContactFlag": False,
            "emailResourceFlag": False,
            "emailCcFlag": False,
        }
        if time.billable:
            body["billableOption"] = time.billable
        if time.work_type.id:
            body["workType"] = {"id": time.work_type.id}
        if time.work_role.id:
            body["workRole"] = {"id": time.work_role.id}
        return _new_id(await self._wire.write("POST", "time/entries", body))

    async def change_status(
        self, ticket_id: str, record_kind: RecordKind, status: StatusPayload
    ) -> Reference:
        """Set the status and return the one that the server then reports.

        ConnectWise can ignore a change and say 200: the caller compares.
        """
        operation = {"op": "replace", "path": "status", "value": {"id": status.status.id}}
        path = f"{record_kind}/tickets/{_checked(ticket_id)}"
        answer = await self._wire.write("PATCH", path, [operation])
        reported = reading.reference(reading.part(answer, "status"))
        if not reported.id:
            raise PsaUnclear("ConnectWise did not say which status the ticket has now.")
        return reported

    async def aclose(self) -> None:
        """Close connections."""
        await self._wire.aclose()

    # One ticket

    async def _record(self, ticket_id: str) -> tuple[Record, RecordKind]:
        """Return a ticket as ConnectWise has it; a project ticket is looked for elsewhere."""
        _checked(ticket_id)
        known = self._kinds.get(ticket_id)
        kinds = (known,) if known else (RecordKind.SERVICE, RecordKind.PROJECT)
        for kind in kinds:
            try:
                record = await self._wire.read(f"{kind}/tickets/{ticket_id}")
            except PsaNotFound:
                if kind is kinds[-1]:
                    raise
                continue
            except PsaForbidden:
                if kind is RecordKind.PROJECT and known is None:
                    break  # without a right to projects it may as well not exist
                raise
            if str(reading.number(reading.part(record, "id"))) != ticket_id:
                raise PsaUnreachable("ConnectWise answered with something else than the ticket.")
            self._kinds[ticket_id] = kind
            return record, kind
        raise PsaNotFound(
            f"ConnectWise has no ticket #{ticket_id} that these keys may see.",
            status=404,
            hint="If it is a project ticket, the API member's role needs "
            "“Project → Project Tickets: Inquire”.",
        )

    def _read_ticket(self, record: Record, kind: RecordKind, description: str = "") -> Ticket:
        ticket_id = str(reading.number(record.get("id")))
        return reading.ticket(record, kind, self.ticket_url(ticket_id), description)

    async def _company(self, ticket: Ticket) -> Company:
        if not ticket.company.id:
            return Company(name=ticket.company.name)
        record = await self._wire.read(f"company/companies/{ticket.company.id}")
        return reading.company(record if isinstance(record, dict) else {})

    async def _contact(self, ticket: Ticket) -> Contact:
        if not ticket.contact.id:
            return _contact(ticket)
        record = await self._wire.read(f"company/contacts/{ticket.contact.id}")
        contact = reading.contact(record if isinstance(record, dict) else {})
        return replace(
            contact,
            name=contact.name or ticket.contact.name,
            phone=contact.phone or ticket.contact_phone,
            email=contact.email or ticket.contact_email,
        )

    async def _site(self, ticket: Ticket) -> Site:
        if not (ticket.site.id and ticket.company.id):
            return _site(ticket)
        found = await self._wire.read(
            f"company/companies/{ticket.company.id}/sites",
            {"conditions": f"id = {ticket.site.id}", "pageSize": str(_LIST_PAGE)},
        )
        for record in reading.records(found):
            if reading.number(record.get("id")) == ticket.site.id:
                return reading.site(record)
        return _site(ticket)

    async def _notes(self, ticket: Ticket) -> tuple[TicketNote, ...]:
        """Return the notes with those of time entries and child tickets, oldest first."""
        start = f"{ticket.kind}/tickets/{ticket.id}"
        pages = {"page_size": _NOTES_PAGE, "page_limit": _NOTES_PAGES}
        try:
            found = await self._list(f"{start}/allNotes", {}, **pages)
        except PsaRefused as error:
            if error.status not in (400, 403, 404, 405):
                raise
            found = await self._list(f"{start}/notes", {}, **pages)
        return _as_notes(found)

    async def _configuration_references(self, ticket: Ticket) -> list[Record]:
        found = await self._wire.read(
            f"{ticket.kind}/tickets/{ticket.id}/configurations", {"pageSize": str(_LIST_PAGE)}
        )
        return reading.records(found)

    async def _configurations(
        self, references: asyncio.Future[list[Record]]
    ) -> tuple[Configuration, ...]:
        """Return the devices of a ticket, which itself holds bare references only."""
        known = await _shared(references)
        bare = {c.id: c for c in map(reading.configuration, known) if c.id}
        if not bare:
            return ()
        found = await self._wire.read(
            "company/configurations",
            {"conditions": conditions.one_of("id", bare), "pageSize": str(_MANY)},
        )
        full = {c.id: c for c in map(reading.configuration, reading.records(found))}
        return tuple(full.get(ident, device) for ident, device in bare.items())

    async def _related(
        self, ticket: Ticket, references: asyncio.Future[list[Record]]
    ) -> tuple[RelatedTicket, ...]:
        """Return other tickets of the company, those with the same configuration first."""
        if not ticket.company.id:
            return ()
        found = await self._wire.find(
            "service/tickets",
            {
                "conditions": f"company/id = {ticket.company.id} and id != {ticket.id}",
                "orderBy": "id desc",
                "pageSize": str(_RELATED_LOOKED_AT),
            },
        )
        others = [
            self._read_ticket(record, RecordKind.SERVICE) for record in reading.records(found)
        ]
        others = [
            other
            for other in others
            if other.company.id == ticket.company.id and other.id != ticket.id
        ]
        others.sort(key=lambda other: (_likeness(ticket, other), int(other.id)), reverse=True)
        others = others[:RELATED_LIMIT]
        own = {reading.number(record.get("id")) for record in await _shared(references)} - {0}
        devices = _all_of(self._devices_of(other) for other in others if own)
        resolutions = _all_of(self._resolution_of(other) for other in others)
        shared, solved = await _all_of((devices, resolutions))
        related = [
            RelatedTicket(
                id=other.id,
                summary=other.summary,
                status=other.status.name,
                closed=other.is_closed,
                created_at=other.created_at,
                resolution=solved[number],
                why_related=(
                    "Same configuration" if own and own & shared[number] else "Same company"
                ),
            )
            for number, other in enumerate(others)
        ]
        related.sort(key=lambda item: item.why_related == "Same configuration", reverse=True)
        return tuple(related)

    async def _devices_of(self, ticket: Ticket) -> set[int]:
        try:
            found = await self._configuration_references(ticket)
        except PsaError:
            return set()  # a nicety: the ticket is still of the same company
        return {reading.number(record.get("id")) for record in found} - {0}

    async def _resolution_of(self, ticket: Ticket) -> str:
        if not ticket.is_closed:
            return ""
        try:
            found = await self._wire.read(
                f"service/tickets/{ticket.id}/notes",
                {"conditions": "resolutionFlag = True", "pageSize": str(_LIST_PAGE)},
            )
        except PsaError:
            return ""
        notes = [note for note in _as_notes(reading.records(found)) if note.is_resolution]
        return notes[-1].text if notes else ""

    # Lists

    async def _active(self, path: str) -> tuple[Reference, ...]:
        found = await self._list(path, {"conditions": "inactiveFlag = False", "orderBy": "id asc"})
        return tuple(
            reading.reference(record)
            for record in found
            if not reading.flag(record.get("inactiveFlag")) and reading.number(record.get("id"))
        )

    async def _list(
        self,
        path: str,
        params: dict[str, str],
        page_size: int = _LIST_PAGE,
        page_limit: int = _LIST_PAGES,
    ) -> list[Record]:
        """Return all records of a list, as far as the page limit; ends at a short or known page."""
        found: dict[Any, Record] = {}
        for page in range(1, page_limit + 1):
            rows = reading.records(
                await self._wire.read(
                    path, {**params, "page": str(page), "pageSize": str(page_size)}
                )
            )
            known = len(found)
            for row in rows:
                found.setdefault((row.get("noteType"), reading.number(row.get("id"))), row)
            if len(rows) < page_size or len(found) == known:
                break
        return list(found.values())


async def _all_of(work: Any) -> list[Any]:
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


async def _shared(work: asyncio.Future[_T]) -> _T:
    """Wait for something that others wait for too: giving up here leaves it to them."""
    return await asyncio.shield(work)


def _checked(ticket_id: str) -> str:
    if not _TICKET_ID.fullmatch(ticket_id):
        raise PsaNotFound(f"“{ticket_id[:40]}” is no ticket number of ConnectWise.", status=404)
    return ticket_id


def _wire_time(moment: datetime) -> str:
    """Return a time as ConnectWise takes it: UTC, whole seconds, Z."""
    if moment.utcoffset() is None:
        raise ValueError("A time entry's times are aware datetimes.")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_id(answer: Any) -> int:
    ident = reading.number(reading.part(answer, "id"))
    if ident <= 0:
        raise PsaUnclear("ConnectWise did not say which record it made.")
    return ident


def _conditions(filters: list[str]) -> dict[str, str]:
    return {"conditions": " and ".join(filters)} if filters else {}


def _records_of(ticket_id: str, kind: PushKind, record_kind: RecordKind) -> tuple[str, list[str]]:
    """Return where a ticket's own notes or time entries are, and what narrows them down."""
    _checked(ticket_id)
    if kind is PushKind.NOTE:
        return f"{record_kind}/tickets/{ticket_id}/notes", []
    return "time/entries", [
        f'chargeToType = "{_CHARGE_TYPES[record_kind]}"',
        f"chargeToId = {ticket_id}",
    ]


def _belongs(record: Record, ticket_id: str, kind: PushKind) -> bool:
    """Tell whether a record is of this ticket; a note's address says so already."""
    if kind is PushKind.NOTE:
        return True
    charged = reading.number(record.get("chargeToId")) or reading.number(
        reading.part(record.get("ticket"), "id")
    )
    return str(charged) == ticket_id


def _is_assigned(record: Record, identifier: str) -> bool:
    """Tell whether a member owns a ticket or is one of its resources."""
    owner = reading.text(reading.part(record.get("owner"), "identifier"))
    resources = reading.text(record.get("resources")).split(",")
    return identifier.casefold() in {name.strip().casefold() for name in (owner, *resources)}


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

"""A `Psa` that is ConnectWise.

What leaves is exact: a note names all three of its flags and asks for no notification, a time entry
names its member, all add-to and all e-mail flags, and carries UTC times in whole seconds; anything
left out would fall back to a board's defaults, and those have put internal words into e-mails to
clients. Nothing that changes something is repeated here: `services` owns that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from flowpilot_desktop.core.errors import (
    PsaForbidden,
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
    Member,
    PermissionCheck,
    PsaConnection,
    PsaSelfTest,
    RecordKind,
    Reference,
    Ticket,
    TicketContext,
    TicketPage,
    TicketQuery,
    TicketScope,
    TicketStatus,
)
from flowpilot_desktop.psa.connectwise import conditions, reading
from flowpilot_desktop.psa.connectwise.paging import Page, all_rows, rows_above
from flowpilot_desktop.psa.connectwise.permissions import role_row
from flowpilot_desktop.psa.connectwise.reading import Record
from flowpilot_desktop.psa.connectwise.tickets import TicketReader, all_of, checked_id, is_ticket_id
from flowpilot_desktop.psa.connectwise.wire import Wire
from flowpilot_desktop.psa.matching import is_found
from flowpilot_desktop.psa.registry import PsaKeys

_MANY = 1_000
_NOWHERE = 2**31 - 1  # a ticket id that no site has reached
_CHARGE_TYPES = {RecordKind.SERVICE: "ServiceTicket", RecordKind.PROJECT: "ProjectTicket"}


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
        self._wire = Wire(
            connection, keys, clock, api_version=api_version, transport=transport, sleep=sleep
        )
        self._tickets = TicketReader(self._wire, clock, connection.id)
        self._me: Member | None = None

    # Who

    async def self_test(self) -> PsaSelfTest:
        """Return what these keys may do, endpoint by endpoint, naming each missing right.

        The rights to change something are tried on a ticket that does not exist, so that nothing
        can be stored.
        """
        member = await self.me()
        nowhere, project = (f"{kind}/tickets/{_NOWHERE}" for kind in _CHARGE_TYPES)
        tries: list[tuple[str, str, str, Any]] = [
            ("Read tickets", "GET", "service/tickets", None),
            ("Read project tickets", "GET", project, None),
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
            ("Add notes to project tickets", "POST", f"{project}/notes", {"text": ""}),
            ("Change status of project tickets", "PATCH", project, []),
        ]
        answers = await all_of(
            self._wire.probe(method, path, body, **({"pageSize": "1"} if method == "GET" else {}))
            for _, method, path, body in tries
        )
        checks = []
        for (what, method, path, _), answer in zip(tries, answers, strict=True):
            fix = ""
            if answer.status in (httpx.codes.FORBIDDEN, httpx.codes.UNAUTHORIZED):
                fix = role_row(method, path)
            elif answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
                fix = f"{answer.said} Try again in a few minutes."
            checks.append(PermissionCheck(what, not fix, fix))
        return PsaSelfTest(
            member=member,
            server=self._wire.site.host,
            version=self._wire.version,
            clock_skew_seconds=self._wire.clock_skew,
            checks=tuple(checks),
        )

    async def me(self) -> Member:
        """Return the member that the keys belong to; this proves the keys."""
        record = await self._wire.record("system/myMembers/info")
        if not reading.text(record.get("identifier")):
            raise PsaUnreachable("ConnectWise did not say whom the keys belong to.")
        self._me = reading.member(record)
        return self._me

    async def members(self, text: str = "") -> tuple[Member, ...]:
        """Return active members whose name, identifier or e-mail contains the text."""
        params = {"conditions": "inactiveFlag = False", "orderBy": "identifier asc"}
        try:
            found = await all_rows(self._wire, "system/members", params)
        except PsaForbidden:
            # Names and identifiers alone need no right to maintain members.
            found = await all_rows(self._wire, "system/info/members", params)
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
        page = Page.of(await self._wire.find("service/tickets", params))
        found = [(record, RecordKind.SERVICE) for record in page.rows]
        number = query.text.strip().removeprefix("#")
        if query.page <= 1 and is_ticket_id(number) and not page.holds(int(number)):
            record = await self._tickets.project_record(number)
            found += [(record, RecordKind.PROJECT)] if record is not None else []
        tickets = []
        for record, kind in found:
            if query.scope is TicketScope.MINE and not _is_assigned(record, mine):
                continue
            ticket = self._tickets.read(record, kind)
            if is_found(ticket, query):
                tickets.append(ticket)
        tickets.sort(key=lambda ticket: int(ticket.id), reverse=True)
        return TicketPage(tuple(tickets), has_more=page.has_next or len(page.rows) >= size)

    async def ticket(self, ticket_id: str) -> Ticket:
        """Return one ticket's own fields as they are now."""
        return await self._tickets.ticket(ticket_id)

    async def context(self, ticket_id: str) -> TicketContext:
        """Return all that belongs to a ticket; parts that fail are named in ``missing``."""
        return await self._tickets.context(ticket_id)

    def ticket_url(self, ticket_id: str) -> str:
        """Return the address that opens the ticket in a browser."""
        return self._tickets.url(ticket_id)

    # Lists to choose from

    async def boards(self) -> tuple[Reference, ...]:
        """Return the active service boards, by name."""
        boards = await self._active("service/boards")
        return tuple(sorted(boards, key=lambda board: board.name.casefold()))

    async def statuses(self, board_id: int) -> tuple[TicketStatus, ...]:
        """Return the active statuses of a board in their order."""
        found = await all_rows(
            self._wire, f"service/boards/{int(board_id)}/statuses", {"orderBy": "id asc"}
        )
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
        params = {"orderBy": "id desc", "pageSize": "50"}
        if filters:
            params["conditions"] = " and ".join(filters)
        page = Page.of(await self._wire.read(path, params))
        own = (record for record in page.rows if _belongs(record, ticket_id, kind))
        return max((reading.number(record.get("id")) for record in own), default=0)

    async def records_above(
        self, ticket_id: str, kind: PushKind, record_kind: RecordKind, watermark: int
    ) -> tuple[RemoteRecord, ...]:
        """Return the ticket's notes or time entries with an id above the watermark, all of them.

        Raises PsaUnreachable rather than return a part: an answer decides whether to post again.
        """
        path, filters = _records_of(ticket_id, kind, record_kind)
        read = reading.remote_note if kind is PushKind.NOTE else reading.remote_time
        rows = await rows_above(self._wire, path, filters, watermark)
        return tuple(read(record) for record in rows if _belongs(record, ticket_id, kind))

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
        path = f"{record_kind}/tickets/{checked_id(ticket_id)}/notes"
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
            "chargeToId": int(checked_id(ticket_id)),
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
        path = f"{record_kind}/tickets/{checked_id(ticket_id)}"
        answer = await self._wire.write("PATCH", path, [operation])
        reported = reading.reference(reading.part(answer, "status"))
        if not reported.id:
            raise PsaUnclear("ConnectWise did not say which status the ticket has now.")
        return reported

    async def aclose(self) -> None:
        """Close connections."""
        await self._wire.aclose()

    async def _active(self, path: str) -> tuple[Reference, ...]:
        found = await all_rows(
            self._wire, path, {"conditions": "inactiveFlag = False", "orderBy": "id asc"}
        )
        return tuple(
            reading.reference(record)
            for record in found
            if not reading.flag(record.get("inactiveFlag")) and reading.number(record.get("id"))
        )


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


def _records_of(ticket_id: str, kind: PushKind, record_kind: RecordKind) -> tuple[str, list[str]]:
    """Return where a ticket's own notes or time entries are, and what narrows them down."""
    checked_id(ticket_id)
    if kind is PushKind.NOTE:
        return f"{record_kind}/tickets/{ticket_id}/notes", []
    return "time/entries", [
        f'chargeToType = "{_CHARGE_TYPES[record_kind]}"',
        f"chargeToId = {ticket_id}",
    ]


def _belongs(record: Record, ticket_id: str, kind: PushKind) -> bool:
    """Tell whether a record may be of this ticket; a note's address says so already.

    One that does not say is let through: markers decide, and a record too many does no harm.
    """
    if kind is PushKind.NOTE:
        return True
    charged = reading.number(record.get("chargeToId")) or reading.number(
        reading.part(record.get("ticket"), "id")
    )
    return charged in (0, int(ticket_id))


def _is_assigned(record: Record, identifier: str) -> bool:
    """Tell whether a member owns a ticket or is one of its resources."""
    owner = reading.text(reading.part(record.get("owner"), "identifier"))
    resources = reading.text(record.get("resources")).split(",")
    return identifier.casefold() in {name.strip().casefold() for name in (owner, *resources)}

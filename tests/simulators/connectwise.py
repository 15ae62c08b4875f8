"""A ConnectWise site that keeps state, refuses what the real one refuses, and can be made to fail.

What it does follows ConnectWise's documentation and what people saw on real tenants, the traps
included: wrong keys are 404 on cloud, an internal note without flags is refused, flags that are
left out fall back to board defaults that tell the client, a status change can be ignored with a
200, `like` is ignored, text comes back with its markdown escaped, an upgrade moves the codebase.

`ConnectWiseSite` is a `Service`: a pure function over its state, mounted over HTTP by
`http_server.HttpServer` or as an httpx transport in virtual time by `virtual.VirtualNetwork`.
Alone, for a desktop to play with::

    python -m tests.simulators.connectwise --port 8080 --tickets 500
"""

import argparse
import base64
import json
import math
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.simulators.conditions import ConditionError, parse_conditions, value_at
from tests.simulators.connectwise_records import (
    FIELDS,
    JsonObject,
    Tables,
    full_name,
    furnished,
    reference,
    wire_time,
)
from tests.simulators.exchange import Exchange, Faults, Request, Response, split_target
from tests.simulators.http_server import HttpServer

COMPANY_ID = "harborpine"
PUBLIC_KEY = "public-key-of-the-simulator"
PRIVATE_KEY = "private-key-of-the-simulator"

_PAGE_SIZE = 25
_MAX_PAGE_SIZE = 1000
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_ESCAPED_ON_READ = re.compile(r"([*_#\[\]-])")


class _RefusalError(Exception):
    def __init__(
        self, status: int, code: str, message: str, errors: Sequence[JsonObject] | None = None
    ) -> None:
        super().__init__(message)
        self.response = _json(
            status, {"code": code, "message": message, "errors": list(errors) if errors else None}
        )


def _json(status: int, body: Any, **headers: str) -> Response:
    return Response(
        status,
        json.dumps(body, ensure_ascii=False).encode(),
        {"content-type": "application/json; charset=utf-8", **headers},
    )


def _html(status: int, title: str) -> Response:
    body = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body>"
    return Response(status, body.encode(), {"content-type": "text/html"})


def _missing(what: str, identifier: object) -> _RefusalError:
    return _RefusalError(404, "NotFound", f"{what} {identifier} not found")


def _invalid(message: str, code: str, field_name: str, words: str) -> _RefusalError:
    error = {"code": code, "message": words, "resource": "ticket", "field": field_name}
    return _RefusalError(400, "InvalidObject", message, [error])


@dataclass
class SiteOptions:
    """How this site behaves. The defaults are a well-behaved cloud."""

    company_id: str = COMPANY_ID
    public_key: str = PUBLIC_KEY
    private_key: str = PRIVATE_KEY
    codebase: str = "v2026_1/"
    version: str = "v2026.1.12345"
    is_cloud: bool = True
    site_url: str = ""  # what companyinfo says; empty is the host that was asked
    missing_client_id: int = 401
    ssl_required: bool = False
    has_all_notes: bool = True
    escapes_markdown: bool = True
    ignores_status_changes: bool = False
    needs_type_to_close: bool = False
    rounds_hours_to: float = 0.25
    requests_a_minute: int = 0  # 0 is no limit
    clock_skew: timedelta = timedelta()
    me: str = "jblake"


@dataclass(frozen=True)
class Mail:
    """An e-mail that the site sent."""

    to: str
    ticket_id: int
    text: str


class ConnectWiseSite:
    """The site. `requests` is everything that came in, `mails` everything that was sent out."""

    def __init__(
        self, options: SiteOptions | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        self.options = options or SiteOptions()
        self.faults = Faults()
        self.requests: list[Request] = []
        self.mails: list[Mail] = []
        self.denied: set[tuple[str, str]] = set()
        self._now = now or (lambda: datetime.now(UTC))
        self.tables: Tables = furnished(self._now())
        self._next_id = 70_000
        self._highest_ticket = 1000
        self._recent: list[datetime] = []
        self._host = ""
        self._started_at = self._now()
        self._furnish_tickets()

    # What a test does to it

    def deny(self, method: str, path: str) -> None:
        """Take away the right to use an endpoint; `path` is the beginning of its path."""
        self.denied.add((method, path))

    def upgrade(self, codebase: str) -> None:
        """Move the codebase: the old path is gone from now on."""
        self.options.codebase = codebase

    def move(self, ticket_id: int, *, board: int | None = None, status: int | None = None) -> None:
        """Let somebody else change board or status of a ticket."""
        ticket = self.tables.tickets[ticket_id]
        if board is not None:
            ticket["board"] = self._board_reference(board)
            ticket["status"] = self._status_reference(self.tables.statuses[board][0])
        if status is not None:
            self._set_status(ticket, status)

    def merge(self, ticket_id: int, into: int) -> None:
        """Merge a ticket into another."""
        parent = self.tables.tickets[into]
        self.tables.tickets[ticket_id]["mergedParentTicket"] = {
            "id": into,
            "summary": parent["summary"],
        }
        parent["hasMergedChildTicketFlag"] = True

    def submit_time_sheet(
        self, member: str, day: datetime, status: str = "PendingApproval"
    ) -> None:
        """Close a member's week for time entries."""
        self.tables.time_sheets[member, _week(day)] = status

    def add_ticket(self, **fields: Any) -> int:
        """Add a ticket; what is not given is ordinary. Returns its id."""
        ticket_id = int(fields.pop("id", 0)) or self._highest_ticket + 1
        self._highest_ticket = max(self._highest_ticket, ticket_id)
        description = fields.pop("description", "")
        configurations = fields.pop("configurations", [])
        created_at = fields.pop("created_at", self._now())
        company = self.tables.companies[fields.pop("company", 501)]
        contact = next(
            contact
            for contact in self.tables.contacts.values()
            if contact["company"]["id"] == company["id"]
        )
        board = fields.pop("board", 1)
        status = fields.pop("status", None)
        ticket: JsonObject = {
            "id": ticket_id,
            "summary": "Something is wrong",
            "recordType": "ServiceTicket",
            "board": self._board_reference(board),
            "company": reference(company),
            "site": reference(self.tables.sites[company["id"]][0]),
            "contact": {"id": contact["id"], "name": full_name(contact)},
            "contactName": full_name(contact),
            "contactPhoneNumber": "312-555-0113",
            "contactEmailAddress": f"{contact['firstName'].lower()}@client.example",
            "type": {"id": 1, "name": "Network"},
            "subType": {"id": 2, "name": "VPN"},
            "owner": None,
            "priority": {"id": 3, "name": "Priority 3 - Normal", "sort": 3},
            "resources": "",
            "requiredDate": None,
            "resolutionGoalUTC": wire_time(created_at + timedelta(hours=8)),
            "closedFlag": False,
            "slaStatus": "Resolve by tomorrow",
            "isInSla": True,
            "parentTicketId": None,
            "mergedParentTicket": None,
            "customFields": [{"id": 5, "caption": "Asset", "type": "Text", "value": "A\u200bB-1"}],
            "_info": {
                "dateEntered": wire_time(created_at),
                "lastUpdated": wire_time(created_at),
                "updatedBy": "zadmin",
            },
            **fields,
        }
        self.tables.tickets[ticket_id] = ticket
        self._set_status(
            ticket, status if status is not None else self.tables.statuses[board][0]["id"]
        )
        self.tables.ticket_configurations[ticket_id] = list(configurations)
        self.tables.notes[ticket_id] = []
        if description:
            self.add_note(ticket_id, description, detailDescriptionFlag=True, at=created_at)
        return ticket_id

    def add_note(
        self, ticket_id: int, text: str, *, at: datetime | None = None, **fields: Any
    ) -> int:
        """Add a note as somebody else would; returns its id."""
        note = {
            "id": self._new_id(),
            "ticketId": ticket_id,
            "text": text,
            "detailDescriptionFlag": False,
            "internalAnalysisFlag": False,
            "resolutionFlag": False,
            "member": None,
            "contact": None,
            "dateCreated": wire_time(at or self._now()),
            "createdBy": "zadmin",
            "internalFlag": False,
            "externalFlag": False,
            **fields,
        }
        self.tables.notes[ticket_id].append(note)
        return int(note["id"])

    def populate(self, count: int, seed: int = 1) -> None:
        """Add many tickets of many moods; the same seed gives the same ones."""
        dice = random.Random(seed)
        subjects = ["Outlook", "Printer", "VPN", "Wi-Fi", "Teams", "Server", "Laptop", "Scanner"]
        moods = ["is slow", "does not start", "asks for a password", "is offline", "crashes daily"]
        boards = [1, 2]
        companies = list(self.tables.companies)
        oldest = self._now() - timedelta(minutes=10 * count)
        for number in range(count):
            board = dice.choice(boards)
            self.add_ticket(
                summary=f"{dice.choice(subjects)} {dice.choice(moods)} #{number}",
                company=dice.choice(companies),
                board=board,
                status=dice.choice(
                    [s["id"] for s in self.tables.statuses[board] if not s["inactive"]]
                ),
                created_at=oldest + timedelta(minutes=10 * number),
            )

    def notes_of(self, ticket_id: int) -> list[JsonObject]:
        """Return a ticket's notes as they are stored."""
        return self.tables.notes[ticket_id]

    def entries_of(self, ticket_id: int) -> list[JsonObject]:
        """Return a ticket's time entries as they are stored."""
        return [entry for entry in self.tables.entries if entry["chargeToId"] == ticket_id]

    def requests_for(self, method: str, path: str = "") -> list[Request]:
        """Return the requests with this method whose path contains a text."""
        return [r for r in self.requests if r.method == method and path in r.path]

    # The service

    def receive(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Exchange:
        """Record a request and decide its fate."""
        path, query = split_target(target)
        request = Request(
            number=len(self.requests) + 1,
            method=method,
            path=path,
            query=query,
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
            target=target,
            at=self._now(),
        )
        self.requests.append(request)
        return Exchange(request, self.faults.fate_of(request))

    def land(self, exchange: Exchange) -> Response:
        """Let a request take effect and return what the client sees."""
        fault = exchange.fault
        response = self.answer(exchange.request) if fault.stored else Response(500)
        response = fault.response or response
        headers = {
            "date": format_datetime(self._now() + self.options.clock_skew, usegmt=True),
            "x-cw-request-id": f"simulated-{exchange.request.number}",
            "api-current-version": "2026.1",
            **response.headers,
        }
        return Response(response.status, response.body, headers)

    def answer(self, request: Request) -> Response:
        """Return the answer of a healthy site."""
        self._host = request.headers.get("host", "")
        try:
            return self._answer(request)
        except _RefusalError as refusal:
            return refusal.response

    def _answer(self, request: Request) -> Response:
        info = re.fullmatch(r"/login/companyinfo/([^/]+)", request.path)
        if info is not None:
            return self._company_info(info.group(1))
        base = f"/{self.options.codebase}apis/3.0/"
        if not request.path.startswith(base):
            return _html(404, "404 - File or directory not found.")
        if wait := self._seconds_over_limit():
            return _json(
                429,
                {"error": "Too Many Requests", "message": "API rate limit exceeded"},
                **{"retry-after": str(wait)},
            )
        if self.options.ssl_required:
            raise _RefusalError(400, "Security", "SSL is required.")
        self._check_sign_in(request)
        path = request.path.removeprefix(base)
        for method, pattern, endpoint in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match is not None and method == request.method:
                self._check_permission(request.method, path)
                return endpoint(self, request, *map(int, match.groups()))
        if any(re.fullmatch(pattern, path) for _, pattern, _ in _ROUTES):
            raise _RefusalError(405, "MethodNotAllowed", "The method is not supported here.")
        raise _RefusalError(404, "NotFound", "The endpoint does not exist.")

    def _company_info(self, company_id: str) -> Response:
        if company_id.lower() != self.options.company_id.lower():
            return _json(200, None)
        return _json(
            200,
            {
                "CompanyName": "Harbor & Pine IT",
                "Codebase": self.options.codebase,
                "VersionCode": self.options.version,
                "CompanyID": self.options.company_id,
                "IsCloud": self.options.is_cloud,
                "SiteUrl": self.options.site_url or self._host,
            },
        )

    def _seconds_over_limit(self) -> int:
        """Return how long to wait before the next request is welcome; what is refused is free."""
        now = self._now()
        minute = timedelta(minutes=1)
        self._recent = [at for at in self._recent if now - at < minute]
        if self.options.requests_a_minute and len(self._recent) >= self.options.requests_a_minute:
            return math.ceil((self._recent[0] + minute - now).total_seconds())
        self._recent.append(now)
        return 0

    def _check_sign_in(self, request: Request) -> None:
        if not request.headers.get("clientid"):
            raise _RefusalError(
                self.options.missing_client_id, "ClientId", "A clientId header is required."
            )
        options = self.options
        pair = f"{options.company_id}+{options.public_key}:{options.private_key}"
        expected = "Basic " + base64.b64encode(pair.encode()).decode()
        if request.headers.get("authorization") != expected:
            if options.is_cloud:
                raise _RefusalError(404, "NotFound", "The requested resource was not found.")
            raise _RefusalError(401, "Unauthorized", "The API member credentials are invalid.")

    def _check_permission(self, method: str, path: str) -> None:
        if any(method == denied and path.startswith(start) for denied, start in self.denied):
            raise _RefusalError(
                403, "Forbidden", "You do not have security permission to perform this action."
            )

    # Lists

    def _listed(
        self, request: Request, records: Iterable[JsonObject], kind: str, conditions: str = ""
    ) -> Response:
        query = request.query
        conditions = conditions or query.get("conditions", "")
        found = list(records)
        if conditions:
            try:
                predicate = parse_conditions(conditions, FIELDS[kind].split())
                found = [record for record in found if predicate(record)]
            except ConditionError as error:
                raise _RefusalError(400, "ApiFindCondition", str(error)) from error
        size = min(max(int(query.get("pageSize", _PAGE_SIZE)), 1), _MAX_PAGE_SIZE)
        if request.headers.get("pagination-type") == "forward-only":
            return self._forward_page(request, found, size)
        _order(found, query.get("orderBy", ""))
        page = max(int(query.get("page", 1)), 1)
        part = found[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(found):
            headers["link"] = self._link(request, page=str(page + 1))
        return _json(200, part, **headers)

    def _forward_page(self, request: Request, found: list[JsonObject], size: int) -> Response:
        if "orderBy" in request.query:
            raise _RefusalError(400, "InvalidPaging", "orderBy is not allowed with forward-only.")
        after = int(request.query.get("pageId", 0))
        rest = sorted(
            (record for record in found if record["id"] > after), key=lambda record: record["id"]
        )
        headers = {}
        if len(rest) > size:
            headers["link"] = self._link(request, pageId=str(rest[size - 1]["id"]))
        return _json(200, rest[:size], **headers)

    def _link(self, request: Request, **changed: str) -> str:
        query = "&".join(f"{key}={value}" for key, value in {**request.query, **changed}.items())
        return f'<https://{self._host}{request.path}?{query}>; rel="next"'

    # Tickets

    def _tickets(self, request: Request) -> Response:
        return self._listed(request, self._of_type("ServiceTicket"), "ticket")

    def _search_tickets(self, request: Request) -> Response:
        body = request.json
        return self._listed(
            request, self._of_type("ServiceTicket"), "ticket", body.get("conditions", "")
        )

    def _of_type(self, record_type: str) -> Iterable[JsonObject]:
        return (t for t in self.tables.tickets.values() if t["recordType"] == record_type)

    def _found(self, ticket_id: int, request: Request) -> JsonObject:
        project = "/project/" in request.path
        ticket = self.tables.tickets.get(ticket_id)
        if ticket is None or (ticket["recordType"] == "ProjectTicket") != project:
            raise _missing("Ticket", ticket_id)
        return ticket

    def _ticket(self, request: Request, ticket_id: int) -> Response:
        return _json(200, self._found(ticket_id, request))

    def _patch_ticket(self, request: Request, ticket_id: int) -> Response:
        ticket = self._found(ticket_id, request)
        operations = self._body(request, list)
        for operation in operations:
            if operation.get("path") == "status" and operation.get("op") == "replace":
                self._change_status(ticket, operation.get("value"))
            # Anything else, a sub-path such as status/id among it, is a 200 that changes nothing.
        return _json(200, ticket)

    def _change_status(self, ticket: JsonObject, value: Any) -> None:
        wanted = value.get("id") if isinstance(value, dict) else None
        offered = self.tables.statuses[ticket["board"]["id"]]
        status = next((status for status in offered if status["id"] == wanted), None)
        if status is None:
            raise _invalid(
                "ticket object is invalid", "NotFound", "status/name", "Status was not found."
            )
        if status["closedStatus"] and self.options.needs_type_to_close and not ticket["type"]:
            raise _invalid(
                "ticket object is invalid", "MissingRequired", "type", "The type is required."
            )
        if not self.options.ignores_status_changes:
            self._set_status(ticket, status["id"])
            ticket["_info"]["lastUpdated"] = wire_time(self._now())

    def _set_status(self, ticket: JsonObject, status_id: int) -> None:
        offered = self.tables.statuses[ticket["board"]["id"]]
        status = next(status for status in offered if status["id"] == status_id)
        ticket["status"] = self._status_reference(status)
        ticket["closedFlag"] = status["closedStatus"]

    # Notes

    def _notes(self, request: Request, ticket_id: int) -> Response:
        self._found(ticket_id, request)
        notes = [self._shown(note) for note in self.tables.notes[ticket_id]]
        return self._listed(request, notes, "note")

    def _all_notes(self, request: Request, ticket_id: int) -> Response:
        self._found(ticket_id, request)
        if not self.options.has_all_notes:
            raise _RefusalError(404, "NotFound", "The endpoint does not exist.")
        family = [ticket_id] + [
            ticket["id"]
            for ticket in self.tables.tickets.values()
            if ticket["parentTicketId"] == ticket_id
        ]
        shown = []
        for member_of in family:
            for note in self.tables.notes[member_of]:
                merged = {**self._shown(note), "noteType": "TicketNote"}
                merged["_info"] = {"lastUpdated": note["dateCreated"]}
                del merged["dateCreated"], merged["ticketId"]
                shown.append(merged)
            shown += [self._entry_note(entry) for entry in self.entries_of(member_of)]
        return self._listed(request, shown, "note")

    def _entry_note(self, entry: JsonObject) -> JsonObject:
        return {
            "id": entry["id"],
            "noteType": "TimeEntryNote",
            "text": self._escaped(entry["notes"]),
            "detailDescriptionFlag": entry["addToDetailDescriptionFlag"],
            "internalAnalysisFlag": entry["addToInternalAnalysisFlag"],
            "resolutionFlag": entry["addToResolutionFlag"],
            "member": entry["member"],
            "timeStart": entry["timeStart"],
            "timeEnd": entry["timeEnd"],
        }

    def _shown(self, note: JsonObject) -> JsonObject:
        return {**note, "text": self._escaped(note["text"])}

    def _escaped(self, text: Any) -> Any:
        if not self.options.escapes_markdown or not isinstance(text, str):
            return text
        return _ESCAPED_ON_READ.sub(r"\\\1", text)

    def _post_note(self, request: Request, ticket_id: int) -> Response:
        self._found(ticket_id, request)
        body = self._body(request, dict)
        flags = ("detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag")
        if not any(body.get(flag) is True for flag in flags):
            raise _RefusalError(
                400,
                "InvalidObject",
                "note object is invalid",
                [
                    {
                        "code": "MissingRequired",
                        "message": "At least one of detailDescriptionFlag, internalAnalysisFlag or "
                        "resolutionFlag must be true.",
                        "resource": "note",
                        "field": "detailDescriptionFlag",
                    }
                ],
            )
        if not str(body.get("text") or "").strip():
            raise _invalid("note object is invalid", "MissingRequired", "text", "Text is required.")
        member = self._member_named(body.get("member")) if body.get("member") else None
        note_id = self.add_note(
            ticket_id,
            body["text"],
            detailDescriptionFlag=bool(body.get("detailDescriptionFlag")),
            internalAnalysisFlag=bool(body.get("internalAnalysisFlag")),
            resolutionFlag=bool(body.get("resolutionFlag")),
            member=member or self._member_reference(self.options.me),
        )
        if body.get("processNotifications", True):
            audience = "contact" if body.get("detailDescriptionFlag") else "resources"
            self.mails.append(Mail(audience, ticket_id, body["text"]))
        return _json(201, self._shown(self.tables.notes[ticket_id][-1]) | {"id": note_id})

    # Time

    def _entries(self, request: Request) -> Response:
        return self._listed(request, self.tables.entries, "time")

    def _entry_defaults(self, request: Request) -> Response:
        return _json(200, {**self._body(request, dict), "billableOption": "Billable"})

    def _post_entry(self, request: Request) -> Response:
        body = self._body(request, dict)
        for name in ("timeStart", "timeEnd"):
            if not isinstance(body.get(name), str) or not _TIME.fullmatch(body[name]):
                raise _RefusalError(
                    400,
                    "UnsupportedFormat",
                    f"{name} must be formatted as [yyyy-MM-ddTHH:mm:ssZ]",
                )
        ticket = self.tables.tickets.get(body.get("chargeToId") or 0)
        if ticket is None or ticket["recordType"] != body.get("chargeToType"):
            raise _invalid(
                "timeEntry object is invalid", "NotFound", "chargeToId", "The charge is unknown."
            )
        member = (
            self._member_named(body["member"])
            if body.get("member")
            else self._member_reference(self.options.me)
        )
        self._check_time_allowed(ticket, member["identifier"], body)
        entry = self._stored_entry(body, ticket, member)
        return _json(201, entry)

    def _check_time_allowed(self, ticket: JsonObject, member: str, body: JsonObject) -> None:
        status = next(
            status
            for status in self.tables.statuses[ticket["board"]["id"]]
            if status["id"] == ticket["status"]["id"]
        )
        if status["timeEntryNotAllowed"]:
            raise _RefusalError(
                400,
                "TimeEntryApi",
                "Please update the status of this ticket before entering time. "
                f"Time cannot be entered against the status {status['name']}.",
            )
        start, end = (datetime.fromisoformat(body[name]) for name in ("timeStart", "timeEnd"))
        if end <= start:
            raise _RefusalError(400, "TimeEntryApi", "The end time must be after the start time.")
        sheet = self.tables.time_sheets.get((member, _week(start)), "Open")
        if sheet not in ("Open", "Rejected"):
            raise _RefusalError(
                400, "TimeEntryApi", "The time sheet for this period has already been submitted."
            )
        role = (body.get("workRole") or {}).get("id")
        if role is not None and role not in {r["id"] for r in self.tables.work_roles}:
            raise _invalid(
                "timeEntry object is invalid",
                "NotFound",
                "workRole",
                "The work role is not valid for the location.",
            )

    def _stored_entry(self, body: JsonObject, ticket: JsonObject, member: JsonObject) -> JsonObject:
        start, end = (datetime.fromisoformat(body[name]) for name in ("timeStart", "timeEnd"))
        worked = (end - start) / timedelta(hours=1) - float(body.get("hoursDeduct") or 0)
        step = self.options.rounds_hours_to
        hours = max(step, round(worked / step) * step) if step else round(worked, 4)
        entry = {
            **body,
            "id": self._new_id(),
            "member": member,
            "company": ticket["company"],
            "actualHours": hours,
            "hoursDeduct": float(body.get("hoursDeduct") or 0),
            "billableOption": body.get("billableOption") or "Billable",
            # What is left out falls back to the board's defaults, and those tell the client.
            "addToDetailDescriptionFlag": body.get("addToDetailDescriptionFlag", True),
            "addToInternalAnalysisFlag": body.get("addToInternalAnalysisFlag", False),
            "addToResolutionFlag": body.get("addToResolutionFlag", False),
            "notes": body.get("notes", ""),
            "internalNotes": body.get("internalNotes", ""),
            "enteredBy": self.options.me,
            "dateEntered": wire_time(self._now()),
            "status": "Open",
            "ticket": {"id": ticket["id"], "summary": ticket["summary"]},
        }
        self.tables.entries.append(entry)
        if entry["addToDetailDescriptionFlag"]:
            text = "\n".join(part for part in (entry["notes"], entry["internalNotes"]) if part)
            self.add_note(ticket["id"], text, detailDescriptionFlag=True, member=member)
        for flag, audience in (
            ("emailContactFlag", "contact"),
            ("emailResourceFlag", "resources"),
            ("emailCcFlag", "cc"),
        ):
            if body.get(flag, True):
                self.mails.append(Mail(audience, ticket["id"], entry["notes"]))
        return entry

    # The rest

    def _member_named(self, reference: Any) -> JsonObject:
        identifier = str((reference or {}).get("identifier", "")).lower()
        for member in self.tables.members.values():
            if member["identifier"].lower() == identifier and not member["inactiveFlag"]:
                return self._member_reference(member["identifier"])
        raise _invalid("object is invalid", "NotFound", "member", "The member was not found.")

    def _member_reference(self, identifier: str) -> JsonObject:
        member = self.tables.members[identifier]
        return {"id": member["id"], "identifier": identifier, "name": full_name(member)}

    def _my_member(self, request: Request) -> Response:
        member = self.tables.members[self.options.me]
        return _json(
            200,
            {
                **member,
                "fullName": full_name(member),
                "defaultEmail": member["officeEmail"],
                "requireStartAndEndTimeOnTimeEntryFlag": True,
            },
        )

    def _system_info(self, request: Request) -> Response:
        return _json(
            200,
            {
                "version": self.options.version,
                "isCloud": self.options.is_cloud,
                "serverTimeZone": "Eastern Standard Time",
                "cloudRegion": "NA",
            },
        )

    def _members(self, request: Request) -> Response:
        return self._listed(request, self.tables.members.values(), "member")

    def _boards(self, request: Request) -> Response:
        return self._listed(request, self.tables.boards.values(), "board")

    def _statuses(self, request: Request, board_id: int) -> Response:
        if board_id not in self.tables.boards:
            raise _missing("Board", board_id)
        board = self._board_reference(board_id)
        statuses = [{**status, "board": board} for status in self.tables.statuses[board_id]]
        return self._listed(request, statuses, "status")

    def _companies(self, request: Request) -> Response:
        return self._listed(request, self.tables.companies.values(), "company")

    def _company(self, request: Request, company_id: int) -> Response:
        return _json(200, _one(self.tables.companies, company_id, "Company"))

    def _sites_of(self, request: Request, company_id: int) -> Response:
        _one(self.tables.companies, company_id, "Company")
        return self._listed(request, self.tables.sites[company_id], "site")

    def _site(self, request: Request, company_id: int, site_id: int) -> Response:
        _one(self.tables.companies, company_id, "Company")
        sites = {site["id"]: site for site in self.tables.sites[company_id]}
        return _json(200, _one(sites, site_id, "Site"))

    def _contacts(self, request: Request) -> Response:
        return self._listed(request, self.tables.contacts.values(), "contact")

    def _contact(self, request: Request, contact_id: int) -> Response:
        return _json(200, _one(self.tables.contacts, contact_id, "Contact"))

    def _configurations(self, request: Request) -> Response:
        return self._listed(request, self.tables.configurations.values(), "configuration")

    def _ticket_configurations(self, request: Request, ticket_id: int) -> Response:
        self._found(ticket_id, request)
        references = [
            {
                "id": ident,
                "deviceIdentifier": "",
                "_info": {"name": self.tables.configurations[ident]["name"]},
            }
            for ident in self.tables.ticket_configurations[ticket_id]
        ]
        return self._listed(request, references, "reference")

    def _work_types(self, request: Request) -> Response:
        return self._listed(request, self.tables.work_types, "work")

    def _work_roles(self, request: Request) -> Response:
        return self._listed(request, self.tables.work_roles, "work")

    def _location_roles(self, request: Request, location_id: int) -> Response:
        roles = [{"id": role["id"], "workRole": reference(role)} for role in self.tables.work_roles]
        return self._listed(request, roles, "work")

    def _body(self, request: Request, kind: type) -> Any:
        try:
            body = request.json
        except ValueError as error:
            raise _RefusalError(400, "InvalidRequest", "The body is no JSON.") from error
        if not isinstance(body, kind):
            raise _RefusalError(400, "InvalidRequest", "The body has the wrong shape.")
        return body

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _board_reference(self, board_id: int) -> JsonObject:
        return {"id": board_id, "name": self.tables.boards[board_id]["name"]}

    def _status_reference(self, status: JsonObject) -> JsonObject:
        return {"id": status["id"], "name": status["name"], "sort": status["sortOrder"]}

    # What every site begins with

    def _furnish_tickets(self) -> None:
        now = self._now()
        self.add_ticket(
            id=1001,
            summary="Printer at reception offline",
            created_at=now - timedelta(days=30),
            status=17,
            configurations=[801],
            description="The printer is offline.",
        )
        self.add_note(
            1001,
            "Replaced the WSD port by a TCP/IP port.",
            resolutionFlag=True,
            at=now - timedelta(days=29),
            member=self._member_reference("pnair"),
        )
        self.add_ticket(
            id=1002,
            summary="No internet on Main Street",
            board=2,
            created_at=now - timedelta(days=2),
            owner=self._member_reference("tortega"),
            resources="tortega",
        )
        self.add_ticket(
            id=1003,
            summary='VPN "connects" but nothing opens',
            company=502,
            created_at=now - timedelta(hours=9),
            status=18,
        )
        self.add_ticket(
            id=1004,
            summary="New switch for Lakeside",
            recordType="ProjectTicket",
            board=3,
            created_at=now - timedelta(hours=6),
            description="Uplink does not come up.",
        )
        self.add_ticket(
            id=1005,
            summary="Reception printer offline again",
            created_at=now - timedelta(hours=3),
            status=12,
            owner=self._member_reference("jblake"),
            resources="jblake, pnair",
            configurations=[801, 851],
            description="Labels pile up. The printer says *Ready*.",
        )
        self.add_note(
            1005,
            "Queue on the server is paused.",
            internalAnalysisFlag=True,
            at=now - timedelta(hours=2),
            member=self._member_reference("pnair"),
        )
        self.add_note(
            1005,
            "It printed three pages by itself.",
            detailDescriptionFlag=True,
            at=now - timedelta(hours=1),
            contact={"id": 701, "name": "Marisol Vega"},
        )


def _one(records: dict[int, JsonObject], wanted: int, what: str) -> JsonObject:
    if wanted not in records:
        raise _missing(what, wanted)
    return records[wanted]


def _week(day: datetime) -> str:
    year, week, _ = day.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02}"


def _order(records: list[JsonObject], order_by: str) -> None:
    for part in reversed([part.strip() for part in order_by.split(",") if part.strip()]):
        path, _, direction = part.partition(" ")

        def key(record: JsonObject, path: str = path) -> tuple[bool, Any]:
            value = value_at(record, path)
            return (value is not None, value if value is not None else 0)

        records.sort(key=key, reverse=direction.strip().lower() == "desc")


_Endpoint = Callable[..., Response]
_ROUTES: list[tuple[str, str, _Endpoint]] = [
    ("GET", r"service/tickets", ConnectWiseSite._tickets),
    ("POST", r"service/tickets/search", ConnectWiseSite._search_tickets),
    ("GET", r"(?:service|project)/tickets/(\d+)", ConnectWiseSite._ticket),
    ("PATCH", r"(?:service|project)/tickets/(\d+)", ConnectWiseSite._patch_ticket),
    ("GET", r"(?:service|project)/tickets/(\d+)/notes", ConnectWiseSite._notes),
    ("POST", r"(?:service|project)/tickets/(\d+)/notes", ConnectWiseSite._post_note),
    ("GET", r"(?:service|project)/tickets/(\d+)/allNotes", ConnectWiseSite._all_notes),
    (
        "GET",
        r"(?:service|project)/tickets/(\d+)/configurations",
        ConnectWiseSite._ticket_configurations,
    ),
    ("GET", r"service/boards", ConnectWiseSite._boards),
    ("GET", r"service/boards/(\d+)/statuses", ConnectWiseSite._statuses),
    ("GET", r"time/entries", ConnectWiseSite._entries),
    ("POST", r"time/entries", ConnectWiseSite._post_entry),
    ("POST", r"time/entries/defaults", ConnectWiseSite._entry_defaults),
    ("GET", r"time/workTypes", ConnectWiseSite._work_types),
    ("GET", r"time/workRoles", ConnectWiseSite._work_roles),
    ("GET", r"system/locations/(\d+)/workRoles", ConnectWiseSite._location_roles),
    ("GET", r"system/myMembers/info", ConnectWiseSite._my_member),
    ("GET", r"system/members", ConnectWiseSite._members),
    ("GET", r"system/info/members", ConnectWiseSite._members),
    ("GET", r"system/info", ConnectWiseSite._system_info),
    ("GET", r"company/companies", ConnectWiseSite._companies),
    ("GET", r"company/companies/(\d+)", ConnectWiseSite._company),
    ("GET", r"company/companies/(\d+)/sites", ConnectWiseSite._sites_of),
    ("GET", r"company/companies/(\d+)/sites/(\d+)", ConnectWiseSite._site),
    ("GET", r"company/contacts", ConnectWiseSite._contacts),
    ("GET", r"company/contacts/(\d+)", ConnectWiseSite._contact),
    ("GET", r"company/configurations", ConnectWiseSite._configurations),
]


def main() -> None:
    """Serve a site until interrupted."""
    parser = argparse.ArgumentParser(description="A ConnectWise site on this machine.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--tickets", type=int, default=0, help="how many more to make up")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that answers take")
    arguments = parser.parse_args()
    site = ConnectWiseSite()
    site.populate(arguments.tickets)
    with HttpServer(site, port=arguments.port, latency=arguments.latency) as server:
        print(f"Site: {server.url}   Company: {COMPANY_ID}", flush=True)
        print(f"Public key: {PUBLIC_KEY}   Private key: {PRIVATE_KEY}")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("Stopped.")


if __name__ == "__main__":
    main()

"""The practice company: a ticketing system in memory, for the demo, for newcomers and for tests.

Its members, clients and tickets are in ``resources/practice/company.yaml``; their times are ages,
counted back from the moment when the practice began. What is pushed (notes, time entries, status
changes) is kept in memory and, if the caller names a file, written there as JSON after each
change, so that a demo that is started again still shows it. It behaves as the real one does where
that matters: a status that takes no time refuses time, a status of another board is refused, a
project ticket is none of the service desk's. ``away`` plays an outage, and so does a file called
``practice-away`` beside the state file, for whoever shows the demo.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flowpilot_desktop.core.errors import PsaNotFound, PsaRefused, PsaUnreachable
from flowpilot_desktop.core.ports import Clock, Psa
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
    RelatedTicket,
    Ticket,
    TicketContext,
    TicketNote,
    TicketPage,
    TicketQuery,
    TicketScope,
    TicketStatus,
    cleaned,
)
from flowpilot_desktop.psa import practice_company
from flowpilot_desktop.psa.matching import is_found
from flowpilot_desktop.psa.practice_company import Facts
from flowpilot_desktop.psa.registry import PsaKeys, PsaOptions

PRACTICE_CONNECTION = PsaConnection(id="practice", provider="practice", name="Practice company")

AWAY_FILE = "practice-away"
RELATED_LIMIT = 8
SAME_DEVICE = "Same configuration"
NO_TIME_WORDS = "Please update the status of this ticket before entering time."

_FIRST_PUSHED_ID = 90_001  # above every id in the file, so that ids rise as on a real server

_NEVER = datetime.min.replace(tzinfo=UTC)

log = logging.getLogger(__name__)


def create(
    connection: PsaConnection, keys: PsaKeys | None, clock: Clock, options: PsaOptions
) -> Psa:
    """Make the practice company; it needs no keys."""
    del keys
    return PracticePsa(
        connection,
        clock=clock,
        state_file=options.state_file,
        latency=options.latency,
        technician=options.technician,
    )


def practice_members() -> tuple[Member, ...]:
    """Return the practice MSP's people, the demo's own technician first."""
    everybody = sorted(practice_company.facts()["members"], key=lambda facts: not facts.get("me"))
    return tuple(practice_company.member(facts) for facts in everybody if not facts.get("api_only"))


@dataclass
class _Pushed:
    """What was added since the practice began. Times are ISO texts, as in the file."""

    began_at: str
    next_id: int = _FIRST_PUSHED_ID
    notes: list[dict[str, Any]] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)


class PracticePsa:
    """A `Psa` of make-believe tickets.

    ``away`` is a switch: while it is set, every call raises PsaUnreachable. ``latency`` is the
    time in seconds that each call takes. ``technician`` is whose keys these are, by e-mail address.
    """

    def __init__(
        self,
        connection: PsaConnection = PRACTICE_CONNECTION,
        *,
        clock: Clock,
        state_file: Path | None = None,
        latency: float = 0.0,
        technician: str = "",
    ) -> None:
        self.away = False
        self.latency = latency
        self._technician = technician.casefold()
        self._connection = connection
        self._clock = clock
        self._state_file = state_file
        self._away_file = state_file.with_name(AWAY_FILE) if state_file else None
        self._facts = practice_company.facts()
        self._members = {facts["identifier"]: facts for facts in self._facts["members"]}
        self._boards: dict[int, Facts] = {facts["id"]: facts for facts in self._facts["boards"]}
        self._companies: dict[int, Facts] = {
            facts["id"]: facts for facts in self._facts["companies"]
        }
        self._tickets: dict[str, Facts] = {
            str(facts["id"]): facts for facts in self._facts["tickets"]
        }
        self._priorities = {
            facts["id"]: practice_company.reference(facts) for facts in self._facts["priorities"]
        }
        self._pushed = self._remembered()
        self._began_at = datetime.fromisoformat(self._pushed.began_at)

    # Who and what

    async def self_test(self) -> PsaSelfTest:
        """Return the technician; everything is allowed here."""
        member = await self.me()
        everything = (
            "Read tickets",
            "Read companies, contacts and configurations",
            "Add notes",
            "Add time entries",
            "Change status",
        )
        return PsaSelfTest(
            member=member,
            server=self._facts["msp"],
            version="practice",
            clock_skew_seconds=0.0,
            checks=tuple(PermissionCheck(what, passed=True) for what in everything),
        )

    async def me(self) -> Member:
        """Return the technician whom the keys belong to: the demo's own unless told otherwise."""
        await self._reach()
        everybody = [practice_company.member(facts) for facts in self._members.values()]
        mine = [one for one in everybody if one.email and one.email.casefold() == self._technician]
        own = next(facts for facts in self._members.values() if facts.get("me"))
        return mine[0] if mine else practice_company.member(own)

    async def members(self, text: str = "") -> tuple[Member, ...]:
        """Return members whose name, identifier or e-mail contains the text."""
        await self._reach()
        wanted = text.casefold().strip()
        found = (practice_company.member(facts) for facts in self._members.values())
        return tuple(
            member
            for member in found
            if wanted in f"{member.name}\n{member.identifier}\n{member.email}".casefold()
        )

    async def boards(self) -> tuple[Reference, ...]:
        """Return the boards, by name."""
        await self._reach()
        boards = (practice_company.reference(facts) for facts in self._boards.values())
        return tuple(sorted(boards, key=lambda board: board.name.casefold()))

    async def statuses(self, board_id: int) -> tuple[TicketStatus, ...]:
        """Return the active statuses of a board in their order."""
        await self._reach()
        board = self._boards.get(board_id)
        if board is None:
            raise _not_found("board", str(board_id))
        active = (facts for facts in board["statuses"] if not facts.get("inactive"))
        return tuple(
            practice_company.status(facts)
            for facts in sorted(active, key=lambda facts: facts["sort"])
        )

    async def work_types(self) -> tuple[Reference, ...]:
        """Return the work types."""
        await self._reach()
        return tuple(practice_company.reference(facts) for facts in self._facts["work_types"])

    async def work_roles(self) -> tuple[Reference, ...]:
        """Return the work roles."""
        await self._reach()
        return tuple(practice_company.reference(facts) for facts in self._facts["work_roles"])

    # Tickets

    async def search(self, query: TicketQuery) -> TicketPage:
        """Return one page of tickets, newest first."""
        await self._reach()
        tickets = [self._ticket(facts) for facts in self._of_scope(query)]
        found = [ticket for ticket in tickets if is_found(ticket, query)]
        found.sort(key=lambda ticket: (ticket.created_at, int(ticket.id)), reverse=True)
        start = (max(1, query.page) - 1) * query.page_size
        page = found[start : start + query.page_size]
        return TicketPage(tuple(page), has_more=start + len(page) < len(found))

    async def ticket(self, ticket_id: str) -> Ticket:
        """Return one ticket as it is now."""
        await self._reach()
        return self._ticket(self._found(ticket_id))

    async def context(self, ticket_id: str) -> TicketContext:
        """Return all that belongs to a ticket."""
        await self._reach()
        facts = self._found(ticket_id)
        company = self._companies[facts["company"]]
        named = set(facts["configurations"])
        return TicketContext(
            connection_id=self._connection.id,
            ticket=self._ticket(facts),
            fetched_at=self._clock.now(),
            company=practice_company.company(company),
            contact=practice_company.contact(
                practice_company.one(company["contacts"], facts["contact"])
            ),
            site=practice_company.site(practice_company.one(company["sites"], facts["site"])),
            configurations=tuple(
                practice_company.configuration(device, self._began_at)
                for device in company["configurations"]
                if device["id"] in named
            ),
            notes=tuple(self._notes(facts)),
            related=self._related(facts),
        )

    def ticket_url(self, ticket_id: str) -> str:
        """Return nothing: the practice company has no web page."""
        del ticket_id
        return ""

    # What goes back to the ticket

    async def highest_record(self, ticket_id: str, kind: PushKind, record_kind: RecordKind) -> int:
        """Return the highest id of a note or time entry on the ticket, 0 without any."""
        await self._reach()
        records = self._records(self._found(ticket_id, record_kind), kind)
        return max((record.id for record in records), default=0)

    async def records_above(
        self, ticket_id: str, kind: PushKind, record_kind: RecordKind, watermark: int
    ) -> tuple[RemoteRecord, ...]:
        """Return the ticket's notes or time entries with an id above the watermark."""
        await self._reach()
        records = self._records(self._found(ticket_id, record_kind), kind)
        return tuple(record for record in records if record.id > watermark)

    async def add_note(self, ticket_id: str, record_kind: RecordKind, note: NotePayload) -> int:
        """Add a note and return its id."""
        await self._reach()
        self._found(ticket_id, record_kind)
        if not note.text.text.strip():
            raise _refused("The note has no text.")
        self._known_member(note.member_identifier, required=False)
        record_id = self._next_id()
        self._pushed.notes.append(
            {
                "id": record_id,
                "ticket": ticket_id,
                "text": note.text.text,
                "internal": note.visibility is NoteVisibility.INTERNAL,
                "by": note.member_identifier,
                "at": self._clock.now().isoformat(),
            }
        )
        self._remember()
        return record_id

    async def add_time(self, ticket_id: str, record_kind: RecordKind, time: TimePayload) -> int:
        """Add a time entry and return its id; a status that takes no time refuses it."""
        await self._reach()
        facts = self._found(ticket_id, record_kind)
        self._known_member(time.member_identifier, required=True)
        if self._status_facts(facts).get("no_time"):
            raise _refused(NO_TIME_WORDS)
        if time.end <= time.start:
            raise _refused("The end of a time entry must be after its start.")
        record_id = self._next_id()
        self._pushed.entries.append(
            {
                "id": record_id,
                "ticket": ticket_id,
                "by": time.member_identifier,
                "start": time.start.astimezone(UTC).isoformat(timespec="seconds"),
                "end": time.end.astimezone(UTC).isoformat(timespec="seconds"),
                "hours": time.actual_hours,
                "notes": time.notes.text,
                "internal_notes": time.internal_notes.text,
            }
        )
        self._remember()
        return record_id

    async def change_status(
        self, ticket_id: str, record_kind: RecordKind, status: StatusPayload
    ) -> Reference:
        """Set the status and return the one that the ticket then has."""
        await self._reach()
        facts = self._found(ticket_id, record_kind)
        offered = {item["id"]: item for item in self._boards[facts["board"]]["statuses"]}
        chosen = offered.get(status.status.id)
        if chosen is None or chosen.get("inactive"):
            raise _refused("The ticket's board does not have this status.")
        self._pushed.statuses[ticket_id] = chosen["id"]
        self._remember()
        return practice_company.reference(chosen)

    async def aclose(self) -> None:
        """Close nothing: what was pushed is on disk already."""

    # Reading the file

    async def _reach(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)
        if self.away or (self._away_file is not None and self._away_file.exists()):
            raise PsaUnreachable("The practice company is switched away.")

    def _found(self, ticket_id: str, record_kind: RecordKind | None = None) -> Facts:
        facts = self._tickets.get(ticket_id)
        if facts is None or (
            record_kind is not None and practice_company.kind(facts) is not record_kind
        ):
            raise _not_found("ticket", ticket_id)
        return facts

    def _of_scope(self, query: TicketQuery) -> Iterator[Facts]:
        mine = query.member_identifier or next(
            identifier for identifier, facts in self._members.items() if facts.get("me")
        )
        for facts in self._tickets.values():
            if query.scope is not TicketScope.MINE or mine in (facts["owner"], *facts["resources"]):
                yield facts

    def _moment(self, age: str) -> datetime:
        return self._began_at - practice_company.span(age)

    def _status_facts(self, facts: Facts) -> Facts:
        status_id = self._pushed.statuses.get(str(facts["id"]), facts["status"])
        return practice_company.one(self._boards[facts["board"]]["statuses"], status_id)

    def _ticket(self, facts: Facts) -> Ticket:
        company = self._companies[facts["company"]]
        contact = practice_company.one(company["contacts"], facts["contact"])
        status = self._status_facts(facts)
        owner = self._members.get(facts["owner"], {})
        created_at = self._moment(facts["age"])
        touched = [note.created_at for note in self._notes(facts) if note.created_at]
        sla, due = self._sla(facts)
        return Ticket(
            id=str(facts["id"]),
            summary=cleaned(facts["summary"]),
            kind=practice_company.kind(facts),
            description=cleaned(facts["description"]).strip(),
            status=practice_company.reference(status),
            board=practice_company.reference(self._boards[facts["board"]]),
            priority=self._priorities[facts["priority"]],
            company=practice_company.reference(company),
            site=practice_company.reference(practice_company.one(company["sites"], facts["site"])),
            contact=practice_company.reference(contact),
            contact_phone=contact["phone"],
            contact_email=contact["email"],
            owner=owner.get("name", ""),
            resources=", ".join(facts["resources"]),
            type=facts["type"],
            subtype=facts["subtype"],
            created_at=created_at,
            updated_at=max(touched, default=created_at),
            required_at=due,
            sla_status=sla,
            is_closed=bool(status.get("closed")),
        )

    def _sla(self, facts: Facts) -> tuple[str, datetime | None]:
        goal = facts.get("sla")
        if goal is None or self._status_facts(facts).get("closed"):
            return "", None
        due = self._began_at + practice_company.span(goal["in"])
        words = f"{goal['goal']} {due:%a %m/%d %I:%M %p} UTC"
        return (f"{words} (missed)" if due < self._clock.now() else words), due

    def _notes(self, facts: Facts) -> Iterator[TicketNote]:
        """Yield the description, the notes of the file and the pushed ones, oldest first."""
        first_id = facts["id"] * 5 - 1  # a ticket of the file has at most five notes
        contact = practice_company.one(
            self._companies[facts["company"]]["contacts"], facts["contact"]
        )["name"]
        opened = self._moment(facts["age"])
        yield TicketNote(
            id=first_id,
            text=cleaned(facts["description"]).strip(),
            author=contact,
            created_at=opened,
            is_description=True,
        )
        for number, note in enumerate(facts.get("notes", ()), 1):
            author = self._members.get(note["by"], {}).get("name", note["by"])
            yield TicketNote(
                id=first_id + number,
                text=cleaned(note["text"]),
                author=contact if note["by"] == "contact" else author,
                created_at=self._moment(note["age"]),
                is_internal=bool(note.get("internal")),
            )
        if "resolution" in facts:
            yield TicketNote(
                id=first_id + 4,
                text=cleaned(facts["resolution"]),
                author=self._members[facts["owner"]]["name"],
                created_at=opened + timedelta(hours=3),
                is_resolution=True,
            )
        for pushed in self._pushed.notes:
            if pushed["ticket"] == str(facts["id"]):
                yield TicketNote(
                    id=pushed["id"],
                    text=cleaned(pushed["text"]),
                    author=self._members.get(pushed["by"], {}).get("name", "API member"),
                    created_at=datetime.fromisoformat(pushed["at"]),
                    is_internal=pushed["internal"],
                )

    def _related(self, facts: Facts) -> tuple[RelatedTicket, ...]:
        devices = set(facts["configurations"])
        found = []
        for other in self._tickets.values():
            same_device = devices.intersection(other["configurations"])
            if other is facts or not (same_device or other["company"] == facts["company"]):
                continue
            ticket = self._ticket(other)
            found.append(
                RelatedTicket(
                    id=ticket.id,
                    summary=ticket.summary,
                    status=ticket.status.name,
                    closed=ticket.is_closed,
                    created_at=ticket.created_at,
                    resolution=cleaned(other.get("resolution", "")),
                    why_related=SAME_DEVICE if same_device else "Same company",
                )
            )
        # The same device says more than the same company; then the newest.
        found.sort(
            key=lambda related: (related.why_related == SAME_DEVICE, related.created_at or _NEVER),
            reverse=True,
        )
        return tuple(found[:RELATED_LIMIT])

    def _records(self, facts: Facts, kind: PushKind) -> tuple[RemoteRecord, ...]:
        if kind is PushKind.NOTE:
            return tuple(
                RemoteRecord(id=note.id, text=note.text, member_identifier=self._by(note))
                for note in self._notes(facts)
            )
        return tuple(
            RemoteRecord(
                id=entry["id"],
                text=f"{entry['notes']}\n{entry['internal_notes']}".strip(),
                member_identifier=entry["by"],
                start=datetime.fromisoformat(entry["start"]),
                end=datetime.fromisoformat(entry["end"]),
            )
            for entry in self._pushed.entries
            if entry["ticket"] == str(facts["id"])
        )

    def _by(self, note: TicketNote) -> str:
        for identifier, facts in self._members.items():
            if facts["name"] == note.author:
                return str(identifier)
        return ""

    def _known_member(self, identifier: str, *, required: bool) -> None:
        if (identifier or required) and identifier not in self._members:
            raise _refused(f"There is no member “{identifier}”.")

    # Keeping what was pushed

    def _next_id(self) -> int:
        self._pushed.next_id += 1
        return self._pushed.next_id - 1

    def _remembered(self) -> _Pushed:
        fresh = _Pushed(began_at=self._clock.now().isoformat())
        if self._state_file is None or not self._state_file.exists():
            return fresh
        try:
            pushed = _Pushed(**json.loads(self._state_file.read_text(encoding="utf-8")))
            datetime.fromisoformat(pushed.began_at)
        except (OSError, ValueError, TypeError):
            log.warning("The practice company's state can't be read; it begins anew.")
            with suppress(OSError):
                self._state_file.replace(self._state_file.with_suffix(".damaged"))
            return fresh
        return pushed

    def _remember(self) -> None:
        """Write the state; small and local, so it is done before the call answers."""
        if self._state_file is None:
            return
        self._state_file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._state_file.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(vars(self._pushed), file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._state_file)


def _refused(words: str) -> PsaRefused:
    return PsaRefused(f"The practice company said: {words}", status=400, words=words)


def _not_found(what: str, identifier: str) -> PsaNotFound:
    return PsaNotFound(f"There is no {what} {identifier} in the practice company.", status=404)

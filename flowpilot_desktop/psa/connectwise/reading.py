"""ConnectWise's records as our nouns: a tolerant reader.

Any field may be missing, null or of another type than the documentation says; each is read for
itself and an unreadable one is empty. Every text is cleaned on its way in, for tickets are written
by strangers. Field names are ConnectWise's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flowpilot_desktop.core.push import RemoteRecord
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    Member,
    RecordKind,
    Reference,
    Site,
    Ticket,
    TicketNote,
    TicketStatus,
    cleaned,
)

Record = dict[str, Any]

_SHORT = 1_000
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|>~])")
_EMAIL_KINDS = {"Office": "officeEmail", "Mobile": "mobileEmail", "Home": "homeEmail"}


def records(value: Any) -> list[Record]:
    """Return the objects of a list, whatever else is in it."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any, limit: int = _SHORT) -> str:
    """Return a short text; numbers are written out."""
    if isinstance(value, str):
        return cleaned(value, limit).strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def long_text(value: Any) -> str:
    """Return a text of any reasonable length."""
    return cleaned(value).strip() if isinstance(value, str) else ""


def number(value: Any) -> int:
    """Return a whole number, 0 for anything else."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value.strip()[:18])
    return 0


def flag(value: Any) -> bool:
    """Return whether a flag is set."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def moment(value: Any) -> datetime | None:
    """Return an aware UTC time; one without a zone is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip())
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def part(value: Any, name: str) -> Any:
    """Return a field of an object that may be none."""
    return value.get(name) if isinstance(value, dict) else None


def reference(value: Any) -> Reference:
    """Return something with an id and a name."""
    name = text(part(value, "name")) or text(part(value, "identifier"))
    return Reference(number(part(value, "id")), name)


def ticket(record: Record, kind: RecordKind, url: str = "", description: str = "") -> Ticket:
    """Return a ticket; its description stands in a note."""
    info = record.get("_info")
    merged = number(part(record.get("mergedParentTicket"), "id"))
    sla = text(record.get("slaStatus"))
    if record.get("isInSla") is False:
        sla = f"{sla} (missed)".strip()
    contact = reference(record.get("contact"))
    return Ticket(
        id=str(number(record.get("id"))),
        summary=text(record.get("summary")),
        kind=kind,
        description=description,
        status=reference(record.get("status")),
        board=reference(record.get("board")),
        priority=reference(record.get("priority")),
        company=reference(record.get("company")),
        site=_named(record.get("site"), record.get("siteName")),
        contact=Reference(contact.id, contact.name or text(record.get("contactName"))),
        contact_phone=text(record.get("contactPhoneNumber")),
        contact_email=text(record.get("contactEmailAddress")),
        owner=reference(record.get("owner")).name,
        resources=text(record.get("resources")),
        type=reference(record.get("type")).name,
        subtype=reference(record.get("subType")).name,
        created_at=moment(record.get("dateEntered")) or moment(part(info, "dateEntered")),
        updated_at=moment(part(info, "lastUpdated")),
        required_at=moment(record.get("requiredDate")) or moment(record.get("resolutionGoalUTC")),
        sla_status=sla,
        is_closed=flag(record.get("closedFlag")),
        merged_into=str(merged) if merged else "",
        url=url,
    )


def _named(value: Any, name: Any) -> Reference:
    found = reference(value)
    return Reference(found.id, found.name or text(name))


def note(record: Record) -> TicketNote:
    """Return a note of `/notes` or `/allNotes`, which differ in their fields."""
    author = reference(record.get("member")).name or reference(record.get("contact")).name
    made_at = (
        moment(record.get("dateCreated"))
        or moment(record.get("timeStart"))
        or moment(part(record.get("_info"), "dateEntered"))
        or moment(part(record.get("_info"), "lastUpdated"))
    )
    return TicketNote(
        id=number(record.get("id")),
        text=long_text(record.get("text")),
        author=author or text(record.get("createdBy")),
        created_at=made_at,
        is_internal=flag(record.get("internalAnalysisFlag"))
        and not flag(record.get("detailDescriptionFlag")),
        is_resolution=flag(record.get("resolutionFlag")),
    )


def company(record: Record) -> Company:
    """Return a company."""
    return Company(
        id=number(record.get("id")),
        name=text(record.get("name")),
        identifier=text(record.get("identifier")),
        phone=text(record.get("phoneNumber")),
        website=text(record.get("website")),
        city=text(record.get("city")),
        types=tuple(
            name for item in records(record.get("types")) if (name := reference(item).name)
        ),
    )


def contact(record: Record) -> Contact:
    """Return a contact with its default phone and e-mail."""
    name = f"{text(record.get('firstName'))} {text(record.get('lastName'))}".strip()
    return Contact(
        id=number(record.get("id")),
        name=name,
        title=text(record.get("title")),
        phone=_reached_by(record, "Phone") or text(record.get("defaultPhoneNbr")),
        email=_reached_by(record, "Email"),
    )


def _reached_by(record: Record, kind: str) -> str:
    items = [
        item
        for item in records(record.get("communicationItems"))
        if item.get("communicationType") == kind
    ]
    items.sort(key=lambda item: not flag(item.get("defaultFlag")))
    return text(items[0].get("value")) if items else ""


def site(record: Record) -> Site:
    """Return a site with its address on one line."""
    state = record.get("stateReference")
    place = f"{text(part(state, 'identifier'))} {text(record.get('zip'))}".strip()
    lines = (
        text(record.get("addressLine1")),
        text(record.get("addressLine2")),
        text(record.get("city")),
        place,
    )
    return Site(
        id=number(record.get("id")),
        name=text(record.get("name")),
        address=", ".join(line for line in lines if line),
        phone=text(record.get("phoneNumber")),
    )


def configuration(record: Record) -> Configuration:
    """Return a configuration, or as much of one as a bare reference holds."""
    system = f"{text(record.get('osType'))} {text(record.get('osInfo'))}".strip()
    name = (
        text(record.get("name"))
        or text(part(record.get("_info"), "name"))
        or text(record.get("deviceIdentifier"))
    )
    return Configuration(
        id=number(record.get("id")),
        name=name,
        type=reference(record.get("type")).name,
        model=text(record.get("modelNumber")),
        serial_number=text(record.get("serialNumber")),
        operating_system=system,
        ip_address=text(record.get("ipAddress")),
        mac_address=text(record.get("macAddress")),
        last_login=text(record.get("lastLoginName")),
        notes=long_text(record.get("notes")),
        warranty_until=moment(record.get("warrantyExpirationDate")),
    )


def status(record: Record) -> TicketStatus:
    """Return a status of a board."""
    return TicketStatus(
        id=number(record.get("id")),
        name=text(record.get("name")),
        sort_order=number(record.get("sortOrder")),
        is_closed=flag(record.get("closedStatus")),
        time_entry_allowed=not flag(record.get("timeEntryNotAllowed")),
    )


def member(record: Record) -> Member:
    """Return a member; class A is an API-only one."""
    name = text(record.get("fullName")) or " ".join(
        part for part in (text(record.get("firstName")), text(record.get("lastName"))) if part
    )
    return Member(
        id=number(record.get("id")),
        identifier=text(record.get("identifier")),
        name=name,
        email=next(_emails(record), ""),
        time_zone=reference(record.get("timeZone")).name,
        work_role=reference(record.get("workRole")),
        work_type=reference(record.get("workType")),
        is_api_only=record.get("licenseClass") == "A",
    )


def _emails(record: Record) -> Iterator[str]:
    """Yield a member's addresses; `defaultEmail` holds one, or the name of a field."""
    default = text(record.get("defaultEmail"))
    fields = [_EMAIL_KINDS.get(default, "defaultEmail"), "primaryEmail", *_EMAIL_KINDS.values()]
    for name in fields:
        if "@" in (address := text(record.get(name))):
            yield address


def remote_note(record: Record) -> RemoteRecord:
    """Return a note for the search for markers; markdown escapes of the server are undone."""
    return RemoteRecord(
        id=number(record.get("id")),
        text=_unescaped(record.get("text")),
        member_identifier=text(part(record.get("member"), "identifier")),
        start=None,
        end=None,
    )


def remote_time(record: Record) -> RemoteRecord:
    """Return a time entry for the search for markers, which stand in its internal notes."""
    texts = (_unescaped(record.get("internalNotes")), _unescaped(record.get("notes")))
    return RemoteRecord(
        id=number(record.get("id")),
        text="\n".join(part for part in texts if part),
        member_identifier=text(part(record.get("member"), "identifier")),
        start=moment(record.get("timeStart")),
        end=moment(record.get("timeEnd")),
    )


def _unescaped(value: Any) -> str:
    return _ESCAPED.sub(r"\1", long_text(value))

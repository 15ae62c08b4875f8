"""A ticket's context as the text that a prompt carries: fixed sections, fixed order, capped.

The same context always gives the same text, byte for byte, since it stands in the part of the
prompt that the model's cache recognises. What is new comes first where something must be cut: the
latest notes and the nearest related tickets stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from flowpilot_desktop.core.ticket import (
    Configuration,
    RelatedTicket,
    Ticket,
    TicketContext,
    TicketNote,
)
from flowpilot_desktop.llm.fence import harmless

_SHORT = 300
_DESCRIPTION = 6_000
_NOTE = 2_000
_NOTES = 16_000
_RESOLUTION = 800
_CONFIGURATION_NOTES = 500
_CONFIGURATIONS = 20
_RELATED = 10


def ticket_context_text(context: TicketContext) -> str:
    """Return all that was pulled for a ticket as plain text, at most about 45,000 characters.

    It is data from strangers: it belongs inside a block of ``fence.fenced``, never outside.
    """
    sections = [
        _section("Ticket", _ticket_lines(context.ticket)),
        _section("Description", [harmless(context.ticket.description, _DESCRIPTION)]),
        _section("Company", _company_lines(context)),
        _section("Configurations", _configuration_lines(context.configurations)),
        _section("Notes, oldest first", _note_lines(context.notes)),
        _section("Related tickets", _related_lines(context.related)),
        _section("Could not be fetched", [", ".join(_line(part) for part in context.missing)]),
    ]
    return "\n\n".join(section for section in sections if section)


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(line for line in lines if line)
    return f"## {title}\n{body}" if body else ""


def _line(text: str) -> str:
    return " ".join(harmless(text, _SHORT).split())


def _fields(*pairs: tuple[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, text in pairs if (value := _line(text))]


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""


def _ticket_lines(ticket: Ticket) -> list[str]:
    return _fields(
        ("Number", ticket.id),
        ("Summary", ticket.summary),
        ("Status", ticket.status.name),
        ("Priority", ticket.priority.name),
        ("Board", ticket.board.name),
        ("Type", " / ".join(part for part in (ticket.type, ticket.subtype) if part)),
        ("Opened", _day(ticket.created_at)),
        ("Required by", _day(ticket.required_at)),
        ("SLA", ticket.sla_status),
        ("Merged into", ticket.merged_into),
    )


def _company_lines(context: TicketContext) -> list[str]:
    ticket = context.ticket
    return _fields(
        ("Name", context.company.name or ticket.company.name),
        ("Kind", ", ".join(context.company.types)),
        ("City", context.company.city),
        ("Site", context.site.name or ticket.site.name),
        ("Contact", context.contact.name or ticket.contact.name),
        ("Contact's title", context.contact.title),
    )


def _configuration_lines(configurations: Sequence[Configuration]) -> list[str]:
    lines = []
    for item in configurations[:_CONFIGURATIONS]:
        details = _fields(
            ("type", item.type),
            ("model", item.model),
            ("system", item.operating_system),
            ("address", item.ip_address),
            ("MAC", item.mac_address),
            ("serial", item.serial_number),
            ("last login", item.last_login),
            ("warranty until", f"{item.warranty_until:%Y-%m-%d}" if item.warranty_until else ""),
        )
        notes = harmless(item.notes, _CONFIGURATION_NOTES)
        lines.append(f"- {_line(item.name)}: {'; '.join(details)}".rstrip(": "))
        lines += [f"  {line}" for line in notes.splitlines() if line.strip()]
    return [*lines, _left_out(len(configurations), _CONFIGURATIONS)]


def _note_lines(notes: Sequence[TicketNote]) -> list[str]:
    told = [note for note in notes if not note.is_description and note.text.strip()]
    told.sort(key=lambda note: (note.created_at or datetime.min.replace(tzinfo=UTC), note.id))
    kept: list[str] = []
    room = _NOTES
    for note in reversed(told):
        text = harmless(note.text, _NOTE)
        room -= len(text)
        if room < 0:
            break
        kind = "resolution" if note.is_resolution else "internal" if note.is_internal else "note"
        head = ", ".join(part for part in (kind, _day(note.created_at), _line(note.author)) if part)
        kept.append(f"[{head}]\n{text}")
    kept.reverse()
    return [_left_out(len(told), len(kept), "older notes"), *kept]


def _related_lines(related: Sequence[RelatedTicket]) -> list[str]:
    lines = []
    for ticket in related[:_RELATED]:
        details = _fields(
            ("status", ticket.status),
            ("opened", _day(ticket.created_at)),
            ("why", ticket.why_related),
        )
        lines.append(f"- #{_line(ticket.id)} {_line(ticket.summary)} ({'; '.join(details)})")
        if resolution := harmless(ticket.resolution, _RESOLUTION):
            lines.append(f"  Resolution: {resolution}")
    return [*lines, _left_out(len(related), _RELATED)]


def _left_out(count: int, kept: int, what: str = "more") -> str:
    return f"({count - kept} {what} left out)" if count > kept else ""

"""What left this computer for the ticketing system: the record for people and for auditors.

The rows of the documentation push are that record: each was written before anything was sent and
keeps what was sent, when, by whom, under which id it is known over there, and why it did not get
there. Here they are put into words and into a file. The payloads passed the redaction gateway when
they were made; everything is redacted once more on its way out.
"""

from __future__ import annotations

import asyncio
import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flowpilot_desktop.core.documentation import with_marker
from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.push import (
    NotePayload,
    PushItem,
    PushPayload,
    PushState,
    StatusPayload,
    TimePayload,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.ticket import Reference, Ticket, TicketStatus
from flowpilot_desktop.store import Store

HEADINGS = (
    "Written (UTC)",
    "Sent (UTC)",
    "What",
    "Part",
    "Ticket",
    "State",
    "Engineer",
    "ConnectWise member",
    "Remote id",
    "Tries",
    "Marker",
    "Session",
    "Content",
    "Remark",
)
_PAGE = 500
_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One operation, and the name of the engineer in whose name it was made."""

    item: PushItem
    engineer: str


class Audit:
    """Reads the record of what left."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def rows(self, limit: int = 100, offset: int = 0) -> tuple[AuditRow, ...]:
        """Return a page of the record, the newest first."""
        names = {engineer.id: engineer.name for engineer in await self._store.engineers()}
        found = await self._store.push_history(limit, offset)
        return tuple(AuditRow(item, names.get(item.engineer_id, "")) for item in found)

    async def csv(self) -> str:
        """Return the whole record as a table for a spreadsheet, redacted."""
        rows: list[AuditRow] = []
        while page := await self.rows(_PAGE, len(rows)):
            rows += page
        return as_csv(rows)

    async def export(self, path: Path) -> None:
        """Write the record into a file, whole or not at all; raises OSError.

        The byte-order mark lets a spreadsheet see that it is UTF-8.
        """
        text = await self.csv()
        await asyncio.to_thread(_write, path, text)


def as_csv(rows: Iterable[AuditRow]) -> str:
    """Return rows as CSV: redacted, and nothing in it that a spreadsheet would run.

    A cell that begins like a formula gets an apostrophe before it, whatever blanks come first.
    """
    redactor = Redactor()
    written = io.StringIO(newline="")
    table = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    table.writerow(HEADINGS)
    for row in rows:
        table.writerow([_cell(redactor.redact(text).text) for text in _texts(row)])
    return written.getvalue()


def content(payload: PushPayload) -> str:
    """Return what an operation carries, in one text."""
    match payload:
        case NotePayload():
            return payload.text.text
        case TimePayload():
            span = f"{_moment(payload.start)} to {_moment(payload.end)}"
            hours = f"{payload.actual_hours:g} h, {payload.hours_deduct:g} h deducted"
            return f"{span}, {hours}\n{payload.notes.text}\n{payload.internal_notes.text}"
        case StatusPayload():
            return f"{payload.seen_status.name} → {payload.status.name}"


def member(payload: PushPayload) -> str:
    """Return the member in whose name an operation is made; empty is the keys' own."""
    return "" if isinstance(payload, StatusPayload) else payload.member_identifier


# What a person changes on an operation that failed; it is redacted again


def with_text(item: PushItem, text: str) -> PushPayload:
    """Return the payload of a note or time entry with another text."""
    if not text.strip():
        raise InvalidInput("There is no text left to send.", hint="Use Skip to leave it unsent.")
    redactor = Redactor()
    match item.payload:
        case NotePayload():
            return replace(item.payload, text=redactor.redact(with_marker(text, item.marker)))
        case TimePayload():
            return replace(item.payload, notes=redactor.redact(text.strip()))
        case StatusPayload():
            raise InvalidInput("A status change has no text.")


def with_span(payload: TimePayload, start: datetime, end: datetime) -> TimePayload:
    """Return a time entry for another span; nothing of it is deducted."""
    start, end = (moment.astimezone(UTC).replace(microsecond=0) for moment in (start, end))
    if end <= start:
        raise InvalidInput("The time ends before it begins.")
    if end - start > timedelta(days=1):
        raise InvalidInput("A time entry can't be longer than a day.")
    hours = round((end - start).total_seconds() / 3600, 2)
    return replace(payload, start=start, end=end, hours_deduct=0.0, actual_hours=hours)


def with_work(
    payload: TimePayload, work_type: Reference, work_role: Reference, billable: str
) -> TimePayload:
    """Return a time entry of another kind of work; what is empty is left to ConnectWise."""
    return replace(payload, work_type=work_type, work_role=work_role, billable=billable)


def with_status(status: TicketStatus, seen: Ticket) -> StatusPayload:
    """Return a change to another status, chosen while looking at the ticket as it is now."""
    return StatusPayload(Reference(status.id, status.name), seen.board, seen.status)


def has_left(item: PushItem) -> bool:
    """Return whether anything of an operation may have left this computer."""
    return item.tries > 0 or item.state in (
        PushState.SENT,
        PushState.SENDING,
        PushState.UNCLEAR,
    )


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(text.encode("utf-8-sig", "replace"))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _texts(row: AuditRow) -> tuple[str, ...]:
    item = row.item
    return (
        _moment(item.created_at),
        _moment(item.sent_at),
        item.kind.value,
        str(item.part),
        item.ticket_id,
        item.state.value,
        row.engineer,
        member(item.payload),
        item.remote_id,
        str(item.tries),
        item.marker,
        item.session_id,
        content(item.payload),
        " ".join(filter(None, (item.error, item.warning))),
    )


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else ""


def _cell(text: str) -> str:
    text = text.replace("\x00", "")
    # Some spreadsheets read the wide forms of East Asian writing as well.
    begins = unicodedata.normalize("NFKC", text[:40]).lstrip(" \u200b\ufeff")
    return f"'{text}" if begins.startswith(_FORMULA_BEGINS) else text

"""What goes back to the ticket: notes, time entries and status changes as durable rows.

One operation is one ``PushItem``, written before anything is sent. Its payload is exact: what the
technician saw in the preview is what leaves. The item is also the audit record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from flowpilot_desktop.core.redaction import RedactedText
from flowpilot_desktop.core.ticket import RecordKind, Reference
from flowpilot_desktop.core.visibility import NoteVisibility as NoteVisibility  # noqa: PLC0414 - theirs who push


class PushKind(StrEnum):
    """What an item does to the ticket; the order is the order of sending."""

    NOTE = "note"
    TIME = "time"
    STATUS = "status"


class PushState(StrEnum):
    """Where an item stands."""

    PENDING = "pending"
    SENDING = "sending"
    UNCLEAR = "unclear"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class PsaPushStatus(StrEnum):
    """Where a session's documentation stands, all items together."""

    NO_PSA = "no_psa"
    PENDING = "pending"
    SENT = "sent"
    PENDING_RETRY = "pending_retry"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NotePayload:
    """A note to be added. The text already carries the marker."""

    text: RedactedText
    visibility: NoteVisibility
    member_identifier: str = ""


@dataclass(frozen=True, slots=True)
class TimePayload:
    """A time entry to be added. Times are aware UTC in whole seconds; hours are decimal."""

    member_identifier: str
    start: datetime
    end: datetime
    hours_deduct: float
    actual_hours: float
    notes: RedactedText
    internal_notes: RedactedText
    work_type: Reference = Reference()
    work_role: Reference = Reference()
    billable: str = ""


@dataclass(frozen=True, slots=True)
class StatusPayload:
    """A status to be set, with the board and status that the technician saw when choosing."""

    status: Reference
    seen_board: Reference
    seen_status: Reference


PushPayload = NotePayload | TimePayload | StatusPayload
PAYLOADS: dict[PushKind, type[PushPayload]] = {
    PushKind.NOTE: NotePayload,
    PushKind.TIME: TimePayload,
    PushKind.STATUS: StatusPayload,
}


@dataclass(frozen=True, slots=True)
class PushItem:
    """One operation against the PSA, durable from before it is first sent.

    ``watermark`` is the highest id of that kind on the ticket before sending; ``tries`` counts
    what was really sent, ``looks`` the searches for it afterwards. ``part`` orders the parts of a
    long note.
    """

    id: str
    session_id: str
    kind: PushKind
    connection_id: str
    ticket_id: str
    record_kind: RecordKind
    payload: PushPayload
    marker: str
    engineer_id: str
    created_at: datetime
    part: int = 1
    state: PushState = PushState.PENDING
    watermark: int | None = None
    tries: int = 0
    looks: int = 0
    next_try_at: datetime | None = None
    sent_at: datetime | None = None
    remote_id: str = ""
    error: str = ""
    warning: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemoteRecord:
    """A note or time entry found on a ticket when looking whether something landed."""

    id: int
    text: str
    member_identifier: str = ""
    start: datetime | None = None
    end: datetime | None = None


def marker_for(operation_id: str) -> str:
    """Return the marker of an operation's record: ``FP-`` and ten letters or digits."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = int.from_bytes(hashlib.sha256(operation_id.encode()).digest()[:7], "big")
    digits = ""
    for _ in range(10):
        number, rest = divmod(number, 32)
        digits += alphabet[rest]
    return f"FP-{digits}"


def session_push_status(items: tuple[PushItem, ...], *, has_ticket: bool) -> PsaPushStatus:
    """Return one word for all items of a session."""
    states = {item.state for item in items}
    if states <= {PushState.SKIPPED}:  # nothing is to leave, or the technician kept it all here
        return PsaPushStatus.NO_PSA
    if PushState.FAILED in states:
        return PsaPushStatus.FAILED
    if states <= {PushState.SENT, PushState.SKIPPED}:
        return PsaPushStatus.SENT if has_ticket else PsaPushStatus.NO_PSA
    if any(item.tries or item.error for item in items if item.state is not PushState.SENT):
        return PsaPushStatus.PENDING_RETRY
    return PsaPushStatus.PENDING

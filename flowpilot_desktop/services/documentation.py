"""From a session to what will be sent: the preview, the technician's edits, the durable items.

Nothing here sends. ``preview`` shows exactly what ``items`` turns into rows; what the technician
edited is redacted again before it becomes a payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flowpilot_desktop.core.documentation import (
    NoteSource,
    escalation_note,
    resolved_note,
    split_note,
    with_marker,
)
from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushItem,
    PushKind,
    PushPayload,
    PushState,
    StatusPayload,
    TimePayload,
    marker_for,
)
from flowpilot_desktop.core.redaction import Masked, Redactor
from flowpilot_desktop.core.session import Session, Step, new_id
from flowpilot_desktop.core.ticket import MemberMapping, RecordKind, Reference, Ticket, TicketStatus
from flowpilot_desktop.core.timing import (
    Billed,
    Rounding,
    Segment,
    TimeEntryPlan,
    local_words,
    plan_time_entries,
)

_LONGEST_ENTRY = timedelta(days=1)
MAPPING_WARNING = (
    "Map your CW account in Settings → Integrations to enable auto-logged time entries"
)
MAPPING_WARNING_AFTER = (
    "Time entry was not created — Map your CW account in Settings → Integrations. "
    "Session timing is included in the ticket note."
)


@dataclass(frozen=True, slots=True)
class DocumentationRules:
    """The settings that shape documentation, as they are at the moment of closing."""

    auto_push: bool = True
    auto_time_entry: bool = True
    rounding: Rounding = Rounding.NEAREST_15
    visibility: NoteVisibility = NoteVisibility.INTERNAL
    include_steps: bool = True
    note_limit: int = 4000


@dataclass(frozen=True, slots=True)
class Dossier:
    """The records that documentation is made from, as of one moment."""

    session: Session
    steps: tuple[Step, ...]
    segments: tuple[Segment, ...]
    sent: tuple[PushItem, ...]
    names: Mapping[str, str]
    as_of: datetime
    engineer_id: str
    mapping: MemberMapping | None
    ticket: Ticket | None
    flow_name: str = ""
    elsewhere: tuple[Billed, ...] = ()
    """Time entries that other engineers made for the session, on their own computers."""
    busy: tuple[Billed, ...] = ()
    """The engineer's own time entries for other sessions."""


@dataclass(frozen=True, slots=True)
class StatusChoice:
    """The status that the technician chose, and the ticket as it was when they did."""

    status: TicketStatus
    seen: Ticket


@dataclass(frozen=True, slots=True)
class DocumentationChoices:
    """What the technician decided on the closing page; None leaves the preview as it is."""

    note: str | None = None
    time: tuple[TimeEntryPlan, ...] | None = None
    visibility: NoteVisibility | None = None
    status: StatusChoice | None = None
    push: bool | None = None
    work_type: Reference = Reference()
    work_role: Reference = Reference()
    billable: str = ""


@dataclass(frozen=True, slots=True)
class DocumentationPreview:
    """The note and the time as they would leave now."""

    note: str
    masked: tuple[Masked, ...]
    time: tuple[TimeEntryPlan, ...]
    will_push: bool
    visibility: NoteVisibility
    member_mapping_warning: str = ""


def preview(
    dossier: Dossier,
    rules: DocumentationRules,
    *,
    escalating: bool = False,
    summary: str = "",
    action: str = "",
) -> DocumentationPreview:
    """Return what would leave if the session closed now."""
    note = Redactor().redact(_note(dossier, rules, summary, action, escalating=escalating))
    has_ticket = bool(dossier.session.ticket_id)
    wants_time = has_ticket and rules.auto_time_entry and rules.rounding is not Rounding.NO_ENTRY
    warning = MAPPING_WARNING if wants_time and dossier.mapping is None else ""
    return DocumentationPreview(
        note=note.text,
        masked=note.masked,
        time=_time(dossier, rules),
        will_push=has_ticket and rules.auto_push,
        visibility=rules.visibility,
        member_mapping_warning=warning,
    )


def items(
    dossier: Dossier,
    rules: DocumentationRules,
    choices: DocumentationChoices,
    note: str,
) -> tuple[PushItem, ...]:
    """Return the durable rows for a closing session; none without a ticket."""
    session = dossier.session
    if not session.ticket_id:
        return ()
    redactor = Redactor()
    text = redactor.redact(note).text
    payloads: list[tuple[PushKind, int, PushPayload, str]] = []
    member = dossier.mapping.member_identifier if dossier.mapping else ""
    visibility = choices.visibility or rules.visibility
    for part, piece in enumerate(split_note(text, rules.note_limit), start=1):
        item_id = new_id()
        body = redactor.redact(with_marker(piece, marker_for(item_id)))
        payloads.append((PushKind.NOTE, part, NotePayload(body, visibility, member), item_id))
    if choices.time is not None:
        check_time(dossier, choices.time)
    plans = choices.time if choices.time is not None else _time(dossier, rules)
    headline = redactor.redact(session.resolution_summary or session.problem_summary)
    for part, plan in enumerate(plans if member else (), start=1):
        item_id = new_id()
        internal = redactor.redact(f"FlowPilot session {session.id}\n{marker_for(item_id)}")
        time = TimePayload(
            member_identifier=member,
            start=plan.start,
            end=plan.end,
            hours_deduct=plan.deducted_hours,
            actual_hours=round(plan.rounded.total_seconds() / 3600, 2),
            notes=headline,
            internal_notes=internal,
            work_type=choices.work_type,
            work_role=choices.work_role,
            billable=choices.billable,
        )
        payloads.append((PushKind.TIME, part, time, item_id))
    if choices.status is not None:
        chosen, seen = choices.status.status, choices.status.seen
        status = StatusPayload(Reference(chosen.id, chosen.name), seen.board, seen.status)
        payloads.append((PushKind.STATUS, 1, status, new_id()))
    record_kind = dossier.ticket.kind if dossier.ticket else RecordKind.SERVICE
    wanted = rules.auto_push if choices.push is None else choices.push
    return tuple(
        PushItem(
            id=item_id,
            session_id=session.id,
            kind=kind,
            connection_id=session.connection_id,
            ticket_id=session.ticket_id,
            record_kind=record_kind,
            payload=payload,
            marker=marker_for(item_id),
            engineer_id=dossier.engineer_id,
            created_at=dossier.as_of,
            part=part,
            state=PushState.PENDING if wanted else PushState.SKIPPED,
        )
        for kind, part, payload, item_id in payloads
    )


def check_time(dossier: Dossier, plans: tuple[TimeEntryPlan, ...]) -> None:
    """Refuse time edited by hand that nobody can have worked, or that is on the books already.

    Raises InvalidInput when an entry ends before it begins, is longer than a day, or touches
    another entry (of another session, too) or the time that another engineer worked on this one.
    """
    taken = [(entry.start, entry.end, "time that is entered already") for entry in _billed(dossier)]
    taken += [(one.start, one.end, "your entry for another session") for one in dossier.busy]
    taken += [
        (
            segment.started_at,
            segment.ended_at or dossier.as_of,
            f"the time that {dossier.names.get(segment.engineer_id, 'another engineer')} worked",
        )
        for segment in dossier.segments
        if segment.engineer_id != dossier.engineer_id
    ]
    for plan in sorted(plans, key=lambda plan: plan.start):
        if plan.end <= plan.start:
            raise InvalidInput("The time ends before it begins.")
        if plan.end - plan.start > _LONGEST_ENTRY:
            raise InvalidInput("A time entry can't be longer than a day.")
        for start, end, whose in taken:
            if plan.start < end and start < plan.end:
                raise InvalidInput(
                    f"That overlaps {whose}, {local_words(start)} to {local_words(end)}.",
                    hint="Change start or end; nothing was sent.",
                )
        taken.append((plan.start, plan.end, "your other entry"))


def _note(
    dossier: Dossier, rules: DocumentationRules, summary: str, action: str, *, escalating: bool
) -> str:
    source = NoteSource(
        session=dossier.session,
        steps=dossier.steps,
        segments=dossier.segments,
        names=dossier.names,
        as_of=dossier.as_of,
        include_steps=rules.include_steps,
        flow_name=dossier.flow_name,
        resolution_summary=summary,
        resolution_action=action,
    )
    return escalation_note(source) if escalating else resolved_note(source)


def _billed(dossier: Dossier) -> list[Billed]:
    own = [
        Billed(item.engineer_id, item.payload.start, item.payload.end, item.created_at)
        for item in dossier.sent
        if isinstance(item.payload, TimePayload) and item.state is not PushState.SKIPPED
    ]
    return [*own, *dossier.elsewhere]


def _time(dossier: Dossier, rules: DocumentationRules) -> tuple[TimeEntryPlan, ...]:
    if not (dossier.session.ticket_id and rules.auto_time_entry):
        return ()
    billed = _billed(dossier)
    segments = tuple(
        replace(segment, last_activity_at=max(segment.last_activity_at, dossier.as_of))
        if segment.is_open
        else segment
        for segment in dossier.segments
    )
    return plan_time_entries(
        segments, dossier.engineer_id, rules.rounding, billed, dossier.as_of, busy=dossier.busy
    )

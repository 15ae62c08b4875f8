"""Records to store: plain ones by hand, the worst ones by Hypothesis."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationState,
    OperationKind,
    OperationState,
    QueueOperation,
)
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.history import AuditEntry
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushItem,
    PushKind,
    PushPayload,
    PushState,
    StatusPayload,
    TimePayload,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Command,
    ContextStatus,
    Draft,
    Engineer,
    Hypothesis,
    HypothesisStatus,
    Intake,
    IntakeType,
    Note,
    Option,
    Question,
    Resolution,
    Response,
    Result,
    Risk,
    Session,
    SessionStatus,
    Source,
    Step,
    TriedStep,
    Usage,
    Verification,
)
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    MemberMapping,
    PsaConnection,
    RecordKind,
    Reference,
    RelatedTicket,
    Site,
    Ticket,
    TicketContext,
    TicketNote,
)
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.core.usage import UsageRecord

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def a_session(name: str = "s1", **changes: Any) -> Session:
    values: dict[str, Any] = {
        "user_id": "ana",
        "handler_id": "ana",
        "status": SessionStatus.ACTIVE,
        "intake": Intake("Outlook does not start"),
        "created_at": NOON,
        "updated_at": NOON,
        "problem_summary": "Outlook does not start",
    }
    return Session(name, **(values | changes))


def a_step(name: str = "s1-1", session: str = "s1", number: int = 1, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "body": Question("Does it start in safe mode?", options=(Option("Yes", "y"),)),
        "source": Source.CLAUDE,
        "created_at": NOON,
        "created_by": "ana",
    }
    return Step(name, session, number, **(values | changes))


def an_answered_step(
    name: str = "s1-1", session: str = "s1", number: int = 1, **changes: Any
) -> Step:
    answer = {"response": Response(option="y"), "answered_at": at(1), "answered_by": "ana"}
    return a_step(name, session, number, **(answer | changes))


def a_push_item(name: str = "p1", session: str = "s1", **changes: Any) -> PushItem:
    values: dict[str, Any] = {
        "kind": PushKind.NOTE,
        "connection_id": "cw",
        "ticket_id": "101",
        "record_kind": RecordKind.SERVICE,
        "payload": NotePayload(Redactor().redact("Restarted Outlook."), NoteVisibility.INTERNAL),
        "marker": "FP-0123456789",
        "engineer_id": "ana",
        "created_at": NOON,
    }
    return PushItem(name, session, **(values | changes))


def a_context(ticket_id: str = "101", fetched: datetime = NOON, **ticket: Any) -> TicketContext:
    values: dict[str, Any] = {"summary": "Outlook", "company": Reference(7, "Acme & Söhne")}
    return TicketContext("cw", Ticket(ticket_id, **(values | ticket)), fetched)


# --- the worst -------------------------------------------------------------------------------

# No surrogates and no NUL: what is stored is what comes back. Those two have tests of their own.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
number = st.integers(-(2**63), 2**63 - 1)
count = st.integers(0, 2**53)
share = st.floats(0, 1)
zones = st.builds(
    timezone, st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23))
)
moment = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC) | zones,
)
maybe = st.none() | moment


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=3).map(tuple)


hypotheses = st.builds(
    Hypothesis, text, share, st.sampled_from(HypothesisStatus), evidence=tuples(text)
)
commands = st.builds(Command, text, text, st.sampled_from(Risk), text)
bodies = st.one_of(
    st.builds(
        Question, text, text, tuples(st.builds(Option, text, text)), st.booleans(), st.booleans()
    ),
    st.builds(Action, text, text, text, st.none() | commands),
    st.builds(Verification, text, text, text),
    st.builds(Resolution, text, text, tuples(text), text),
    st.builds(
        Briefing,
        text,
        text,
        text,
        tuples(st.builds(TriedStep, text, text)),
        tuples(text),
        tuples(hypotheses),
        tuples(text),
        tuples(text),
        st.integers(0, 99),
        text,
    ),
    st.builds(Note, text, text),
)
responses = st.builds(
    Response, st.none() | text, text, st.none() | st.sampled_from(Result), st.booleans()
)
usages = st.builds(Usage, count, count, count, count)
intakes = st.builds(Intake, text, text, text, st.sampled_from(IntakeType), tuples(text))

sessions = st.builds(
    Session,
    id=name,
    user_id=text,
    handler_id=text,
    status=st.sampled_from(SessionStatus),
    intake=intakes,
    created_at=moment,
    updated_at=moment,
    problem_summary=text,
    problem_domain=text,
    connection_id=text,
    ticket_id=text,
    company=text,
    psa_context_status=st.sampled_from(ContextStatus),
    flow_id=text,
    hop_count=st.integers(0, 99),
    paused_at=maybe,
    escalated_at=maybe,
    resolved_at=maybe,
    escalation_id=text,
    escalation_reason=text,
    escalated_to=text,
    resolution_summary=text,
    resolution_action=text,
    end_reason=text,
    fence=number,
)


def steps(session_id: str = "s1") -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        id=name,
        session_id=st.just(session_id),
        number=st.integers(1, 30),
        body=bodies,
        source=st.sampled_from(Source),
        created_at=moment,
        created_by=text,
        confidence=share,
        hypotheses=tuples(hypotheses),
        flow_id=text,
        flow_node=text,
        model=text,
        prompt_version=text,
        usage=usages,
        response=st.none() | responses,
        answered_at=maybe,
        answered_by=text,
        corrects=text,
    )


references = st.builds(Reference, number, text)
# What a payload is made of; the made one can't be printed by Hypothesis.
payload_parts = st.tuples(
    st.sampled_from(PushKind),
    text,
    text,
    st.sampled_from(NoteVisibility),
    st.tuples(moment, moment),
    st.tuples(st.floats(0, 24), st.floats(0, 24)),
    st.tuples(references, references, references),
)


def payload(parts: Any) -> PushPayload:
    """Makes a payload of what ``payload_parts`` draws."""
    kind, words, more, visibility, moments, hours, named = parts
    redacted, redacted_more = Redactor().redact(words), Redactor().redact(more)
    match kind:
        case PushKind.NOTE:
            return NotePayload(redacted, visibility, more)
        case PushKind.TIME:
            start, end = moments
            deducted, actual = hours
            work_type, work_role, _ = named
            return TimePayload(
                more,
                start,
                end,
                deducted,
                actual,
                redacted,
                redacted_more,
                work_type,
                work_role,
                words,
            )
    return StatusPayload(*named)


def push_items(session_id: str = "s1") -> st.SearchStrategy[PushItem]:
    return st.builds(
        PushItem,
        id=name,
        session_id=st.just(session_id),
        kind=st.sampled_from(PushKind),
        connection_id=text,
        ticket_id=text,
        record_kind=st.sampled_from(RecordKind),
        payload=st.none(),  # see ``payload_parts``
        marker=text,
        engineer_id=text,
        created_at=moment,
        part=st.integers(1, 9),
        state=st.sampled_from(PushState),
        watermark=st.none() | number,
        tries=st.integers(0, 9),
        looks=st.integers(0, 9),
        next_try_at=maybe,
        sent_at=maybe,
        remote_id=text,
        error=text,
        warning=text,
        updated_at=maybe,
    )


tickets = st.builds(
    Ticket,
    id=name,
    summary=text,
    kind=st.sampled_from(RecordKind),
    description=text,
    status=references,
    board=references,
    company=references,
    contact=references,
    created_at=maybe,
    is_closed=st.booleans(),
)
contexts = st.builds(
    TicketContext,
    connection_id=name,
    ticket=tickets,
    fetched_at=moment,
    company=st.builds(Company, number, text, types=tuples(text)),
    contact=st.builds(Contact, number, text),
    site=st.builds(Site, number, text),
    configurations=tuples(st.builds(Configuration, number, text, warranty_until=maybe)),
    notes=tuples(st.builds(TicketNote, number, text, text, maybe, st.booleans())),
    related=tuples(st.builds(RelatedTicket, text, text, text, st.booleans(), maybe)),
    missing=tuples(text),
)

escalations = st.builds(
    Escalation,
    id=name,
    session_id=text,
    state=st.sampled_from(EscalationState),
    originator_id=text,
    raised_by=text,
    summary=text,
    reason=text,
    created_at=moment,
    raised_at=moment,
    assigned_to=text,
    claimed_at=maybe,
    step_count=st.integers(0, 99),
    fence=number,
    outcome=text,
)
operations = st.builds(
    QueueOperation,
    id=name,
    session_id=text,
    escalation_id=text,
    kind=st.sampled_from(OperationKind),
    body=text,
    created_at=moment,
    number=number,
    state=st.sampled_from(OperationState),
    tries=st.integers(0, 99),
    next_try_at=maybe,
    answered_at=maybe,
    answer=text,
    error=text,
)
happenings = st.builds(
    Happening,
    id=name,
    session_id=st.just("s1"),
    after=st.integers(0, 30),
    at=moment,
    kind=st.sampled_from(HappeningKind),
    context=st.none() | contexts,
    flow_text=text,
    minutes=st.integers(0, 9999),
)

small_records = st.one_of(
    escalations,
    operations,
    happenings,
    st.builds(Draft, text, text, text, moment),
    st.builds(Engineer, name, text, text),
    st.builds(PsaConnection, name, text, text, text, text, text, text),
    st.builds(MemberMapping, name, name, number, text, text, text),
    st.builds(UsageRecord, name, text, moment, text, usages, count),
    st.builds(AuditEntry, name, moment, text, text, text, text),
    st.builds(Attachment, name, text, text, text, st.binary(max_size=200), moment),
    st.builds(Segment, name, st.just("s1"), text, moment, maybe, moment),
    contexts,
)

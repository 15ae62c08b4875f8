"""The tables as SQLAlchemy Core sees them, and which record lives in which.

The migrations make the tables; a test holds both against each other. A record's fields and its
table's columns have the same names, so most records need no code of their own: a ``Shelf`` takes
a record apart and puts it together again by its fields. Moments are microseconds since 1970 in
UTC, enumerations their values, nested nouns JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import ForeignKey
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

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
from flowpilot_desktop.core.push import PushItem, PushKind, PushPayload, PushState
from flowpilot_desktop.core.session import (
    ContextStatus,
    Draft,
    Engineer,
    Hypothesis,
    Intake,
    Response,
    Session,
    SessionStatus,
    Source,
    Step,
    StepBody,
    StepKind,
    Usage,
)
from flowpilot_desktop.core.ticket import (
    MemberMapping,
    PsaConnection,
    RecordKind,
    Ticket,
    TicketContext,
)
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.store.documents import clean, from_json, from_micros, to_json, to_micros

# A type's two methods are SQLAlchemy's: what goes to the driver, what comes back from it.


class Words(TypeDecorator[str]):
    """Text, cleaned at the door, in values as in conditions."""

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)


class Moment(TypeDecorator[datetime]):
    """An aware moment as microseconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Choice(TypeDecorator[Enum]):
    """One of an enumeration, as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, choices: type[Enum]) -> None:
        super().__init__()
        self.choices = choices

    @override
    def process_bind_param(self, value: Enum | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value.value)

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> Enum | None:
        return None if value is None else self.choices(value)


class Document(TypeDecorator[Any]):
    """A noun as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, noun: Any) -> None:
        super().__init__()
        self.noun = noun

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else to_json(value, self.noun)

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else from_json(value, self.noun)


metadata = MetaData()


def _id() -> Column[str]:
    return Column("id", Words, primary_key=True)


def _words(name: str, default: str | None = None, **more: Any) -> Column[str]:
    return Column(name, Words, nullable=False, server_default=default, **more)


def _of_session(name: str = "session_id") -> Column[str]:
    return Column(name, Words, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False)


def _moment(name: str, *, optional: bool = False) -> Column[datetime]:
    return Column(name, Moment, nullable=optional)


sessions = Table(
    "sessions",
    metadata,
    Column("number", Integer, primary_key=True),
    _words("id", unique=True),
    _words("user_id"),
    _words("handler_id"),
    Column("status", Choice(SessionStatus), nullable=False),
    Column("intake", Document(Intake), nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
    _words("problem_summary"),
    _words("problem_domain"),
    _words("connection_id"),
    _words("ticket_id"),
    _words("company"),
    Column("psa_context_status", Choice(ContextStatus), nullable=False),
    _words("flow_id"),
    Column("hop_count", Integer, nullable=False),
    _moment("paused_at", optional=True),
    _moment("escalated_at", optional=True),
    _moment("resolved_at", optional=True),
    _words("escalation_id"),
    _words("escalation_reason"),
    _words("escalated_to"),
    _words("resolution_summary"),
    _words("resolution_action"),
    _words("end_reason"),
    Column("fence", BigInteger, nullable=False),
    Index("sessions_by_update", "updated_at"),
    Index("sessions_by_status", "status", "updated_at"),
    Index("sessions_by_ticket", "ticket_id"),
)

steps = Table(
    "steps",
    metadata,
    _id(),
    _of_session(),
    Column("number", Integer, nullable=False),
    Column("kind", Choice(StepKind), nullable=False),
    Column("body", Document(StepBody), nullable=False),
    Column("source", Choice(Source), nullable=False),
    _moment("created_at"),
    _words("created_by"),
    Column("confidence", Float, nullable=False),
    Column("hypotheses", Document(tuple[Hypothesis, ...]), nullable=False),
    _words("flow_id"),
    _words("flow_node"),
    _words("model"),
    _words("prompt_version"),
    Column("usage", Document(Usage), nullable=False),
    Column("response", Document(Response), nullable=True),
    _moment("answered_at", optional=True),
    _words("answered_by"),
    _words("corrects"),
    UniqueConstraint("session_id", "number", name="steps_in_order"),
)

segments = Table(
    "segments",
    metadata,
    _id(),
    _of_session(),
    _words("engineer_id"),
    _moment("started_at"),
    _moment("ended_at", optional=True),
    _moment("last_activity_at"),
    Index("segments_by_session", "session_id", "started_at"),
    Index("segments_open", "started_at", sqlite_where=text("ended_at IS NULL")),
)

drafts = Table(
    "drafts",
    metadata,
    Column("session_id", Words, primary_key=True),
    Column("field", Words, primary_key=True),
    _words("text"),
    _moment("updated_at"),
)

push_items = Table(
    "push_items",
    metadata,
    _id(),
    _of_session(),
    Column("kind", Choice(PushKind), nullable=False),
    _words("connection_id"),
    _words("ticket_id"),
    Column("record_kind", Choice(RecordKind), nullable=False),
    Column("payload", Document(PushPayload), nullable=False),
    _words("marker"),
    _words("engineer_id"),
    _moment("created_at"),
    Column("part", Integer, nullable=False),
    Column("state", Choice(PushState), nullable=False),
    Column("watermark", BigInteger, nullable=True),
    Column("tries", Integer, nullable=False),
    Column("looks", Integer, nullable=False),
    _moment("next_try_at", optional=True),
    _moment("sent_at", optional=True),
    _words("remote_id"),
    _words("error"),
    _words("warning"),
    _moment("updated_at", optional=True),
    Index("push_items_by_session", "session_id"),
    Index("push_items_by_state", "state", "next_try_at"),
    Index("push_items_by_creation", "created_at"),
)

ticket_contexts = Table(
    "ticket_contexts",
    metadata,
    Column("number", Integer, primary_key=True),
    _words("connection_id"),
    _words("ticket_id"),
    _moment("fetched_at"),
    Column("ticket", Document(Ticket), nullable=False),
    Column("context", Document(TicketContext), nullable=False),
    _words("search_text"),
    _words("company", ""),
    UniqueConstraint("connection_id", "ticket_id", name="one_context"),
    Index("ticket_contexts_by_fetch", "connection_id", "fetched_at"),
)

psa_connections = Table(
    "psa_connections",
    metadata,
    _id(),
    _words("provider"),
    _words("site"),
    _words("company_id"),
    _words("client_id"),
    _words("ca_file"),
    _words("name"),
)

member_mappings = Table(
    "member_mappings",
    metadata,
    Column("connection_id", Words, primary_key=True),
    Column("engineer_id", Words, primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    _words("member_identifier"),
    _words("member_name"),
    _words("how"),
)

engineers = Table("engineers", metadata, _id(), _words("name"), _words("email"))

usage_records = Table(
    "usage_records",
    metadata,
    _id(),
    _words("session_id"),
    _moment("at"),
    _words("model"),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Index("usage_records_by_session", "session_id"),
    Index("usage_records_by_time", "at"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    _id(),
    _moment("at"),
    _words("engineer_id"),
    _words("verb"),
    _words("session_id"),
    _words("detail"),
    Index("audit_entries_by_session", "session_id", "at"),
    Index("audit_entries_by_time", "at"),
)

attachments = Table(
    "attachments",
    metadata,
    _id(),
    _words("session_id"),
    _words("name"),
    _words("media_type"),
    _words("sha256"),
    _moment("created_at"),
    Column("content", LargeBinary, nullable=False),
    _words("step_id", ""),
    Index("attachments_by_session", "session_id"),
)

remembered = Table("remembered", metadata, Column("key", Words, primary_key=True), _words("value"))

happenings = Table(
    "happenings",
    metadata,
    _id(),
    _of_session(),
    Column("after", Integer, nullable=False),
    _moment("at"),
    Column("kind", Choice(HappeningKind), nullable=False),
    Column("context", Document(TicketContext), nullable=True),
    _words("flow_text"),
    Column("minutes", Integer, nullable=False),
    Index("happenings_by_session", "session_id", "after", "at"),
)

escalations = Table(
    "escalations",
    metadata,
    _id(),
    _words("session_id"),
    Column("state", Choice(EscalationState), nullable=False),
    _moment("raised_at"),
    Column("escalation", Document(Escalation), nullable=False),
    Index("escalations_by_state", "state", "raised_at"),
    Index("escalations_by_session", "session_id"),
)

queue_operations = Table(
    "queue_operations",
    metadata,
    _id(),
    _words("session_id"),
    _words("escalation_id"),
    Column("kind", Choice(OperationKind), nullable=False),
    _words("body"),
    _moment("created_at"),
    Column("number", BigInteger, nullable=False),
    Column("state", Choice(OperationState), nullable=False),
    Column("tries", Integer, nullable=False),
    _moment("next_try_at", optional=True),
    _moment("answered_at", optional=True),
    _words("answer"),
    _words("error"),
    Index("queue_operations_by_state", "state", "number"),
    Index("queue_operations_by_session", "session_id", "number"),
)

stale_texts = Table("stale_texts", metadata, Column("number", Integer, primary_key=True))
"""Sessions whose text the full-text index does not know yet; filled by triggers."""

stale_tickets = Table("stale_tickets", metadata, Column("number", Integer, primary_key=True))
"""Cached tickets whose text it does not know yet."""

Record = (
    Session
    | Step
    | Segment
    | Draft
    | PushItem
    | TicketContext
    | PsaConnection
    | MemberMapping
    | Engineer
    | UsageRecord
    | AuditEntry
    | Attachment
    | Happening
    | Escalation
    | QueueOperation
)
"""What the store keeps."""


@dataclass(frozen=True)
class Shelf:
    """Where one type of record lives: its table, its key, and how it is taken apart."""

    noun: type[Any]
    table: Table
    key: tuple[str, ...] = ("id",)
    derived: Callable[[Any], dict[str, Any]] | None = None
    apart: Callable[[Any], dict[str, Any]] | None = None
    together: Callable[[Any], Any] | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The record's fields, in their order."""
        return tuple(field.name for field in fields(self.noun))

    @cached_property
    def columns(self) -> tuple[Column[Any], ...]:
        """What to select so that ``record`` can be made of a row."""
        if self.together is not None:
            return tuple(self.table.columns)
        return tuple(self.table.c[name] for name in self.names)

    @cached_property
    def upsert(self) -> Insert:
        """The statement that adds a record or replaces the one with its key."""
        statement = insert(self.table)
        untouched = {*self.key, *(column.name for column in self.table.primary_key)}
        values = {
            column.name: statement.excluded[column.name]
            for column in self.table.columns
            if column.name not in untouched
        }
        return statement.on_conflict_do_update(index_elements=self.key, set_=values)

    def row(self, record: Any) -> dict[str, Any]:
        """Return the values of a record's row."""
        if self.apart is not None:
            return self.apart(record)
        row = {name: getattr(record, name) for name in self.names}
        if self.derived is not None:
            row |= self.derived(record)
        return row

    def record(self, row: Any) -> Any:
        """Return the record that a row holds; the row begins with ``columns``."""
        if self.together is not None:
            return self.together(row)
        return self.noun(*row[: len(self.names)])


def _context_apart(context: TicketContext) -> dict[str, Any]:
    ticket = context.ticket
    found_by = (ticket.id, ticket.summary, ticket.company.name, ticket.contact.name)
    return {
        "connection_id": context.connection_id,
        "ticket_id": ticket.id,
        "fetched_at": context.fetched_at,
        "ticket": ticket,
        "context": context,
        "search_text": "\n".join(found_by).casefold(),
        "company": ticket.company.name,
    }


def _usage_apart(record: UsageRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "session_id": record.session_id,
        "at": record.at,
        "model": record.model,
        "input_tokens": record.usage.input_tokens,
        "output_tokens": record.usage.output_tokens,
        "cache_read_tokens": record.usage.cache_read_tokens,
        "cache_write_tokens": record.usage.cache_write_tokens,
        "cost_micros": record.cost_micros,
    }


def _usage_together(row: Any) -> UsageRecord:
    usage = Usage(
        row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens
    )
    return UsageRecord(row.id, row.session_id, row.at, row.model, usage, row.cost_micros)


def _escalation_apart(escalation: Escalation) -> dict[str, Any]:
    return {
        "id": escalation.id,
        "session_id": escalation.session_id,
        "state": escalation.state,
        "raised_at": escalation.raised_at,
        "escalation": escalation,
    }


SHELVES: dict[type[Any], Shelf] = {
    shelf.noun: shelf
    for shelf in (
        # In the order of writing: what is referred to comes first.
        Shelf(Engineer, engineers),
        Shelf(PsaConnection, psa_connections),
        Shelf(MemberMapping, member_mappings, key=("connection_id", "engineer_id")),
        Shelf(Session, sessions),
        Shelf(Step, steps, derived=lambda step: {"kind": step.kind}),
        Shelf(Segment, segments),
        Shelf(PushItem, push_items),
        Shelf(Draft, drafts, key=("session_id", "field")),
        Shelf(
            TicketContext,
            ticket_contexts,
            key=("connection_id", "ticket_id"),
            apart=_context_apart,
            together=lambda row: row.context,
        ),
        Shelf(UsageRecord, usage_records, apart=_usage_apart, together=_usage_together),
        Shelf(AuditEntry, audit_entries),
        Shelf(Attachment, attachments, derived=lambda attachment: {"sha256": attachment.sha256}),
        Shelf(Happening, happenings),
        Shelf(
            Escalation,
            escalations,
            apart=_escalation_apart,
            together=lambda row: row.escalation,
        ),
        Shelf(QueueOperation, queue_operations),
    )
}

"""The outside, as the services see it.

A port speaks our nouns and raises the errors of ``core.errors``; nothing of a vendor leaks
through it. Every adapter gives each of its awaits a timeout. Text that leaves is
``RedactedText``: only the redaction gateway makes it, so nothing else can be sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from flowpilot_desktop.core.push import (
    NotePayload,
    PushKind,
    RemoteRecord,
    StatusPayload,
    TimePayload,
)
from flowpilot_desktop.core.redaction import RedactedText
from flowpilot_desktop.core.session import StepDraft, Usage
from flowpilot_desktop.core.ticket import (
    Member,
    PsaSelfTest,
    RecordKind,
    Reference,
    Ticket,
    TicketContext,
    TicketPage,
    TicketQuery,
    TicketStatus,
)


class Clock(Protocol):
    """Tells the time, so that tests can tell another one."""

    def now(self) -> datetime:
        """Return the wall clock's time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...


class Secrets(Protocol):
    """The operating system's keyring. Raises CredentialsUnavailable."""

    @property
    def is_lasting(self) -> bool:
        """Whether what is kept is still there after a restart."""
        ...

    async def read(self, name: str) -> str | None:
        """Return the secret, or None when there is none."""
        ...

    async def write(self, name: str, secret: str) -> None:
        """Keep the secret."""
        ...

    async def delete(self, name: str) -> None:
        """Forget the secret; absent is fine."""
        ...

    async def aclose(self) -> None:
        """Let go of the keyring."""
        ...


class Psa(Protocol):
    """A ticketing system. Raises PsaError's subclasses only."""

    async def self_test(self) -> PsaSelfTest:
        """Return what these keys may do, endpoint by endpoint, naming each missing right."""
        ...

    async def me(self) -> Member:
        """Return the member that the keys belong to."""
        ...

    async def members(self, text: str = "") -> tuple[Member, ...]:
        """Return active members whose name, identifier or e-mail contains the text."""
        ...

    async def search(self, query: TicketQuery) -> TicketPage:
        """Return one page of tickets, newest first."""
        ...

    async def ticket(self, ticket_id: str) -> Ticket:
        """Return one ticket's own fields as they are now."""
        ...

    async def context(self, ticket_id: str) -> TicketContext:
        """Return all that belongs to a ticket; parts that fail are named in ``missing``."""
        ...

    async def boards(self) -> tuple[Reference, ...]:
        """Return the active service boards, by name."""
        ...

    async def statuses(self, board_id: int) -> tuple[TicketStatus, ...]:
        """Return the active statuses of a board in their order."""
        ...

    async def work_types(self) -> tuple[Reference, ...]:
        """Return the active work types."""
        ...

    async def work_roles(self) -> tuple[Reference, ...]:
        """Return the active work roles."""
        ...

    async def highest_record(self, ticket_id: str, kind: PushKind, record_kind: RecordKind) -> int:
        """Return the highest id of a note or time entry on the ticket, 0 without any."""
        ...

    async def records_above(
        self, ticket_id: str, kind: PushKind, record_kind: RecordKind, watermark: int
    ) -> tuple[RemoteRecord, ...]:
        """Return the ticket's notes or time entries with an id above the watermark."""
        ...

    async def add_note(self, ticket_id: str, record_kind: RecordKind, note: NotePayload) -> int:
        """Add a note and return its id. Once only: no retry inside."""
        ...

    async def add_time(self, ticket_id: str, record_kind: RecordKind, time: TimePayload) -> int:
        """Add a time entry and return its id. Once only: no retry inside."""
        ...

    async def change_status(
        self, ticket_id: str, record_kind: RecordKind, status: StatusPayload
    ) -> Reference:
        """Set the status and return the one that the server then reports."""
        ...

    def ticket_url(self, ticket_id: str) -> str:
        """Return the address that opens the ticket for a person, or an empty string."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Speaker(StrEnum):
    """Whose turn it was."""

    TECHNICIAN = "technician"
    MODEL = "model"
    APP = "app"


@dataclass(frozen=True, slots=True)
class Turn:
    """One entry of a consultation. ``APP`` turns append facts without touching what is cached.

    ``pictures`` follow the text; only the technician has some.
    """

    speaker: Speaker
    text: RedactedText
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that the technician agreed to send, and the card it belongs to as in Attachment."""

    media_type: str
    content: bytes
    step_id: str = ""


@dataclass(frozen=True, slots=True)
class Consultation:
    """What a model is told of a session: an opening that never changes, then turns appended.

    ``pictures`` belong to the opening.
    ``must_conclude`` asks for the one best answer that the step limit forces. ``step_ids`` are the
    ids of the recorded steps in the order of their numbers, empty where a number has none: a model
    cites steps by number, a hypothesis by id.
    """

    session_id: str
    opening: RedactedText
    turns: tuple[Turn, ...] = ()
    pictures: tuple[Picture, ...] = ()
    must_conclude: bool = False
    step_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A step while it is being written: each field as far as it came; empty means not yet.

    ``usage`` is what the model has counted so far: whoever stops listening pays for it.
    """

    kind: str = ""
    text: str = ""
    why: str = ""
    options: tuple[str, ...] = ()
    command: str = ""
    expected_outcome: str = ""
    model: str = ""
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class BriefingDraft:
    """What the fast model adds to a hand-off."""

    hypotheses: tuple[str, ...]
    next_steps: tuple[str, ...]
    summary: str = ""
    usage: Usage = Usage()
    model: str = ""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model that the key can use."""

    id: str
    name: str
    max_input_tokens: int | None = None
    lifecycle: str = ""


class Model(Protocol):
    """A language model that proposes steps. Raises ModelError's subclasses only."""

    def next_step(
        self, consultation: Consultation
    ) -> AsyncGenerator[StepProgress | StepDraft, None]:
        """Yield the step as it is written, and last the whole step.

        Whoever stops listening early closes the iterator (``contextlib.aclosing``), which ends the
        request.
        """
        ...

    async def briefing(self, consultation: Consultation) -> BriefingDraft:
        """Return hypotheses left and next steps for a hand-off, in one structured call."""
        ...

    async def models(self) -> tuple[ModelDescription, ...]:
        """Return the models that the key can use; proves key and reach."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...

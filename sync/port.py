"""The nouns of the shared queue and the `Queue` protocol that every implementation keeps.

Life of an escalation, as the server enforces it (fence +1 at every change of handler):

    escalate ──▶ open ──pick_up──▶ claimed ──resolve──▶ resolved
                  │ ▲                │ │
                  │ └────release─────┘ └─pick_up by another, once the lease ran out─▶ claimed
                  ├─withdraw (who raised it): cancelled if the originator raised it,
                  │                           else claimed by the raiser again
                  ├─cancel (originator) ──▶ cancelled
                  └─nobody came in time ──▶ expired

Every verb carries an operation id that the caller made and stored before anything was sent;
a repeat with the same id and the same arguments gets the first answer, refusals included.
`renew`, `heartbeat` and all readers are naturally repeatable and carry none.

Times are the server's, as aware UTC datetimes. Texts come back as they were accepted:
U+0000 became U+2400 and lone surrogates U+FFFD.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

SUMMARY_MAX = 300
"""Characters of a summary."""
REASON_MAX = 4_000
"""Characters of a reason (escalate, release, cancel)."""
READ_BACK_MAX = 2_000
"""Characters of the receiver's read-back."""
TICKET_MAX = 64
"""Characters of a ticket number."""
OUTCOME_MAX = 20_000
"""Characters of an outcome."""
PACKAGE_MAX = 1_048_576
"""Octets of a package."""
STEP_MAX = 262_144
"""Octets of one appended step."""
STEPS_PER_CALL = 50
"""Steps in one `append_steps`."""
STEPS_BYTES_PER_CALL = 2_097_152
"""Octets of all steps in one `append_steps`."""
STEPS_MAX = 1_000
"""Appended steps of one escalation."""
LEASE_MIN = 60
LEASE_MAX = 28_800
"""Seconds; the server clamps what is asked for."""


class State(enum.Enum):
    """Where an escalation is in its life."""

    OPEN = "open"
    CLAIMED = "claimed"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more."""
        return self in (State.RESOLVED, State.CANCELLED, State.EXPIRED)


class Access(enum.Enum):
    """What this desktop may do at this moment."""

    WRITE = "write"
    READ_ONLY_CLIENT = "client too old to write"
    READ_ONLY_SERVER = "server accepts no changes"


class Feature(enum.Enum):
    """What a newer server adds."""

    READ_BACK = "read_back"
    PRESENCE = "presence"


@dataclass(frozen=True, slots=True)
class Member:
    """One engineer of the team; the display name is data without control characters.

    `last_seen` is exact to about a minute; None before version 2 or when never seen.
    """

    engineer_id: UUID
    display_name: str
    active: bool
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the server says of itself and of us."""

    server_version: str
    schema_version: int
    api_version: int
    team_id: UUID
    team_name: str
    me: Member
    access: Access
    features: frozenset[Feature]
    epoch: UUID
    clock_skew: timedelta
    """Server's clock minus ours, half the round trip taken off."""
    encrypted: bool
    """False only on loopback or a local socket."""
    notice: str = ""
    """What the technician should know (read-only, plain connection); empty when all is well."""


@dataclass(frozen=True, slots=True)
class NewEscalation:
    """What `escalate` sends. The package is opaque to the server."""

    id: UUID
    session_id: UUID
    summary: str
    reason: str
    package: bytes
    package_schema: int
    ticket_number: str = ""
    step_count: int = 0
    assigned_to: UUID | None = None
    expires_in: int = 604_800
    """Seconds until it counts as expired when nobody picks it up; 1 hour to 30 days."""


@dataclass(frozen=True, slots=True)
class Onward:
    """What a release may change for the next handler; None keeps what was there."""

    reason: str = ""
    summary: str | None = None
    step_count: int | None = None
    assigned_to: UUID | None = None
    package: bytes | None = None
    package_schema: int | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """One escalation as the server has it now."""

    id: UUID
    session_id: UUID
    state: State
    version: int
    team_seq: int
    fence: int
    originator: UUID
    created_by: UUID
    """Who raised the present hop."""
    assigned_to: UUID | None
    handler: UUID | None
    """Who holds it, or held it when it ended."""
    created_at: datetime
    raised_at: datetime
    claimed_at: datetime | None
    lease_until: datetime | None
    expires_at: datetime
    ended_at: datetime | None
    reason: str
    summary: str
    ticket_number: str
    step_count: int
    hop_count: int
    steps_appended: int
    package_schema: int
    package_size: int
    read_back: str
    outcome: str
    """How it ended: the handler's text, or the reason of a cancellation."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and what became of it."""

    number: int
    raised_by: UUID
    raised_at: datetime
    reason: str
    assigned_to: UUID | None
    picked_up_by: UUID | None
    picked_up_at: datetime | None
    read_back: str
    ended_at: datetime | None
    ended_how: str
    """released, lapsed, withdrawn, cancelled, expired, resolved; empty while it lasts."""


@dataclass(frozen=True, slots=True)
class AppendedStep:
    """One step of the shared session, in the order the server accepted them (from 1)."""

    number: int
    engineer_id: UUID
    at: datetime
    payload: bytes


@dataclass(frozen=True, slots=True)
class Package:
    """The hand-off package of the latest hop that brought one."""

    schema: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """The server's answer to an accepted operation."""

    escalation_id: UUID
    state: State
    version: int
    fence: int
    lease_until: datetime | None
    team_seq: int
    replayed: bool = False
    """True when this operation id was already answered before."""
    steps_appended: int = 0
    not_stored: tuple[str, ...] = ()
    """Names of arguments that an older server has no room for (`read_back`)."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a desktop stands in the feed; store it beside the rows it brought."""

    epoch: UUID
    after: int


@dataclass(frozen=True, slots=True)
class Feed:
    """An answer to `changes`.

    `resync` False: `rows` changed since the cursor. `resync` True: `rows` are everything
    live plus one's own that ended in the last 30 days; forget the remote picture (never
    local work) and start from these. `restored`: the server came back from a backup; offer the
    acknowledged outbox rows of the last 30 days again, in their order.
    """

    cursor: Cursor
    rows: tuple[Escalation, ...] = ()
    resync: bool = False
    restored: bool = False
    server_time: datetime | None = field(default=None, compare=False)


class Queue(Protocol):
    """The team queue as one engineer's desktop sees it.

    Raises only errors of `sync.errors`. Safe to call from one event loop; calls are carried
    out in order.
    """

    async def connect(self) -> Welcome:
        """Open the connection if need be and say who we are to the server."""
        ...

    async def test(self) -> Welcome:
        """Try a fresh connection, as the Test button does."""
        ...

    async def change_password(self, password: str) -> None:
        """Replace our own password; after an UnreachableError either may hold."""
        ...

    async def escalate(self, op_id: UUID, new: NewEscalation) -> Receipt:
        """Raise an escalation (originator)."""
        ...

    async def pick_up(
        self, op_id: UUID, escalation_id: UUID, *, lease_seconds: int = 300, read_back: str = ""
    ) -> Receipt:
        """Take one that is open, or whose handler's lease ran out. First one wins."""
        ...

    async def renew(self, escalation_id: UUID, fence: int, *, lease_seconds: int = 300) -> Receipt:
        """Extend the handler's lease."""
        ...

    async def release(
        self, op_id: UUID, escalation_id: UUID, fence: int | None, onward: Onward
    ) -> Receipt:
        """Put it back: the handler with the fence, or the originator (None) after expiry."""
        ...

    async def withdraw(
        self, op_id: UUID, escalation_id: UUID, *, lease_seconds: int = 300
    ) -> Receipt:
        """Take back what one raised while nobody has picked it up."""
        ...

    async def cancel(self, op_id: UUID, escalation_id: UUID, reason: str) -> Receipt:
        """End an open one for good (originator)."""
        ...

    async def reassign(self, op_id: UUID, escalation_id: UUID, assigned_to: UUID | None) -> Receipt:
        """Ask another teammate, or everybody (who raised it, or the originator)."""
        ...

    async def resolve(self, op_id: UUID, escalation_id: UUID, fence: int, outcome: str) -> Receipt:
        """End it with its outcome (handler with the fence)."""
        ...

    async def append_steps(
        self, op_id: UUID, escalation_id: UUID, fence: int, steps: Sequence[bytes]
    ) -> Receipt:
        """Add steps to the shared session (handler with the fence)."""
        ...

    async def escalation(self, escalation_id: UUID) -> Escalation:
        """Read one."""
        ...

    async def steps(self, escalation_id: UUID, after: int = 0) -> tuple[AppendedStep, ...]:
        """Read the appended steps numbered above `after`, all of them."""
        ...

    async def package(self, escalation_id: UUID) -> Package:
        """Read the hand-off package."""
        ...

    async def hops(self, escalation_id: UUID) -> tuple[Hop, ...]:
        """Read the history of hops, oldest first."""
        ...

    async def changes(self, cursor: Cursor | None) -> Feed:
        """Read what changed since the cursor; None asks for a full picture."""
        ...

    async def members(self) -> tuple[Member, ...]:
        """List the team, active or not, by display name."""
        ...

    async def heartbeat(self) -> None:
        """Say "I am here"; writes at most once a minute; nothing before version 2."""
        ...

    async def sweep(self) -> int:
        """Mark what nobody picked up in time as expired; return how many were."""
        ...

    async def listen(self, on_nudge: Callable[[], None]) -> bool:
        """Ask for nudges ("poll now") as an accelerator; False where there are none.

        `on_nudge` is called on the event loop, carries nothing and may come too often or
        never: polling stays the truth.
        """
        ...

    def drop(self) -> None:
        """Abandon open sockets (after sleep); the next call connects anew."""
        ...

    async def aclose(self) -> None:
        """Close connections and the worker; idempotent."""
        ...

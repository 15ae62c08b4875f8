"""The team's shared queue in our own nouns and errors.

``QueueLink`` knows the invitation in the keyring and makes the client when it is first needed;
``TeamQueue`` is one open client. Everything that crosses is translated here and only here: their
ids of engineers become ours (the invitation names the technician at this desktop, everybody else
keeps the team's id), their errors become ``core.errors``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flowpilot_desktop.core.errors import (
    AlreadyPickedUp,
    ClaimLost,
    CredentialsUnavailable,
    FlowPilotError,
    QueueNotOpen,
    QueueRefused,
    QueueUnreachable,
)
from flowpilot_desktop.core.escalation import (
    Escalation,
    EscalationState,
    OperationKind,
    QueueOperation,
    Teammate,
)
from flowpilot_desktop.core.events import Events, Reach, SettingsChanged, System
from flowpilot_desktop.core.ports import Secrets
from flowpilot_desktop.core.session import Engineer
from flowpilot_desktop.services.reach import ReachBoard
from sync import errors as theirs
from sync import port
from sync.client import QueueClient
from sync.invitation import Invitation
from sync.poller import Contact, Poller

INVITATION_NAME = "team-queue"
"""The name under which the invitation lies in the keyring."""
LEASE_SECONDS = 900
"""How long a claim holds without a sign of life; renewed while FlowPilot runs."""
_KEYRING_PAUSE = 60.0
"""Seconds until a keyring that refused is asked again."""
_ENGINEER_KEYS = frozenset(
    {"user_id", "handler_id", "created_by", "answered_by", "engineer_id", "originator_id"}
)
SETTING = "queue.invitation"
"""The key of the ``SettingsChanged`` that tells of another invitation."""


@dataclass(frozen=True, slots=True)
class Team:
    """What the queue says of the team and of us. ``notice`` is for people, empty when all is well.

    ``features`` names what the server can do beyond the first version.
    """

    name: str
    me: Teammate
    members: tuple[Teammate, ...]
    notice: str = ""
    may_write: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What the queue said to an operation."""

    state: EscalationState
    fence: int
    lease_until: datetime | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What changed in the queue. ``resync``: the rows are everything that lives."""

    rows: tuple[Escalation, ...]
    cursor: str
    resync: bool = False
    restored: bool = False


@dataclass(frozen=True, slots=True)
class SharedStep:
    """Something that a handler added to a shared session: JSON with our ids in it."""

    number: int
    content: str


@contextlib.contextmanager
def _translated(name: Callable[[str], str]) -> Iterator[None]:
    """Raise our errors in the place of theirs; ``name`` gives an engineer's by the team's id."""
    try:
        yield
    except theirs.AlreadyPickedUpError as error:
        who = error.handler_name or name(error.handler or "") or "a teammate"
        raise AlreadyPickedUp(
            f"Already picked up by {who}.", why=error.why, hint=error.advice
        ) from error
    except theirs.ClaimLostError as error:
        who = error.handler_name or name(error.handler or "") or "Somebody else"
        raise ClaimLost(
            f"{who} has taken this session over.", why=error.why, hint=error.advice
        ) from error
    except theirs.RefusedError as error:
        raise QueueRefused(f"{error.message}.", why=error.why, hint=error.advice) from error
    except theirs.RejectedError as error:
        raise QueueRefused(error.message, why="rejected", hint=error.advice) from error
    except theirs.UnreachableError as error:
        raise QueueUnreachable(f"{error.message.rstrip('.')}.") from error
    except theirs.ClosedError as error:
        raise QueueUnreachable("FlowPilot is closing.") from error
    except theirs.QueueError as error:
        raise _not_open(error) from error


def _not_open(error: theirs.QueueError) -> QueueNotOpen:
    kinds: tuple[tuple[type[theirs.QueueError], str], ...] = (
        (theirs.InvitationError, "invitation"),
        (theirs.SignInError, "sign_in"),
        (theirs.RevokedError, "revoked"),
        (theirs.UntrustedServerError, "certificate"),
        (theirs.CompatibilityError, "version"),
    )
    why = next((why for kind, why in kinds if isinstance(error, kind)), "access")
    message = f"{error.message.rstrip('.')}."
    return QueueNotOpen(message, why=why, title=error.title, hint=error.advice)


class TeamQueue:
    """One client of the queue, as one technician's desktop sees it."""

    def __init__(
        self, queue: port.Queue, me_there: UUID, me: Callable[[], Engineer], *, lease: int
    ) -> None:
        self._queue = queue
        self._me_there = me_there
        self._me = me
        self._lease = lease
        self._names: dict[str, str] = {}

    # Who is who

    def _ours(self, engineer: UUID | str | None) -> str:
        if engineer is None or engineer == "":
            return ""
        return self._me().id if str(engineer) == str(self._me_there) else str(engineer)

    def _theirs(self, engineer_id: str) -> UUID | None:
        if not engineer_id:
            return None
        if engineer_id == self._me().id:
            return self._me_there
        try:
            return UUID(engineer_id)
        except ValueError as error:
            raise QueueRefused("That engineer isn't in your team's queue.", why="absent") from error

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return _translated(lambda engineer: self._names.get(engineer, ""))

    # Reading

    async def connect(self) -> None:
        """Make sure that the queue answers; whatever fails here, nothing was sent."""
        with self._translated():
            await self._queue.connect()

    async def team(self, *, fresh: bool = False) -> Team:
        """Return the team; ``fresh`` tries a new connection, as the Test button does."""
        with self._translated():
            welcome = await (self._queue.test() if fresh else self._queue.connect())
            members = await self._queue.members()
        return Team(
            welcome.team_name,
            self._teammate(welcome.me),
            tuple(self._teammate(member) for member in members),
            welcome.notice,
            may_write=welcome.access is port.Access.WRITE,
        )

    def _teammate(self, member: port.Member) -> Teammate:
        self._names[str(member.engineer_id)] = member.display_name
        return Teammate(
            self._ours(member.engineer_id), member.display_name, member.active, member.last_seen
        )

    async def changes(self, cursor: str) -> News:
        """Return what changed since the cursor; an empty one asks for everything."""
        with self._translated():
            return self._news(await self._queue.changes(_cursor(cursor)))

    async def escalation(self, escalation_id: str) -> Escalation:
        """Return one request as it is now."""
        with self._translated():
            return self._row(await self._queue.escalation(UUID(escalation_id)))

    async def package(self, escalation_id: str) -> str:
        """Return the hand-off's package: JSON with our ids in it."""
        with self._translated():
            package = await self._queue.package(UUID(escalation_id))
        if package.schema > PACKAGE_SCHEMA:
            raise QueueRefused(
                "This hand-off was written by a newer FlowPilot.",
                why="version",
                hint="Update FlowPilot, then pick it up again.",
            )
        return self._content(package.payload)

    async def steps(self, escalation_id: str, after: int) -> tuple[SharedStep, ...]:
        """Return what was added to the shared session beyond that number."""
        with self._translated():
            steps = await self._queue.steps(UUID(escalation_id), after)
        return tuple(SharedStep(step.number, self._content(step.payload)) for step in steps)

    def _content(self, payload: bytes) -> str:
        try:
            document = json.loads(payload)
        except ValueError as error:
            raise QueueRefused("A part of this hand-off can't be read.", why="damaged") from error
        return json.dumps(_renamed(document, self._ours))

    def _news(self, feed: port.Feed) -> News:
        return News(
            tuple(self._row(row) for row in feed.rows),
            f"{feed.cursor.epoch} {feed.cursor.after}",
            feed.resync,
            feed.restored,
        )

    def _row(self, row: port.Escalation) -> Escalation:
        return Escalation(
            id=str(row.id),
            session_id=str(row.session_id),
            state=EscalationState(row.state.value),
            originator_id=self._ours(row.originator),
            raised_by=self._ours(row.created_by),
            summary=row.summary,
            reason=row.reason,
            created_at=row.created_at,
            raised_at=row.raised_at,
            assigned_to=self._ours(row.assigned_to),
            handler_id=self._ours(row.handler),
            claimed_at=row.claimed_at,
            lease_until=row.lease_until,
            ended_at=row.ended_at,
            ticket_number=row.ticket_number,
            step_count=row.step_count,
            hop_count=row.hop_count,
            steps_appended=row.steps_appended,
            fence=row.fence,
            read_back=row.read_back,
            outcome=row.outcome,
        )

    # Telling

    async def send(self, operation: QueueOperation) -> Answer:
        """Tell the queue one thing; a repeat with the same id gets the first answer.

        Raises QueueRefused for a no that is final, QueueUnreachable or QueueNotOpen when nothing
        is known and the operation has to be sent again.
        """
        with self._translated():
            receipt = await self._sent(operation, json.loads(operation.body))
        return Answer(
            EscalationState(receipt.state.value),
            receipt.fence,
            receipt.lease_until,
            receipt.replayed,
        )

    async def _sent(self, operation: QueueOperation, body: dict[str, Any]) -> port.Receipt:
        queue, op_id = self._queue, UUID(operation.id)
        escalation = UUID(operation.escalation_id)
        match operation.kind:
            case OperationKind.ESCALATE:
                new = port.NewEscalation(
                    id=escalation,
                    session_id=UUID(operation.session_id),
                    summary=body["summary"],
                    reason=body["reason"],
                    package=self._payload(body["package"]),
                    package_schema=PACKAGE_SCHEMA,
                    ticket_number=body["ticket_number"],
                    step_count=body["step_count"],
                    assigned_to=self._theirs(body["assigned_to"]),
                )
                return await queue.escalate(op_id, new)
            case OperationKind.RELEASE:
                package = body.get("package")
                onward = port.Onward(
                    reason=body["reason"],
                    summary=body.get("summary"),
                    step_count=body.get("step_count"),
                    assigned_to=self._theirs(body.get("assigned_to", "")),
                    package=self._payload(package) if package else None,
                    package_schema=PACKAGE_SCHEMA if package else None,
                )
                return await queue.release(op_id, escalation, body["fence"], onward)
            case OperationKind.PICK_UP:
                return await queue.pick_up(
                    op_id, escalation, lease_seconds=self._lease, read_back=body["read_back"]
                )
            case OperationKind.WITHDRAW:
                return await queue.withdraw(op_id, escalation, lease_seconds=self._lease)
            case OperationKind.CANCEL:
                return await queue.cancel(op_id, escalation, body["reason"])
            case OperationKind.REASSIGN:
                return await queue.reassign(op_id, escalation, self._theirs(body["assigned_to"]))
            case OperationKind.RESOLVE:
                return await queue.resolve(op_id, escalation, body["fence"], body["outcome"])
            case OperationKind.APPEND:
                steps = [self._payload(step) for step in body["steps"]]
                return await queue.append_steps(op_id, escalation, body["fence"], steps)

    def _payload(self, document: Any) -> bytes:
        renamed = _renamed(document, lambda engineer: str(self._theirs(engineer) or ""))
        return json.dumps(renamed, ensure_ascii=False, separators=(",", ":")).encode()

    async def renew(self, escalation_id: str, fence: int) -> Answer:
        """Say that the handler is still there."""
        with self._translated():
            receipt = await self._queue.renew(UUID(escalation_id), fence, lease_seconds=self._lease)
        return Answer(EscalationState(receipt.state.value), receipt.fence, receipt.lease_until)

    # Following

    def poller(
        self,
        deliver: Callable[[News], Awaitable[None]],
        *,
        cursor: str,
        interval: float,
        noted: Callable[[FlowPilotError | None], None],
    ) -> Poller:
        """Return what keeps the picture fresh; ``noted`` hears how each change of luck went."""

        async def store(feed: port.Feed) -> None:
            try:
                await deliver(self._news(feed))
            except FlowPilotError as error:
                raise theirs.UnreachableError(error.message) from error

        def contact(state: Contact) -> None:
            noted(None if state.error is None else _as_ours(state.error))

        return Poller(
            self._queue, store, cursor=_cursor(cursor), interval=interval, on_contact=contact
        )

    def drop(self) -> None:
        """Abandon open sockets after a sleep."""
        self._queue.drop()

    async def aclose(self) -> None:
        """Close the client."""
        await self._queue.aclose()


PACKAGE_SCHEMA = 1
"""The version of a package's layout; fields may be added without raising it."""


def _as_ours(error: theirs.QueueError) -> FlowPilotError:
    try:
        with _translated(lambda _: ""):
            raise error
    except FlowPilotError as ours:
        return ours


def _cursor(text: str) -> port.Cursor | None:
    epoch, _, after = text.partition(" ")
    return port.Cursor(UUID(epoch), int(after)) if after else None


def _renamed(document: Any, rename: Callable[[str], str]) -> Any:
    """Return JSON with every engineer's id replaced; nothing else is looked at."""
    if isinstance(document, dict):
        return {
            key: rename(value)
            if key in _ENGINEER_KEYS and isinstance(value, str) and value
            else _renamed(value, rename)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [_renamed(item, rename) for item in document]
    return document


ClientFactory = Callable[[str], tuple[port.Queue, UUID]]
"""Makes the client for an invitation's text, and says who we are there."""


def client(token: str) -> tuple[port.Queue, UUID]:
    """Return the client over Postgres. Raises the invitation's own error for a bad text."""
    invitation = Invitation.parse(token)
    return QueueClient(invitation), invitation.engineer_id


class QueueLink:
    """The way to the team's queue: none, or the one that the invitation names."""

    def __init__(
        self,
        *,
        secrets: Secrets,
        me: Callable[[], Engineer],
        events: Events,
        reach: ReachBoard,
        factory: ClientFactory = client,
        lease: int = LEASE_SECONDS,
    ) -> None:
        self._secrets = secrets
        self._me = me
        self._events = events
        self._reach = reach
        self._factory = factory
        self._lease = lease
        self._queue: TeamQueue | None = None
        self._making = asyncio.Lock()
        self._read: str | None = None
        self._refused: tuple[float, QueueNotOpen] | None = None
        self._end_listening = events.listen(SettingsChanged, self._settings_changed)

    async def is_set_up(self) -> bool:
        """Return whether there is an invitation."""
        return bool(await self._token())

    async def queue(self) -> TeamQueue:
        """Return the client, made on first use. Raises QueueNotOpen."""
        async with self._making:
            if self._queue is None:
                token = await self._token()
                if not token:
                    raise QueueNotOpen(
                        "Your team queue is not set up yet.",
                        why="not_set_up",
                        hint="Paste your invitation in Settings → Team queue.",
                    )
                self._queue = self._made(token)
            return self._queue

    async def test(self, token: str) -> Team:
        """Try an invitation without keeping it; an empty one tries what is kept."""
        if not token.strip():
            return await (await self.queue()).team(fresh=True)
        queue = self._made(token)
        try:
            return await queue.team(fresh=True)
        finally:
            await queue.aclose()

    async def keep(self, token: str) -> Team:
        """Try an invitation and keep it in the keyring when it works."""
        team = await self.test(token)
        if token.strip():
            await self._secrets.write(INVITATION_NAME, "".join(token.split()))
        await self._forget_client()
        self._events.publish(SettingsChanged(SETTING))
        return team

    async def forget(self) -> None:
        """Leave the team's queue."""
        await self._secrets.delete(INVITATION_NAME)
        await self._forget_client()
        self._reach.note(System.QUEUE, Reach.NOT_SET_UP)
        self._events.publish(SettingsChanged(SETTING))

    def note(self, error: FlowPilotError | None) -> None:
        """Record how the last contact went, for the screen's edge."""
        match error:
            case None:
                self._reach.note(System.QUEUE, Reach.REACHABLE)
            case QueueNotOpen(why="not_set_up"):
                self._reach.note(System.QUEUE, Reach.NOT_SET_UP, error.message)
            case QueueNotOpen():
                self._reach.note(
                    System.QUEUE, Reach.REFUSED, f"{error.message} {error.hint}".strip()
                )
            case QueueUnreachable():
                self._reach.note(System.QUEUE, Reach.AWAY, error.message)
            case _:
                pass

    async def aclose(self) -> None:
        """Close the client."""
        self._end_listening()
        await self._forget_client()

    async def _token(self) -> str:
        """Return the invitation; the keyring is asked once, and rarely while it refuses."""
        now = asyncio.get_running_loop().time()
        if self._read is not None:
            return self._read
        if self._refused is not None and now - self._refused[0] < _KEYRING_PAUSE:
            raise self._refused[1]
        try:
            self._read = await self._secrets.read(INVITATION_NAME) or ""
        except CredentialsUnavailable as error:
            refused = QueueNotOpen(error.message, why="keyring", hint=error.hint)
            self._refused = now, refused
            raise refused from error
        return self._read

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == SETTING:
            self._read = self._refused = None

    def _made(self, token: str) -> TeamQueue:
        with _translated(lambda _: ""):
            queue, me_there = self._factory(token)
        return TeamQueue(queue, me_there, self._me, lease=self._lease)

    async def _forget_client(self) -> None:
        self._read = self._refused = None
        queue, self._queue = self._queue, None
        if queue is not None:
            await queue.aclose()

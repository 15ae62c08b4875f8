"""The team's shared queue in our own nouns and errors.

``QueueLink`` knows the invitation in the keyring and makes the client when it is first needed;
``TeamQueue`` is one open client. Everything that crosses is translated here and only here: their
ids of engineers become ours (the invitation names the technician at this desktop, everybody else
keeps the team's id), their errors become ``core.errors``. It is long because every verb
and every error of the queue crosses here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from flowpilot_desktop.core.errors import (
    AlreadyPickedUp,
    ClaimLost,
    FlowPilotError,
    QueueError,
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
from flowpilot_desktop.services.queue import membership
from flowpilot_desktop.services.queue.membership import INVITATION_NAME as INVITATION_NAME
from flowpilot_desktop.services.queue.membership import Membership, Memory
from flowpilot_desktop.services.reach import ReachBoard
from sync import errors as theirs
from sync import port
from sync.client import QueueClient
from sync.invitation import Invitation
from sync.poller import Contact, Poller

LEASE_SECONDS = 900
"""How long a claim holds without a sign of life; renewed while FlowPilot runs."""
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
    not_stored: tuple[str, ...] = ()
    """What was sent and an older queue has no room for."""


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
        self._may_write = True

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

    async def change_password(self, password: str) -> None:
        """Replace the password that lets us in. Unreachable leaves open which one holds."""
        with self._translated():
            await self._queue.change_password(password)

    async def team(self, *, fresh: bool = False) -> Team:
        """Return the team; ``fresh`` tries a new connection, as the Test button does."""
        with self._translated():
            welcome = await (self._queue.test() if fresh else self._queue.connect())
            members = await self._queue.members()
        self._may_write = welcome.access is port.Access.WRITE
        return Team(
            welcome.team_name,
            self._teammate(welcome.me),
            tuple(self._teammate(member) for member in members),
            welcome.notice,
            may_write=self._may_write,
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
        try:
            with self._translated():
                receipt = await self._sent(operation, json.loads(operation.body))
        except QueueNotOpen as error:
            if error.why == "version":
                await self._hear_rules()
            raise
        if not self._may_write:
            await self._hear_rules()
        return Answer(
            EscalationState(receipt.state.value),
            receipt.fence,
            receipt.lease_until,
            receipt.replayed,
            receipt.not_stored,
        )

    async def _hear_rules(self) -> None:
        """Hear anew what we may do: the rules were changed while we were connected."""
        with contextlib.suppress(theirs.QueueError):
            await self._queue.test()

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


_AWAY = (
    "Nothing was changed. Is this computer in the right network or VPN? The invitation is still "
    "good: try again when the server can be reached."
)
_USED_UP = (
    "An invitation works once and on one computer, and a newer one replaces it. This one was used, "
    "replaced, has expired, or you were taken out of the team: ask whoever runs your team queue "
    "for a new one."
)
_UNTRUSTED = (
    "Nothing was sent. The certificate must name the server's host and be signed by an authority "
    "that you trust here. Ask whoever runs your team queue for the authority's file, and choose "
    "it here."
)
_STILL_VALID = (
    "The server did not let FlowPilot replace the invitation's password: the pasted text still "
    "lets people in. Keep it secret, or delete it."
)

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
        memory: Memory,
        me: Callable[[], Engineer],
        events: Events,
        reach: ReachBoard,
        factory: ClientFactory = client,
        lease: int = LEASE_SECONDS,
    ) -> None:
        self._membership = Membership(secrets, memory)
        self._me = me
        self._events = events
        self._reach = reach
        self._factory = factory
        self._lease = lease
        self._queue: TeamQueue | None = None
        self._making = asyncio.Lock()
        self._end_listening = events.listen(SettingsChanged, self._settings_changed)

    async def is_set_up(self) -> bool:
        """Return whether there is an invitation."""
        return bool((await self._membership.kept())[0])

    async def lacks_authority(self, token: str) -> bool:
        """Return whether an invitation, or the kept one, leaves it to the computer whom to trust.

        An authority that was chosen by hand for the kept one can be chosen anew.
        """
        return membership.lacks_authority(token or await self._membership.bare())

    async def queue(self) -> TeamQueue:
        """Return the client, made on first use. Raises QueueNotOpen.

        Where a change of password was interrupted it is settled first: then QueueUnreachable, too.
        """
        async with self._making:
            if self._queue is None:
                token = await self._settled()
                if not token:
                    raise QueueNotOpen(
                        "Your team queue is not set up yet.",
                        why="not_set_up",
                        hint="Paste your invitation in Settings → Team queue.",
                    )
                self._queue = self._made(token)
            return self._queue

    async def test(self, token: str = "", authority: str = "") -> Team:
        """Try an invitation without keeping it; an empty one tries what is kept.

        ``authority`` is the PEM of whom to trust where the invitation names nobody.
        """
        if not token.strip() and not authority:
            return await (await self.queue()).team(fresh=True)
        async with self._making:
            return await self._tried(await self._chosen(token, authority))

    async def keep(self, token: str = "", authority: str = "") -> Team:
        """Join: try an invitation, keep it in the keyring, and make the pasted one unusable.

        An empty one keeps another authority for the invitation that is kept already.
        """
        async with self._making:
            chosen = await self._chosen(token, authority)
            team = await self._tried(chosen)
            try:
                if token.strip():
                    team = await self._spent(chosen, team)
                else:
                    await self._membership.settle(chosen)
            finally:
                await self._forget_client()
        self._events.publish(SettingsChanged(SETTING))
        return team

    async def forget(self) -> None:
        """Leave the team's queue."""
        async with self._making:
            await self._membership.forget()
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

    # Inside

    async def _chosen(self, token: str, authority: str) -> str:
        token = "".join(token.split()) or await self._settled()
        return membership.with_authority(token, authority)

    async def _tried(self, token: str) -> Team:
        """Ask with a client of its own; say of a pasted invitation what its faults mean."""
        queue = self._made(token)
        try:
            return await queue.team(fresh=True)
        except QueueUnreachable as error:
            raise QueueUnreachable(error.message, title=error.title, hint=_AWAY) from error
        except QueueNotOpen as error:
            hint = {"sign_in": _USED_UP, "certificate": _UNTRUSTED}.get(error.why, error.hint)
            raise QueueNotOpen(
                error.message, why=error.why, title=error.title, hint=hint
            ) from error
        finally:
            await queue.aclose()

    async def _spent(self, token: str, team: Team) -> Team:
        """Keep a pasted invitation that works, with a password of its own in its place."""
        successor = await self._membership.prepare(token)
        if not successor or await self._changed(token, successor) != token:
            return team
        return replace(team, notice=f"{team.notice} {_STILL_VALID}".strip())

    async def _settled(self) -> str:
        """Return the invitation that is kept; finish a change of password that was cut off."""
        token, successor = await self._membership.kept()
        if not successor:
            return token
        if not await self._lets_in(successor):
            return await self._changed(token, successor)
        await self._membership.settle(successor)
        return successor

    async def _changed(self, token: str, successor: str) -> str:
        """Let the successor take the invitation's place; return which of them works now.

        Unreachable leaves both in the keyring, to be settled at the next contact.
        """
        try:
            await self._change(token, successor)
        except QueueUnreachable:
            raise
        except QueueError:
            # Refused, or done at once and refused only as a repeat with the old password.
            if not await self._lets_in(successor):
                if not await self._lets_in(token):
                    raise
                successor = token
        await self._membership.settle(successor)
        return successor

    async def _lets_in(self, token: str) -> bool:
        queue = self._made(token)
        try:
            await queue.connect()
        except QueueNotOpen as error:
            if error.why == "sign_in":
                return False
            raise
        finally:
            await queue.aclose()
        return True

    async def _change(self, token: str, successor: str) -> None:
        queue = self._made(token)
        try:
            await queue.change_password(membership.password(successor))
        finally:
            await queue.aclose()

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == SETTING:
            self._membership.read_again()

    def _made(self, token: str) -> TeamQueue:
        with _translated(lambda _: ""):
            queue, me_there = self._factory(token)
        return TeamQueue(queue, me_there, self._me, lease=self._lease)

    async def _forget_client(self) -> None:
        self._membership.read_again()
        queue, self._queue = self._queue, None
        if queue is not None:
            await queue.aclose()

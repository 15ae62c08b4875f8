"""The team queue over a real Postgres.

    await queue.pick_up(op, id) ─▶ Worker ─▶ connect? ─▶ fp_v2.pick_up(…) ─▶ Receipt
                                               │               │ refused: RefusedError
                                               └ UnreachableError └ failed: see wire.translate

All talk with the server happens on one thread with a synchronous driver: the driver's
asynchronous interface refuses the event loop that a Qt application has on Windows. The client
speaks the newest version of the functions that both sides have.
"""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import psycopg

from sync import errors, wire
from sync.connection import Dialer, GarbledError, Session
from sync.listener import Listener
from sync.port import (
    STEPS_PER_CALL,
    Access,
    AppendedStep,
    Cursor,
    Escalation,
    Feature,
    Feed,
    Hop,
    Member,
    NewEscalation,
    Onward,
    Package,
    Receipt,
    Welcome,
)
from sync.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sync.invitation import Invitation

API_VERSIONS = (2, 1)
"""Versions of the functions this client speaks, best first."""
DEADLINE = 10.0
"""Seconds a call may take, connecting included."""
CONNECT_TIMEOUT = 5.0
_PAGE = 200


class QueueClient:
    """`sync.port.Queue` over Postgres. Belongs to one event loop; see the module docstring."""

    def __init__(
        self,
        invitation: Invitation,
        *,
        deadline: float = DEADLINE,
        connect_timeout: float = CONNECT_TIMEOUT,
        api_versions: tuple[int, ...] = API_VERSIONS,
        nudge: bool = True,
    ) -> None:
        self._dialer = Dialer(invitation)
        self._connect_timeout = connect_timeout
        self._worker = Worker(
            self._dialer,
            deadline=deadline,
            connect_timeout=connect_timeout,
            api_versions=api_versions,
            nudge=nudge,
        )
        self._run = self._worker.run
        self._listener: Listener | None = None

    # --- who and where ----------------------------------------------------------------

    async def connect(self) -> Welcome:
        """Open the connection if need be and say who we are to the server."""
        return await self._run(self._welcome)

    async def test(self) -> Welcome:
        """Try a fresh connection, as the Test button does."""
        return await self._run(self._welcome, fresh=True)

    async def change_password(self, password: str) -> None:
        """Replace our own password; the caller has stored the new one beside the old before.

        After an UnreachableError either may hold: try the new one, then the old.
        """

        def work(session: Session) -> None:
            connection = session.connection
            role = self._dialer.invitation.role
            secret = connection.pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            )
            statement = psycopg.sql.SQL("alter role {} password {}").format(
                psycopg.sql.Identifier(role), psycopg.sql.Literal(secret.decode())
            )
            connection.execute(statement)

        await self._run(work)
        self._dialer.invitation = self._dialer.invitation.with_password(password)

    async def members(self) -> tuple[Member, ...]:
        """List the team, active or not, by display name."""
        return await self._run(lambda s: tuple(wire.member(m) for m in s.json("members")))

    async def heartbeat(self) -> None:
        """Say "I am here"; writes at most once a minute; nothing before version 2."""

        def work(session: Session) -> None:
            if Feature.PRESENCE.value in session.hello["features"] and session.api > 1:
                session.call("heartbeat", "")

        await self._run(work)

    # --- verbs ------------------------------------------------------------------------

    async def escalate(self, op_id: UUID, new: NewEscalation) -> Receipt:
        """Raise an escalation (originator)."""
        values = wire.escalate_arguments(op_id, new)
        return await self._verb("escalate", wire.ESCALATE, *values)

    async def pick_up(
        self, op_id: UUID, escalation_id: UUID, *, lease_seconds: int = 300, read_back: str = ""
    ) -> Receipt:
        """Take one that is open, or whose handler's lease ran out. First one wins."""
        said = wire.read_back(read_back)

        def work(session: Session) -> Receipt:
            if session.api == 1:
                answer = session.json(
                    "pick_up", wire.PICK_UP_1, op_id, escalation_id, lease_seconds
                )
                return wire.receipt(answer, not_stored=("read_back",) if said else ())
            answer = session.json(
                "pick_up", wire.PICK_UP, op_id, escalation_id, lease_seconds, said
            )
            return wire.receipt(answer)

        return await self._run(work, nudge=True)

    async def renew(self, escalation_id: UUID, fence: int, *, lease_seconds: int = 300) -> Receipt:
        """Extend the handler's lease."""
        return await self._verb(
            "renew", wire.RENEW, escalation_id, fence, lease_seconds, nudge=False
        )

    async def release(
        self, op_id: UUID, escalation_id: UUID, fence: int | None, onward: Onward
    ) -> Receipt:
        """Put it back: the handler with the fence, or the originator (None) after expiry."""
        values = wire.release_arguments(op_id, escalation_id, fence, onward)
        return await self._verb("release", wire.RELEASE, *values)

    async def withdraw(
        self, op_id: UUID, escalation_id: UUID, *, lease_seconds: int = 300
    ) -> Receipt:
        """Take back what one raised while nobody has picked it up."""
        return await self._verb("withdraw", wire.WITHDRAW, op_id, escalation_id, lease_seconds)

    async def cancel(self, op_id: UUID, escalation_id: UUID, reason: str) -> Receipt:
        """End an open one for good (originator)."""
        return await self._verb("cancel", wire.CANCEL, op_id, escalation_id, wire.reason(reason))

    async def reassign(self, op_id: UUID, escalation_id: UUID, assigned_to: UUID | None) -> Receipt:
        """Ask another teammate, or everybody (who raised it, or the originator)."""
        return await self._verb("reassign", wire.REASSIGN, op_id, escalation_id, assigned_to)

    async def resolve(self, op_id: UUID, escalation_id: UUID, fence: int, outcome: str) -> Receipt:
        """End it with its outcome (handler with the fence)."""
        said = wire.outcome(outcome)
        return await self._verb("resolve", wire.RESOLVE, op_id, escalation_id, fence, said)

    async def append_steps(
        self, op_id: UUID, escalation_id: UUID, fence: int, steps: Sequence[bytes]
    ) -> Receipt:
        """Add steps to the shared session (handler with the fence)."""
        payloads = wire.steps(steps)
        return await self._verb(
            "append_steps", wire.APPEND_STEPS, op_id, escalation_id, fence, payloads
        )

    # --- readers ----------------------------------------------------------------------

    async def escalation(self, escalation_id: UUID) -> Escalation:
        """Read one."""
        row = await self._run(lambda s: s.json("escalation", "%s::uuid", escalation_id))
        if row is None:
            raise errors.NotFoundError
        return wire.escalation(row)

    async def steps(self, escalation_id: UUID, after: int = 0) -> tuple[AppendedStep, ...]:
        """Read the appended steps numbered above `after`, all of them."""
        found: list[AppendedStep] = []
        while True:
            last = found[-1].number if found else after
            page = await self._run(
                lambda s, last=last: s.call(  # type: ignore[misc]  # a default argument
                    "steps", "%s::uuid, %s::int, %s::int", escalation_id, last, STEPS_PER_CALL
                )
            )
            found += [AppendedStep(n, who, at.astimezone(UTC), data) for n, who, at, data in page]
            if len(page) < STEPS_PER_CALL:
                return tuple(found)

    async def package(self, escalation_id: UUID) -> Package:
        """Read the hand-off package."""

        def work(session: Session) -> Package:
            for schema, payload in session.call("package", "%s::uuid", escalation_id):
                return Package(schema, payload)
            raise GarbledError("there is no answer")

        return await self._run(work)

    async def hops(self, escalation_id: UUID) -> tuple[Hop, ...]:
        """Read the history of hops, oldest first."""
        rows = await self._run(lambda s: s.json("hops", "%s::uuid", escalation_id))
        if rows is None:
            raise errors.NotFoundError
        return tuple(wire.hop(row) for row in rows)

    async def changes(self, cursor: Cursor | None) -> Feed:
        """Read what changed since the cursor; None asks for a full picture."""
        if cursor is None:
            return await self._picture(None)
        rows: dict[UUID, Escalation] = {}
        at = cursor
        while True:
            page = await self._run(
                lambda s, at=at: s.json(  # type: ignore[misc]  # a default argument
                    "changes", "%s::uuid, %s::bigint, %s::int", at.epoch, at.after, _PAGE
                )
            )
            if page["resync"]:
                return await self._picture(cursor, head=page["head"])
            for row in map(wire.escalation, page["rows"]):
                rows.pop(row.id, None)
                rows[row.id] = row
            full = len(page["rows"]) >= _PAGE
            after = page["rows"][-1]["team_seq"] if full else page["head"]
            at = Cursor(at.epoch, after)
            if not full:
                return Feed(at, tuple(rows.values()), server_time=wire.moment(page["now"]))

    async def _picture(self, cursor: Cursor | None, *, head: int = 0) -> Feed:
        """Read everything live, and what of ours ended lately, in pages."""
        first: dict[str, Any] | None = None
        rows: dict[UUID, Escalation] = {}
        after = 0
        while True:
            page = await self._run(
                lambda s, after=after: s.json(  # type: ignore[misc]  # a default argument
                    "snapshot", "%s::bigint, %s::int", after, _PAGE
                )
            )
            if first is None or page["epoch"] != first["epoch"]:
                first, rows = page, {}  # the server was restored while we read
                if after:
                    after = 0
                    continue
            for row in map(wire.escalation, page["rows"]):
                rows[row.id] = row
            if not page["more"]:
                break
            after = page["rows"][-1]["team_seq"]
        epoch = UUID(first["epoch"])
        return Feed(
            Cursor(epoch, first["head"]),
            tuple(sorted(rows.values(), key=lambda row: row.team_seq)),
            resync=True,
            restored=cursor is not None and (cursor.epoch != epoch or cursor.after > head),
            server_time=wire.moment(page["now"]),
        )

    async def sweep(self) -> int:
        """Mark what nobody picked up in time as expired; return how many were."""
        count: int = await self._run(lambda s: s.json("sweep"))
        return count

    # --- nudges, sleep, end -----------------------------------------------------------

    async def listen(self, on_nudge: Callable[[], None]) -> bool:
        """Ask for nudges ("poll now") as an accelerator; False where there are none."""
        channel: str = await self._run(lambda s: str(s.hello["channel"]))
        loop = asyncio.get_running_loop()
        if self._listener is not None:
            self._listener.stop()
        self._listener = Listener(self._dialer, channel, loop, on_nudge, self._connect_timeout)
        return await self._listener.started()

    def drop(self) -> None:
        """Abandon open sockets (after sleep); the next call connects anew."""
        self._worker.drop()
        if self._listener is not None:
            self._listener.reconnect()

    async def aclose(self) -> None:
        """Close connections and the worker; idempotent. Calls under way end unreachable."""
        if self._listener is not None:
            self._listener.stop()
        await self._worker.aclose()
        self._dialer.forget()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- parts ------------------------------------------------------------------------

    async def _verb(
        self, function: str, arguments: str, *values: object, nudge: bool = True
    ) -> Receipt:
        return await self._run(
            lambda session: wire.receipt(session.json(function, arguments, *values)), nudge=nudge
        )

    def _welcome(self, session: Session) -> Welcome:
        hello, invitation = session.hello, self._dialer.invitation
        if UUID(hello["team_id"]) != invitation.team_id:
            raise errors.AccessError("The server knows this role as a member of another team.")
        access, notices = Access.WRITE, []
        if session.api < hello["min_api_write"]:
            access = Access.READ_ONLY_CLIENT
            notices.append(f"{errors.ClientTooOldError.title}. {errors.ClientTooOldError.hint}")
        elif hello["read_only"]:
            access = Access.READ_ONLY_SERVER
            notices.append(f"{errors.ReadOnlyServerError.title}. {errors.ReadOnlyServerError.hint}")
        if invitation.plain:
            notices.append("The connection is not encrypted; it stays on this computer.")
        version = session.connection.info.server_version
        return Welcome(
            server_version=f"{version // 10_000}.{version % 10_000}",
            schema_version=hello["schema_version"],
            api_version=session.api,
            team_id=UUID(hello["team_id"]),
            team_name=hello["team_name"],
            me=wire.member(hello["me"]),
            access=access,
            features=frozenset(
                f for f in Feature if f.value in hello["features"] and session.api > 1
            ),
            epoch=UUID(hello["epoch"]),
            clock_skew=session.skew,
            encrypted=bool(session.connection.pgconn.ssl_in_use),
            notice=" ".join(notices),
        )

"""The team queue in memory, with the same rules and answers as the real one.

`PracticeTeam` stands for the server: teammates, escalations, the feed and the answered
operations. `PracticeQueue` is one engineer's view of it and keeps `sync.port.Queue`. It is what
the practice company and tests of the application run on, and it passes the same contract suite
as Postgres does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self
from uuid import UUID, uuid4

from sync import errors, port, wire
from sync.port import (
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
    State,
    Welcome,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _No:
    """A refusal as it is remembered."""

    why: str
    state: str | None = None
    handler: UUID | None = None
    handler_name: str | None = None

    def error(self) -> errors.RefusedError:
        return wire.refusal(
            {
                "why": self.why,
                "state": self.state,
                "handler": None if self.handler is None else str(self.handler),
                "handler_name": self.handler_name,
            }
        )


@dataclass
class _Record:
    """An escalation and what hangs on it."""

    row: Escalation
    ttl: timedelta
    hops: list[Hop]
    packages: list[Package]
    steps: list[AppendedStep] = field(default_factory=list)


def _now() -> datetime:
    return datetime.now(UTC)


class PracticeTeam:
    """The server's side: one team, its members and its escalations."""

    def __init__(self, name: str = "Practice", *, clock: Clock = _now) -> None:
        self.id = uuid4()
        self.name = wire.display_name(name)
        self.epoch = uuid4()
        self.clock = clock
        self.head = 0
        self.members: dict[UUID, Member] = {}
        self.records: dict[UUID, _Record] = {}
        self.answers: dict[tuple[UUID, UUID], tuple[object, Receipt | _No]] = {}
        self.listeners: list[Callable[[], None]] = []

    def add_engineer(self, name: str) -> UUID:
        """Add a teammate and return their id."""
        member = Member(uuid4(), wire.display_name(name), active=True)
        self.members[member.engineer_id] = member
        return member.engineer_id

    def disable_engineer(self, engineer: UUID) -> None:
        """Shut a teammate out."""
        self.members[engineer] = replace(self.members[engineer], active=False)

    def queue(self, engineer: UUID) -> PracticeQueue:
        """Return this engineer's view."""
        return PracticeQueue(self, engineer)

    def lapse_lease(self, escalation: UUID) -> None:
        """Let the handler have been silent for too long."""
        record = self.records[escalation]
        if record.row.state is State.CLAIMED:
            gone = self.clock() - timedelta(seconds=1)
            record.row = replace(record.row, lease_until=gone)

    def lapse_waiting(self, escalation: UUID) -> None:
        """Let nobody have come in time."""
        record = self.records[escalation]
        if record.row.state is State.OPEN:
            record.row = replace(record.row, expires_at=self.clock() - timedelta(seconds=1))

    def sweep(self) -> int:
        """Mark what nobody picked up in time as expired; return how many were."""
        due = [
            record
            for record in self.records.values()
            if record.row.state is State.OPEN and record.row.expires_at <= self.clock()
        ]
        for record in due:
            self.expire(record)
        return len(due)

    # --- changes, all of them ---------------------------------------------------------

    def change(self, record: _Record, **fields: object) -> Escalation:
        """Write a row: version and feed move with it."""
        self.head += 1
        record.row = replace(
            record.row,
            version=record.row.version + 1,
            team_seq=self.head,
            **fields,  # type: ignore[arg-type]  # the caller names fields of Escalation
        )
        return record.row

    def end_hop(self, record: _Record, how: str) -> None:
        """Close the present hop."""
        record.hops[-1] = replace(record.hops[-1], ended_at=self.clock(), ended_how=how)

    def next_hop(self, record: _Record, by: UUID, reason: str, to: UUID | None = None) -> None:
        """Open another hop."""
        number = len(record.hops) + 1
        record.hops.append(Hop(number, by, self.clock(), reason, to, None, None, "", None, ""))

    def expire(self, record: _Record) -> None:
        """End an open one that nobody picked up."""
        self.end_hop(record, "expired")
        self.change(
            record,
            state=State.EXPIRED,
            ended_at=self.clock(),
            fence=record.row.fence + 1,
            read_back="",
        )

    def nudge(self) -> None:
        """Tell listeners to poll, as soon as the loop turns."""
        loop = asyncio.get_running_loop()
        for listener in self.listeners:
            loop.call_soon(listener)


class PracticeQueue:
    """`sync.port.Queue` over a `PracticeTeam`."""

    def __init__(self, team: PracticeTeam, engineer: UUID) -> None:
        self._team = team
        self._me = engineer
        self._closed = False
        self._listener: Callable[[], None] | None = None

    # --- who and where ----------------------------------------------------------------

    async def connect(self) -> Welcome:
        """Open the connection if need be and say who we are to the server."""
        team, me = self._team, self._look()
        return Welcome(
            server_version="practice",
            schema_version=2,
            api_version=2,
            team_id=team.id,
            team_name=team.name,
            me=replace(me, last_seen=None),
            access=Access.WRITE,
            features=frozenset(Feature),
            epoch=team.epoch,
            clock_skew=timedelta(0),
            encrypted=False,
            notice="This is the practice company: nothing leaves this computer.",
        )

    async def test(self) -> Welcome:
        """Try a fresh connection, as the Test button does."""
        return await self.connect()

    async def change_password(self, password: str) -> None:  # noqa: ARG002  # the port's signature
        """Change nothing: no password lets anybody in here."""
        self._look()

    async def members(self) -> tuple[Member, ...]:
        """List the team, active or not, by display name."""
        self._look()
        by_name = sorted(
            self._team.members.values(), key=lambda m: (m.display_name.lower(), m.engineer_id)
        )
        return tuple(by_name)

    async def heartbeat(self) -> None:
        """Say "I am here"; writes at most once a minute."""
        me, now = self._look(), self._team.clock()
        if me.last_seen is None or now - me.last_seen >= timedelta(minutes=1):
            self._team.members[self._me] = replace(me, last_seen=now)

    # --- verbs ------------------------------------------------------------------------

    async def escalate(self, op_id: UUID, new: NewEscalation) -> Receipt:
        """Raise an escalation (originator)."""
        values = wire.escalate_arguments(op_id, new)
        summary, reason, ticket = (str(values[i]) for i in (3, 4, 5))

        def act(now: datetime) -> Receipt | _No:
            if not self._may_be_assigned(new.assigned_to):
                return self._no("assignee", None)
            if new.id in self._team.records:
                raise errors.OperationReusedError
            self._team.head += 1
            ttl = timedelta(seconds=min(max(new.expires_in, 3_600), 2_592_000))
            row = Escalation(
                id=new.id,
                session_id=new.session_id,
                state=State.OPEN,
                version=1,
                team_seq=self._team.head,
                fence=0,
                originator=self._me,
                created_by=self._me,
                assigned_to=new.assigned_to,
                handler=None,
                created_at=now,
                raised_at=now,
                claimed_at=None,
                lease_until=None,
                expires_at=now + ttl,
                ended_at=None,
                reason=reason,
                summary=summary,
                ticket_number=ticket,
                step_count=new.step_count,
                hop_count=1,
                steps_appended=0,
                package_schema=new.package_schema,
                package_size=len(new.package),
                read_back="",
                outcome="",
            )
            record = _Record(row, ttl, [], [Package(new.package_schema, new.package)])
            self._team.next_hop(record, self._me, reason, new.assigned_to)
            self._team.records[new.id] = record
            return self._yes(record)

        return self._once(op_id, ("escalate", values), act)

    async def pick_up(
        self, op_id: UUID, escalation_id: UUID, *, lease_seconds: int = 300, read_back: str = ""
    ) -> Receipt:
        """Take one that is open, or whose handler's lease ran out. First one wins."""
        said = wire.read_back(read_back)

        def act(now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._pick_up_refusal(record, now)
            if record is None or why is not None:
                return self._no(why or "absent", record)
            row = record.row
            if row.state is State.CLAIMED and row.handler != self._me:  # taken over
                self._team.end_hop(record, "lapsed")
                self._team.next_hop(record, row.created_by, row.reason)
            record.hops[-1] = replace(
                record.hops[-1],
                picked_up_by=self._me,
                picked_up_at=now,
                read_back=said or record.hops[-1].read_back,
            )
            self._take(record, now, lease_seconds, said)
            return self._yes(record)

        return self._once(op_id, ("pick_up", escalation_id, lease_seconds), act)

    def _pick_up_refusal(self, record: _Record | None, now: datetime) -> str | None:
        if record is None:
            return "absent"
        row = record.row
        if row.state is State.OPEN and row.expires_at <= now:
            self._team.expire(record)
            return "ended"
        if row.state.ended:
            return "ended"
        if row.state is State.CLAIMED and row.lease_until is not None and row.lease_until >= now:
            return "picked_up"
        return "own" if row.created_by == self._me else None

    async def renew(self, escalation_id: UUID, fence: int, *, lease_seconds: int = 300) -> Receipt:
        """Extend the handler's lease."""
        self._look()
        record = self._team.records.get(escalation_id)
        why = self._held(record, fence)
        if record is None or why is not None:
            raise self._no(why or "absent", record).error()
        now = self._team.clock()
        until = self._lease(now, lease_seconds)
        if record.row.lease_until is not None and record.row.lease_until < now + 0.8 * (
            until - now
        ):
            self._team.change(record, lease_until=until)
        return self._yes(record)

    async def release(
        self, op_id: UUID, escalation_id: UUID, fence: int | None, onward: Onward
    ) -> Receipt:
        """Put it back: the handler with the fence, or the originator (None) after expiry."""
        values = wire.release_arguments(op_id, escalation_id, fence, onward)
        reason = str(values[3])

        def act(now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._silent(record, now) if fence is None else self._held(record, fence)
            if why is None and not self._may_be_assigned(onward.assigned_to):
                why = "assignee"
            if record is None or why is not None:
                return self._no(why or "absent", record)
            row = record.row
            self._team.end_hop(record, "lapsed" if fence is None else "released")
            self._team.next_hop(record, self._me, reason, onward.assigned_to)
            package = record.packages[-1]
            if onward.package is not None and onward.package_schema is not None:
                package = Package(onward.package_schema, onward.package)
                record.packages.append(package)
            self._team.change(
                record,
                state=State.OPEN,
                handler=None,
                lease_until=None,
                claimed_at=None,
                fence=row.fence + 1,
                created_by=self._me,
                raised_at=now,
                assigned_to=onward.assigned_to,
                expires_at=now + record.ttl,
                hop_count=len(record.hops),
                reason=reason,
                summary=row.summary if values[4] is None else values[4],
                step_count=row.step_count if onward.step_count is None else onward.step_count,
                package_schema=package.schema,
                package_size=len(package.payload),
                read_back="",
            )
            return self._yes(record)

        return self._once(op_id, ("release", values), act)

    async def withdraw(
        self, op_id: UUID, escalation_id: UUID, *, lease_seconds: int = 300
    ) -> Receipt:
        """Take back what one raised while nobody has picked it up."""

        def act(now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._open_refusal(record, lambda row: row.created_by == self._me)
            if record is None or why is not None:
                return self._no(why or "absent", record)
            self._team.end_hop(record, "withdrawn")
            row = record.row
            if row.originator == self._me:
                self._team.change(
                    record, state=State.CANCELLED, ended_at=now, fence=row.fence + 1, read_back=""
                )
                return self._yes(record)
            self._team.next_hop(record, self._me, row.reason)
            record.hops[-1] = replace(record.hops[-1], picked_up_by=self._me, picked_up_at=now)
            self._take(record, now, lease_seconds, "", assigned_to=None)
            return self._yes(record)

        return self._once(op_id, ("withdraw", escalation_id, lease_seconds), act)

    async def cancel(self, op_id: UUID, escalation_id: UUID, reason: str) -> Receipt:
        """End an open one for good (originator)."""
        said = wire.reason(reason)

        def act(now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._open_refusal(record, lambda row: row.originator == self._me)
            if record is None or why is not None:
                return self._no(why or "absent", record)
            self._team.end_hop(record, "cancelled")
            self._team.change(
                record, state=State.CANCELLED, ended_at=now, outcome=said,
                fence=record.row.fence + 1, read_back="",
            )  # fmt: skip
            return self._yes(record)

        return self._once(op_id, ("cancel", escalation_id, said), act)

    async def reassign(self, op_id: UUID, escalation_id: UUID, assigned_to: UUID | None) -> Receipt:
        """Ask another teammate, or everybody (who raised it, or the originator)."""

        def act(_now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._open_refusal(
                record, lambda row: self._me in (row.created_by, row.originator)
            )
            if record is None or why is not None:
                return self._no(why or "absent", record)
            if assigned_to is not None and (
                assigned_to == record.row.created_by or not self._may_be_assigned(assigned_to)
            ):
                return self._no("assignee", record)
            self._team.change(record, assigned_to=assigned_to)
            record.hops[-1] = replace(record.hops[-1], assigned_to=assigned_to)
            return self._yes(record)

        return self._once(op_id, ("reassign", escalation_id, assigned_to), act)

    async def resolve(self, op_id: UUID, escalation_id: UUID, fence: int, outcome: str) -> Receipt:
        """End it with its outcome (handler with the fence)."""
        said = wire.outcome(outcome)

        def act(now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._held(record, fence)
            if record is None or why is not None:
                return self._no(why or "absent", record)
            self._team.end_hop(record, "resolved")
            self._team.change(
                record, state=State.RESOLVED, ended_at=now, outcome=said, lease_until=None
            )
            return self._yes(record)

        return self._once(op_id, ("resolve", escalation_id, fence, said), act)

    async def append_steps(
        self, op_id: UUID, escalation_id: UUID, fence: int, steps: Sequence[bytes]
    ) -> Receipt:
        """Add steps to the shared session (handler with the fence)."""
        payloads = wire.steps(steps)

        def act(now: datetime) -> Receipt | _No:
            record = self._team.records.get(escalation_id)
            why = self._held(record, fence)
            if why is None and record and len(record.steps) + len(payloads) > port.STEPS_MAX:
                why = "full"
            if record is None or why is not None:
                return self._no(why or "absent", record)
            for payload in payloads:
                number = len(record.steps) + 1
                record.steps.append(AppendedStep(number, self._me, now, payload))
            self._team.change(record, steps_appended=len(record.steps))
            return self._yes(record)

        return self._once(op_id, ("append_steps", escalation_id, fence, tuple(payloads)), act)

    # --- readers ----------------------------------------------------------------------

    async def escalation(self, escalation_id: UUID) -> Escalation:
        """Read one."""
        return self._record(escalation_id).row

    async def steps(self, escalation_id: UUID, after: int = 0) -> tuple[AppendedStep, ...]:
        """Read the appended steps numbered above `after`, all of them."""
        return tuple(s for s in self._record(escalation_id).steps if s.number > after)

    async def package(self, escalation_id: UUID) -> Package:
        """Read the hand-off package."""
        return self._record(escalation_id).packages[-1]

    async def hops(self, escalation_id: UUID) -> tuple[Hop, ...]:
        """Read the history of hops, oldest first."""
        return tuple(self._record(escalation_id).hops)

    async def changes(self, cursor: Cursor | None) -> Feed:
        """Read what changed since the cursor; None asks for a full picture."""
        self._look()
        team, now = self._team, self._team.clock()
        resync = cursor is None or cursor.epoch != team.epoch or cursor.after > team.head
        since = now - timedelta(days=30)
        after = 0 if cursor is None or resync else cursor.after
        rows = sorted(
            (
                record.row
                for record in team.records.values()
                if record.row.team_seq > after
                and (
                    not resync
                    or record.row.ended_at is None
                    or (
                        record.row.ended_at > since
                        and self._me in (record.row.originator, record.row.handler)
                    )
                )
            ),
            key=lambda row: row.team_seq,
        )
        return Feed(
            Cursor(team.epoch, team.head),
            tuple(rows),
            resync=resync,
            restored=resync and cursor is not None,
            server_time=now,
        )

    async def sweep(self) -> int:
        """Mark what nobody picked up in time as expired; return how many were."""
        self._look()
        return self._team.sweep()

    # --- nudges, sleep, end -----------------------------------------------------------

    async def listen(self, on_nudge: Callable[[], None]) -> bool:
        """Ask for nudges ("poll now") as an accelerator."""
        self._look()
        self._unlisten()
        self._listener = on_nudge
        self._team.listeners.append(on_nudge)
        return True

    def drop(self) -> None:
        """Abandon open sockets (after sleep): there are none."""

    async def aclose(self) -> None:
        """Close; idempotent."""
        self._closed = True
        self._unlisten()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- the rules' parts -------------------------------------------------------------

    def _look(self) -> Member:
        if self._closed:
            raise errors.ClosedError
        me = self._team.members.get(self._me)
        if me is None or not me.active:
            raise errors.RevokedError
        return me

    def _record(self, escalation_id: UUID) -> _Record:
        self._look()
        record = self._team.records.get(escalation_id)
        if record is None:
            raise errors.NotFoundError
        return record

    def _once(
        self, op_id: UUID, arguments: object, act: Callable[[datetime], Receipt | _No]
    ) -> Receipt:
        """Answer an operation, or answer it again."""
        self._look()
        known = self._team.answers.get((self._me, op_id))
        if known is not None:
            if known[0] != arguments:
                raise errors.OperationReusedError
            if isinstance(known[1], _No):
                raise known[1].error()
            return replace(known[1], replayed=True)
        answer = act(self._team.clock())
        self._team.answers[self._me, op_id] = (arguments, answer)
        if isinstance(answer, _No):
            raise answer.error()
        self._team.nudge()
        return answer

    def _no(self, why: str, record: _Record | None) -> _No:
        if record is None:
            return _No(why)
        handler = record.row.handler
        name = None if handler is None else self._team.members[handler].display_name
        return _No(why, record.row.state.value, handler, name)

    @staticmethod
    def _yes(record: _Record) -> Receipt:
        row = record.row
        return Receipt(
            row.id, row.state, row.version, row.fence, row.lease_until, row.team_seq,
            steps_appended=row.steps_appended,
        )  # fmt: skip

    def _may_be_assigned(self, to: UUID | None) -> bool:
        if to is None:
            return True
        member = self._team.members.get(to)
        return to != self._me and member is not None and member.active

    def _held(self, record: _Record | None, fence: int) -> str | None:
        if record is None:
            return "absent"
        row = record.row
        if row.state.ended:
            return "ended"
        held = row.state is State.CLAIMED and row.handler == self._me and row.fence == fence
        return None if held else "stale"

    def _silent(self, record: _Record | None, now: datetime) -> str | None:
        """Return why the originator may not release it."""
        if record is None:
            return "absent"
        row = record.row
        if row.state.ended:
            return "ended"
        if row.originator != self._me:
            return "not_allowed"
        if row.state is not State.CLAIMED or row.lease_until is None:
            return "not_open"
        return "not_expired" if row.lease_until >= now else None

    @staticmethod
    def _open_refusal(record: _Record | None, mine: Callable[[Escalation], bool]) -> str | None:
        if record is None:
            return "absent"
        if record.row.state.ended:
            return "ended"
        if not mine(record.row):
            return "not_allowed"
        return "picked_up" if record.row.state is State.CLAIMED else None

    @staticmethod
    def _lease(now: datetime, seconds: int) -> datetime:
        return now + timedelta(seconds=min(max(seconds, port.LEASE_MIN), port.LEASE_MAX))

    def _take(
        self, record: _Record, now: datetime, seconds: int, said: str, **fields: object
    ) -> None:
        self._team.change(
            record,
            state=State.CLAIMED,
            handler=self._me,
            fence=record.row.fence + 1,
            claimed_at=now,
            lease_until=self._lease(now, seconds),
            hop_count=len(record.hops),
            read_back=said,
            **fields,
        )

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._team.listeners.remove(self._listener)
            self._listener = None

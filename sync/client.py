"""The team queue over a real Postgres.

All talk with the server happens on one daemon thread with a synchronous driver: the driver's
asynchronous interface refuses the event loop that a Qt application has on Windows. Calls are
jobs with a deadline; a job whose deadline passes takes its connection with it, because nothing
that arrives late on it could be told from an answer to the next call. The caller then knows
nothing about the outcome and repeats with the same operation id; one such repeat, on a fresh
connection after a short random pause, is made here when the time allows.

    await queue.pick_up(op, id) ─▶ job ─▶ thread: connect? ─▶ fp_v2.pick_up(…) ─▶ Receipt
                                            │                     │ refused: RefusedError
                                            └ UnreachableError    └ failed: translated below

The client speaks the newest version of the functions that both sides have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import random
import selectors
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

import psycopg
from psycopg import pq

from sync import authorities, errors, wire
from sync.invitation import Invitation
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.abc import PQGen
    from psycopg.rows import TupleRow

T = TypeVar("T")
RV = TypeVar("RV")

log = logging.getLogger(__name__)

API_VERSIONS = (2, 1)
"""Versions of the functions this client speaks, best first."""
DEADLINE = 10.0
"""Seconds a call may take, connecting included."""
CONNECT_TIMEOUT = 5.0
_SLICE = 0.1
"""Seconds between looks at the deadline and at `drop()` while waiting for the server."""
_PAGE = 200
_COLUMNS = {
    "steps": ["number", "engineer_id", "at", "payload"],
    "package": ["package_schema", "payload"],
}
"""Of functions that answer a table; all others answer one column of their own name."""
_HELLO_AGAIN = 600.0
"""Seconds after which an open connection asks again what the server is and allows."""


class _OutOfTimeError(psycopg.OperationalError):
    """The job's deadline passed, or its sockets were dropped."""


class _GarbledError(psycopg.OperationalError):
    """What arrived is no answer to what was asked."""


class _Connection(psycopg.Connection["TupleRow"]):
    """A connection that gives up at a deadline and when told to."""

    deadline = float("inf")
    abandoned: threading.Event | None = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # One message a statement. With the usual five, a network that fails between the fourth
        # and the last leaves a finished statement uncommitted, its team's lock held, and no
        # time limit of the server's running.
        self.cursor_factory = psycopg.ClientCursor

    def wait(self, gen: PQGen[RV], interval: float = _SLICE, timeout: float | None = None) -> RV:  # noqa: ARG002  # the driver's signature
        """Run a conversation with the server, looking up every now and then."""
        limit = self.deadline
        if timeout is not None:
            limit = min(limit, time.monotonic() + timeout)
        try:
            wanted = next(gen)
            with selectors.DefaultSelector() as selector:
                selector.register(self.pgconn.socket, wanted)
                while True:
                    left = limit - time.monotonic()
                    ready = selector.select(timeout=max(0.0, min(_SLICE, left)))
                    if ready:
                        now_wanted = gen.send(ready[0][1])
                        if now_wanted != wanted:
                            wanted = now_wanted
                            selector.modify(self.pgconn.socket, wanted)
                        continue
                    if time.monotonic() >= limit or (self.abandoned and self.abandoned.is_set()):
                        self.pgconn.finish()
                        raise _OutOfTimeError("the connection was given up")
                    gen.send(0)
        except StopIteration as end:
            result: RV = end.value
            return result


@dataclass
class _Session:
    """An open connection and what the server said when it opened."""

    connection: _Connection
    api: int
    hello: dict[str, Any]
    skew: timedelta
    since: float

    def call(self, function: str, arguments: str, *values: object) -> list[TupleRow]:
        """Run one function of the version both sides speak and return its rows."""
        # Both parts are constants of this package; values travel apart from the statement.
        statement = f"select * from fp_v{self.api}.{function}({arguments})"  # noqa: S608
        cursor = self.connection.execute(statement.encode(), values)
        names = [column.name for column in cursor.description or ()]
        if names != _COLUMNS.get(function, [function]):
            raise _GarbledError("the answer belongs to another question")
        return cursor.fetchall()

    def json(self, function: str, arguments: str = "", *values: object) -> Any:
        """Run a function that answers one JSON document."""
        rows = self.call(function, arguments, *values)
        if not rows:
            raise _GarbledError("there is no answer")
        return rows[0][0]


class _Job:
    """One call on its way to the worker."""

    def __init__(
        self,
        work: Callable[[_Session], Any],
        deadline: float,
        loop: asyncio.AbstractEventLoop,
        *,
        fresh: bool = False,
        nudge: bool = False,
    ) -> None:
        self.work = work
        self.deadline = deadline
        self.loop = loop
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.fresh = fresh
        self.nudge = nudge

    def deliver(self, result: Any, error: BaseException | None) -> None:
        """Hand the outcome to whoever waits; nobody may."""

        def settle() -> None:
            if self.answer.done():
                return
            if error is not None:
                self.answer.set_exception(error)
            else:
                self.answer.set_result(result)

        with contextlib.suppress(RuntimeError):  # the loop is gone, and so is the caller
            self.loop.call_soon_threadsafe(settle)


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
        self._invitation = invitation
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._api_versions = api_versions
        self._nudge = nudge
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._session: _Session | None = None
        self._thread: threading.Thread | None = None
        self._listener: _Listener | None = None
        self._abandoned = threading.Event()
        self._closed = False
        self._ca_file: Path | None = None

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

        def work(session: _Session) -> None:
            connection = session.connection
            role = self._invitation.role
            secret = connection.pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            )
            statement = psycopg.sql.SQL("alter role {} password {}").format(
                psycopg.sql.Identifier(role), psycopg.sql.Literal(secret.decode())
            )
            connection.execute(statement)

        await self._run(work)
        self._invitation = self._invitation.with_password(password)

    async def members(self) -> tuple[Member, ...]:
        """List the team, active or not, by display name."""
        return await self._run(lambda s: tuple(wire.member(m) for m in s.json("members")))

    async def heartbeat(self) -> None:
        """Say "I am here"; writes at most once a minute; nothing before version 2."""

        def work(session: _Session) -> None:
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

        def work(session: _Session) -> Receipt:
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

        def work(session: _Session) -> Package:
            for schema, payload in session.call("package", "%s::uuid", escalation_id):
                return Package(schema, payload)
            raise _GarbledError("there is no answer")

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
        self._listener = _Listener(self._parameters, channel, loop, on_nudge, self._connect_timeout)
        return await self._listener.started()

    def drop(self) -> None:
        """Abandon open sockets (after sleep); the next call connects anew."""
        self._abandoned.set()
        if self._listener is not None:
            self._listener.reconnect()

    async def aclose(self) -> None:
        """Close connections and the worker; idempotent. Calls under way end unreachable."""
        if self._closed:
            return
        self._closed = True
        self._abandoned.set()
        if self._listener is not None:
            self._listener.stop()
        self._jobs.put(None)
        if self._thread is not None:
            # A name look-up can't be interrupted; a daemon thread may outlive us for its sake.
            await asyncio.to_thread(self._thread.join, 2.0)
        self._forget_ca_file()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- the way to the worker --------------------------------------------------------

    async def _verb(
        self, function: str, arguments: str, *values: object, nudge: bool = True
    ) -> Receipt:
        return await self._run(
            lambda session: wire.receipt(session.json(function, arguments, *values)), nudge=nudge
        )

    async def _run(
        self, work: Callable[[_Session], T], *, fresh: bool = False, nudge: bool = False
    ) -> T:
        if self._closed:
            raise errors.ClosedError
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="team queue", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        job = _Job(
            work, time.monotonic() + self._deadline, loop, fresh=fresh, nudge=nudge and self._nudge
        )
        self._jobs.put(job)
        try:
            # The worker keeps the deadline; this one is for what it can't interrupt (look-ups).
            async with asyncio.timeout(self._deadline + 1.0):
                result: T = await job.answer
                return result
        except TimeoutError:
            raise errors.DeadlineError from None

    # --- on the worker's thread -------------------------------------------------------

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if job.answer.done():
                    continue  # nobody waits any more and nothing was sent
                result, error = None, None
                try:
                    result = self._perform(job)
                except BaseException as raised:  # noqa: BLE001  # it belongs to the caller
                    error = raised
                job.deliver(result, error)
                if job.nudge and error is None:
                    self._nudge_teammates(result)
        finally:
            self._hang_up()
            while True:
                with contextlib.suppress(queue.Empty):
                    left = self._jobs.get_nowait()
                    if left is not None:
                        left.deliver(None, errors.ClosedError())
                    continue
                break

    def _perform(self, job: _Job) -> Any:
        tried_before = False
        while True:
            had_session = self._session is not None and not job.fresh
            try:
                session = self._connected(job)
                session.connection.deadline = job.deadline
                return job.work(session)
            except psycopg.Error as error:
                translated = wire.translate(error, out_of_time=isinstance(error, _OutOfTimeError))
                if error.sqlstate is None or isinstance(translated, errors.ServerTooOldError):
                    # Whatever arrives on it next could be the answer to this call.
                    self._hang_up()
                elif self._session is not None and self._session.connection.closed:
                    self._hang_up()
                pause = random.uniform(0.05, 0.25)  # noqa: S311  # jitter, not a secret
                again = (
                    isinstance(translated, errors.UnreachableError)
                    or (had_session and isinstance(translated, errors.ServerTooOldError))
                ) and not (tried_before or self._closed)
                if not again or time.monotonic() + pause >= job.deadline:
                    raise translated from error
                tried_before = True
                time.sleep(pause)

    def _connected(self, job: _Job) -> _Session:
        if self._session is not None and (job.fresh or self._abandoned.is_set()):
            self._hang_up()
        if self._closed:
            raise errors.ClosedError
        self._abandoned.clear()
        if self._session is None:
            self._session = self._open(job.deadline)
        elif time.monotonic() - self._session.since > _HELLO_AGAIN:
            connection = self._session.connection
            connection.deadline = job.deadline
            self._session = self._introduce(connection)  # the schema may have moved on
        return self._session

    def _open(self, deadline: float) -> _Session:
        timeout = min(self._connect_timeout, deadline - time.monotonic())
        connection = _Connection.connect(
            **self._parameters(),
            connect_timeout=max(1, round(timeout)),
            autocommit=True,
            prepare_threshold=None,  # a pooler may hand each statement to another backend
        )
        connection.deadline = deadline
        connection.abandoned = self._abandoned
        try:
            return self._introduce(connection)
        except BaseException:
            connection.close()
            raise

    def _introduce(self, connection: _Connection) -> _Session:
        for api in self._api_versions:
            before = datetime.now(UTC)
            with contextlib.suppress(
                psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName
            ):
                session = _Session(connection, api, {}, timedelta(0), time.monotonic())
                session.hello = session.json("hello")
                after = datetime.now(UTC)
                session.skew = wire.moment(session.hello["now"]) - (before + (after - before) / 2)
                return session
        raise errors.ServerTooOldError("This database holds no team queue this version knows.")

    def _parameters(self) -> dict[str, Any]:
        """Return the connection's parameters; nothing is left to the environment."""
        invitation = self._invitation
        parameters: dict[str, Any] = {
            "host": invitation.host,
            "port": invitation.port,
            "dbname": invitation.database,
            "user": invitation.role,
            "password": invitation.password,
            "application_name": "flowpilot",
            "client_encoding": "UTF8",
            "gssencmode": "disable",
            "require_auth": "scram-sha-256",
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "target_session_attrs": "any",
        }
        if invitation.plain:
            return parameters | {"sslmode": "disable", "channel_binding": "disable"}
        return parameters | {
            "sslmode": "verify-full",
            "sslrootcert": self._roots(),
            "channel_binding": "require",
            "ssl_min_protocol_version": "TLSv1.2",
            "sslcert": "",
            "sslkey": "",
            "sslcertmode": "disable",
        }

    def _roots(self) -> str:
        """Return a file of trusted authorities; the driver reads certificates from files only."""
        pem = self._invitation.ca_certificate
        if not pem and (known := authorities.file()) is not None:
            return known
        if self._ca_file is None or not self._ca_file.exists():
            with tempfile.NamedTemporaryFile(
                "w", prefix="flowpilot-ca-", suffix=".pem", delete=False, encoding="ascii"
            ) as file:
                file.write(pem or authorities.pem())
            self._ca_file = Path(file.name)
        return str(self._ca_file)

    def _forget_ca_file(self) -> None:
        if self._ca_file is not None:
            self._ca_file.unlink(missing_ok=True)
            self._ca_file = None

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def _nudge_teammates(self, result: object) -> None:
        """Tell listeners to poll; in a transaction of its own, and no matter if it fails."""
        if self._session is None or (isinstance(result, Receipt) and result.replayed):
            return
        try:
            self._session.connection.deadline = time.monotonic() + 2.0
            self._session.call("nudge", "")
        except psycopg.Error as error:
            log.debug("nudge failed: %s", type(error).__name__)
            if self._session.connection.closed:
                self._hang_up()

    def _welcome(self, session: _Session) -> Welcome:
        hello, invitation = session.hello, self._invitation
        if UUID(hello["team_id"]) != invitation.team_id:
            raise errors.AccessError("The server knows this role as a member of another team.")
        access, notices = Access.WRITE, []
        if session.api < hello["min_api_write"]:
            access = Access.READ_ONLY_CLIENT
            notices.append(f"{errors.ClientTooOldError.title}. {errors.ClientTooOldError.hint}")
        elif hello["read_only"]:
            access = Access.READ_ONLY_SERVER
            notices.append(f"{errors.ReadOnlyServerError.title}.")
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


class _Listener:
    """A second connection on a thread of its own that waits for nudges."""

    def __init__(
        self,
        parameters: Callable[[], dict[str, Any]],
        channel: str,
        loop: asyncio.AbstractEventLoop,
        on_nudge: Callable[[], None],
        connect_timeout: float,
    ) -> None:
        self._parameters = parameters
        self._channel = channel
        self._loop = loop
        self._on_nudge = on_nudge
        self._connect_timeout = connect_timeout
        self._abandoned = threading.Event()
        self._stopped = threading.Event()
        self._first: asyncio.Future[bool] = loop.create_future()
        self._thread = threading.Thread(target=self._work, name="team queue nudges", daemon=True)
        self._thread.start()

    async def started(self) -> bool:
        """Wait until the first connection listens or has failed."""
        return await self._first

    def reconnect(self) -> None:
        """Drop the socket and open another."""
        self._abandoned.set()

    def stop(self) -> None:
        """End the thread; it notices within a moment."""
        self._stopped.set()
        self._abandoned.set()

    def _tell(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(call)

    def _started(self, *, listening: bool) -> None:
        def settle() -> None:
            if not self._first.done():
                self._first.set_result(listening)

        self._tell(settle)

    def _work(self) -> None:
        pause = 1.0
        while not self._stopped.is_set():
            self._abandoned.clear()
            if self._stopped.is_set():  # stop() may have come between the two lines above
                break
            try:
                self._listen()
                pause = 1.0
            except psycopg.Error as error:
                log.debug("no nudges for now: %s", type(error).__name__)
                self._started(listening=False)
            self._stopped.wait(random.uniform(0, pause))  # noqa: S311  # jitter, not a secret
            pause = min(pause * 2, 60.0)
        self._started(listening=False)

    def _listen(self) -> None:
        connection = _Connection.connect(
            **self._parameters(),
            connect_timeout=max(1, round(self._connect_timeout)),
            autocommit=True,
            prepare_threshold=None,
        )
        with connection:
            connection.abandoned = self._abandoned
            connection.deadline = time.monotonic() + self._connect_timeout
            connection.execute(
                psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(self._channel))
            )
            self._started(listening=True)
            while connection.pgconn.status == pq.ConnStatus.OK:
                connection.deadline = float("inf")
                for _ in self._notifies(connection):
                    self._tell(self._on_nudge)
                # Half a minute of silence: ask whether anybody is there.
                connection.deadline = time.monotonic() + self._connect_timeout
                connection.execute("select 1")

    @staticmethod
    def _notifies(connection: _Connection) -> list[psycopg.Notify]:
        quiet_until = time.monotonic() + 30.0
        while time.monotonic() < quiet_until:
            ready = selectors.DefaultSelector()
            with ready:
                ready.register(connection.pgconn.socket, selectors.EVENT_READ)
                if ready.select(timeout=_SLICE):
                    connection.pgconn.consume_input()
                    found = []
                    while (notify := connection.pgconn.notifies()) is not None:
                        found.append(psycopg.Notify(notify.relname.decode(), "", notify.be_pid))
                    if found:
                        return found
            if connection.abandoned is not None and connection.abandoned.is_set():
                connection.pgconn.finish()
                raise _OutOfTimeError("the connection was given up")
        return []

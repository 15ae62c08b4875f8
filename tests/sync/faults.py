"""Every fault at every message of every call, on a real server.

    python -m tests.sync.faults        all of them; prints what happened how often

A call is made through the proxy, the fault strikes, the call is made again with the same
operation id (as an outbox does) until it is answered, and what was late arrives. Then the
server must hold exactly what one undisturbed call would have left, and every answer that was
given must say the same.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from sync.client import QueueClient
from sync.errors import QueueError, UnreachableError
from sync.invitation import Invitation
from sync.port import Feed, NewEscalation, Onward, Receipt
from tests.simulators.postgres import QueueDatabase, shared_server
from tests.simulators.tcp_proxy import ACTIONS, Action, Direction, Fault, TcpProxy

DEADLINE = 0.4
"""Seconds after which a caller gives up; long for loopback, short for a test."""
DIRECTIONS: tuple[Direction, ...] = ("to server", "to client")


@dataclass(frozen=True, slots=True)
class Scene:
    """An escalation in the state the call needs, and who makes the call."""

    escalation: UUID
    fence: int
    op: UUID


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the client."""

    name: str
    by: str
    state: str
    make: Callable[[QueueClient, Scene], Awaitable[Any]]


def _new(escalation: UUID) -> NewEscalation:
    session = UUID(int=escalation.int ^ 1)
    return NewEscalation(escalation, session, "Printer", "Stuck", b"p" * 3_000, 1)


_ONWARD = Onward("hm", package=b"x", package_schema=2)

CALLS = [
    Call("escalate", "ann", "none", lambda q, s: q.escalate(s.op, _new(s.escalation))),
    Call("pick_up", "bob", "open", lambda q, s: q.pick_up(s.op, s.escalation, read_back="I do")),
    Call(
        "renew", "bob", "claimed",
        lambda q, s: q.renew(s.escalation, s.fence, lease_seconds=9000),
    ),
    Call(
        "release", "bob", "claimed",
        lambda q, s: q.release(s.op, s.escalation, s.fence, _ONWARD),
    ),
    Call("withdraw", "ann", "open", lambda q, s: q.withdraw(s.op, s.escalation)),
    Call("cancel", "ann", "open", lambda q, s: q.cancel(s.op, s.escalation, "no")),
    Call("reassign", "ann", "open", lambda q, s: q.reassign(s.op, s.escalation, None)),
    Call("resolve", "bob", "claimed", lambda q, s: q.resolve(s.op, s.escalation, s.fence, "ok")),
    Call(
        "append_steps", "bob", "claimed",
        lambda q, s: q.append_steps(s.op, s.escalation, s.fence, [b"one", b"two"]),
    ),
    Call("changes", "ann", "claimed", lambda q, s: q.changes(None)),
    Call("escalation", "ann", "claimed", lambda q, s: q.escalation(s.escalation)),
    Call("steps", "ann", "claimed", lambda q, s: q.steps(s.escalation)),
    Call("package", "ann", "claimed", lambda q, s: q.package(s.escalation)),
    Call("hops", "ann", "claimed", lambda q, s: q.hops(s.escalation)),
    Call("members", "ann", "none", lambda q, s: q.members()),
    Call("heartbeat", "ann", "none", lambda q, s: q.heartbeat()),
    Call("sweep", "ann", "none", lambda q, s: q.sweep()),
    Call("connect", "ann", "none", lambda q, s: q.test()),
]  # fmt: skip
VERBS = frozenset(
    {"escalate", "pick_up", "release", "withdraw", "cancel", "reassign", "resolve", "append_steps"}
)


class Stage:
    """A database, two engineers, a straight and a crooked way to it."""

    def __init__(self, database: QueueDatabase, proxy: TcpProxy) -> None:
        self.database = database
        self.proxy = proxy
        self.team = database.add_team()
        self.invitations = {name: database.invite(self.team, name) for name in ("ann", "bob")}
        self.straight = {name: QueueClient(i) for name, i in self.invitations.items()}
        self.counts: Counter[str] = Counter()
        for invitation in self.invitations.values():
            # A call that was swallowed halfway holds its team's lock until the server's time
            # limit ends it: 15 seconds outside of tests.
            database.connection.execute(
                f"alter role {invitation.role} set statement_timeout = '300ms'".encode()
            )

    def crooked(self, name: str, deadline: float) -> QueueClient:
        direct = self.invitations[name]
        through = replace(direct, host="127.0.0.1", port=self.proxy.port)
        assert isinstance(through, Invitation)
        return QueueClient(through, deadline=deadline, connect_timeout=5, nudge=False)

    async def scene(self, state: str) -> Scene:
        escalation, fence = uuid4(), 0
        if state != "none":
            await self.straight["ann"].escalate(uuid4(), _new(escalation))
        if state == "claimed":
            fence = (await self.straight["bob"].pick_up(uuid4(), escalation)).fence
            await self.straight["bob"].append_steps(uuid4(), escalation, fence, [b"first"])
        return Scene(escalation, fence, uuid4())

    def left_behind(self, scene: Scene) -> list[Any]:
        """Return what the server holds of an escalation, without its times and sequence."""
        rows: list[Any] = self.database.connection.execute(
            "select e.state, e.version, e.fence, e.handler, e.created_by, e.hop_count,"
            " e.steps_appended, e.outcome, e.read_back, e.package_size,"
            " (select array_agg(h.ended_how order by h.number) from fp.hop h"
            "  where h.escalation_id = e.id),"
            " (select array_agg(s.payload order by s.number) from fp.step s"
            "  where s.escalation_id = e.id),"
            " (select array_agg(v.kind order by v.version) from fp.event v"
            "  where v.escalation_id = e.id)"
            " from fp.escalation e where e.id = %s",
            (scene.escalation,),
        ).fetchall()
        return rows

    async def undisturbed(self, call: Call) -> tuple[list[Any], Counter[Direction]]:
        """Make the call without a fault; return what it leaves and its messages."""
        scene = await self.scene(call.state)
        queue = self.crooked(call.by, 10)
        try:
            await queue.connect()
            self.proxy.arm(None)
            await call.make(queue, scene)
            return self.left_behind(scene), Counter(self.proxy.passed)
        finally:
            await queue.aclose()

    async def disturbed(self, call: Call, fault: Fault, expected: list[Any]) -> None:
        """Make the call with a fault, repeat it, and compare."""
        scene = await self.scene(call.state)
        patient = fault.action not in ("hole", "late")
        queue = self.crooked(call.by, 10 if patient else DEADLINE)
        answers: list[Any] = []
        try:
            await queue.connect()
            self.proxy.arm(fault)
            try:
                answers.append(await call.make(queue, scene))
            except UnreachableError:
                self.counts["heard nothing"] += 1
            except QueueError as error:
                raise AssertionError(f"{call.name} {fault}: {error!r}") from error
            # A verb's nudge to the teammates follows its answer.
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await self.proxy.struck.wait()
            assert self.proxy.struck.is_set(), f"{call.name} {fault} did not happen"
            held = self.left_behind(scene)
            if not answers and held == expected and call.name in VERBS:
                self.counts["heard nothing although it was done"] += 1
            answers.append(await self.repeated(call, scene))
            await queue.aclose()
            await self.proxy.release()
        finally:
            await queue.aclose()
            self.proxy.cut_all()
        assert self.left_behind(scene) == expected, f"{call.name} {fault}"
        if call.name in VERBS:
            first, last = answers[0], answers[-1]
            assert isinstance(last, Receipt)
            assert replace(first, replayed=False) == replace(last, replayed=False)
        elif isinstance(answers[0], Feed):
            assert answers[0].rows == answers[-1].rows
        self.counts[fault.action] += 1

    async def repeated(self, call: Call, scene: Scene) -> Any:
        """Make the call until it is answered, as an outbox does."""
        for _ in range(20):
            try:
                return await call.make(self.straight[call.by], scene)
            except UnreachableError:
                self.counts["repeated once more"] += 1
        raise AssertionError(f"{call.name} was never answered")

    async def aclose(self) -> None:
        for queue in self.straight.values():
            await queue.aclose()


async def torment(
    database: QueueDatabase, calls: list[Call], actions: tuple[Action, ...] = ACTIONS
) -> Counter[str]:
    """Let every fault strike at every message of these calls."""
    async with TcpProxy(database.server.port) as proxy:
        stage = Stage(database, proxy)
        try:
            for call in calls:
                expected, messages = await stage.undisturbed(call)
                for direction in DIRECTIONS:
                    for number in range(messages[direction]):
                        for action in actions:
                            fault = Fault(direction, number, action)
                            await stage.disturbed(call, fault, expected)
                stage.counts["messages"] += messages.total()
        finally:
            await stage.aclose()
    return stage.counts


def main() -> int:
    with shared_server("plain").database() as database:
        before = time.perf_counter()
        counts = asyncio.run(torment(database, CALLS))
        print(
            f"{len(CALLS)} calls, {counts['messages']} messages, "
            f"{sum(counts[a] for a in ACTIONS)} faults in {time.perf_counter() - before:.0f} s: "
            "no wrong state after the repeat"
        )
        for name, count in counts.items():
            print(f"  {count:>6}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Four desktops of three engineers and a real Postgres, as a Hypothesis state machine.

    python -m tests.sync.machine [histories [seed]]    5,000 unless told otherwise, then the mutants

Bob has two desktops with the same login, which is where fences earn their keep. A desktop here
is the smallest that is honest: an outbox that is written before anything is sent, a saved
picture of the queue with its cursor, the fences of its claims, and copies of steps that were
refused. Requests and answers get lost, messages arrive twice and late, desktops crash and
forget what was not saved, clocks jump, leases and waiting times run out, the server is restored
from a backup with and without its runbook.

What must hold: no session is lost, no step is lost that its author saw as saved, a write counts
only for the one handler of that moment, a repeat changes nothing, and a desktop that has polled
knows what the server knows. A server without operation ids, without fences, or that takes
cursors above its head is caught.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from psycopg.types.json import Jsonb

from sync.client import QueueClient
from sync.errors import ClaimLostError, EndedError, RefusedError
from sync.port import Cursor, Escalation, NewEscalation, Onward, Receipt, State
from tests.simulators.postgres import QueueDatabase, engines, shared_server

TABLES = ("team", "escalation", "hop", "step", "op", "event")
NAMES = ("Ann", "Bob", "Cem")
DESKTOPS = (0, 1, 1, 2)
"""Whose they are."""

MUTANTS = {
    "no operation ids": """
        create or replace function fp.earlier(a fp.actor) returns jsonb language sql as
        $$ select null::jsonb $$;
        create or replace function fp.remember(a fp.actor, p_answer jsonb) returns jsonb
        language sql as $$ select p_answer $$;""",
    "no operation ids but for escalations": """
        create or replace function fp.earlier(a fp.actor) returns jsonb language sql as
        $$ select o.answer || '{"replayed": true}' from fp.op o where a.kind = 'escalate'
           and o.team_id = a.team_id and o.engineer_id = a.engineer_id and o.op_id = a.op $$;
        create or replace function fp.remember(a fp.actor, p_answer jsonb) returns jsonb
        language sql as $$ insert into fp.op (team_id, engineer_id, op_id, at, kind, digest, answer)
        values (a.team_id, a.engineer_id, a.op, a.at, a.kind, a.digest, p_answer)
        on conflict do nothing; select p_answer $$;""",
    "no fence": """
        create or replace function fp.held(e fp.escalation, a fp.actor, p_fence bigint)
        returns text language sql as $$ select case when e.id is null then 'absent'
            when e.ended_at is not null then 'ended'
            when e.state = 'claimed' and e.handler = a.engineer_id then null
            else 'stale' end $$;""",
    "no above-head rule": "",  # made of the function's own text: see `mutate`
}


def mutate(database: QueueDatabase, mutant: str) -> None:
    """Take one rule away from the server."""
    if mutant == "no above-head rule":
        row = database.connection.execute(
            "select pg_get_functiondef('fp.changes'::regproc)"
        ).fetchone()
        assert row is not None
        text = row[0].replace("or p_after > v.seq ", "")
        assert text != row[0]
        database.connection.execute(text)
    else:
        database.connection.execute(MUTANTS[mutant].encode())


@dataclass
class Item:
    """One entry of an outbox."""

    op: UUID
    verb: str
    escalation: UUID
    arguments: tuple[Any, ...]
    answer: Receipt | RefusedError | None = None

    async def send(self, queue: QueueClient) -> Receipt:
        if self.verb == "escalate":
            return await queue.escalate(self.op, *self.arguments)
        verb = getattr(queue, self.verb)
        receipt: Receipt = await verb(self.op, self.escalation, *self.arguments)
        return receipt


@dataclass
class Desktop:
    me: UUID
    queue: QueueClient
    outbox: list[Item] = field(default_factory=list)
    claims: dict[UUID, int] = field(default_factory=dict)
    conflicts: list[bytes] = field(default_factory=list)
    picture: dict[UUID, Escalation] = field(default_factory=dict)
    cursor: Cursor | None = None
    saved: tuple[dict[UUID, Escalation], Cursor | None] = ({}, None)
    clock: timedelta = timedelta(0)

    @property
    def pending(self) -> list[Item]:
        return [item for item in self.outbox if item.answer is None]


def same(answer: Receipt | RefusedError, first: Receipt | RefusedError) -> bool:
    """Whether a repeat heard what the first try heard."""
    if isinstance(answer, Receipt) and isinstance(first, Receipt):
        return replace(answer, replayed=False) == replace(first, replayed=False)
    return type(answer) is type(first) and str(answer) == str(first)


class World:
    """The server and three logins that outlive single histories."""

    def __init__(self, database: QueueDatabase) -> None:
        self.database = database
        self.runner = asyncio.Runner()
        team = database.add_team()
        self.invitations = [database.invite(team, name) for name in NAMES]
        self.queues = [QueueClient(self.invitations[n], nudge=False, deadline=30) for n in DESKTOPS]
        self.counts: Counter[str] = Counter()

    def fresh_team(self) -> UUID:
        """Move the three logins into a new, empty team."""
        team, connection = uuid4(), self.database.connection
        with connection.transaction():
            connection.execute(
                "insert into fp.team (id, name, channel) values (%s, 'T', %s)", (team, str(team))
            )
            for invitation, name in zip(self.invitations, NAMES, strict=True):
                connection.execute(
                    "insert into fp.member (team_id, engineer_id, display) values (%s, %s, %s)",
                    (team, invitation.engineer_id, name),
                )
                connection.execute(
                    "update fp.login set team_id = %s where role_name = %s",
                    (team, invitation.role),
                )
        return team

    def close(self) -> None:
        async def work() -> None:
            for queue in self.queues:
                await queue.aclose()

        self.runner.run(work())
        self.runner.close()


_world: World | None = None

who = st.integers(0, len(DESKTOPS) - 1)
which = st.integers(0, 6)
fates = st.sampled_from(["arrives", "arrives", "arrives", "request lost", "answer lost"])


class Machine(RuleBasedStateMachine):
    """One history."""

    def __init__(self) -> None:
        super().__init__()
        assert _world is not None
        self.world = _world
        self.db = self.world.database.connection
        self.run = self.world.runner.run
        self.team = self.world.fresh_team()
        self.desktops = [
            Desktop(self.world.invitations[n].engineer_id, queue)
            for n, queue in zip(DESKTOPS, self.world.queues, strict=True)
        ]
        self.sent: list[tuple[Desktop, Item, Receipt | RefusedError]] = []
        self.holder: dict[UUID, tuple[UUID, int]] = {}
        self.backup: dict[str, Any] | None = None
        self.steps_typed = 0
        self.world.counts["histories"] += 1

    @initialize()
    def a_morning(self) -> None:
        """Two escalations wait, and everybody knows."""
        for n in (0, 1):
            self.escalate(n, None)
            self.goes_well_for(self.desktops[n])
        for n in range(len(self.desktops)):
            self.poll(n, saved=True)

    # --- what people do ---------------------------------------------------------------

    def any_pending(self) -> bool:
        return any(desktop.pending for desktop in self.desktops)

    def any_claim(self) -> bool:
        return any(desktop.claims for desktop in self.desktops)

    def whoever(self, n: int, what: str) -> Desktop:
        """Return the n-th desktop that has something of that kind."""
        found = [desktop for desktop in self.desktops if getattr(desktop, what)]
        return found[n % len(found)]

    def queue_up(self, desktop: Desktop, verb: str, escalation: UUID, *arguments: Any) -> None:
        desktop.outbox.append(Item(uuid4(), verb, escalation, arguments))

    def pick(self, things: list[Any], number: int) -> Any:
        return things[number % len(things)] if things else None

    @rule(n=who, to=st.one_of(st.none(), who))
    def escalate(self, n: int, to: int | None) -> None:
        new = NewEscalation(
            uuid4(), uuid4(), "s", "r", b"p", 1,
            assigned_to=None if to is None else self.desktops[to].me,
        )  # fmt: skip
        self.queue_up(self.desktops[n], "escalate", new.id, new)

    @rule(n=who, k=which)
    def pick_up(self, n: int, k: int) -> None:
        desktop = self.desktops[n]
        rows = [r for r in desktop.picture.values() if not r.state.ended]
        # Mostly what looks promising, sometimes what must be refused.
        promising = [r for r in rows if r.created_by != desktop.me and r.id not in desktop.claims]
        if row := self.pick(promising if k % 4 else rows, k):
            self.queue_up(desktop, "pick_up", row.id)

    @rule(n=who, k=which, count=st.integers(0, 3))
    def a_hand_off_that_works(self, n: int, k: int, count: int) -> None:
        """Somebody looks, picks one up, works on it, and all of it arrives."""
        desktop = self.desktops[n]
        self.goes_well_for(desktop)
        self.poll(n, saved=True)
        row = self.pick(
            [
                r
                for r in desktop.picture.values()
                if r.state is State.OPEN and r.created_by != desktop.me
            ],
            k,
        )
        if row is not None:
            self.queue_up(desktop, "pick_up", row.id)
            self.goes_well_for(desktop)
            if count and row.id in desktop.claims:
                self.queue_up(
                    desktop,
                    "append_steps",
                    row.id,
                    desktop.claims[row.id],
                    [self.typed() for _ in range(count)],
                )
                self.goes_well_for(desktop)

    @precondition(any_claim)
    @rule(n=who, k=which)
    def taken_up_at_the_other_desktop(self, n: int, k: int) -> None:
        """A desktop fell silent with a claim; its owner, or a teammate, goes on elsewhere."""
        silent = self.whoever(n, "claims")
        escalation, _ = self.pick(list(silent.claims.items()), k)
        self.world.database.lapse_lease(escalation)
        other = self.pick([d for d in self.desktops if d is not silent], k)
        self.queue_up(other, "pick_up", escalation)
        self.goes_well_for(other)

    def typed(self) -> bytes:
        self.steps_typed += 1
        return f"step {self.steps_typed}".encode()

    @precondition(any_claim)
    @rule(n=who, k=which, count=st.integers(1, 2))
    def type_steps(self, n: int, k: int, count: int) -> None:
        desktop = self.whoever(n, "claims")
        if claim := self.pick(list(desktop.claims.items()), k):
            steps = [self.typed() for _ in range(count)]
            self.queue_up(desktop, "append_steps", claim[0], claim[1], steps)

    @precondition(any_claim)
    @rule(n=who, k=which, how=st.sampled_from(["resolve", "release", "renew"]))
    def finish(self, n: int, k: int, how: str) -> None:
        desktop = self.whoever(n, "claims")
        if claim := self.pick(list(desktop.claims.items()), k):
            if how == "resolve":
                self.queue_up(desktop, "resolve", claim[0], claim[1], "done")
            elif how == "release":
                self.queue_up(desktop, "release", claim[0], claim[1], Onward("again"))
            else:
                self.renew(desktop, *claim)

    @rule(n=who, k=which, how=st.sampled_from(["withdraw", "cancel", "reassign", "silent"]))
    def think_again(self, n: int, k: int, how: str) -> None:
        desktop = self.desktops[n]
        row = self.pick([r for r in desktop.picture.values() if not r.state.ended], k)
        if row is None:
            return
        if how == "withdraw":
            self.queue_up(desktop, "withdraw", row.id)
        elif how == "cancel":
            self.queue_up(desktop, "cancel", row.id, "no more")
        elif how == "reassign":
            self.queue_up(desktop, "reassign", row.id, None)
        elif row.lease_until is not None and row.lease_until < datetime.now(UTC) + desktop.clock:
            # By this desktop's clock, which may be wrong; the server decides by its own.
            self.queue_up(desktop, "release", row.id, None, Onward("silent"))

    # --- what the network does --------------------------------------------------------

    @precondition(any_pending)
    @rule(n=who)
    def goes_well(self, n: int) -> None:
        """Everything that waits is sent and answered."""
        self.goes_well_for(self.whoever(n, "pending"))

    def goes_well_for(self, desktop: Desktop) -> None:
        for item in desktop.pending:
            self.world.counts["arrives"] += 1
            self.accept(desktop, item, self.deliver(desktop, item))

    @precondition(any_pending)
    @rule(n=who, fate=fates)
    def send(self, n: int, fate: str) -> None:
        desktop = self.whoever(n, "pending")
        item = desktop.pending[0]
        self.world.counts[fate] += 1
        if fate == "request lost":
            return
        answer = self.deliver(desktop, item)
        if fate == "arrives":
            self.accept(desktop, item, answer)

    @precondition(lambda self: self.sent)
    @rule(k=st.integers(0, 20))
    def duplicate(self, k: int) -> None:
        """An old message arrives once more."""
        desktop, item, _ = self.sent[-1 - k % len(self.sent)]
        self.world.counts["duplicates"] += 1
        self.deliver(desktop, item)

    @rule(n=who, saved=st.booleans())
    def poll(self, n: int, saved: bool) -> None:
        desktop = self.desktops[n]
        feed = self.run(desktop.queue.changes(desktop.cursor))
        if feed.resync:
            desktop.picture = {}
        desktop.picture |= {row.id: row for row in feed.rows}
        desktop.cursor = feed.cursor
        if feed.restored:
            self.world.counts["offered again"] += 1
            for item in desktop.outbox:
                item.answer = None
            desktop.claims = {}
        if saved or feed.restored:
            desktop.saved = dict(desktop.picture), desktop.cursor
        live = {
            row[0]: row[1:]
            for row in self.db.execute(
                "select id, version, state, fence, handler, steps_appended from fp.escalation"
                " where team_id = %s and ended_at is null",
                (self.team,),
            )
        }
        assert {
            row.id: (row.version, row.state.value, row.fence, row.handler, row.steps_appended)
            for row in desktop.picture.values()
            if not row.state.ended
        } == live, "a desktop that has polled does not know what the server knows"

    @rule(n=who)
    def crash(self, n: int) -> None:
        """What was not saved is gone."""
        desktop = self.desktops[n]
        desktop.picture, desktop.cursor = dict(desktop.saved[0]), desktop.saved[1]
        self.world.counts["crashes"] += 1

    @rule(n=who, hours=st.integers(-48, 48))
    def clock_jumps(self, n: int, hours: int) -> None:
        self.desktops[n].clock = timedelta(hours=hours)

    # --- what time and the server do --------------------------------------------------

    def rows(self, state: str) -> list[UUID]:
        found = self.db.execute(
            "select id from fp.escalation where team_id = %s and state = %s order by created_at",
            (self.team, state),
        )
        return [row[0] for row in found]

    @precondition(lambda self: self.holder)
    @rule(k=which)
    def lease_runs_out(self, k: int) -> None:
        if found := self.pick(self.rows("claimed"), k):
            self.world.database.lapse_lease(found)
            self.world.counts["leases lapsed"] += 1

    @rule(k=which, n=who)
    def nobody_came(self, k: int, n: int) -> None:
        if found := self.pick(self.rows("open"), k):
            self.world.database.lapse_waiting(found)
            self.run(self.desktops[n].queue.sweep())
            self.world.counts["expired"] += 1

    @rule()
    def back_up(self) -> None:
        self.backup = {}
        for table in TABLES:
            key = "id" if table == "team" else "team_id"
            row = self.db.execute(
                f"select coalesce(jsonb_agg(to_jsonb(t)), '[]') from fp.{table} t"
                f" where t.{key} = %s".encode(),
                (self.team,),
            ).fetchone()
            assert row is not None
            self.backup[table] = row[0]

    @precondition(lambda self: self.backup is not None)
    @rule(runbook=st.booleans())
    def restore(self, runbook: bool) -> None:
        """The server comes back from its backup; without the runbook everybody polls at once."""
        backup, self.backup = self.backup, None
        assert backup is not None
        self.world.counts["restored"] += 1
        with self.db.transaction():
            for table in reversed(TABLES[1:]):
                self.db.execute(f"delete from fp.{table} where team_id = %s".encode(), (self.team,))
            team = backup["team"][0]
            self.db.execute(
                "update fp.team set seq = %s, floor_seq = %s where id = %s",
                (team["seq"], team["floor_seq"], self.team),
            )
            for table in TABLES[1:]:
                self.db.execute(
                    f"insert into fp.{table} select * from"
                    f" jsonb_populate_recordset(null::fp.{table}, %s)".encode(),
                    (Jsonb(backup[table]),),
                )
            if runbook:
                self.db.execute("update fp.meta set epoch = gen_random_uuid()")
        self.sent = []  # what was under way died with the old server
        self.holder = {
            row[0]: (row[1], row[2])
            for row in self.db.execute(
                "select id, handler, fence from fp.escalation"
                " where team_id = %s and state = 'claimed'",
                (self.team,),
            )
        }
        for n in range(len(self.desktops)):
            self.poll(n, saved=True)
        for desktop in self.desktops:
            # Somebody whose cursor was not above the head has nothing that the server lacks,
            # except what was answered after their last poll: their outbox is offered again too.
            for item in desktop.outbox:
                item.answer = None
            desktop.claims = {}

    # --- the way to the server and back -----------------------------------------------

    def version(self) -> list[Any]:
        return self.db.execute(
            "select (select seq from fp.team where id = %s), (select count(*) from fp.step where"
            " team_id = %s), (select sum(version) from fp.escalation where team_id = %s)",
            (self.team,) * 3,
        ).fetchall()

    def deliver(self, desktop: Desktop, item: Item) -> Receipt | RefusedError:
        """Let a message reach the server; what the server does with it is checked here."""
        before = [told for _, i, told in self.sent if i is item]
        version = self.version() if before else None
        answer: Receipt | RefusedError
        try:
            answer = self.run(item.send(desktop.queue))
        except RefusedError as refused:
            answer = refused
        if version is not None:
            assert self.version() == version, "a repeat changed something"
            assert same(answer, before[0]), "a repeat was answered differently"
        elif isinstance(answer, Receipt) and not answer.replayed:
            self.took_effect(desktop, item, answer)
        self.sent.append((desktop, item, answer))
        return answer

    def took_effect(self, desktop: Desktop, item: Item, receipt: Receipt) -> None:
        escalation = item.escalation
        if item.verb in ("append_steps", "resolve") or (
            item.verb == "release" and item.arguments[0] is not None
        ):
            assert self.holder.get(escalation) == (desktop.me, item.arguments[0]), (
                f"{item.verb} counted for somebody who does not handle it"
            )
        if receipt.state is State.CLAIMED and item.verb in ("pick_up", "withdraw"):
            old = self.holder.get(escalation)
            assert old is None or receipt.fence > old[1], "the fence did not grow"
            self.holder[escalation] = (desktop.me, receipt.fence)
        elif receipt.state is not State.CLAIMED:
            self.holder.pop(escalation, None)

    def accept(self, desktop: Desktop, item: Item, answer: Receipt | RefusedError) -> None:
        """The desktop hears the answer and writes it down."""
        item.answer = answer
        escalation = item.escalation
        if isinstance(answer, RefusedError):
            self.world.counts["refused"] += 1
            if item.verb == "append_steps":
                desktop.conflicts += item.arguments[1]
            if isinstance(answer, ClaimLostError | EndedError):
                desktop.claims.pop(escalation, None)
            return
        self.world.counts["accepted"] += 1
        if item.verb in ("pick_up", "withdraw") and answer.state is State.CLAIMED:
            desktop.claims[escalation] = answer.fence
        elif answer.state is not State.CLAIMED:
            desktop.claims.pop(escalation, None)

    def renew(self, desktop: Desktop, escalation: UUID, fence: int) -> None:
        try:
            self.run(desktop.queue.renew(escalation, fence))
        except RefusedError:
            desktop.claims.pop(escalation, None)
        else:
            assert self.holder.get(escalation) == (desktop.me, fence), "renewed by a stranger"

    # --- what must hold ---------------------------------------------------------------

    @invariant()
    def the_server_is_sound(self) -> None:
        rows = self.db.execute(
            "select e.id, e.state, e.handler, e.fence, e.hop_count, e.steps_appended,"
            " (select count(*) from fp.step s where s.team_id = e.team_id"
            "  and s.escalation_id = e.id),"
            " (select count(*) from fp.hop h where h.team_id = e.team_id"
            "  and h.escalation_id = e.id),"
            " (select count(*) from fp.hop h where h.team_id = e.team_id"
            "  and h.escalation_id = e.id and h.ended_at is null)"
            " from fp.escalation e where e.team_id = %s",
            (self.team,),
        ).fetchall()
        for escalation, state, handler, fence, hop_count, appended, steps, hops, going in rows:
            assert (hop_count, appended) == (hops, steps)
            assert going == (state in ("open", "claimed"))
            if state == "claimed":
                assert self.holder.get(escalation) == (handler, fence), "two handlers"
            else:
                assert escalation not in self.holder

    def teardown(self) -> None:
        """Everything is delivered at last; then nothing may be missing."""
        for _ in range(2):
            for desktop in self.desktops:
                for item in desktop.pending:
                    self.accept(desktop, item, self.deliver(desktop, item))
        for number in range(len(self.desktops)):
            self.poll(number, saved=True)
        self.the_server_is_sound()
        there = Counter(
            bytes(row[0])
            for row in self.db.execute(
                "select payload from fp.step where team_id = %s", (self.team,)
            )
        )
        assert set(there.values()) <= {1}, "a step was stored twice"
        sessions = {
            row[0]
            for row in self.db.execute(
                "select id from fp.escalation where team_id = %s", (self.team,)
            )
        }
        for desktop in self.desktops:
            for item in desktop.outbox:
                assert item.answer is not None
                if item.verb == "append_steps":
                    for step in item.arguments[1]:
                        assert there[step] or step in desktop.conflicts, "a step was lost"
                elif item.verb == "escalate":
                    refused = isinstance(item.answer, RefusedError)
                    assert (item.escalation in sessions) is not refused, "a session was lost"
        self.world.counts["steps kept"] += there.total()


def explore(
    database: QueueDatabase, histories: int, seed: int, counts: Counter[str] | None = None
) -> Counter[str]:
    """Run that many histories; raises what breaks, as Hypothesis found it."""
    global _world  # noqa: PLW0603  # Hypothesis makes the machine without arguments
    _world = World(database)
    if counts is not None:
        _world.counts = counts
    try:
        how = settings(
            max_examples=histories, stateful_step_count=40, deadline=None, database=None,
            phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        machine: Any = hypothesis.seed(seed)(type("Seeded", (Machine,), {}))
        hypothesis.stateful.run_state_machine_as_test(machine, settings=how)
        return _world.counts
    finally:
        _world.close()
        _world = None


def caught(database: QueueDatabase, mutant: str, histories: int, seed: int) -> tuple[str, int]:
    """Return what caught a server without one of its rules, and after how many histories."""
    mutate(database, mutant)
    counts: Counter[str] = Counter()
    try:
        explore(database, histories, seed, counts)
    except Exception as error:  # noqa: BLE001  # anything that stops it has caught the mutant
        text = str(error).strip() or type(error).__name__
        return text.splitlines()[0], counts["histories"]
    raise AssertionError(f"{histories} histories did not catch a server with {mutant}")


def main() -> int:
    histories = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    server = shared_server(next(iter(engines())))
    with server.database() as database:
        before = time.perf_counter()
        counts = explore(database, histories, seed)
        seconds = time.perf_counter() - before
    print(f"{counts['histories']:,} histories in {seconds:.0f} s without a violation; seed {seed}")
    for name, count in sorted(counts.items()):
        print(f"  {count:>9,}  {name}")
    for mutant in MUTANTS:
        with server.database() as database:
            words, after = caught(database, mutant, histories, seed)
        print(f"caught after {after:,} histories: {mutant}: {words}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

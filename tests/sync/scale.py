"""How much of a server a thousand desktops take.

    python -m tests.sync.scale           full size: about six minutes, alone on the machine

A server with everything durable is filled with past escalations; then 1,000 desktops, each with
its own login and its own encrypted connection, poll for a minute. Afterwards pickups are
measured beside single-row updates in the same run, and the time from an escalation to a
teammate's alert with and without nudges. Figures depend on the machine, ratios less so.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import selectors
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from psycopg import pq

from sync.client import QueueClient
from sync.connection import Dialer
from sync.invitation import Invitation
from sync.poller import Contact, Poller
from sync.port import Feed, NewEscalation
from tests.simulators.postgres import PostgresServer, QueueDatabase, engines

LARGE = ("escalation", "hop", "step", "op", "event", "login", "member", "presence")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is."""

    desktops: int = 1_000
    teams: int = 10
    past: int = 1_000_000
    seconds: float = 60.0
    interval: float = 5.0
    bench_seconds: int = 10
    receivers: int = 20
    alerts: int = 12


def percentile(samples: list[float], share: float) -> float:
    """Return the sample below which that share of all lies."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


@contextmanager
def durable_server(size: Size) -> Iterator[QueueDatabase]:
    """Start a server as it would run in earnest."""
    server = PostgresServer(
        next(iter(engines().values())),
        settings={
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "autovacuum": "on",
            "max_connections": str(size.desktops + 60),
            "shared_buffers": "1GB" if size.past > 100_000 else "64MB",
            "max_wal_size": "4GB",
        },
    )
    server.start()
    try:
        with server.database() as database:
            yield database
    finally:
        server.stop()


def fill(database: QueueDatabase, size: Size) -> list[list[Invitation]]:
    """Make teams, engineers and the past; return the invitations by team."""
    connection = database.connection
    teams = [database.add_team(f"Team {n}") for n in range(size.teams)]
    each = size.desktops // size.teams
    people = [[database.invite(t, f"Engineer {n}") for n in range(each)] for t in teams]
    count = size.past // size.teams
    connection.execute("set session_replication_role = replica")  # no foreign-key checks
    for team, invitations in zip(teams, people, strict=True):
        ids = [invitation.engineer_id for invitation in invitations]
        with connection.transaction():
            connection.execute(
                "create temporary table past on commit drop as select n, gen_random_uuid() as id,"
                " (%s::uuid[])[1 + n %% %s] as who,"
                " now() - make_interval(mins => (%s - n)::int) as at"
                " from generate_series(1, %s) n",
                (ids, len(ids), count, count),
            )
            connection.execute(
                "insert into fp.escalation (team_id, id, session_id, state, version, team_seq,"
                " fence, originator, created_by, handler, created_at, raised_at, ttl, expires_at,"
                " ended_at, reason, summary, ticket_number, step_count, package_schema,"
                " package_size, outcome) select %s, id, id, 'resolved', 3, n, 1, who, who, who,"
                " at, at, '7 days', at, at, 'stuck', 'Outlook asks for a password', '#' || n, 5,"
                " 1, 300, 'done' from past",
                (team,),
            )
            connection.execute(
                "insert into fp.hop (team_id, escalation_id, number, raised_by, raised_at, reason,"
                " package, package_schema, ended_at, ended_how) select %s, id, 1, who, at, 'stuck',"
                " decode(repeat('ab', 300), 'hex'), 1, at, 'resolved' from past",
                (team,),
            )
            connection.execute(
                "insert into fp.event select %s, id, v, at, who, 'x', 1"
                " from past, generate_series(1, 2) v",
                (team,),
            )
            connection.execute(
                "insert into fp.op select %s, who, id, at, 'escalate', '\\x00', '{}' from past",
                (team,),
            )
            connection.execute("update fp.team set seq = %s where id = %s", (count, team))
    connection.execute("set session_replication_role = origin")
    connection.execute("vacuum analyze")
    return people


def open_socket(invitation: Invitation) -> psycopg.Connection:
    """Connect as a desktop does."""
    dialer = Dialer(invitation)
    parameters = dialer.parameters()
    try:
        return psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
    finally:
        dialer.forget()


def scans(database: QueueDatabase) -> dict[str, int]:
    """Return how often each large table was read from one end to the other, up to now.

    A server process reports what it did when it ends, or at the latest when it is told to.
    """
    others = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    end = time.monotonic() + 10
    while database.connection.execute(others).fetchone() != (0,) and time.monotonic() < end:
        time.sleep(0.02)
    database.connection.execute("select pg_stat_force_next_flush()")
    database.connection.execute("select pg_stat_clear_snapshot()")
    return dict(
        database.connection.execute(
            "select relname, seq_scan from pg_stat_user_tables where schemaname = 'fp'"
            " and relname = any(%s) and n_live_tup > 500",
            (list(LARGE),),
        ).fetchall()
    )


def server_cpu(database: QueueDatabase) -> float:
    """Return the processor seconds of the server and all its processes; nan without /proc."""
    if not Path("/proc/self/stat").exists():
        return float("nan")
    ticks = os.sysconf("SC_CLK_TCK")
    postmaster = database.server.postmaster_pid
    total = 0.0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        pid = int(entry.parent.name)
        if pid == postmaster or int(fields[1]) == postmaster:
            total += (int(fields[11]) + int(fields[12])) / ticks
            if pid == postmaster:
                total += (int(fields[13]) + int(fields[14])) / ticks  # those that ended
    return total


@dataclass(frozen=True, slots=True)
class Polling:
    polls: int
    p50: float
    p95: float
    p99: float
    cpu_seconds: float
    seconds: float


def poll_for_a_while(database: QueueDatabase, invitations: list[Invitation], size: Size) -> Polling:
    """Let every desktop poll on its own connection; one thread looks after all sockets."""
    row = database.connection.execute("select epoch from fp.meta").fetchone()
    assert row is not None
    statement = f"select fp_v2.changes('{row[0]}', {size.past // size.teams}, 200)".encode()
    dice = random.Random(1)
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        sockets = list(pool.map(open_socket, invitations))
        for socket in sockets:
            stack.callback(socket.close)
        selector = stack.enter_context(selectors.DefaultSelector())
        for number, socket in enumerate(sockets):
            selector.register(socket.pgconn.socket, selectors.EVENT_READ, number)
            socket.execute(statement)  # the first one plans and fills caches
        start = time.perf_counter()
        due = [start + dice.uniform(0, size.interval) for _ in sockets]
        sent: dict[int, float] = {}
        latencies: list[float] = []
        cpu = server_cpu(database)
        while (now := time.perf_counter()) < start + size.seconds:
            for number, when in enumerate(due):
                if when <= now and number not in sent:
                    sent[number] = time.perf_counter()
                    sockets[number].pgconn.send_query(statement)
                    sockets[number].pgconn.flush()
            for key, _ in selector.select(timeout=0.002):
                pgconn = sockets[key.data].pgconn
                pgconn.consume_input()
                while not pgconn.is_busy():
                    result = pgconn.get_result()
                    if result is None:
                        latencies.append(time.perf_counter() - sent.pop(key.data))
                        due[key.data] = now + size.interval * dice.uniform(0.8, 1.2)
                        break
                    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
                    assert b'"rows": []' in (result.get_value(0, 0) or b"")
        seconds = time.perf_counter() - start
        cpu = server_cpu(database) - cpu
    return Polling(
        len(latencies), percentile(latencies, 0.5), percentile(latencies, 0.95),
        percentile(latencies, 0.99), cpu, seconds,
    )  # fmt: skip


def pgbench(
    database: QueueDatabase, invitation: Invitation, script: str, clients: int, size: Size
) -> float:
    """Run a script on some connections of one login; return transactions per second."""
    server = database.server
    file = server.data.parent / f"{uuid4().hex}.sql"
    file.write_text(script)
    done = subprocess.run(
        [
            str(server.engine.program("pgbench")), "-n", "-f", str(file), "-c", str(clients),
            "-j", "1", "-T", str(size.bench_seconds), "-h", invitation.host,
            "-p", str(invitation.port), "-U", invitation.role, invitation.database,
        ],
        env={**os.environ, "PGPASSWORD": invitation.password, "PGSSLMODE": "prefer"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None, done.stderr + done.stdout
    assert "(0.000%)" in done.stdout or "failed" not in done.stdout, done.stdout
    return float(found[1])


@dataclass(frozen=True, slots=True)
class Pickups:
    update: float
    one_team: float
    four_teams: float


def pickups(database: QueueDatabase, people: list[list[Invitation]], size: Size) -> Pickups:
    """Measure pickups beside single-row updates, eight connections each."""
    connection = database.connection
    engineers = f'"{database.administration.engineers}"'
    connection.execute(
        "create schema bench; create table bench.row (id int primary key, n int);"
        "insert into bench.row select n, 0 from generate_series(1, 1000) n;"
        "create table bench.todo (team int, n bigint, id uuid, primary key (team, n));"
        f"grant usage on schema bench to {engineers};"
        f"grant all on all tables in schema bench to {engineers}".encode()
    )
    waiting = 4_000 * size.bench_seconds
    for number, invitations in enumerate(people[:5]):
        connection.execute(
            f"create sequence bench.next_{number}; grant usage on sequence bench.next_{number}"
            f" to {engineers}".encode()
        )
        originator = invitations[0]
        connection.execute("set session_replication_role = replica")
        with connection.transaction():
            row = connection.execute(
                "update fp.team set seq = seq + %s where id = %s returning seq",
                (waiting, originator.team_id),
            ).fetchone()
            assert row is not None
            connection.execute(
                "with e as (insert into fp.escalation (team_id, id, session_id, state, team_seq,"
                " originator, created_by, created_at, raised_at, ttl, expires_at, reason, summary,"
                " ticket_number, step_count, package_schema, package_size)"
                " select %(team)s, gen_random_uuid(), gen_random_uuid(), 'open',"
                " %(seq)s - %(waiting)s + n, %(who)s, %(who)s, now(), now(), '7 days',"
                " now() + interval '7 days', 'stuck', 'Printer', '', 1, 1, 7"
                " from generate_series(1, %(waiting)s) n returning *), h as ("
                " insert into fp.hop (team_id, escalation_id, number, raised_by, raised_at, reason,"
                " package, package_schema) select team_id, id, 1, originator, raised_at, reason,"
                " 'package', 1 from e)"
                " insert into bench.todo select %(number)s, row_number() over (), id from e",
                {
                    "team": originator.team_id, "who": originator.engineer_id,
                    "waiting": waiting, "seq": row[0], "number": number,
                },
            )  # fmt: skip
        connection.execute("set session_replication_role = origin")
    connection.execute("vacuum analyze fp.escalation, fp.hop, bench.todo")
    connection.execute("checkpoint")

    def claim(team: int) -> str:
        return (
            f"select fp_v2.pick_up(gen_random_uuid(), id, 300, '') from bench.todo"
            f" where team = {team} and n = (select nextval('bench.next_{team}'));\n"
        )

    update = "\\set id random(1, 1000)\nupdate bench.row set n = n + 1 where id = :id;\n"
    floor = pgbench(database, people[0][1], update, 8, size)
    one = pgbench(database, people[0][1], claim(0), 8, size)
    with ThreadPoolExecutor(4) as pool:
        several = sum(
            pool.map(lambda n: pgbench(database, people[n][1], claim(n), 2, size), range(1, 5))
        )
    return Pickups(floor, one, several)


async def alerts(people: list[Invitation], size: Size, *, accelerate: bool) -> list[float]:
    """Return the seconds from escalations to each teammate's delivered feed."""
    raised: dict[UUID, float] = {}
    heard: list[float] = []
    sender = QueueClient(people[0])
    receivers = [QueueClient(invitation) for invitation in people[1 : size.receivers + 1]]
    pollers: list[Poller] = []
    dice = random.Random(2)
    ready, all_heard = asyncio.Semaphore(0), asyncio.Event()

    async def deliver(feed: Feed) -> None:
        now = time.perf_counter()
        heard.extend(now - raised[row.id] for row in feed.rows if row.id in raised)
        if len(heard) >= size.alerts * len(receivers):
            all_heard.set()

    def met(contact: Contact) -> None:
        if contact.online:
            ready.release()  # it has polled, and listens if it is to

    try:
        for queue in receivers:
            poller = Poller(
                queue, deliver, interval=size.interval, accelerate=accelerate, on_contact=met
            )
            poller.start()
            pollers.append(poller)
        async with asyncio.timeout(60):
            for _ in receivers:
                await ready.acquire()
        for _ in range(size.alerts):
            escalation = uuid4()
            raised[escalation] = time.perf_counter()
            new = NewEscalation(escalation, uuid4(), "Printer", "Stuck", b"p" * 2_000, 1)
            await sender.escalate(uuid4(), new)
            await asyncio.sleep(dice.uniform(0.4, 0.8) * size.interval)
        async with asyncio.timeout(size.interval * 3 + 10):
            await all_heard.wait()
    finally:
        for poller in pollers:
            await poller.aclose()
        for queue in (sender, *receivers):
            await queue.aclose()
    return heard


def measure(size: Size) -> list[str]:
    """Run it all; return what is printed."""
    lines = []
    with durable_server(size) as database:
        before = time.perf_counter()
        people = fill(database, size)
        lines.append(
            f"{size.past:,} past escalations, {size.desktops:,} engineers in {size.teams} teams "
            f"(filled in {time.perf_counter() - before:.0f} s), everything durable, "
            f"{'TLS' if database.server.engine.tls else 'no TLS'}, {os.cpu_count()} cores"
        )
        everybody = [invitation for team in people for invitation in team]
        read_before = scans(database)
        polling = poll_for_a_while(database, everybody, size)
        read = scans(database)
        whole = {name: read[name] - read_before[name] for name in read}
        assert not any(whole.values()), f"tables were read as a whole: {whole}"
        lines.append(
            f"{size.desktops:,} desktops polling every {size.interval:.0f} s for "
            f"{polling.seconds:.0f} s: {polling.polls:,} empty polls, p50 {polling.p50 * 1e3:.2f}, "
            f"p95 {polling.p95 * 1e3:.2f}, p99 {polling.p99 * 1e3:.2f} ms"
        )
        lines.append(
            f"server CPU {polling.cpu_seconds:.1f} s = "
            f"{polling.cpu_seconds / polling.seconds:.1%} of one core, "
            f"{polling.cpu_seconds / polling.polls * 1e3:.2f} ms a poll"
        )
        lines.append("no large table was read as a whole: index access only")
        rates = pickups(database, people, size)
        lines.append(
            f"pickups on 8 connections: one team {rates.one_team:,.0f}/s = "
            f"{rates.one_team / rates.update:.2f}, four teams {rates.four_teams:,.0f}/s = "
            f"{rates.four_teams / rates.update:.2f} of pgbench's {rates.update:,.0f} single-row "
            "updates/s"
        )
        for accelerate in (False, True):
            heard = asyncio.run(alerts(people[-1], size, accelerate=accelerate))
            lines.append(
                f"escalate to alert, {'with' if accelerate else 'without'} nudges: "
                f"{len(heard)} alerts, p50 {statistics.median(heard):.3f}, "
                f"p95 {percentile(heard, 0.95):.3f} s"
            )
    return lines


def main() -> int:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))
    for line in measure(Size()):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An engineer of another team, and one who was shut out, with a connection of their own.

Run against every schema version. See `hostile.py` for the attempts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest

from sync.administration import migrations
from sync.client import QueueClient
from sync.invitation import Invitation
from sync.port import NewEscalation
from tests.simulators.postgres import QueueDatabase, engines, shared_server
from tests.sync.hostile import Victim, attempts, belongings, run

SECRETS = ("Payroll is locked", "The controller's mailbox", "victim package", "victim step", "Vera")


def connect(invitation: Invitation) -> psycopg.Connection:
    """Connect as psql would."""
    return psycopg.connect(
        host=invitation.host, port=invitation.port, dbname=invitation.database,
        user=invitation.role, password=invitation.password, autocommit=True, prepare_threshold=None,
        options="-c statement_timeout=5000 -c lock_timeout=2000",
    )  # fmt: skip


@dataclass
class Scene:
    database: QueueDatabase
    team: str
    victim: Victim
    mallory: Invitation
    revoked: Invitation


@pytest.fixture(params=[m.number for m in migrations()], ids=lambda n: f"schema {n}")
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    version = request.param
    with shared_server(next(iter(engines()))).database(version=version) as database:
        team, other = database.add_team("Victims"), database.add_team("Others")
        vera = database.invite(team, "Vera")
        async with (
            QueueClient(vera) as queue,
            QueueClient(database.invite(team, "Victor")) as mate,
        ):
            waiting, claimed, op = uuid4(), uuid4(), uuid4()
            for number, escalation in enumerate((waiting, claimed)):
                new = NewEscalation(
                    escalation, uuid4(), SECRETS[0], SECRETS[1], SECRETS[2].encode(), 1
                )
                await queue.escalate(uuid4() if number else op, new)
            fence = (await mate.pick_up(uuid4(), claimed)).fence
            await mate.append_steps(uuid4(), claimed, fence, [SECRETS[3].encode()])
        mallory = database.invite(other, "Mallory")
        revoked = database.invite(team, "Rita")
        async with QueueClient(mallory) as queue:
            own = uuid4()
            await queue.escalate(uuid4(), NewEscalation(own, uuid4(), "s", "r", b"", 1))
        row = database.connection.execute(
            "select channel from fp.team where id = %s", (team,)
        ).fetchone()
        assert row is not None
        administration = database.administration
        marks = {
            "v": f"fp_v{version}", "id": str(waiting), "claimed": str(claimed), "own": str(own),
            "team": str(team), "me": str(vera.engineer_id), "role": vera.role, "op": str(op),
            "owner": administration.owner, "admin": administration.administration,
            "db": database.name, "channel": row[0],
            "extra": ", 'x'" if version > 1 else "", "nulls": ", null" if version > 1 else "",
        }  # fmt: skip
        secrets = SECRETS + tuple(secret.encode().hex() for secret in SECRETS[2:4])
        yield Scene(database, str(team), Victim(secrets, marks), mallory, revoked)


def test_there_are_enough_attempts_and_each_has_a_name() -> None:
    names = [attempt.name for attempt in attempts()]
    assert len(names) == len(set(names)) >= 100


@pytest.mark.parametrize("who", ["another team's", "revoked", "revoked while connected"])
@pytest.mark.timeout(240)
async def test_no_row_and_no_change_gained(scene: Scene, who: str) -> None:
    invitation = scene.mallory if who == "another team's" else scene.revoked
    if who == "revoked":
        with connect(invitation) as connection:
            scene.database.administration.disable_engineer(invitation.engineer_id)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")
        with pytest.raises(psycopg.OperationalError):
            connect(invitation)
        return
    with ExitStack() as stack:
        connection = stack.enter_context(connect(invitation))
        if who == "revoked while connected":
            # The worst case: nobody could end the connection, nor keep them from another.
            scene.database.connection.execute(
                "update fp.login set active = false where role_name = %s", (invitation.role,)
            )
        before = belongings(scene.database, scene.team)
        gained = []
        for attempt in attempts():
            if connection.closed:
                connection = stack.enter_context(connect(invitation))
            text = run(connection, attempt, scene.victim)
            found = [secret for secret in scene.victim.secrets if secret in text]
            after = belongings(scene.database, scene.team)
            if found or after != before:
                changed = [table for table in after if after[table] != before[table]]
                gained.append((attempt.name, found, changed))
                before = after
            if not connection.closed:
                connection.execute("rollback")
                connection.execute("discard all")
    assert gained == []


async def test_eavesdropping_on_nudges_brings_nothing_but_the_nudge(scene: Scene) -> None:
    with connect(scene.mallory) as connection:
        channel = scene.victim.marks["channel"]
        connection.execute(f'listen "{channel}"'.encode())
        team = scene.database.connection.execute(
            "select id from fp.team where name = 'Victims'"
        ).fetchone()
        assert team is not None
        async with QueueClient(scene.database.invite(team[0], "Vic")) as queue:
            await queue.escalate(uuid4(), NewEscalation(uuid4(), uuid4(), *SECRETS[:2], b"", 1))
            await queue.members()  # the nudge was sent before this was answered
        heard = list(connection.notifies(timeout=5, stop_after=1))
        assert [n.payload for n in heard] == [""]


async def test_absent_and_not_yours_answer_alike(scene: Scene) -> None:
    v = scene.victim.marks["v"]
    with connect(scene.mallory) as connection:
        for call in ("withdraw(gen_random_uuid(), {}, 300)", "escalation({})", "hops({})",
                     "renew({}, 1, 60)", "cancel(gen_random_uuid(), {}, '')"):  # fmt: skip
            theirs = call.format(f"'{scene.victim.marks['claimed']}'")
            absent = call.format(f"'{uuid4()}'")
            answers = [
                connection.execute(f"select {v}.{text}".encode()).fetchall()
                for text in (theirs, absent)
            ]
            assert answers[0] == answers[1]
        for call in ("package({})", "steps({}, 0, 10)"):
            texts = []
            for target in (f"'{scene.victim.marks['claimed']}'", f"'{uuid4()}'"):
                with pytest.raises(psycopg.Error) as refused:
                    connection.execute(f"select * from {v}.{call.format(target)}".encode())
                texts.append((refused.value.sqlstate, str(refused.value)))
            assert texts[0] == texts[1]


async def test_a_hole_would_be_seen(scene: Scene) -> None:
    """The search itself: with both walls down the first attempts bring rows and changes."""
    engineers = f'"{scene.database.administration.engineers}"'
    for statement in (
        f"grant usage on schema fp to {engineers}",
        f"grant select, delete on all tables in schema fp to {engineers}",
        *(f"alter table fp.{table} disable row level security" for table in ("step", "hop")),
    ):
        scene.database.connection.execute(statement.encode())
    before = belongings(scene.database, scene.team)
    by_name = {attempt.name: attempt for attempt in attempts()}
    with connect(scene.mallory) as connection:
        assert b"victim step".hex() not in run(
            connection, by_name["read table escalation"], scene.victim
        )
        assert "victim step" in run(connection, by_name["read table step"], scene.victim)
        run(connection, by_name["write table step"], scene.victim)
    assert belongings(scene.database, scene.team)["step"] != before["step"]

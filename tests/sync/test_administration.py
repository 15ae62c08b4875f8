"""`flowpilot-queue` as somebody types it, against real servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from sync import errors
from sync.__main__ import main
from sync.administration import Administration, AdministrationError, migrations
from sync.client import QueueClient
from sync.doctor import Doctor
from sync.invitation import Invitation
from sync.port import NewEscalation, State
from tests.simulators.postgres import PostgresServer, QueueDatabase, engines, shared_server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=list(engines()))
def empty(request: pytest.FixtureRequest) -> Iterator[tuple[PostgresServer, str]]:
    """A server, and the connection string of an empty database for its superuser."""
    server = shared_server(request.param)
    name = f"Desk {uuid4().hex[:8]}"  # a name that wants quoting
    with server.connect() as control:
        control.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with server.connect(name) as connection:
        dsn = connection.info.dsn
    yield server, dsn
    with server.connect(name) as connection:
        roles = QueueDatabase(server, name, connection).roles()
    with server.connect() as control:
        control.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        for role in roles:
            control.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


async def test_from_nothing_to_a_working_invitation(
    empty: tuple[PostgresServer, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    server, dsn = empty

    def run(*arguments: str, status: int = 0) -> str:
        assert main(["--dsn", dsn, *arguments]) == status
        return capsys.readouterr().out.strip()

    assert "is installed" in run("init")
    assert "is installed" in run("init")
    assert run("migrate") == "Nothing to apply."
    team = run("add-team", "Help\x1b[31mdesk")
    assert str(UUID(team)) == team
    options = ["--host", "localhost" if server.engine.tls else "127.0.0.1"]
    options += ["--port", str(server.port)]
    if server.engine.tls:
        (tmp_path / "ca.pem").write_text(server.ca_certificate)
        options += ["--ca", str(tmp_path / "ca.pem")]
    else:
        options += ["--plain"]
    token = run("add-engineer", team, "Ann \u202eOther\n", *options)
    invitation = Invitation.parse(token)
    assert re.fullmatch(r"fp_[0-9a-f]{20}", invitation.role)
    assert "nn" not in invitation.role

    async with QueueClient(invitation) as queue:
        welcome = await queue.connect()
        assert welcome.me.display_name == "Ann Other"
        assert welcome.team_name == "Help[31mdesk"
        assert welcome.encrypted is server.engine.tls
        await queue.heartbeat()
        await queue.escalate(uuid4(), NewEscalation(uuid4(), uuid4(), "s", "r", b"p", 1))

        assert f"{invitation.engineer_id}  Ann Other  just now" in run("list")
        assert "1 engineers, 1 open, 0 picked up, 0 ended; oldest waiting: just now" in run(
            "status"
        )
        assert "LOOK  A committed escalation survives a power cut" in run("doctor", status=1)

        rotated = Invitation.parse(run("rotate", str(invitation.engineer_id), *options))
        assert rotated.password != invitation.password
        with pytest.raises(errors.SignInError):
            await queue.members()  # its connection was ended and the old password is void
    async with QueueClient(rotated) as queue:
        await queue.connect()
        assert "1 open connections were ended" in run(
            "disable-engineer", str(invitation.engineer_id)
        )
        with pytest.raises(errors.AccessError):
            await queue.members()
    assert "Ann Other (disabled)" in run("list").replace("  (", " (")
    assert "New epoch" in run("restore-epoch")
    assert re.search(r"escalations +0", run("prune"))


def test_mistakes_are_answered_in_words(
    empty: tuple[PostgresServer, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, dsn = empty
    main(["--dsn", dsn, "init"])
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    for arguments, status, words in (
        (["add-engineer", str(uuid4()), "Ann"], 1, "There is no team"),
        (["disable-engineer", str(uuid4())], 1, "There is no engineer"),
        (["add-team", "\0\n"], 1, "needs a name"),
        (["prune", "--keep-days", "3"], 1, "at least 31 days"),
        (["rotate", str(uuid4()), "--ca", str(tmp_path / "key.pem")], 1, "not a PEM file"),
    ):
        assert main(["--dsn", dsn, *arguments]) == status
        assert words in capsys.readouterr().err
    assert main(["--dsn", "host=127.0.0.1 port=1 connect_timeout=2", "status"]) == 3
    assert "can't be reached" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--dsn", dsn, "nonsense"])


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_an_old_code_page_costs_signs_and_no_answer(
    empty: tuple[PostgresServer, str], encoding: str
) -> None:
    """Windows gives a program whose words go to a file or a pipe its old code page."""
    _, dsn = empty

    def told(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sync", "--dsn", dsn, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            encoding=encoding,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), arguments
        return done.stdout

    assert "FLOWPILOT_QUEUE_DSN" in told("--help")
    assert "“doctor”" in told("init") or encoding != "cp1252"
    assert str(UUID(told("add-team", "日本 Ж desk").strip()))
    assert "?? ? desk" in told("list")


def test_an_engineer_without_a_team_leaves_no_role_behind(database: QueueDatabase) -> None:
    before = database.roles()
    with pytest.raises(AdministrationError):
        database.administration.add_engineer(uuid4(), "Ann")
    assert database.roles() == before


def test_everything_is_done_without_a_superuser() -> None:
    """As on a managed service: the role owns its database and may create roles, no more."""
    for kind in engines():
        server = shared_server(kind)
        with server.connect() as control:
            name = f"m_{uuid4().hex[:8]}"
            control.execute(f"create role {name} login createrole".encode())
            control.execute(f"create database {name} owner {name}".encode())
            if server.engine.tls is False:
                control.execute(f"alter role {name} password 'managed'".encode())
        superuser = server.connect(name)
        superuser.execute(f"set session authorization {name}".encode())
        administration = Administration(superuser)
        try:
            missed = administration.init()
            assert any("only a superuser" in why for why in missed)
            assert not any("connect" in why for why in missed)
            team = administration.add_team("Managed")
            made = administration.add_engineer(team, "Ann")
            assert [e.display_name for e in administration.engineer_list()] == ["Ann"]
            assert administration.status().teams[0].engineers == 1
            administration.prune()
            administration.restore_epoch()
            assert administration.migrate() == []
            assert not all(finding.good for finding in Doctor(administration).findings())
            administration.rotate(made.engineer_id)
            administration.disable_engineer(made.engineer_id)
            (ann,) = administration.engineer_list()
            assert not ann.active
        finally:
            superuser.execute("reset session authorization")
            roles = QueueDatabase(server, name, superuser).roles()
            superuser.close()
            with server.connect() as control:
                control.execute(f"drop database {name} with (force)".encode())
                for role in [r for r in roles if r != name] + [name]:
                    control.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


async def test_prune_keeps_what_is_young_and_moves_the_floor(database: QueueDatabase) -> None:
    team = database.add_team()
    async with (
        QueueClient(database.invite(team, "Ann")) as ann,
        QueueClient(database.invite(team, "Bob")) as bob,
    ):
        ids = [uuid4() for _ in range(4)]
        for escalation in ids:
            new = NewEscalation(escalation, uuid4(), "s", "r", b"package", 1)
            await ann.escalate(uuid4(), new)
        behind = (await bob.changes(None)).cursor
        for escalation in ids[:3]:
            fence = (await bob.pick_up(uuid4(), escalation)).fence
            await bob.append_steps(uuid4(), escalation, fence, [b"step"])
            await bob.resolve(uuid4(), escalation, fence, "done")
        up_to_date = (await bob.changes(behind)).cursor
        for escalation, days in zip(ids, (400, 40, 1), strict=False):
            database.connection.execute(
                "update fp.escalation set ended_at = now() - make_interval(days => %s)"
                " where id = %s",
                (days, escalation),
            )
        database.connection.execute("update fp.op set at = now() - interval '61 days'")
        database.lapse_waiting(ids[3])
        pruned = database.administration.prune()
        assert (pruned.expired, pruned.escalations, pruned.packages) == (1, 1, 1)
        assert pruned.operations == 4 + 9

        with pytest.raises(errors.NotFoundError):
            await ann.escalation(ids[0])
        assert (await ann.escalation(ids[1])).outcome == "done"
        with pytest.raises(errors.NotFoundError):
            await ann.package(ids[1])
        assert await ann.steps(ids[1]) == ()
        assert (await ann.package(ids[2])).payload == b"package"
        assert len(await ann.steps(ids[2])) == 1
        assert (await ann.escalation(ids[3])).state is State.EXPIRED

        assert (await bob.changes(behind)).resync  # it never heard how the first one ended
        feed = await bob.changes(up_to_date)
        assert not feed.resync
        assert [row.id for row in feed.rows] == [ids[3]]


async def test_an_abandoned_transaction_is_reaped(database: QueueDatabase) -> None:
    invitation = database.invite(database.add_team(), "Mallory")
    async with QueueClient(invitation) as honest:
        await honest.connect()
        stuck = psycopg.connect(
            host=invitation.host, port=invitation.port, dbname=invitation.database,
            user=invitation.role, password=invitation.password,
        )  # fmt: skip
        with stuck:
            stuck.execute(
                "select fp_v2.escalate(%s, %s, %s, 's', 'r', '', 0, null, '', 1, 3600)",
                (uuid4(), uuid4(), uuid4()),
            )
            assert database.administration.reap() == 0
            assert database.administration.reap(idle_seconds=-1) == 1
            new = NewEscalation(uuid4(), uuid4(), "s", "r", b"", 1)
            assert (await honest.escalate(uuid4(), new)).team_seq == 1
            with pytest.raises(psycopg.OperationalError):
                stuck.execute("select 1")


def test_migrations_are_numbered_without_gaps() -> None:
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_newer_schema_is_left_alone(database: QueueDatabase) -> None:
    database.connection.execute("update fp.meta set schema_version = 99")
    with pytest.raises(AdministrationError, match="Use a newer one"):
        database.administration.migrate()

"""The client's own duties: trust, deadlines, lost connections, sleep, the end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from sync import authorities, errors
from sync.client import QueueClient
from sync.invitation import Invitation
from sync.port import NewEscalation
from tests.simulators.postgres import (
    PostgresServer,
    QueueDatabase,
    engines,
    free_port,
    shared_server,
)
from tests.simulators.tcp_proxy import Fault, TcpProxy


def new(escalation: UUID | None = None) -> NewEscalation:
    return NewEscalation(escalation or uuid4(), uuid4(), "s", "r", b"p", 1)


@pytest.fixture
def ann(database: QueueDatabase) -> Invitation:
    return database.invite(database.add_team(), "Ann")


@pytest.fixture
def plain_ann() -> Iterator[Invitation]:
    with shared_server("plain").database() as database:
        yield database.invite(database.add_team(), "Ann")


# --- trust -----------------------------------------------------------------------------------

needs_tls = pytest.mark.usefixtures("tls")


@pytest.fixture
def tls() -> None:
    assert "tls" in engines(), "install postgresql and openssl to test encryption"


@needs_tls
async def test_another_authority_is_not_trusted(ann: Invitation) -> None:
    other = PostgresServer(engines()["tls"])
    other.start()
    try:
        stranger = replace(ann, ca_certificate=other.ca_certificate)
        async with QueueClient(stranger) as queue:
            with pytest.raises(errors.UntrustedServerError):
                await queue.connect()
    finally:
        other.stop()


@needs_tls
async def test_another_name_is_not_trusted(ann: Invitation) -> None:
    # The certificate names localhost and 127.0.0.1; this is the same server.
    async with QueueClient(replace(ann, host="127.0.0.2")) as queue:
        with pytest.raises((errors.UntrustedServerError, errors.UnreachableError)):
            await queue.connect()
    async with QueueClient(replace(ann, host="127.0.0.1")) as queue:
        assert (await queue.connect()).encrypted


@needs_tls
async def test_the_systems_authorities_do_not_know_a_private_one(ann: Invitation) -> None:
    async with QueueClient(replace(ann, ca_certificate="")) as queue:
        with pytest.raises(errors.UntrustedServerError):
            await queue.connect()


async def test_a_server_without_tls_is_not_talked_to(plain_ann: Invitation) -> None:
    authority = "" if "tls" not in engines() else shared_server("tls").ca_certificate
    async with QueueClient(replace(plain_ann, plain=False, ca_certificate=authority)) as queue:
        with pytest.raises(errors.UntrustedServerError):
            await queue.connect()


async def test_the_password_goes_to_nobody_who_asks_for_it_in_the_clear(
    plain_ann: Invitation,
) -> None:
    heard = bytearray()

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1_000))
        writer.write(b"R\0\0\0\x08\0\0\0\x03")  # AuthenticationCleartextPassword
        heard.extend(await reader.read(1_000))
        writer.close()

    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with QueueClient(replace(plain_ann, port=port), deadline=5) as queue:
            with pytest.raises(errors.UntrustedServerError):
                await queue.connect()
    assert plain_ann.password.encode() not in heard


def test_the_systems_authorities_are_found() -> None:
    text = authorities.pem()
    assert authorities.file() is not None or "BEGIN CERTIFICATE" in text


async def test_the_authority_file_goes_with_the_client(ann: Invitation) -> None:
    async with QueueClient(ann) as queue:
        await queue.connect()
        file = queue._dialer._ca_file
        assert ann.plain or (file is not None and file.exists())
    assert file is None or not file.exists()


# --- who ---------------------------------------------------------------------------------------


async def test_wrong_password_and_wrong_database(ann: Invitation) -> None:
    async with QueueClient(ann.with_password("wrong")) as queue:
        with pytest.raises(errors.SignInError):
            await queue.connect()
    async with QueueClient(replace(ann, database="elsewhere")) as queue:
        with pytest.raises(errors.AccessError):
            await queue.connect()


async def test_another_teams_invitation_is_noticed(ann: Invitation) -> None:
    async with QueueClient(replace(ann, team_id=uuid4())) as queue:
        with pytest.raises(errors.AccessError, match="another team"):
            await queue.connect()


async def test_the_password_is_changed_by_its_owner(ann: Invitation) -> None:
    async with QueueClient(ann) as queue:
        await queue.change_password("a new one, long enough")
        await queue.test()
    async with QueueClient(ann) as queue:
        with pytest.raises(errors.SignInError):
            await queue.connect()
    async with QueueClient(ann.with_password("a new one, long enough")) as queue:
        assert (await queue.connect()).me.display_name == "Ann"


# --- time ----------------------------------------------------------------------------------------


async def test_nobody_listens(plain_ann: Invitation) -> None:
    async with QueueClient(replace(plain_ann, port=free_port())) as queue:
        with pytest.raises(errors.UnreachableError) as refused:
            await queue.connect()
    assert refused.value.retryable


async def test_a_silent_server_costs_the_deadline_and_no_more(plain_ann: Invitation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with QueueClient(
            replace(plain_ann, port=port), deadline=1.5, connect_timeout=1
        ) as queue:
            before = time.monotonic()
            with pytest.raises(errors.DeadlineError):
                await queue.connect()
            assert 0.5 < time.monotonic() - before < 3


async def test_what_waits_behind_a_stuck_call_is_not_sent_late(plain_ann: Invitation) -> None:
    async with (
        TcpProxy(plain_ann.port) as proxy,
        QueueClient(replace(plain_ann, port=proxy.port), deadline=0.8, nudge=False) as queue,
    ):
        await queue.connect()
        proxy.arm(Fault("to server", 0, "hole"))
        stuck = asyncio.ensure_future(queue.members())
        cancelled = asyncio.ensure_future(queue.escalate(uuid4(), new()))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(errors.DeadlineError):
            await stuck
        assert (await queue.changes(None)).rows == ()


async def test_a_restarted_server_is_found_again() -> None:
    server = PostgresServer(next(iter(engines().values())))
    server.start()
    try:
        with server.database() as database:
            ann = database.invite(database.add_team(), "Ann")
            async with QueueClient(ann) as queue:
                raised, op = new(), uuid4()
                first = await queue.escalate(op, raised)
                database.connection.close()
                server.halt()
                with pytest.raises(errors.UnreachableError):
                    await queue.escalate(uuid4(), new())
                server.launch()
                database.connection = server.connect(database.name)
                again = await queue.escalate(op, raised)
                assert replace(again, replayed=False) == first
                assert again.replayed
    finally:
        server.stop()


async def test_ended_connections_are_replaced_without_a_word(database: QueueDatabase) -> None:
    ann = database.invite(database.add_team(), "Ann")
    async with QueueClient(ann) as queue:
        await queue.connect()
        ended = database.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (ann.role,)
        ).fetchall()
        assert ended == [(True,)]
        assert len(await queue.members()) == 1


async def test_drop_after_sleep(database: QueueDatabase) -> None:
    ann = database.invite(database.add_team(), "Ann")

    def backends() -> set[int]:
        rows = database.connection.execute(
            "select pid from pg_stat_activity where usename = %s", (ann.role,)
        )
        return {row[0] for row in rows}

    async with QueueClient(ann) as queue:
        await queue.connect()
        before = backends()
        queue.drop()
        await queue.members()
        assert not before & backends()


async def test_drop_frees_a_call_that_hangs(plain_ann: Invitation) -> None:
    async with (
        TcpProxy(plain_ann.port) as proxy,
        QueueClient(replace(plain_ann, port=proxy.port), deadline=60) as queue,
    ):
        await queue.connect()
        proxy.arm(Fault("to server", 0, "hole"))
        hanging = asyncio.ensure_future(queue.members())
        async with asyncio.timeout(10):
            await proxy.struck.wait()
            queue.drop()
            assert len(await hanging) == 1  # on a fresh connection


async def test_a_waiting_lock_is_busy_and_not_for_ever(database: QueueDatabase) -> None:
    ann = database.invite(database.add_team(), "Ann")
    async with QueueClient(ann, deadline=30) as queue:
        await queue.connect()
        with database.connection.transaction():
            database.connection.execute("select 1 from fp.team for update")
            with pytest.raises(errors.BusyError) as refused:
                await queue.escalate(uuid4(), new())
        assert refused.value.retryable
        assert len((await queue.changes(None)).rows) == 0


async def test_closing_does_not_wait_for_a_stuck_call(plain_ann: Invitation) -> None:
    threads = set(threading.enumerate())
    async with TcpProxy(plain_ann.port) as proxy:
        queue = QueueClient(replace(plain_ann, port=proxy.port), deadline=60)
        await queue.connect()
        await queue.listen(lambda: None)
        proxy.arm(Fault("to server", 0, "hole"))
        hanging = asyncio.ensure_future(queue.members())
        async with asyncio.timeout(10):
            await proxy.struck.wait()
            await queue.aclose()
            with pytest.raises(errors.QueueError):
                await hanging
        for thread in set(threading.enumerate()) - threads:
            if thread.name.startswith("team queue"):
                await asyncio.to_thread(thread.join, 5)
                assert not thread.is_alive()


async def test_nudges_survive_a_lost_connection(database: QueueDatabase) -> None:
    team = database.add_team()
    ann, bob = database.invite(team, "Ann"), database.invite(team, "Bob")
    nudged = asyncio.Event()
    async with QueueClient(ann) as queue, QueueClient(bob) as mate:
        assert await mate.listen(nudged.set)
        database.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (bob.role,)
        )
        async with asyncio.timeout(20):
            while not nudged.is_set():
                await queue.escalate(uuid4(), new())
                await asyncio.wait([asyncio.ensure_future(nudged.wait())], timeout=0.3)


async def test_calls_from_many_tasks_are_carried_out_in_order(ann: Invitation) -> None:
    async with QueueClient(ann) as queue:
        receipts = await asyncio.gather(*(queue.escalate(uuid4(), new()) for _ in range(20)))
        assert [r.team_seq for r in receipts] == list(range(1, 21))


async def test_a_call_that_waited_too_long_behind_another_is_not_sent(
    plain_ann: Invitation,
) -> None:
    async with (
        TcpProxy(plain_ann.port) as proxy,
        QueueClient(replace(plain_ann, port=proxy.port), deadline=0.8, nudge=False) as queue,
    ):
        await queue.connect()
        proxy.arm(Fault("to server", 0, "hole"))
        both = await asyncio.gather(
            queue.members(), queue.escalate(uuid4(), new()), return_exceptions=True
        )
        assert [type(answer) for answer in both] == [errors.DeadlineError] * 2
        assert proxy.passed["to server"] <= 2  # the first question, and its goodbye
        assert (await queue.changes(None)).rows == ()

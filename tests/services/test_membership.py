"""Joining the team's queue on a real Postgres: an invitation works once, and no crash locks out."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import (
    CredentialsUnavailable,
    InvalidInput,
    QueueNotOpen,
    QueueUnreachable,
)
from flowpilot_desktop.core.events import EscalationsChanged, Events
from flowpilot_desktop.core.session import Engineer, Intake
from flowpilot_desktop.services.queue import QueueLink, membership
from flowpilot_desktop.services.queue.membership import INVITATION_NAME, SUCCESSOR_NAME
from flowpilot_desktop.services.reach import ReachBoard
from sync.client import QueueClient
from sync.errors import QueueError, RevokedError, SignInError, UnreachableError
from sync.invitation import Invitation
from tests.services.desk import CONNECTION, MemorySecrets
from tests.services.team import two_desks
from tests.simulators.postgres import QueueDatabase, engines, shared_server
from tests.simulators.tcp_proxy import Fault, TcpProxy

KINDS = [kind for kind in ("tls", "plain") if kind in engines()]


class Memory:
    """A store of small things."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def remember(self, key: str, value: str) -> None:
        """Keep a value."""
        self.kept[key] = value

    async def remembered(self, key: str) -> str | None:
        """Return it."""
        return self.kept.get(key)


class PowerCutError(Exception):
    """The computer goes off."""


class CutSecrets(MemorySecrets):
    """A keyring on a computer that loses its power at the nth write or deletion."""

    def __init__(self, cut_at: int = 0) -> None:
        super().__init__()
        self.cut_at = cut_at
        self.writes = 0
        self.refuses = False

    def _count(self) -> None:
        self.writes += 1
        if self.writes == self.cut_at:
            raise PowerCutError
        if self.refuses:
            raise CredentialsUnavailable("The system keyring is locked.")

    async def write(self, name: str, secret: str) -> None:
        self._count()
        await super().write(name, secret)

    async def delete(self, name: str) -> None:
        self._count()
        await super().delete(name)


class Computer:
    """A keyring and a store; ``link`` is what FlowPilot makes of them at a start."""

    def __init__(self, secrets: MemorySecrets | None = None) -> None:
        self.secrets = secrets or MemorySecrets()
        self.memory = Memory()

    def link(self) -> QueueLink:
        events = Events()
        me = Engineer("engineer-ann", "Ann")
        return QueueLink(
            secrets=self.secrets,
            memory=self.memory,
            me=lambda: me,
            events=events,
            reach=ReachBoard(events),
        )


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[QueueDatabase]:
    with shared_server(request.param).database() as made:
        yield made


@pytest.fixture
def tls() -> Iterator[QueueDatabase]:
    assert "tls" in engines(), "install postgresql and openssl to test encryption"
    with shared_server("tls").database() as made:
        yield made


@pytest.fixture
def ann(database: QueueDatabase) -> Invitation:
    return database.invite(database.add_team(), "Ann")


async def works(token: str) -> bool:
    """Return whether somebody who has this text gets in."""
    link = Computer().link()
    try:
        await link.test(token)
    except QueueNotOpen as error:
        if error.why != "sign_in":
            raise
        return False
    finally:
        await link.aclose()
    return True


async def test_after_joining_the_pasted_text_lets_nobody_in(ann: Invitation):
    computer = Computer()
    link = computer.link()
    pasted = ann.token()
    wrapped = "\n".join(pasted[place : place + 60] for place in range(0, len(pasted), 60))
    team = await link.keep(f"  {wrapped}\n")
    assert team.me.name == "Ann"
    assert "still" not in team.notice
    assert not await works(pasted)
    assert list(computer.secrets.kept) == [INVITATION_NAME]
    kept = computer.secrets.kept[INVITATION_NAME]
    assert ann.password not in kept
    assert len(kept.encode("utf-16-le")) <= 2_560, "too long for the keyring of Windows"
    await link.aclose()
    again = computer.link()
    assert (await (await again.queue()).team()).me.name == "Ann"
    await again.aclose()


async def test_a_test_uses_nothing_up(ann: Invitation):
    computer = Computer()
    link = computer.link()
    assert (await link.test(ann.token())).me.name == "Ann"
    assert await works(ann.token())
    assert not await link.is_set_up()
    await link.aclose()


async def test_a_keyring_that_forgets_leaves_the_invitation_as_it_is(ann: Invitation):
    computer = Computer()
    computer.secrets.is_lasting = False
    link = computer.link()
    await link.keep(ann.token())
    assert await works(ann.token())
    await link.aclose()


@pytest.mark.parametrize("cut_at", range(1, 5))
async def test_a_power_cut_at_any_write_locks_nobody_out(ann: Invitation, cut_at: int):
    secrets = CutSecrets(cut_at)
    computer = Computer(secrets)
    link = computer.link()
    with pytest.raises(PowerCutError):
        await link.keep(ann.token())
    await link.aclose()
    again = computer.link()
    if await again.is_set_up():
        assert (await (await again.queue()).team()).me.name == "Ann"
        assert not await works(ann.token())
        assert list(secrets.kept) == [INVITATION_NAME]
    else:  # nothing was kept: the invitation is as good as before
        assert await works(ann.token())
        assert (await again.keep(ann.token())).me.name == "Ann"
    await again.aclose()


async def test_a_keyring_that_refuses_uses_nothing_up(ann: Invitation):
    secrets = CutSecrets()
    secrets.refuses = True
    link = Computer(secrets).link()
    with pytest.raises(CredentialsUnavailable):
        await link.keep(ann.token())
    assert await works(ann.token())
    secrets.refuses = False
    assert (await link.keep(ann.token())).me.name == "Ann"
    await link.aclose()


async def test_a_change_that_was_never_made_is_made_later(ann: Invitation):
    computer = Computer()
    link = computer.link()
    await link._membership.prepare(ann.token())
    await link.aclose()
    again = computer.link()
    assert (await (await again.queue()).team()).me.name == "Ann"
    assert not await works(ann.token())
    await again.aclose()


async def test_a_change_whose_answer_is_lost_is_found_out(
    ann: Invitation, monkeypatch: pytest.MonkeyPatch
):
    changed = QueueClient.change_password
    # The client repeats a call whose connection broke; the repeat is refused with the old password.
    ways: list[QueueError] = [UnreachableError(), SignInError()]

    async def lost(self: QueueClient, password: str) -> None:
        await changed(self, password)
        raise ways[0]

    computer = Computer()
    link = computer.link()
    with monkeypatch.context() as patched:
        patched.setattr(QueueClient, "change_password", lost)
        with pytest.raises(QueueUnreachable):
            await link.keep(ann.token())
    assert await link.is_set_up()
    assert (await (await link.queue()).team()).me.name == "Ann"
    assert not await works(ann.token())
    ways.pop(0)
    kept = (await link._membership.kept())[0]
    with monkeypatch.context() as patched:
        patched.setattr(QueueClient, "change_password", lost)
        assert "still" not in (await link.keep(kept)).notice
    assert not await works(kept)
    assert (await (await link.queue()).team(fresh=True)).me.name == "Ann"
    await link.aclose()


async def test_a_network_that_breaks_anywhere_while_joining_locks_nobody_out():
    with shared_server("plain").database() as database:
        team = database.add_team()
        for number in range(0, 44, 2):
            ann = database.invite(team, f"Ann {number}")
            async with TcpProxy(ann.port) as proxy:
                through = replace(ann, port=proxy.port)
                computer = Computer()
                link = computer.link()
                proxy.arm(Fault("to client", number, "cut after"))
                try:
                    await link.keep(through.token())
                except QueueUnreachable:
                    if not await link.is_set_up():
                        await link.keep(through.token())
                assert (await (await link.queue()).team()).me.name == f"Ann {number}"
                assert not await works(ann.token())
                await link.aclose()


async def test_a_server_that_forbids_the_change_says_that_the_text_stays_valid(
    ann: Invitation, monkeypatch: pytest.MonkeyPatch
):
    async def forbidden(self: QueueClient, password: str) -> None:
        raise RevokedError  # what 42501, insufficient privilege, becomes

    monkeypatch.setattr(QueueClient, "change_password", forbidden)
    computer = Computer()
    link = computer.link()
    team = await link.keep(ann.token())
    assert "still lets people in" in team.notice
    assert list(computer.secrets.kept) == [INVITATION_NAME]
    assert (await (await link.queue()).team()).me.name == "Ann"
    await link.aclose()


async def test_an_authority_from_a_file_is_kept_and_replaced(tls: QueueDatabase, tmp_path: Path):
    ann = replace(tls.invite(tls.add_team(), "Ann"), ca_certificate="")
    computer = Computer()
    link = computer.link()
    assert await link.lacks_authority(ann.token())
    with pytest.raises(QueueNotOpen) as refused:
        await link.keep(ann.token())
    assert refused.value.why == "certificate"
    assert "choose it here" in refused.value.hint
    file = tmp_path / "authority.pem"
    file.write_text(tls.server.ca_certificate)
    pem = membership.authority(file)
    assert (await link.keep(ann.token(), pem)).me.name == "Ann"
    await link.aclose()
    again = computer.link()
    assert (await (await again.queue()).team()).me.name == "Ann"
    assert await again.lacks_authority("")
    assert "CERTIFICATE" not in computer.secrets.kept[INVITATION_NAME]
    other = tmp_path / "other.pem"
    other.write_text(_another_authority(tmp_path))
    with pytest.raises(QueueNotOpen):
        await again.keep("", membership.authority(other))
    assert (await (await again.queue()).team(fresh=True)).me.name == "Ann"
    await again.forget()
    assert not await again.is_set_up()
    assert set(computer.memory.kept.values()) == {""}
    await again.aclose()


def _another_authority(folder: Path) -> str:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=Another", "-keyout", "other.key", "-out", "other.crt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "other.crt").read_text()


def test_what_is_no_authority_is_refused_in_words(tmp_path: Path):
    pem = _another_authority(tmp_path)
    der = tmp_path / "windows.cer"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(pem))
    assert membership.authority(der).strip() == pem.strip()
    for name, content, words in (
        ("holiday.jpg", b"\xff\xd8\xff\xe0 no certificate", "is no certificate"),
        ("cut.pem", pem[: len(pem) // 2].encode(), "is no certificate"),
        ("both.pem", (pem + (tmp_path / "other.key").read_text()).encode(), "private key"),
        ("film.mp4", b"\0" * 40_000, "too large"),
        ("empty.pem", b"", "is no certificate"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(InvalidInput, match=words):
            membership.authority(file)
    with pytest.raises(InvalidInput, match="can't be read"):
        membership.authority(tmp_path / "absent.pem")
    with pytest.raises(InvalidInput, match="can't be read"):
        membership.authority(tmp_path)


async def test_a_late_answer_of_the_keyring_is_asked_for_again(ann: Invitation):
    computer = Computer()
    link = computer.link()
    await link.keep(ann.token())
    assert SUCCESSOR_NAME not in computer.secrets.kept
    await link.forget()
    assert computer.secrets.kept == {}
    with pytest.raises(QueueNotOpen) as refused:
        await link.queue()
    assert refused.value.why == "not_set_up"
    await link.aclose()


async def test_what_could_not_be_heard_at_the_start_is_followed_once_it_can(tmp_path: Path):
    async with two_desks(tmp_path) as (_, sam, alex):
        secrets, read = alex.secrets, alex.secrets.read

        async def locked(name: str) -> str | None:
            raise CredentialsUnavailable("The keyring is locked.")

        secrets.read = locked  # type: ignore[method-assign]
        alex.link._membership.read_again()
        alex.escalations.start()
        await alex.escalations.settled()
        secrets.read = read  # type: ignore[method-assign]
        alex.link._membership.read_again()
        await alex.escalations.tend()
        started = await sam.engine.start_session(Intake("", CONNECTION.id, "12352"))
        await sam.engine.escalate_session(started.session.id, "I need help")
        await sam.escalations.settled()
        heard = asyncio.Event()
        alex.events.listen(EscalationsChanged, lambda _: heard.set())
        async with asyncio.timeout(20):
            while not (await alex.engine.escalation_queue()).entries:
                heard.clear()
                await heard.wait()

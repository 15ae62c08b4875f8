"""Settings → Team queue by clicks, on a real Postgres with TLS: joining, and each way it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from flowpilot_desktop.ui.pages.team_queue import TeamQueuePanel
from sync.invitation import Invitation
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.postgres import QueueDatabase, engines, free_port, shared_server

JOINED = "You are in the team queue of Helpdesk as Jordan Blake."


@pytest.fixture
def database() -> Iterator[QueueDatabase]:
    assert "tls" in engines(), "install postgresql and openssl to test encryption"
    with shared_server("tls").database() as made:
        yield made


@asynccontextmanager
async def at_the_settings(folder: Path) -> AsyncIterator[Technician]:
    """Open the window on Settings → Team queue."""
    async with at_the_desk(folder, demo=True) as opened:
        # The practice company's secrets are forgotten at its end; here they are to be lasting.
        opened.app.desk.secrets.is_lasting = True  # type: ignore[misc]
        await opened.clicks("Settings")
        opened.app.settings_page.show_section("Team queue")
        yield opened


async def pastes(technician: Technician, text: str) -> None:
    """Empty the field and paste."""
    QGuiApplication.clipboard().setText(text)
    field = technician._field("Invitation")
    assert field is not None
    QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)


async def is_told(technician: Technician, text: str, *words: str) -> None:
    """Paste, join, and read why it did not work; the text stays for another try."""
    await pastes(technician, text)
    await technician.clicks("Join the team queue")
    for part in words:
        await technician.reads(part)
    await until(lambda: not technician.app.hand_off.team_model.is_busy, "an answer")
    assert not await technician.app.desk.link.is_set_up()
    assert technician.app.hand_off.team_model.token == text


async def test_every_invitation_that_does_not_work_says_why(
    tmp_path: Path, database: QueueDatabase
):
    async with at_the_settings(tmp_path) as technician:
        team = database.add_team("Helpdesk")
        ann = database.invite(team, "Ann")
        token = ann.token()
        told = technician
        await told.clicks("Join the team queue")
        await told.reads("Paste your invitation first.")
        await is_told(told, "Please use the link in my last mail", "begins with “fpq1.”")
        await is_told(told, token[: len(token) // 2], "A part of the invitation is missing", "Copy")
        await is_told(told, token[:-1], "incomplete or was changed", "Copy the whole text")
        await is_told(told, token.replace("fpq1.", "fpq7."), "newer FlowPilot", "Update")
        database.administration.rotate(ann.engineer_id)
        await is_told(told, token, "refused the sign-in", "a newer one replaces it")
        late = database.invite(team, "Late")
        database.connection.execute(f"alter role \"{late.role}\" valid until '2020-01-01'")
        await is_told(told, late.token(), "refused the sign-in", "has expired")
        gone = database.invite(team, "Gone")
        database.administration.disable_engineer(gone.engineer_id)
        await is_told(told, gone.token(), "refused the sign-in", "taken out of the team")
        good = database.invite(team, "Jordan Blake")
        away = replace(good, port=free_port())
        await is_told(told, away.token(), "can't be reached", "network or VPN", "still good")
        untrusted = replace(good, ca_certificate="")
        await is_told(told, untrusted.token(), "certificate can't be trusted", "authority's file")
        elsewhere = replace(good, database="postgres")
        await is_told(told, elsewhere.token(), "Ask whoever runs your team queue")
        plain = replace(good, port=shared_server("plain").port)
        await is_told(told, plain.token(), "certificate can't be trusted", "Nothing was sent")
        async with _no_postgres() as port:
            await is_told(told, replace(good, port=port).token(), "The team queue")
        await pastes(told, good.token())
        await told.clicks("Test the team queue")
        await told.reads("it opens the team queue of Helpdesk as Jordan Blake.")
        await told.clicks("Join the team queue")
        await told.reads(JOINED)
        await until(lambda: told.app.hand_off.team_model.token == "", "an empty field")
        assert not told.sees(good.token()[:20])
        await told.clicks("Leave the team queue")
        await told.reads("Not set up yet")
        await is_told(told, good.token(), "works once")


class _no_postgres:  # noqa: N801 - used like a function
    """A server that speaks something else."""

    async def __aenter__(self) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        self._server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()


async def chooses_file(technician: Technician, path: Path) -> None:
    """Choose a file in the dialog that the button opens."""
    window = technician.app.window
    await technician.clicks("Choose the certificate authority's file")
    await until(lambda: window.findChildren(QFileDialog), "the dialog")
    dialog = window.findChildren(QFileDialog)[-1]
    dialog.selectFile(str(path))
    dialog.accept()
    await until(lambda: not technician.app.hand_off.team_model.is_busy, "the file to be read")


async def test_an_authority_is_chosen_where_the_invitation_names_none(
    tmp_path: Path, database: QueueDatabase
):
    async with at_the_settings(tmp_path / "profile") as technician:
        good = database.invite(database.add_team("Helpdesk"), "Jordan Blake")
        bare: Invitation = replace(good, ca_certificate="")
        file, picture = tmp_path / "company-ca.pem", tmp_path / "holiday.pem"
        file.write_text(database.server.ca_certificate)
        picture.write_bytes(b"\xff\xd8\xff\xe0")
        panel = next(
            one for one in technician.app.window.findChildren(TeamQueuePanel) if one.isVisible()
        )
        await pastes(technician, good.token())
        assert not panel.authority.isVisible()
        await pastes(technician, bare.token())
        await technician.reads("those that this computer trusts")
        await technician.clicks("Join the team queue")
        await technician.reads("certificate can't be trusted")
        await chooses_file(technician, picture)
        await technician.reads("holiday.pem is no certificate")
        await chooses_file(technician, file)
        await technician.reads("company-ca.pem")
        await technician.clicks("Join the team queue")
        await technician.reads(JOINED)
        link = technician.app.desk.link
        assert (await link.test()).me.name == "Jordan Blake"
        assert panel.authority.isVisible(), "another authority can be chosen when this one ends"
        await technician.clicks("Test the team queue")
        await until(lambda: not technician.app.hand_off.team_model.is_busy, "an answer")
        assert technician.sees(JOINED)

"""What the window does by itself: it recovers from an outage, comes back, and closes for good."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from flowpilot_desktop import app as application
from flowpilot_desktop.app import Application
from flowpilot_desktop.core.attachment import NOTE
from flowpilot_desktop.core.errors import PsaUnreachable, StoreFull
from flowpilot_desktop.core.events import Reach, System
from flowpilot_desktop.core.session import Intake, Response, Result
from flowpilot_desktop.core.ticket import TicketQuery
from flowpilot_desktop.psa.practice import PracticePsa
from tests.e2e.driver import at_the_desk, until


def _is_zoomed(app: Application, percent: int) -> bool:
    return bool(app.settings.zoom == percent)


def _looks(app: Application, is_dark: bool) -> bool:
    return app.theme.is_dark is is_dark


async def test_an_outage_ends_by_itself_and_its_banner_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(application, "TRY_EVERY", timedelta(seconds=0.1))
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        psa = await app.desk.tickets.psa()
        assert isinstance(psa, PracticePsa)
        assert (await app.desk.tickets.find(TicketQuery())).error is None
        psa.away = True
        assert (await app.desk.tickets.find(TicketQuery())).error is not None
        app.notices.show_failure(PsaUnreachable("Couldn't reach ConnectWise."))
        app.notices.show_failure(StoreFull())
        assert app.desk.reach.state(System.PSA).reach is Reach.AWAY
        psa.away = False
        await until(
            lambda: app.desk.reach.state(System.PSA).reach is Reach.REACHABLE, "ConnectWise again"
        )
        assert "failure PsaUnreachable" not in app.window.banners.keys
        assert "failure StoreFull" in app.window.banners.keys


async def test_one_model_that_cannot_close_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_errors: list[object]
):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        engine = app.desk.engine
        session_id = (await engine.start_session(Intake("printer"))).session.id
        app.open_session(session_id)
        await until(lambda: app.session_model.view is not None, "the session")
        save = engine.save_draft

        async def full(where: str, field: str, text: str) -> None:
            if where == session_id:
                raise StoreFull
            await save(where, field, text)

        monkeypatch.setattr(engine, "save_draft", full)
        app.session_model.draft(NOTE, "the disk is full")
        app.intake_model.set_text("the next problem")
    assert len(logged_errors) == 1
    async with at_the_desk(tmp_path, demo=True) as technician:  # the lock was let go, too
        drafts = await technician.app.desk.engine.drafts("")
        assert drafts == {"intake": "the next problem"}


async def test_a_verification_asked_from_resolve_leads_back_there(tmp_path: Path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        engine = app.desk.engine
        session_id = (await engine.start_session(Intake("vpn does not connect"))).session.id
        app.open_session(session_id)
        await until(
            lambda: app.session_model.view is not None and technician.view.open_step is not None,
            "a question",
        )
        app._open_resolve(session_id)
        await technician.clicks("Verify now")
        await until(lambda: app.window.current_page == "session", "the verification")
        await until(lambda: technician.view.open_step is not None, "its card")
        step = await engine.ask_verification(session_id)
        await engine.respond(session_id, step.id, Response(result=Result.WORKED))
        await until(lambda: app.window.current_page == "resolve", "the resolve page")
        await until(lambda: app.resolve_model.is_verified, "that it is verified")
        app.open_session(session_id)  # a look at the old question stays one
        await until(lambda: technician.view.open_step is not None, "the old question")
        assert app.window.current_page == "session"


async def test_text_and_theme_change_by_keys_and_commands(tmp_path: Path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        for key, percent in (
            (Qt.Key.Key_Plus, 110),
            (Qt.Key.Key_Minus, 100),
            (Qt.Key.Key_Minus, 90),
            (Qt.Key.Key_0, 100),
        ):
            QTest.keyClick(app.window, key, Qt.KeyboardModifier.ControlModifier)
            await until(partial(_is_zoomed, app, percent), f"{percent} %")
        for name, is_dark in (("theme.light", False), ("theme.dark", True)):
            next(one for one in app.actions.all if one.objectName() == name).trigger()
            await until(partial(_looks, app, is_dark), name)

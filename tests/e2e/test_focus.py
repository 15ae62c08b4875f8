"""Where the focus is on the way to the end of a session, and that Esc leads back."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.session import Intake, Response, Result
from tests.e2e.driver import at_the_desk, until


def press(key: Qt.Key) -> None:
    """Press a key where the focus is."""
    widget = QApplication.focusWidget()
    assert widget is not None
    QTest.keyClick(widget, key)


async def test_resolve_begins_in_the_solution_and_goes_on_to_a_new_session(tmp_path: Path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        app.window.activateWindow()
        engine = app.desk.engine
        session_id = (await engine.start_session(Intake("printer"))).session.id
        step = await engine.ask_verification(session_id)
        await engine.respond(session_id, step.id, Response(result=Result.WORKED))
        app._open_resolve(session_id)
        await until(app.resolve_page.summary.hasFocus, "the focus in the solution")
        press(Qt.Key.Key_Escape)
        await until(lambda: app.window.current_page == "session", "the session")
        app._open_resolve(session_id)
        await until(app.resolve_page.summary.hasFocus, "the focus in the solution again")
        await technician.types("Solution in a sentence", "Replaced the fuser")
        await technician.clicks("Resolve")
        await until(app.resolve_page.done.hasFocus, "the focus on New session")


async def test_esc_leaves_the_pages_beside_a_session(tmp_path: Path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        app.window.activateWindow()
        session_id = (await app.desk.engine.start_session(Intake("printer"))).session.id
        app.open_session(session_id)
        await until(lambda: app.session_model.view is not None, "the session")
        app._open_link(session_id)
        await until(app.link_page.picker.search.hasFocus, "the search")
        press(Qt.Key.Key_Escape)
        await until(lambda: app.window.current_page == "session", "the session")
        app.hand_off.escalate(session_id)
        await until(lambda: app.window.current_page == "escalate", "the escalation")
        press(Qt.Key.Key_Escape)
        await until(lambda: app.window.current_page == "session", "the session again")

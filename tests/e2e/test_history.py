"""The history in the window: thousands of sessions, filters by hand and by keys, tickets found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.session import Intake, Note, Session, SessionStatus, Source, Step
from tests.e2e.driver import Technician, at_the_desk, until
from tests.e2e.stillness import gaps

SESSIONS = 3_000
CLIENTS = ("Harbor Dental", "Mayer & Söhne", "Northwind")
START = datetime(2026, 1, 5, 8, tzinfo=UTC)


async def keeps(technician: Technician, count: int) -> None:
    """Put sessions of a working life into the store."""
    desk = technician.app.desk
    me = desk.engine.me.id
    records: list[Session | Step] = []
    for n in range(count):
        at = START + timedelta(minutes=7 * n)
        code = f"0x{0x80040000 + n:08X}"
        session = Session(
            f"s{n}",
            me,
            me,
            SessionStatus.RESOLVED if n % 4 else SessionStatus.PAUSED,
            Intake(f"Printer PRN-{n:04} at the reception says {code} cannot reach the spooler"),
            at,
            at,
            problem_summary=f"Printer PRN-{n:04} is silent",
            company=CLIENTS[n % len(CLIENTS)],
            resolution_summary="Restarted the spooler." if n % 4 else "",
        )
        records += [session, Step(f"t{n}", f"s{n}", 1, Note("Looked."), Source.ENGINEER, at, me)]
    await desk.store.save(*records)


async def settled(technician: Technician) -> None:
    model = technician.app.history_model
    await until(lambda: not model.tasks.names and not model.is_loading, "a settled list")


def shown(technician: Technician) -> list[str]:
    return [row.session.id for row in technician.app.history_model.sessions.rows]


async def test_thousands_of_sessions_are_filtered_without_a_wait_on_the_screen(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await keeps(technician, SESSIONS)
        await technician.clicks("History")
        await settled(technician)
        await technician.app.desk.store.sessions(search="warm")  # indexes them all, off the screen
        async with gaps() as watch:
            await technician.types("Search sessions", "spooler")
            await settled(technician)
            await technician.types("Device", "PRN-1234")
            await until(lambda: shown(technician) == ["s1234"], "the one device")
            await technician.clicks("Clear search and filters")
            await settled(technician)
            await technician.types("Error text", "0x80040B0A")
            await until(lambda: shown(technician) == ["s2826"], "the one error")
        # A wait for the store would be whole seconds; what is left is drawing on a busy machine.
        assert watch.longest < 1.0
        assert technician.app.history_page.search.text() == ""


async def test_the_filters_by_keys_alone(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app, page = technician.app, technician.app.history_page
        await keeps(technician, 40)
        app.window.activateWindow()
        await until(app.window.isActiveWindow, "an active window")
        app.actions["history.search"].trigger()
        await settled(technician)
        assert QApplication.focusWidget() is page.search
        QTest.keyClick(page.search, Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is page.client
        QTest.keyClicks(page.client, "may")
        await until(lambda: app.history_model.narrowing.client == CLIENTS[1], "the client")
        await settled(technician)
        assert {row.session.company for row in app.history_model.sessions.rows} == {CLIENTS[1]}
        QTest.keyClick(page.client, Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is page.device
        QTest.keyClicks(page.device, "prn-0004")
        QTest.keyClick(page.device, Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is page.fault
        await until(lambda: shown(technician) == ["s4"], "the one session")
        QTest.keyClick(page.fault, Qt.Key.Key_Return)
        assert QApplication.focusWidget() is page.list
        QTest.keyClick(page.list, Qt.Key.Key_Return)
        await technician.reads("Printer PRN-0004 is silent")
        QTest.keyClicks(page.device, "x")
        await technician.reads("No session of Mayer & Söhne has the device “prn-0004x”.")
        assert not page.list.isVisible()
        page.clear.setFocus()
        QTest.keyClick(page.clear, Qt.Key.Key_Space)
        await settled(technician)
        assert len(shown(technician)) == 40
        assert QApplication.focusWidget() is page.search
        assert not page.clear.isVisible()


async def test_each_tab_lists_its_own_sessions(tmp_path):
    kinds = {
        "active": SessionStatus.ACTIVE,
        "paused": SessionStatus.PAUSED,
        "waiting": SessionStatus.REQUESTING_ESCALATION,
        "taken": SessionStatus.ESCALATED,
        "solved": SessionStatus.RESOLVED,
        "left": SessionStatus.ABANDONED,
    }
    async with at_the_desk(tmp_path, demo=True) as technician:
        app, page = technician.app, technician.app.history_page
        me = app.desk.engine.me.id
        await app.desk.store.save(
            *(
                Session(name, me, me, status, Intake(name), START, START, problem_summary=name)
                for name, status in kinds.items()
            )
        )
        await technician.clicks("History")
        for label, listed in (
            ("All", set(kinds)),
            ("Paused", {"paused"}),
            ("Escalated", {"waiting", "taken"}),
            ("Resolved", {"solved"}),
        ):
            tabs = [page.tabs.tabText(place) for place in range(page.tabs.count())]
            place = page.tabs.tabRect(tabs.index(label)).center()
            QTest.mouseClick(page.tabs, Qt.MouseButton.LeftButton, pos=place)
            await settled(technician)
            assert set(shown(technician)) == listed, label


async def test_a_ticket_that_was_read_is_found_and_started_from(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        connection = await app.desk.tickets.connection()
        assert connection is not None
        context, _, _ = await app.desk.tickets.context(connection.id, "12345")
        assert context is not None
        await technician.clicks("History")
        await technician.reads("No sessions yet.")
        await technician.types("Search sessions", "12345")
        await technician.reads("These tickets do.")
        page = app.history_page
        QTest.keyClick(page.search, Qt.Key.Key_Return)
        assert QApplication.focusWidget() is page.tickets
        QTest.keyClick(page.tickets, Qt.Key.Key_Return)
        await technician.reads("Start from this ticket")
        assert context.ticket.description[:40] in page.ticket.note.toPlainText()
        await technician.clicks("Start from this ticket")
        await technician.reads("Start Session with Ticket #12345")
        assert app.window.current_page == "sessions"


async def test_solved_before_tells_score_client_and_age(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await keeps(technician, 8)
        store = app.desk.store
        session = await store.session("s5")
        assert session is not None
        ago = datetime.now(UTC) - timedelta(days=3, hours=2)
        await store.save(replace(session, resolved_at=ago))
        await technician.types("What is going on", "PRN-0005 cannot reach the spooler")
        await until(lambda: app.intake_model.similar, "something solved before")
        best = app.intake_model.similar[0]
        assert best.session.id == "s5"
        words = (
            f"Restarted the spooler. · {best.session.company} · 3 d ago · {best.likeness:.0%} alike"
        )
        await technician.reads(words)
        # However long the solution was, who, when and how alike stay on the screen, uncut.
        long = replace(session, resolved_at=ago, resolution_summary="Restarted the spooler " * 9)
        await store.save(long)
        app.window.resize(700, 600)
        await technician.types("What is going on", " again")
        line = app.intake_page._before_lines[0]
        await until(lambda: "…" in line.text(), "a line that was cut")
        assert line.text().startswith("Restarted the spooler")
        assert line.text().endswith("% alike")
        assert "3 d ago" in line.text()
        inside = line.contentsRect().width() - line.iconSize().width()
        assert line.fontMetrics().horizontalAdvance(line.text()) <= inside
        assert line.accessibleName().endswith("% alike")
        await technician.clicks(line.accessibleName())
        await until(lambda: app.session_model.session_id == "s5", "that session")

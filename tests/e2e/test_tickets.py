"""Finding, filtering and linking tickets by clicks and keys, with many tickets and with none."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox

from flowpilot_desktop.core.session import ContextStatus, Intake
from flowpilot_desktop.core.ticket import PsaConnection, TicketScope
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.ui.pages.tickets import TicketPickerView
from tests.conftest import ROOT
from tests.e2e.conftest import TICKET
from tests.e2e.driver import at_the_desk, until
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY
from tests.simulators.exchange import answered

MANY = 50_000
KEY_LIMIT = 0.05
"""Seconds that a key may take, drawing included."""


@pytest.fixture
def many_tickets() -> Iterator[str]:
    """A site with very many tickets, in a process of its own; yields its address."""
    command = [sys.executable, "-m", "tests.simulators.connectwise", "--port", "0"]
    with subprocess.Popen(
        [*command, "--tickets", str(MANY)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split()[1]
        finally:
            server.terminate()


def chooses(box: QComboBox, words: str) -> None:
    """Choose from a box by keys, as a person does."""
    place = box.findText(words)
    assert place >= 0, [box.itemText(n) for n in range(box.count())]
    assert box.isVisible()
    assert box.isEnabled()
    box.setCurrentIndex(place)
    box.activated.emit(place)


async def test_typing_and_paging_stay_fluent_with_fifty_thousand_tickets(tmp_path, many_tickets):
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        connection = PsaConnection("site", "connectwise", many_tickets, COMPANY_ID)
        await app.desk.tickets.connect(connection, PsaKeys(PUBLIC_KEY, PRIVATE_KEY))
        app.new_session()
        picker, view = app.intake_model.picker, app.intake_page.picker
        await until(lambda: picker.is_connected and not picker.is_searching, "my own tickets")
        picker.show_scope(TicketScope.ALL)
        await until(lambda: picker.tickets.rowCount() == 50, "the first page")
        # Paging: scrolling to the end brings the next page, without losing what is there.
        for pages in (2, 3, 4):
            bar = view.list.verticalScrollBar()
            await until(lambda: bar.maximum() > bar.value(), "room to scroll")  # noqa: B023
            bar.setValue(bar.maximum())
            await until(lambda: picker.tickets.rowCount() == 50 * pages, f"page {pages}")  # noqa: B023
        numbers = [int(ticket.id) for ticket in picker.tickets.rows]
        assert numbers == sorted(set(numbers), reverse=True)
        # Typing: every key is drawn at once while searches come and go.
        times, searches = [], 0
        view.search.setFocus()
        for key in "printer is offline, then outlook crashes":
            began = time.perf_counter()
            QTest.keyClicks(view.search, key)
            view.search.repaint()
            await asyncio.sleep(0)
            times.append(time.perf_counter() - began)
            if key == " ":  # between words a search begins, and goes on while the next is typed
                await until(lambda: picker.is_searching, "a search")
                searches += 1
        assert searches == 5
        times.sort()
        assert times[round(len(times) * 0.95) - 1] < KEY_LIMIT, [f"{t * 1000:.0f}" for t in times]
        view.search.clear()
        QTest.keyClicks(view.search, "printer offline")
        await until(
            lambda: (
                not picker.is_searching
                and picker.tickets.rowCount() > 0
                and all("printer" in t.summary.casefold() for t in picker.tickets.rows)
            ),
            "the tickets that were typed last",
        )


async def test_board_and_status_narrow_and_all_tickets_come_back(connected, served):
    served.site.populate(120)
    async with connected() as technician:
        picker, view = technician.app.intake_model.picker, technician.app.intake_page.picker
        picker.show_scope(TicketScope.ALL)
        await until(lambda: view.board.isVisible() and picker.tickets.rowCount() == 50, "boards")
        assert not view.status.isVisible()
        board = picker.boards[0]
        chooses(view.board, board.name)
        await until(
            lambda: {t.board.name for t in picker.tickets.rows} == {board.name}, "one board"
        )
        await until(view.status.isVisible, "the statuses of that board")
        status = next(t.status.name for t in picker.tickets.rows)
        chooses(view.status, status)
        await until(lambda: {t.status.name for t in picker.tickets.rows} == {status}, "one status")
        assert not technician.sees("DO NOT USE")
        chooses(view.board, "All boards")
        await until(lambda: len({t.board.name for t in picker.tickets.rows}) > 1, "every board")


async def test_a_search_is_dropped_when_more_is_typed(connected, served):
    served.site.populate(60)
    async with connected() as technician:
        app = technician.app
        picker = app.intake_model.picker
        await technician.types("Search tickets", "no internet")
        await until(
            lambda: [t.id for t in picker.tickets.rows if "internet" in t.summary] == ["1002"],
            "the ticket by its summary",
        )
        app.intake_page.picker.search.clear()
        await technician.types("Search tickets", "marisol")
        await until(lambda: str(TICKET) in {t.id for t in picker.tickets.rows}, "by contact")
        assert picker.query.text == "marisol"


async def test_offline_recent_tickets_come_with_their_age_and_a_number_starts(connected, served):
    async with connected() as technician:
        app = technician.app
        picker = app.intake_model.picker
        await app.desk.engine.start_session(Intake("", "site", str(TICKET)))
        app.new_session()
        served.server.away()
        picker.open()
        await technician.reads(
            "Couldn't reach ConnectWise — you can still type the ticket details manually"
        )
        assert [ticket.id for ticket in picker.tickets.rows] == [str(TICKET)]
        words = app.intake_page.picker._words(picker.tickets.rows[0])
        assert "seen just now" in words.subtitle
        await technician.reads("ConnectWise: can't be reached")
        await technician.types("Search tickets", "4711")
        await technician.clicks("Start from ticket #4711")
        await technician.types("What is going on", "Pasted: the scanner says 0x80070005")
        await technician.clicks("Start Session with Ticket #4711")
        await until(lambda: app.window.current_page == "session", "the session")
        await until(lambda: app.session_model.view is not None, "its view")
        session = technician.view.session
        assert session.ticket_id == "4711"
        assert session.psa_context_status is ContextStatus.UNAVAILABLE
        assert "0x80070005" in session.intake.text
        await technician.reads("Couldn't reach ConnectWise")


async def test_pulling_from_a_ticket_is_off_until_connectwise_is_set_up(tmp_path):
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        app.new_session()
        await technician.reads("Connect your PSA in Settings → Integrations")
        take = app.intake_page.picker.take
        assert take.isVisible()
        assert take.text() == "Pull from Ticket"
        assert not take.isEnabled()
        assert take.toolTip() == "Connect your PSA in Settings → Integrations"
        await technician.types("What is going on", "Nothing prints")
        await until(app.intake_page.start.isEnabled, "a start without a ticket")
        assert app.intake_page.start.text() == "Start Session"


async def test_the_marked_ticket_is_pulled_by_its_button(connected):
    async with connected() as technician:
        app = technician.app
        picker, words = app.intake_page.picker, app.intake_page.words
        await until(picker.list.isVisible, "tickets")
        assert picker.take.toolTip() == ""
        await technician.clicks("Pull from Ticket")  # nothing is marked: it leads to the list
        assert picker.list.hasFocus()
        QTest.keyClick(picker.list, Qt.Key.Key_Down)
        marked = picker.list.currentIndex().row()
        ticket = app.intake_model.picker.tickets.rows[marked]
        assert app.intake_model.ticket is None
        await technician.clicks("Pull from Ticket")
        await technician.reads(f"Start Session with Ticket #{ticket.id}")
        assert technician.sees(ticket.summary)
        assert not picker.isVisible()
        assert words.hasFocus()
        assert words.placeholderText().startswith("Add context")


async def test_a_ticket_is_linked_midway_and_refreshed_by_clicks(connected, served):
    async with connected() as technician:
        app = technician.app
        assert type(app.link_page.picker) is type(app.intake_page.picker) is TicketPickerView
        started = await app.desk.engine.start_session(Intake("The reception printer is offline"))
        app.open_session(started.session.id)
        await technician.clicks("Link Ticket")
        await until(lambda: app.link_model.tickets.rowCount() > 0, "tickets to link")
        await technician.types("Search tickets", str(TICKET))
        await until(lambda: [t.id for t in app.link_model.tickets.rows] == [str(TICKET)], "it")
        await technician.enters("Search tickets")
        await technician.reads("Reception printer offline again")
        assert technician.view.session.ticket_id == str(TICKET)
        assert technician.view.session.psa_context_status is ContextStatus.LOADED
        served.site.tables.tickets[TICKET]["summary"] = "Now all printers are offline"
        await technician.clicks("Refresh from ConnectWise")
        await technician.reads("Now all printers are offline")


async def test_no_row_stays_marked_when_the_list_comes_back(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        rows = app.intake_page.picker.list
        await until(lambda: app.intake_model.picker.tickets.rowCount() > 1, "the tickets")
        for way_back in ("Change", "New session"):
            index = app.intake_model.picker.tickets.index(1)
            QTest.mouseClick(
                rows.viewport(), Qt.MouseButton.LeftButton, pos=rows.visualRect(index).center()
            )
            await until(lambda: app.intake_model.ticket is not None, "a chosen ticket")
            if way_back == "Change":
                await technician.clicks("Change")
            else:
                await technician.clicks(app.intake_page.start.text())
                await until(lambda: app.window.current_page == "session", "the session")
                app.new_session()
            await until(rows.isVisible, "the list again")
            assert app.intake_model.ticket is None
            assert not rows.selectionModel().hasSelection()


async def test_what_is_missing_merged_or_moved_is_said(connected, served):
    refusal = answered(500, stored=False, body='{"code":"Busy","message":"busy","errors":null}')
    served.site.faults.plan(refusal, method="GET", path="/company/companies/", times=-1)
    async with connected() as technician:
        app = technician.app
        started = await app.desk.engine.start_session(Intake("", "site", str(TICKET)))
        app.open_session(started.session.id)
        await technician.reads("Not available: company")
        served.site.faults.clear()
        await technician.clicks("Refresh from ConnectWise")
        await until(lambda: not technician.sees("Not available"), "the whole ticket")
        served.site.merge(TICKET, into=1001)
        served.site.move(TICKET, board=2)
        app._open_resolve(started.session.id)
        await technician.reads("The ticket was merged into #1001.")
        await technician.reads("The ticket moved from")
        app.open_session(started.session.id)
        await technician.clicks("Refresh from ConnectWise")
        await technician.reads("Merged into #1001 in ConnectWise")


async def test_no_screen_waits_for_connectwise_and_the_status_bar_says_why(connected, served):
    """Unplug it: every page opens, a session starts, answers are kept, and the bar tells."""
    async with connected() as technician:
        app = technician.app
        await technician.reads("ConnectWise: connected")
        served.server.away()
        began = time.monotonic()
        for page in ("history", "settings", "sessions"):
            app.window.show_page(page)
            await asyncio.sleep(0)
        app.intake_page.words.setFocus()
        QTest.keyClicks(app.intake_page.words, "no internet on one laptop")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a card")
        assert time.monotonic() - began < 5
        app.intake_model.picker.open()
        await technician.reads("ConnectWise: can't be reached")
        await technician.reads("next try in")
        served.server.back()
        app.intake_model.picker.open()
        await technician.reads("ConnectWise: connected")

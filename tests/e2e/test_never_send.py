"""A client is kept from the model by a click on the ticket's card: nothing further leaves."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from flowpilot_desktop.core.events import Reach, System
from flowpilot_desktop.core.session import Source
from tests.e2e.driver import Technician, at_the_desk, until
from tests.e2e.test_story import claude, sets_up, site, starts
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.connectwise import ConnectWiseSite

__all__ = ["claude", "site"]
ANY = ("Since an update", "Worked", "Yes, it holds", "Confirm", "Skip", "Could not try")


def kept(technician: Technician) -> tuple[str, ...]:
    return technician.app.settings.never_send


async def switches(technician: Technician) -> None:
    """Click the box on the ticket's card."""
    box = technician.app.session_page.side.ticket.keep_out
    await until(box.isVisible, "the box")
    technician.app.session_page.side.ensureWidgetVisible(box)
    QTest.mouseClick(box, Qt.MouseButton.LeftButton)


async def by_flow(technician: Technician) -> None:
    """Answer a few cards, of which none may come from Claude."""
    for _ in range(3):
        await technician.answers(ANY)
        await until(technician._open_card_is_shown, "the next card")
        step = technician.view.open_step
        assert step is not None
        assert step.source is Source.FLOW


@pytest.mark.parametrize("thinking", [False, True])
async def test_after_the_click_flows_and_hands_only(
    tmp_path, site: tuple[ConnectWiseSite, str], claude: ClaudeSimulator, thinking: bool
):
    _, url = site
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        app.window.resize(1440, 900)
        await sets_up(technician, url, claude)
        await starts(technician)
        await until(technician._open_card_is_shown, "Claude's first card")
        client = technician.view.session.company
        assert client
        assert technician.sees(f"Claude may be told about {client}")
        if thinking:
            claude.pace = 0.3
            await technician.answers(ANY)
            await until(lambda: app.session_model.is_thinking, "Claude at work")
            await until(lambda: len(claude.asked()) == 2, "the request")
        await switches(technician)
        await until(lambda: kept(technician) == (client,), "the setting")
        await technician.reads(f"Nothing about {client} goes to a model")
        before = len(claude.requests)
        if thinking:  # what was on its way is given up, and the flow goes on at once
            await until(technician._open_card_is_shown, "the flow's card")
            step = technician.view.open_step
            assert step is not None
            assert step.source is Source.FLOW
        await by_flow(technician)
        await technician.reads("The session goes on by flow and by hand.")
        await technician.clicks("Log a step")
        await technician.types("Step to log by hand", "by hand as well")
        await technician.clicks("Log this step")
        await until(lambda: technician.view.steps[-1].body.text == "by hand as well", "the note")
        assert len(claude.requests) == before
        assert app.desk.reach.state(System.MODEL).reach is not Reach.REFUSED
        app.window.show_page("settings")
        app.settings_page.show_section("Claude")
        await technician.reads(client)
    async with at_the_desk(tmp_path) as technician:  # and after a restart
        await until(technician._open_card_is_shown, "the card")
        await technician.answers(ANY)
        await until(technician._open_card_is_shown, "the next card")
        assert len(claude.requests) == before
        assert technician.app.session_page.side.ticket.keep_out.isChecked()


async def test_the_click_is_taken_back_by_another(
    tmp_path, site: tuple[ConnectWiseSite, str], claude: ClaudeSimulator
):
    _, url = site
    async with at_the_desk(tmp_path) as technician:
        technician.app.window.resize(1440, 900)
        await sets_up(technician, url, claude)
        await starts(technician)
        await until(technician._open_card_is_shown, "Claude's first card")
        await switches(technician)
        await until(lambda: kept(technician) != (), "the setting")
        await technician.answers(ANY)
        await until(technician._open_card_is_shown, "the flow's card")
        before = len(claude.asked())
        box = technician.app.session_page.side.ticket.keep_out
        box.setFocus()
        QTest.keyClick(box, Qt.Key.Key_Space)  # by key, too
        await until(lambda: kept(technician) == (), "the setting to be gone")
        await technician.answers(ANY)
        await until(technician._open_card_is_shown, "the next card")
        step = technician.view.open_step
        assert step is not None
        assert step.source is Source.CLAUDE
        assert len(claude.asked()) > before


async def test_without_a_client_there_is_nothing_to_keep(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        technician.app.window.resize(1440, 900)
        await technician.types("What is going on", "The printer is offline")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a card")
        assert not technician.app.session_page.side.ticket.keep_out.isVisible()

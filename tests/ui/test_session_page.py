"""The session's page: cards, answering, drafts, states, keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from flowpilot_desktop.core.errors import StoreFull
from flowpilot_desktop.core.session import Question, StepKind
from flowpilot_desktop.ui.cards import StepCard
from flowpilot_desktop.ui.cards.writing import StandingCard
from flowpilot_desktop.ui.pages.session import SessionPage
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.viewmodels.session import SessionViewModel
from tests import samples
from tests.ui.conftest import until
from tests.ui.double import DoubleEngine


@pytest.fixture
def engine() -> DoubleEngine:
    return DoubleEngine()


@pytest.fixture
async def page(engine: DoubleEngine, theme: Theme, qtbot: QtBot) -> AsyncIterator[SessionPage]:
    viewmodel = SessionViewModel(engine)
    page = SessionPage(viewmodel)
    qtbot.addWidget(page)
    page.resize(1200, 900)
    page.show()
    viewmodel.open(samples.SESSION)
    await until(lambda: viewmodel.view is not None)
    yield page
    await viewmodel.aclose()


def open_card(page: SessionPage) -> StepCard:
    card = page.feed.card(page._open_key)
    assert isinstance(card, StepCard)
    return card


def standing(page: SessionPage) -> StandingCard:
    card = page.feed.card("standing")
    assert isinstance(card, StandingCard)
    return card


async def test_the_cards_of_a_session_are_on_the_screen(page, engine):
    kinds = [item.content.step.kind for item in page.feed.items]
    assert kinds == [StepKind.BRIEFING, StepKind.QUESTION, StepKind.ACTION, StepKind.QUESTION]
    assert page.page_title == "VPN drops every 20 minutes for 14 users"
    assert open_card(page).step is engine.view.open_step


async def test_a_number_key_answers_and_the_next_card_comes(page, engine, qtbot):
    engine.bodies = [Question("What does the peer show?")]
    open_card(page).take_focus()
    qtbot.keyClick(open_card(page).frame, Qt.Key.Key_2)
    await until(lambda: engine.view.open_step is not None and len(engine.view.steps) == 5)
    assert engine.view.steps[3].response.option == "3600"
    await until(lambda: page._open_key == engine.view.open_step.id)
    assert open_card(page).frame.hasFocus()


async def test_a_second_answer_while_the_first_is_on_its_way_is_nothing(page, engine, qtbot):
    engine.gate.clear()
    card = open_card(page)
    card.press(1)
    card.press(2)
    page.viewmodel.answer(card.step.id, samples.steps()[3].response)
    await until(lambda: "respond" in engine.calls)
    assert not card.takes_answers
    engine.gate.set()
    await until(lambda: engine.view.steps[3].response is not None)
    await until(lambda: not page.viewmodel.is_busy)
    assert engine.calls.count("respond") == 1


async def test_an_answer_that_fails_leaves_the_card_as_it_was(page, engine, logged_errors):
    engine.error = StoreFull()
    card = open_card(page)
    card.press(1)
    await until(lambda: "failure" in page._banners.keys)
    assert open_card(page) is card
    assert card.takes_answers
    engine.error = None
    card.press(1)
    await until(lambda: engine.view.steps[3].response is not None)

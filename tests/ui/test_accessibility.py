"""Everything is named, reachable by keyboard, and nothing is cut off at small sizes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from flowpilot_desktop.core.events import Reach, ReachChanged, System
from flowpilot_desktop.core.session import Response, StepKind, answered
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.cards import StepCard
from flowpilot_desktop.ui.controls import OptionButton
from flowpilot_desktop.ui.navigation import NavigationButton, SystemState
from flowpilot_desktop.ui.pages.session import SessionPage
from flowpilot_desktop.ui.text import ElidedText, copied
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.ui.window import MainWindow
from flowpilot_desktop.viewmodels.session import SessionViewModel
from tests import samples
from tests.ui.conftest import until
from tests.ui.double import DoubleEngine

KINDS = pytest.mark.parametrize("kind", list(StepKind))
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
ARABIC = "الطابعة لا تعمل HP LaserJet 4200 منذ الصباح"


@pytest.fixture
def engine() -> DoubleEngine:
    return DoubleEngine()


@pytest.fixture
async def window(engine: DoubleEngine, theme: Theme, qtbot: QtBot) -> AsyncIterator[MainWindow]:
    model = SessionViewModel(engine)
    window = MainWindow(theme=theme, actions=Actions())
    qtbot.addWidget(window, before_close_func=MainWindow.leave)
    page = SessionPage(model)
    window.add_page("session", page, icon="sessions", title="Sessions", shortcut="Ctrl+1")
    window.add_page("escalations", QWidget(), icon="escalation", title="Escalations")
    window.add_page("settings", QWidget(), icon="settings", title="Settings", at_bottom=True)
    window.show_count("escalations", 3)
    window.show_reach(ReachChanged(System.MODEL, Reach.AWAY, "No answer", 45))
    window.banners.show_banner("b", "Something failed", "And why.", tone="red", action="Retry")
    window.resize(1024, 700)
    window.show()
    window.activateWindow()
    await until(window.isActiveWindow)
    yield window
    await model.aclose()


async def opened(window: MainWindow) -> SessionPage:
    page = window.page("session")
    assert isinstance(page, SessionPage)
    page.viewmodel.open(samples.SESSION)
    await until(lambda: page.viewmodel.view and not page.viewmodel.tasks.names)
    await settled(window)
    return page


def card(page: SessionPage, key: str) -> StepCard:
    found = page.feed.card(key)
    assert isinstance(found, StepCard)
    return found


async def settled(window: MainWindow) -> None:
    """Wait until no layout is on its way any more."""
    still = 0
    former: object = None
    while still < 20:
        await asyncio.sleep(0)
        now = [(w.geometry(), w.isVisible()) for w in window.findChildren(QWidget)]
        still = still + 1 if now == former else 0
        former = now


def focusable(root: QWidget) -> Iterator[QWidget]:
    for widget in root.findChildren(QWidget):
        if widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield widget


def cut_off(root: QWidget) -> list[str]:
    """The visible labels and buttons whose text does not fit into them."""
    found = []
    for widget in root.findChildren(QWidget):
        if not widget.isVisible() or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, ElidedText):
            fits = widget.height() >= widget.fontMetrics().height()
        elif isinstance(widget, QLabel) and widget.text():
            wanted = widget.heightForWidth(widget.width()) if widget.wordWrap() else -1
            fits = widget.height() >= max(wanted, widget.fontMetrics().height() - 1)
            fits = fits and (widget.wordWrap() or widget.width() >= widget.sizeHint().width() - 1)
            fits = fits and widget.width() >= widget.minimumSizeHint().width()
        elif isinstance(widget, QPushButton) and not isinstance(
            widget, (OptionButton, NavigationButton, SystemState)
        ):
            hint = widget.sizeHint()
            fits = widget.width() >= hint.width() and widget.height() >= hint.height()
        else:
            continue
        if not fits:
            words = copied(getattr(widget, "text", str)())
            found.append(
                f"{type(widget).__name__} {words[:60]!r} in {type(widget.parent()).__name__}: "
                f"{widget.size().toTuple()} for {widget.sizeHint().toTuple()}"
            )
    return found


async def test_everything_that_can_have_the_focus_has_a_name(window):
    await opened(window)
    nameless = [
        f"{type(widget).__name__} in {type(widget.parent()).__name__}"
        for widget in focusable(window)
        if not widget.accessibleName()
    ]
    assert not nameless


async def test_every_button_is_heard_with_words(window):
    await opened(window)
    for button in window.findChildren(QAbstractButton):
        if button.isVisible():
            heard = QAccessible.queryAccessibleInterface(button).text(QAccessible.Text.Name)
            assert heard.strip(), button


@KINDS
@pytest.mark.parametrize("scale", [1.0, 1.5])
async def test_no_text_is_cut_off(window, engine, theme, kind: StepKind, scale: float):
    waiting = samples.STEPS_BY_KIND[kind]
    engine.view = replace(engine.view, steps=(*samples.steps()[:3], waiting))
    engine.bodies = [samples.QUESTION]
    theme.show(text_scale=scale)
    page = await opened(window)
    page.compose()
    await settled(window)
    for key in ("step-3", waiting.id):
        page.feed.focus_card(key)
        await settled(window)
        assert cut_off(window) == []


async def test_long_words_and_other_scripts_fit(window, engine):
    body = replace(samples.QUESTION, text=f"{LONG} {ARABIC}", why=LONG)
    body = replace(body, options=(replace(body.options[0], label=LONG), *body.options[1:]))
    session = samples.session(problem_summary=f"{ARABIC} {LONG}", company=LONG)
    ticket = replace(
        samples.TICKET, summary=LONG, company=replace(samples.TICKET.company, name=LONG)
    )
    engine.view = replace(
        engine.view,
        session=session,
        steps=(samples.step(body, 1),),
        context=replace(samples.CONTEXT, ticket=ticket),
    )
    page = await opened(window)
    assert cut_off(window) == []
    assert card(page, "step-1").width() <= page.feed.viewport().width()
    inside = page.side.widget()
    assert inside is not None
    assert inside.width() <= page.side.viewport().width()


async def test_tab_reaches_every_control_of_the_page_and_comes_round(window, engine, qtbot):
    page = await opened(window)
    seen: set[QWidget] = set()
    for key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
        page.focus_open_card()
        for _ in range(60):
            qtbot.keyClick(QApplication.focusWidget(), key)
            focus = QApplication.focusWidget()
            assert focus is not None
            seen.add(focus)
    wanted = {
        widget
        for widget in focusable(window)
        if widget.isEnabled() and widget is not page.feed  # it hands the focus to a card
    }
    missing = [w.accessibleName() or type(w).__name__ for w in wanted - seen]
    assert not missing


async def test_the_focus_can_be_seen(window, engine, qtbot):
    page = await opened(window)
    for widget in (page.foot.pause, page.foot.resolve, page.note.edit, card(page, "step-6").frame):
        page.compose()
        page.foot.resolve.setFocus()
        if widget is page.foot.resolve:
            page.foot.pause.setFocus()
        without = widget.grab().toImage()
        widget.setFocus()
        assert widget.hasFocus()
        assert widget.grab().toImage() != without


async def test_an_answered_card_reads_as_question_and_answer(window, engine):
    page = await opened(window)
    step = answered(
        samples.STEPS_BY_KIND[StepKind.QUESTION],
        Response(text="All at once — 09:20, 09:40, 10:00."),
        by=samples.ME,
        at=samples.NOW,
    )
    engine.view = replace(engine.view, steps=(step, samples.step(samples.ACTION, 9)))
    page.viewmodel.reload()
    await until(lambda: page.feed.card(step.id))
    heard = QAccessible.queryAccessibleInterface(card(page, step.id).frame)
    name = heard.text(QAccessible.Text.Name)
    assert name.startswith("Question 1: What lifetime")
    assert name.endswith("Answered: All at once — 09:20, 09:40, 10:00.")

"""The window: pages, titles, badges, systems, banners, palette, shortcuts, closing, questions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from flowpilot_desktop.core.events import Reach, ReachChanged, System
from flowpilot_desktop.ui import questions
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.banner import Banners
from flowpilot_desktop.ui.controls import AnswerEdit
from flowpilot_desktop.ui.navigation import NARROW, WIDE
from flowpilot_desktop.ui.palette import fuzzy_score
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.ui.window import MainWindow
from tests.ui.conftest import until


class Opened:
    """Remembers what was run."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pause(self) -> None:
        self.names.append("pause")

    def escalate(self) -> None:
        self.names.append("escalate")


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def window(theme: Theme, qtbot: QtBot, opened: Opened, tmp_path: Path) -> MainWindow:
    actions = Actions()
    window = MainWindow(theme=theme, actions=actions, folder=tmp_path)
    qtbot.addWidget(window, before_close_func=leave)
    for name, title in (("sessions", "Sessions"), ("escalations", "Escalations")):
        window.add_page(name, QWidget(), icon="sessions", title=title)
    window.add_page("settings", QWidget(), icon="settings", title="Settings", at_bottom=True)
    window.add_page("resolve", QWidget(), title="Resolve")
    actions.add("session.pause", "Pause or resume", opened.pause, "Ctrl+Shift+P", "Session")
    actions.add("session.escalate", "Escalate", opened.escalate, "Ctrl+E", "Session")
    window.resize(1280, 800)
    window.show()
    with qtbot.waitActive(window):
        window.activateWindow()
    return window


def leave(window: MainWindow) -> None:
    window.leave()


def button(window: MainWindow, name: str) -> QPushButton:
    return window.navigation._buttons[name]


def typed(window: MainWindow) -> QLineEdit:
    field = window.palette_sheet.findChild(QLineEdit)
    assert field is not None
    return field


def test_the_title_begins_with_the_products_name_on_every_page(window: MainWindow):
    for name in ("sessions", "escalations", "settings", "resolve"):
        window.show_page(name)
        assert window.windowTitle().startswith("FlowPilot")
        assert window.current_page == name
    assert window.windowTitle() == "FlowPilot — Resolve"


def test_the_navigation_shows_pages_and_marks_the_one_on_the_screen(window: MainWindow, qtbot):
    qtbot.mouseClick(button(window, "escalations"), Qt.MouseButton.LeftButton)
    assert window.current_page == "escalations"
    assert button(window, "escalations").isChecked()
    assert not button(window, "sessions").isChecked()
    window.show_page("resolve", under="sessions")
    assert button(window, "sessions").isChecked()
    assert button(window, "settings").y() > button(window, "escalations").y() + 200


def test_a_badge_counts_and_is_heard(window: MainWindow):
    window.show_count("escalations", 3)
    assert button(window, "escalations").accessibleName() == "Escalations, 3 waiting"
    window.show_count("escalations", 0)
    assert button(window, "escalations").accessibleName() == "Escalations"


def test_the_navigation_folds_where_it_is_narrow(window: MainWindow, theme: Theme):
    assert window.navigation.width() == theme.px(WIDE)
    window.resize(1000, 700)
    assert window.navigation.width() == theme.px(NARROW)
    window.show_count("escalations", 12)
    badge = button(window, "escalations")._badge  # type: ignore[attr-defined]  # our own button
    assert badge.isVisible()
    assert button(window, "escalations").rect().contains(badge.geometry())
    window.resize(1280, 700)
    assert window.navigation.width() == theme.px(WIDE)


def test_each_outside_system_says_how_it_is_and_when_it_is_tried_again(window: MainWindow):
    window.show_reach(ReachChanged(System.PSA, Reach.REACHABLE))
    window.show_reach(ReachChanged(System.MODEL, Reach.AWAY, "No answer in 20 s", 45))
    window.show_reach(ReachChanged(System.QUEUE, Reach.NOT_SET_UP))
    states = window.systems._states
    assert states[System.PSA].accessibleName() == "ConnectWise: connected"
    words = states[System.MODEL]._words.accessibleName()
    assert words.startswith("Claude: can't be reached · next try in 4")
    assert states[System.MODEL].toolTip() == "No answer in 20 s"
    assert "not set up" in states[System.QUEUE].accessibleName()
    window.show_reach(ReachChanged(System.MODEL, Reach.REACHABLE))
    assert not states[System.MODEL]._tick.isActive()


def test_closing_asks_the_application_first(window: MainWindow, qtbot):
    with qtbot.waitSignal(window.close_requested):
        window.close()
    assert window.isVisible()
    window.leave()
    assert not window.isVisible()


def test_size_and_place_come_back(theme: Theme, qtbot, tmp_path: Path):
    first = MainWindow(theme=theme, actions=Actions(), folder=tmp_path)
    qtbot.addWidget(first)
    first.resize(760, 560)
    first.show()
    first.leave()
    second = MainWindow(theme=theme, actions=Actions(), folder=tmp_path)
    qtbot.addWidget(second, before_close_func=leave)
    assert (second.width(), second.height()) == (760, 560)  # a screen here is 800 pixels wide


# --- actions, palette, shortcuts ---


def test_an_action_and_a_shortcut_are_registered_once(opened: Opened):
    actions = Actions()
    actions.add("pause", "Pause", opened.pause, "Ctrl+P")
    with pytest.raises(ValueError, match="already"):
        actions.add("pause", "Pause", opened.pause)
    with pytest.raises(ValueError, match="belongs to another"):
        actions.add("print", "Print", opened.pause, "Ctrl+P")


def test_the_palette_finds_by_a_few_letters_and_runs(window: MainWindow, opened: Opened, qtbot):
    sheet = window.palette_sheet
    button(window, "settings").setFocus()
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert sheet.isVisible()
    field = typed(window)
    assert field.hasFocus()
    qtbot.keyClicks(field, "esc")
    assert sheet.found[0].text() == "Escalate"
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert opened.names == ["escalate"]
    assert not sheet.isVisible()
    assert button(window, "settings").hasFocus()


def test_the_palette_moves_with_arrows_and_says_when_nothing_fits(window: MainWindow, qtbot):
    window.palette_sheet.open()
    field = typed(window)
    rows = window.palette_sheet._list
    before = rows.currentIndex().row()
    qtbot.keyClick(field, Qt.Key.Key_Down)
    assert rows.currentIndex().row() == before + 1
    qtbot.keyClick(field, Qt.Key.Key_Up)
    qtbot.keyClick(field, Qt.Key.Key_Up)
    assert rows.currentIndex().row() == len(window.palette_sheet.found) - 1
    qtbot.keyClicks(field, "zzzz")
    assert window.palette_sheet.found == ()
    assert window.palette_sheet._nothing.isVisible()
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert not window.palette_sheet.isVisible()


def test_the_palette_offers_only_what_can_be_run(window: MainWindow, qtbot):
    window.actions_register["session.pause"].setEnabled(False)
    window.palette_sheet.open()
    titles = [action.text() for action in window.palette_sheet.found]
    assert "Escalate" in titles
    assert "Pause or resume" not in titles
    qtbot.mouseClick(window.palette_sheet, Qt.MouseButton.LeftButton, pos=window.rect().topLeft())
    assert not window.palette_sheet.isVisible()


@given(st.text("abc ", max_size=5), st.text("abcd ", max_size=20))
def test_a_pattern_fits_if_its_letters_come_in_order(pattern: str, text: str):
    letters = iter(text)
    fits = all(letter in letters for letter in pattern.replace(" ", ""))
    assert (fuzzy_score(pattern, text) is not None) is fits


def test_beginnings_of_words_come_first():
    ranked = sorted(
        ["Go to Settings", "Refresh ticket", "Reset"],
        key=lambda title: -(fuzzy_score("rt", title) or -99),
    )
    assert ranked[0] == "Refresh ticket"


def test_the_list_of_shortcuts_names_every_key(window: MainWindow, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert window.shortcut_sheet.isVisible()
    words = [label.text() for label in window.shortcut_sheet.findChildren(QLabel)]
    assert {"Escalate", "Ctrl+E", "Command palette", "Ctrl+K"} <= set(words)
    assert "Choose that answer on the open card" in words
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert not window.shortcut_sheet.isVisible()


# --- banners ---


def test_a_banner_is_told_changed_acted_on_and_dismissed(theme: Theme, qtbot):
    banners = Banners()
    qtbot.addWidget(banners)
    acted: list[str] = []
    dismissed: list[str] = []
    banners.acted.connect(acted.append)
    banners.dismissed.connect(dismissed.append)
    banners.show_banner("push", "Did not reach it", "Refused.", tone="red", action="Retry")
    banners.show_banner("push", "Did not reach it again", tone="red", action="Retry")
    banners.show_banner("notice", "By hand", tone="amber", fixed=True)
    assert list(banners.keys) == ["push", "notice"]
    assert banners._banners["push"].accessibleName() == "Did not reach it again"
    assert not banners._banners["notice"]._close.isVisibleTo(banners)
    banners._banners["push"]._action.click()
    banners._banners["push"]._close.click()
    assert (acted, dismissed) == (["push"], ["push"])
    banners.hide_banner("notice")
    banners.hide_banner("notice")
    assert not banners.keys
    assert banners.isHidden()


# --- questions ---


def sheet(window: MainWindow) -> QDialog:
    found = [dialog for dialog in window.findChildren(QDialog) if dialog.isVisible()]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("label", "answer"), [("Withdraw", True), ("Keep it", False)])
async def test_a_question_is_asked_without_a_loop_of_its_own(window, qtbot, label, answer):
    asked = asyncio.ensure_future(
        questions.confirmed(window, "Withdraw?", "Nobody has it.", yes="Withdraw", no="Keep it")
    )
    await until(lambda: window.findChildren(QDialog))
    dialog = sheet(window)
    next(b for b in dialog.findChildren(QPushButton) if b.text() == label).click()
    assert await asked is answer


async def test_the_safe_answer_has_the_focus_when_much_is_at_stake(window, qtbot):
    asked = asyncio.ensure_future(
        questions.confirmed(window, "Delete?", "No way back.", yes="Delete", danger=True)
    )
    await until(lambda: window.findChildren(QDialog))
    dialog = sheet(window)
    focus = dialog.focusWidget()
    assert isinstance(focus, QPushButton)
    assert focus.text() == "Cancel"
    dialog.reject()
    assert await asked is False


async def test_text_is_asked_for(window, qtbot):
    asked = asyncio.ensure_future(
        questions.typed(window, "Why?", "The teammate reads it.", label="Reason", value="stuck ")
    )
    await until(lambda: window.findChildren(QDialog))
    field = sheet(window).findChild(AnswerEdit)
    assert field is not None
    qtbot.keyClicks(field, "at the firewall ")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert await asked == "stuck at the firewall"


async def test_a_question_nobody_waits_for_closes(window, qtbot):
    asked = asyncio.ensure_future(questions.typed(window, "Why?", "", label="Reason"))
    await until(lambda: window.findChildren(QDialog))
    dialog = sheet(window)
    asked.cancel()
    await until(asked.done)
    assert not dialog.isVisible()

"""The hand-off's screens: named, reachable, whole at small sizes; the tray; starting at login."""

from __future__ import annotations

import configparser
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from flowpilot_desktop.core.errors import QueueUnreachable
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.services.alerts import Alert, AlertKind
from flowpilot_desktop.ui.autostart import set_autostart
from flowpilot_desktop.ui.pages.escalate import EscalatePage
from flowpilot_desktop.ui.pages.escalations import EscalationsPage, entry_words
from flowpilot_desktop.ui.pages.team_queue import TeamQueuePanel
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.ui.tray import Tray
from flowpilot_desktop.viewmodels.escalate import EscalateViewModel
from flowpilot_desktop.viewmodels.escalations import EscalationsViewModel
from flowpilot_desktop.viewmodels.push import PushViewModel
from flowpilot_desktop.viewmodels.team_queue import TeamQueueViewModel
from tests.services.desk import CONNECTION, Desk
from tests.services.team import ALEX, SAM, Team, two_desks
from tests.ui.conftest import until

EVIL = "<b>Hi</b><img src='file:////host/share/x.png'> javascript:alert(1)"


@pytest.fixture
def _look(theme: Theme) -> None:
    theme.show()


@pytest.fixture
async def desks(tmp_path: Path, _look: None) -> AsyncIterator[tuple[Team, Desk, Desk]]:
    async with two_desks(tmp_path) as opened:
        yield opened


async def escalated(desk: Desk, reason: str = "I need help") -> str:
    started = await desk.engine.start_session(Intake(EVIL, CONNECTION.id, "12352"))
    await desk.engine.escalate_session(started.session.id, reason)
    await desk.escalations.settled()
    return started.session.id


def unnamed(root: QWidget) -> list[str]:
    found = []
    for widget in root.findChildren(QWidget):
        is_control = isinstance(widget, QAbstractButton | QComboBox | QPlainTextEdit)
        if not is_control or not widget.isVisible() or widget.objectName().startswith("qt_"):
            continue
        face = QAccessible.queryAccessibleInterface(widget)
        if not face.text(QAccessible.Text.Name):
            found.append(repr(widget))
    return found


async def test_the_queue_page_is_named_and_plain_and_picks_up_by_keyboard(desks, qtbot: QtBot):
    _, sam, alex = desks
    session_id = await escalated(sam, reason=EVIL)
    model = EscalationsViewModel(alex.engine, alex.escalations)
    page = EscalationsPage(model)
    qtbot.addWidget(page)
    page.resize(760, 600)
    page.show()
    model.refresh()
    await until(lambda: model.entries.rowCount() == 1 and not model.is_refreshing)
    page.queue.list.setFocus()
    page.queue.list.setCurrentIndex(model.entries.index(0))
    QTest.keyClick(page.queue.list, Qt.Key.Key_Return)
    await until(page.pick_up.isVisible)
    assert EVIL.split(">", maxsplit=1)[0] in page.reason.text
    assert unnamed(page) == []
    assert page.pick_up.width() >= page.pick_up.sizeHint().width()
    page.pick_up.setFocus()
    QTest.keyClick(page.pick_up, Qt.Key.Key_Space)
    await until(lambda: not model.is_busy)
    assert (await alex.engine.session(session_id)).session.handler_id == ALEX.id
    await alex.escalations.settled()
    await model.aclose()


async def test_list_and_details_count_the_same_steps_also_when_a_handler_added_some(
    desks, qtbot: QtBot
):
    _, sam, alex = desks
    started = await sam.engine.start_session(Intake("printer", CONNECTION.id, "12352"))
    session_id = started.session.id
    await sam.engine.add_note(session_id, "Looked at the cable")
    await sam.engine.escalate_session(session_id, "No rights")
    await sam.escalations.settled()
    model = EscalationsViewModel(sam.engine, sam.escalations)
    page = EscalationsPage(model)
    qtbot.addWidget(page)
    page.show()
    model.refresh()
    await until(lambda: model.entries.rowCount() == 1 and not model.is_refreshing)
    page.queue.list.chosen.emit(model.entries.rows[0])
    await until(lambda: " · 1 step · " in page.line.text())
    await alex.escalations.refresh()
    row = model.entries.rows[0].escalation
    await alex.engine.pickup_session(row.id)
    for words in ("Restarted the spooler", "Cleared the queue"):
        await alex.engine.add_note(session_id, words)
    await alex.escalations.settled()
    model.refresh()
    await until(lambda: model.entries.rows[0].escalation.steps_appended > 1)
    assert " · 1 step · " in page.line.text()
    assert " · 1 step · " in entry_words(model.entries.rows[0]).subtitle
    await model.aclose()


async def test_offline_the_page_says_so_and_keeps_its_list(desks, qtbot: QtBot):
    team, sam, alex = desks
    await escalated(sam)
    await alex.escalations.refresh()
    team.lines[ALEX.id].away = True
    model = EscalationsViewModel(alex.engine, alex.escalations)
    page = EscalationsPage(model)
    qtbot.addWidget(page)
    page.show()
    model.refresh()
    await until(lambda: isinstance(model.error, QueueUnreachable) and not model.is_refreshing)
    assert "last known state" in page.queue.age.text()
    assert model.entries.rowCount() == 1
    await model.aclose()


async def test_the_escalate_page_is_named_and_asks_for_a_reason(desks, qtbot: QtBot):
    _, sam, _ = desks
    started = await sam.engine.start_session(Intake(EVIL, CONNECTION.id, "12352"))
    model = EscalateViewModel(sam.engine, sam.escalations)
    page = EscalatePage(model, PushViewModel(sam.engine))
    qtbot.addWidget(page)
    page.resize(760, 600)
    page.show()
    model.open(started.session.id)
    await until(lambda: model.preview is not None)
    assert not page.escalate.isEnabled()
    assert "why" in page.words.text()
    QTest.keyClicks(page.reason, "No rights")
    await until(page.escalate.isEnabled)
    assert unnamed(page) == []
    await until(lambda: not model.tasks.names)
    await model.aclose()


async def test_the_settings_say_what_is_wrong_with_an_invitation(desks, qtbot: QtBot):
    _, sam, _ = desks
    model = TeamQueueViewModel(sam.link, sam.events)
    panel = TeamQueuePanel(model)
    qtbot.addWidget(panel)
    panel.show()
    await until(lambda: model.team is not None)
    assert SAM.name in panel.words.text()
    assert unnamed(panel) == []
    await model.aclose()


@pytest.mark.usefixtures("_look")
async def test_the_tray_counts_and_its_menu_works():
    tray = Tray()
    heard: list[object] = []
    tray.open_requested.connect(lambda: heard.append("open"))
    tray.queue_requested.connect(lambda: heard.append("queue"))
    tray.mute_requested.connect(heard.append)
    tray.quiet_hours_requested.connect(lambda: heard.append("quiet"))
    tray.quit_requested.connect(lambda: heard.append("quit"))
    plain = tray.icon.icon().pixmap(64).toImage()
    tray.show_count(3)
    assert tray.icon.toolTip() == "FlowPilot: 3 waiting"
    assert tray.queue.text() == "Escalations (3)"
    assert tray.icon.icon().pixmap(64).toImage() != plain
    for action in (tray.open, tray.queue, tray.mute, tray.quiet, tray.leave):
        action.trigger()
    tray.show_muted(muted=False)
    assert heard == ["open", "queue", True, "quiet", "quit"]
    tray.aclose()


@pytest.mark.usefixtures("_look")
async def test_a_balloon_is_plain_and_a_click_opens_what_it_tells(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    tray = Tray()
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(
        tray.icon, "showMessage", lambda title, text, _: shown.append((title, text))
    )
    monkeypatch.setattr(Tray, "is_shown", True)
    opened: list[object] = []
    tray.alert_opened.connect(opened.append)
    alert = Alert(AlertKind.ARRIVED, "Line\none " * 50, EVIL, "1", can_pick_up=True)
    await tray.notify(alert)
    assert len(shown[0][0]) <= 80
    assert "\n" not in shown[0][0]
    tray.icon.messageClicked.emit()
    assert opened == [alert]
    tray.aclose()


def test_starting_at_login_is_a_file_that_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "autostart" / "flowpilot.desktop"
    words = ('/opt/Flow Pilot/flow"pilot', "--minimized", "100%")
    set_autostart(on=True, arguments=words)
    entry = configparser.RawConfigParser()
    entry.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they stand
    entry.read(path, encoding="utf-8")
    assert tuple(shlex.split(entry["Desktop Entry"]["Exec"].replace("%%", "%"))) == words
    set_autostart(on=False)
    set_autostart(on=False)
    assert not path.exists()

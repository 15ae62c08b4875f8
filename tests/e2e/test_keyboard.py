"""Without a mouse: the main job by keys alone, and every page reachable, named and readable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from flowpilot_desktop.app import Application
from flowpilot_desktop.core.session import (
    Intake,
    Question,
    Response,
    Result,
    SessionStatus,
    Step,
    StepKind,
)
from tests.e2e.driver import Technician, at_the_desk, until
from tests.ui.test_accessibility import cut_off, focusable

TICKET = "12345"
HOPEFUL = ("Worked", "Yes, it holds", "Confirm")
MOST_STOPS = 80
NO_KEYS = Qt.KeyboardModifier.NoModifier
CONTROL = Qt.KeyboardModifier.ControlModifier


def focused() -> QWidget:
    widget = QApplication.focusWidget()
    assert widget is not None, "nothing has the focus"
    return widget


def presses(key: Qt.Key, modifier: Qt.KeyboardModifier = NO_KEYS) -> None:
    QTest.keyClick(focused(), key, modifier)


def shortcut(app: Application, keys: str) -> None:
    """Press a shortcut in the window."""
    QTest.keySequence(app.window, QKeySequence(keys))


def tabs_to(*names: str) -> None:
    """Press Tab until something with one of these names has the focus."""
    seen = []
    for _ in range(MOST_STOPS):
        if focused().accessibleName() in names:
            return
        seen.append(focused().accessibleName())
        presses(Qt.Key.Key_Tab)
    pytest.fail(f"Tab does not lead to {names}, only to {seen}")


async def at_work(technician: Technician) -> None:
    window = technician.app.window
    window.resize(1024, 700)
    window.activateWindow()
    await until(window.isActiveWindow, "an active window")


async def test_from_ticket_to_documented_resolution_without_a_mouse(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        model = app.session_model
        await at_work(technician)
        await until(lambda: app.intake_model.picker.tickets.rowCount() > 3, "tickets")
        shortcut(app, "Ctrl+N")
        assert focused().accessibleName() == "Search tickets"
        QTest.keyClicks(focused(), TICKET)
        rows = app.intake_model.picker.tickets
        await until(lambda: [t.id for t in rows.rows] == [TICKET], "the ticket alone")
        presses(Qt.Key.Key_Return)
        await until(lambda: app.intake_model.ticket is not None, "the chosen ticket")
        assert focused().accessibleName() == "What is going on"
        QTest.keyClicks(focused(), "Only this laptop; webmail works.")
        presses(Qt.Key.Key_Return, CONTROL)
        await until(lambda: app.window.current_page == "session", "the session page")
        await until(technician._open_card_is_shown, "a first card")
        shortcut(app, "Ctrl+L")
        QTest.keyClicks(focused(), "Checked the cable by hand.")
        presses(Qt.Key.Key_Return)
        await until(
            lambda: any(step.kind is StepKind.NOTE for step in _steps(app)), "the step by hand"
        )
        shortcut(app, "Ctrl+P")
        await until(lambda: _status(app) is SessionStatus.PAUSED, "the pause")
        shortcut(app, "Ctrl+P")
        await until(lambda: _status(app) is SessionStatus.ACTIVE, "the work")
        for _ in range(25):
            await until(technician._open_card_is_shown, "an open card")
            view = model.view
            assert view is not None
            if view.is_verified:
                break
            assert view.open_step is not None
            before, body = view, view.open_step.body
            shortcut(app, "Ctrl+J")
            names = (body.options[0].label,) if isinstance(body, Question) else HOPEFUL
            tabs_to(*names)
            presses(Qt.Key.Key_Space)
            await until(lambda before=before: _moved_on(app, before), "the answer")  # type: ignore[misc]  # mypy can't infer it
            if model.view is not None and model.view.is_verified:
                break
        shortcut(app, "Ctrl+R")
        await until(lambda: app.resolve_model.preview is not None, "the preview")
        tabs_to("Solution in a sentence")
        QTest.keyClicks(focused(), " Work Offline was on.")
        await until(lambda: app.resolve_model.can_resolve, "a complete page")
        await until(lambda: "Work Offline was on." in app.resolve_model.note, "the note to follow")
        tabs_to("Resolve")
        presses(Qt.Key.Key_Space)
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        shortcut(app, "Ctrl+F")
        assert app.window.current_page == "history"
        await until(lambda: app.history_model.sessions.rowCount() == 1, "the session in history")


def _steps(app: Application) -> tuple[Step, ...]:
    view = app.session_model.view
    return view.steps if view is not None else ()


def _status(app: Application) -> SessionStatus | None:
    view = app.session_model.view
    return view.session.status if view is not None else None


def _moved_on(app: Application, before: object) -> bool:
    model = app.session_model
    return model.view is not before and not model.is_busy and not model.is_thinking


# --- every page ------------------------------------------------------------------------------

Visit = Callable[[Technician], Awaitable[None]]


async def a_session(technician: Technician) -> str:
    engine = technician.app.desk.engine
    connection = technician.app.intake_model.picker.connection_id
    started = await engine.start_session(Intake("Webmail works.", connection, TICKET))
    step = await engine.ask_verification(started.session.id)
    await engine.respond(started.session.id, step.id, Response(result=Result.WORKED))
    return started.session.id


async def intake(technician: Technician) -> None:
    app = technician.app
    app.new_session()
    await until(lambda: app.intake_model.picker.tickets.rowCount() > 3, "tickets")


async def intake_with_a_ticket(technician: Technician) -> None:
    await intake(technician)
    app = technician.app
    app.intake_model.choose(next(t for t in app.intake_model.picker.tickets.rows if t.id == TICKET))
    await technician.reads(f"Start Session with Ticket #{TICKET}")


async def link(technician: Technician) -> None:
    app = technician.app
    app._open_link(await a_session(technician))
    await until(lambda: app.link_model.tickets.rowCount() > 3, "tickets")


async def resolve(technician: Technician) -> None:
    app = technician.app
    app._open_resolve(await a_session(technician))
    await until(lambda: app.resolve_model.preview is not None, "the preview")


async def history(technician: Technician) -> None:
    app = technician.app
    session = await a_session(technician)
    app.window.show_page("history")
    await until(lambda: app.history_model.sessions.rowCount() > 0, "the history")
    app.history_model.choose(session)
    await until(lambda: app.history_model.chosen is not None, "the details")


async def welcome(technician: Technician) -> None:
    technician.app.set_up()


def settings(section: str) -> Visit:
    async def visit(technician: Technician) -> None:
        technician.app.window.show_page("settings")
        technician.app.settings_page.show_section(section)

    return visit


SECTIONS = ("You", "Appearance", "Integrations", "Claude", "Team queue", "Alerts", "System")
PAGES: dict[str, Visit] = {
    "intake": intake,
    "intake-ticket": intake_with_a_ticket,
    "link": link,
    "resolve": resolve,
    "history": history,
    "welcome": welcome,
    **{f"settings-{section}": settings(section) for section in SECTIONS},
}


async def settled(technician: Technician) -> None:
    """Wait until the layout stands still."""
    window = technician.app.window
    former: object = None
    still = 0

    def is_still() -> bool:
        nonlocal former, still
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        now = [(w.geometry(), w.isVisible()) for w in window.findChildren(QWidget)]
        still = still + 1 if now == former else 0
        former = now
        return still > 5

    await until(is_still, "a layout that stands still")


@pytest.mark.parametrize("scale", [1.0, 1.5])
@pytest.mark.parametrize("page", PAGES)
async def test_every_page_is_named_reachable_and_readable(tmp_path, page, scale):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        app.theme.show(text_scale=scale)
        await at_work(technician)
        await PAGES[page](technician)
        await settled(technician)
        nameless = [
            f"{type(widget).__name__} in {type(widget.parent()).__name__}"
            for widget in _focusable(app)
            if not widget.accessibleName()
        ]
        assert not nameless
        assert cut_off(app.window) == []
        wanted = {widget for widget in _focusable(app) if widget.isEnabled()}
        seen: set[QWidget] = set()
        for _ in range(2 * len(wanted) + 20):
            presses(Qt.Key.Key_Tab)
            seen.add(focused())
        missing = [w.accessibleName() for w in wanted - seen]
        assert not missing


def _focusable(app: Application) -> Iterator[QWidget]:
    """What Tab should reach: fields of a spin box belong to it, a list of rows is one stop."""
    for widget in focusable(app.window):
        name = widget.objectName()
        if name.startswith("qt_"):
            continue
        yield widget


async def test_without_a_psa_the_words_have_the_focus(tmp_path):
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        await at_work(technician)
        shortcut(app, "Ctrl+N")
        assert focused().accessibleName() == "What is going on"
        QTest.keyClicks(focused(), "Printer offline")
        presses(Qt.Key.Key_Return, CONTROL)
        await until(technician._open_card_is_shown, "a first card")


async def test_each_page_of_the_navigation_has_a_key(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await at_work(technician)
        for name in ("history", "sessions", "settings"):
            keys = app.actions[f"page.{name}"].shortcut().toString()
            assert keys
            shortcut(app, keys)
            assert app.window.current_page == name


async def test_the_list_of_tickets_takes_the_room_there_is(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        page = technician.app.intake_page
        await intake(technician)
        await settled(technician)
        lowest = max(page.words_panel.geometry().bottom(), page.before_panel.geometry().bottom())
        column = page.words_panel.parentWidget()
        assert column is not None
        assert column.height() - lowest < technician.app.theme.px(40)
        assert page.picker.list.height() > technician.app.theme.px(240)


@pytest.mark.parametrize("page", PAGES)
async def test_the_focus_can_be_seen_wherever_it_goes(tmp_path, page):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await at_work(technician)
        await PAGES[page](technician)
        await settled(technician)
        unseen = set()
        for _ in range(MOST_STOPS):
            widget = focused()
            having = widget.grab().toImage()
            presses(Qt.Key.Key_Tab)
            if focused() is not widget and widget.isVisible() and widget.grab().toImage() == having:
                unseen.add(f"{type(widget).__name__} “{widget.accessibleName()}”")
        assert not unseen

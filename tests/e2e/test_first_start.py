"""The first start: a short set-up by keys alone, skippable, and only once."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from flowpilot_desktop.app import Application
from flowpilot_desktop.core.errors import CredentialsUnavailable
from flowpilot_desktop.core.events import System
from flowpilot_desktop.viewmodels.welcome import WelcomeStep
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.http_server import HttpServer


@pytest.fixture
def site() -> Iterator[tuple[ConnectWiseSite, str]]:
    connectwise = ConnectWiseSite()
    with HttpServer(connectwise) as server:
        yield connectwise, server.url


@pytest.fixture
def claude() -> Iterator[ClaudeSimulator]:
    with ClaudeSimulator() as simulator:
        yield simulator


def focused() -> QWidget:
    widget = QApplication.focusWidget()
    assert widget is not None
    return widget


def types(*texts: str) -> None:
    """Type each text into the focused field and go to the next one with Tab."""
    for place, text in enumerate(texts):
        if place:
            QTest.keyClick(focused(), Qt.Key.Key_Tab)
        QTest.keyClick(focused(), Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(focused(), text)


def enters() -> None:
    QTest.keyClick(focused(), Qt.Key.Key_Return)


def step_of(app: Application) -> WelcomeStep:
    return app.welcome_model.step


async def shows(app: Application, step: WelcomeStep) -> None:
    await until(
        lambda: (
            app.welcome_model.step is step
            and app.window.current_page == "welcome"
            and app.welcome_page.isAncestorOf(focused())
        ),
        f"the step {step.value}",
    )


async def active(technician: Technician) -> None:
    technician.app.window.activateWindow()
    await until(technician.app.window.isActiveWindow, "an active window")
    technician.app.welcome_page.focus_step()


async def test_the_whole_set_up_by_keys_alone(tmp_path, site, claude):
    _, url = site
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        await app.settings.change(type(app.settings).model_base_url, claude.url)
        await active(technician)
        await shows(app, WelcomeStep.YOU)
        types("Jordan Blake", "jordan@harborpine.example")
        enters()
        await shows(app, WelcomeStep.PSA)
        types(url, COMPANY_ID, PUBLIC_KEY, "wrong")
        enters()
        await until(lambda: app.settings_model.psa_error is not None, "the refusal")
        assert step_of(app) is WelcomeStep.PSA
        types(PRIVATE_KEY)
        enters()
        await shows(app, WelcomeStep.MODEL)
        assert technician.sees("✓ ConnectWise")
        types("sk-ant-wrong")
        enters()
        await until(lambda: app.settings_model.model_error is not None, "the refusal")
        await until(lambda: not app.welcome_model.is_busy, "another chance")
        assert step_of(app) is WelcomeStep.MODEL
        types(claude.key)
        enters()
        await shows(app, WelcomeStep.QUEUE)
        assert technician.sees("✓ Claude")
        while focused() is not app.welcome_page.next:
            QTest.keyClick(focused(), Qt.Key.Key_Tab)
        QTest.keyClick(focused(), Qt.Key.Key_Space)
        await until(lambda: app.window.current_page == "sessions", "the intake")
        assert app.settings.engineer.name == "Jordan Blake"
        assert app.settings.engineer.email == "jordan@harborpine.example"
        await until(lambda: app.intake_model.picker.tickets.rowCount() > 0, "tickets")
        mapping = app.settings_model.mapping
        assert mapping is not None
        assert mapping.member_identifier == "jblake"
    async with at_the_desk(tmp_path) as technician:
        assert technician.app.window.current_page == "sessions"


async def test_it_is_skipped_at_once_and_does_not_come_back(tmp_path):
    async with at_the_desk(tmp_path) as technician:
        await technician.reads("Welcome to FlowPilot")
        await technician.reads("ConnectWise: not set up")
        await technician.clicks("Skip the set-up")
        await until(lambda: technician.app.window.current_page == "sessions", "the intake")
    async with at_the_desk(tmp_path) as technician:
        assert technician.app.window.current_page == "sessions"
        technician.app.actions["welcome"].trigger()
        await technician.reads("Welcome to FlowPilot")


async def test_unfinished_it_comes_again_and_each_step_can_be_skipped(tmp_path):
    async with at_the_desk(tmp_path) as technician:
        await technician.clicks("Next")
        await technician.clicks("Skip this step")
        assert step_of(technician.app) is WelcomeStep.MODEL
    async with at_the_desk(tmp_path) as technician:
        assert technician.app.window.current_page == "welcome"
        await technician.clicks("Next")
        await technician.clicks("Back")
        for words in ("Next", "Skip this step", "Skip this step", "Skip and start"):
            await technician.clicks(words)
        await until(lambda: technician.app.window.current_page == "sessions", "the intake")


async def test_a_missing_right_is_told_before_going_on(tmp_path, site):
    connectwise, url = site
    connectwise.deny("POST", "time/entries")
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        await technician.clicks("Next")
        await technician.types("ConnectWise site", url)
        await technician.types("ConnectWise company id", COMPANY_ID)
        await technician.types("Public key", PUBLIC_KEY)
        await technician.types("Private key", PRIVATE_KEY)
        await technician.clicks("Test ConnectWise")
        await technician.reads("Time & Expense → Time Entry: Add")
        assert app.settings_model.connection is None  # a test keeps nothing
        await technician.clicks("Next")
        await until(lambda: app.settings_model.connection is not None, "the connection")
        await technician.reads("Time & Expense → Time Entry: Add")
        assert step_of(app) is WelcomeStep.PSA
        await until(lambda: not app.welcome_model.is_busy, "an idle page")
        await technician.clicks("Next")
        assert step_of(app) is WelcomeStep.MODEL


async def test_a_try_that_fails_leaves_the_focus_where_it_was(tmp_path):
    async with at_the_desk(tmp_path) as technician:
        app, page = technician.app, technician.app.welcome_page
        await active(technician)
        enters()
        await shows(app, WelcomeStep.PSA)
        types("http://127.0.0.1:9", "acme", "public", "private")
        for button in (page.psa_test, page.next):
            button.setFocus()
            enters()
            await until(lambda: not button.isEnabled(), "the try")  # noqa: B023
            await until(button.isEnabled, "its end")
            assert focused() is button
        told = page.psa_words.text()
        assert told.startswith("No connection to ConnectWise. You can go on")
        assert step_of(app) is WelcomeStep.PSA


async def test_the_practice_company_needs_no_set_up(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        assert technician.app.window.current_page == "sessions"


async def test_a_key_that_the_keyring_does_not_take_stays_in_its_field(
    tmp_path, claude, monkeypatch
):
    async with at_the_desk(tmp_path) as technician:
        app = technician.app
        page, model = app.welcome_page, app.settings_model
        await app.settings.change(type(app.settings).model_base_url, claude.url)
        await technician.reads("Claude: no key set")
        await technician.clicks("Next")
        await technician.clicks("Skip this step")
        keyring = app.desk.secrets

        async def refuses(name: str, secret: str) -> None:
            raise CredentialsUnavailable("The keyring is locked.", hint="Unlock it.")

        with monkeypatch.context() as locked:
            locked.setattr(keyring, "write", refuses)
            for words in ("Next", "Keep and test the key"):
                page.key.clear()
                await technician.types("Claude key", claude.key)
                await technician.clicks(words)
                await technician.reads("The keyring is locked.")
                await until(lambda: not app.welcome_model.is_busy, "another chance")
                assert page.key.text() == claude.key
                assert step_of(app) is WelcomeStep.MODEL
                model.model_error = None
        assert app.window.systems._states[System.MODEL].toolTip().endswith("by flow.")
        await technician.clicks("Keep and test the key")
        await technician.reads("The key works")
        assert page.key.text() == ""
        await technician.reads("Claude: not tried yet")


async def test_the_way_from_a_missing_key_is_a_click(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await technician.clicks("Claude: no key set")
        assert technician.app.window.current_page == "settings"
        await technician.reads("Without a key, sessions go on by flow and by hand.")

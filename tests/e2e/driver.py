"""A technician at the window: finds what is visible, clicks it, types, and waits for what follows.

Everything goes through real mouse and key events on real widgets; what is hidden or disabled can't
be clicked, as for a person. Waiting is for a condition, with a limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from flowpilot_desktop.app import Application
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.controls import Badge
from flowpilot_desktop.ui.shell import Shell
from flowpilot_desktop.ui.window import MainWindow

LIMIT = 20.0
W = TypeVar("W", bound=QWidget)


async def until(condition: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    """Wait until the condition holds; say what was waited for when it never does."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited {limit:.0f} s in vain for {what}"
        await asyncio.sleep(0.01)


class Technician:
    """Hands and eyes."""

    def __init__(self, app: Application) -> None:
        self.app = app

    @property
    def view(self) -> SessionView:
        """What the session page shows."""
        view = self.app.session_model.view
        assert view is not None
        return view

    def _visible(self, kind: type[W]) -> list[W]:
        return [widget for widget in self.app.window.findChildren(kind) if widget.isVisible()]

    def sees(self, words: str) -> bool:
        """Return whether the words are on the screen."""
        texts = [label.text() for label in self._visible(QLabel)]
        texts += [edit.toPlainText() for edit in self._visible(QPlainTextEdit)]
        texts += [button.text() for button in self._visible(QAbstractButton)]
        texts += [badge.text for badge in self._visible(Badge)]
        return any(words in text.replace("\u200b", "") for text in texts)

    async def reads(self, words: str) -> None:
        """Wait until the words are on the screen."""
        await until(lambda: self.sees(words), f"“{words}” on the screen")

    def _buttons(self, words: str) -> list[QAbstractButton]:
        return [
            button
            for button in self._visible(QAbstractButton)
            if button.isEnabled()
            and words in (button.text().replace("&&", "&"), button.accessibleName())
        ]

    async def clicks(self, words: str) -> None:
        """Click the button with these words, the last one when there are several."""
        await until(lambda: self._buttons(words), f"a button “{words}”")
        QTest.mouseClick(self._buttons(words)[-1], Qt.MouseButton.LeftButton)

    def _field(self, name: str) -> QWidget | None:
        fields = [*self._visible(QLineEdit), *self._visible(QPlainTextEdit)]
        found = [field for field in fields if field.accessibleName() == name and field.isEnabled()]
        return found[-1] if found else None

    async def types(self, name: str, text: str) -> None:
        """Type into the field with this name."""
        await until(lambda: self._field(name), f"a field “{name}”")
        field = self._field(name)
        assert field is not None
        QTest.mouseClick(
            field.viewport() if isinstance(field, QPlainTextEdit) else field,
            Qt.MouseButton.LeftButton,
        )
        QTest.keyClicks(field, text)

    async def enters(self, name: str) -> None:
        """Press Enter in the field with this name."""
        field = self._field(name)
        assert field is not None
        QTest.keyClick(field, Qt.Key.Key_Return)

    async def answers(self, kinds: tuple[str, ...]) -> str:
        """Answer the open card by a click; return which of its buttons was clicked."""
        before = self.app.session_model.view
        await until(self._open_card_is_shown, "an open card")
        words = next(words for words in kinds if self._buttons(words))
        await self.clicks(words)
        await until(lambda: self.app.session_model.view is not before, "the answer on the screen")
        return words

    def _open_card_is_shown(self) -> bool:
        model = self.app.session_model
        is_ready = model.view is not None and model.view.open_step is not None
        return is_ready and not model.is_busy and not model.is_thinking


class _SecondShell(Shell):
    """A window of its own with the look of another."""

    def __init__(self, folder: Path, other: Application) -> None:
        self.events = Events()
        self.settings = Settings(folder, self.events)
        self.theme = other.theme
        self.actions = Actions(other.qt)
        self.window = MainWindow(theme=self.theme, actions=self.actions, folder=folder)


@asynccontextmanager
async def at_the_desk(
    folder: Path,
    *,
    demo: bool = False,
    profile: Profile | None = None,
    beside: Technician | None = None,
) -> AsyncIterator[Technician]:
    """Open the real application on a profile; leaving the block quits it.

    ``beside`` is who sits there already: two windows of one process share its look.
    """
    qt = QApplication.instance()
    assert isinstance(qt, QApplication)
    profile = profile or Profile(folder, is_demo=demo, latency=0.0)
    shell = None if beside is None else _SecondShell(profile.folder, beside.app)
    app = Application(qt, profile, shell)
    try:
        app.window.resize(1280, 860)
        await app.open()
        yield Technician(app)
    finally:
        await app.aclose()
        await asyncio.sleep(0)

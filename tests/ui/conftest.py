"""What tests of the screens share: the theme, and waiting for a condition on the real loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.ui.cards import card
from flowpilot_desktop.ui.theme import Appearance, Theme


@pytest.fixture(scope="session")
def _theme(qapp: QApplication) -> Theme:
    return Theme(qapp, Appearance.DARK)


@pytest.fixture
def theme(_theme: Theme) -> Iterator[Theme]:
    """The application's theme, dark and at its usual size before and after."""
    yield _theme
    _theme.show(Appearance.DARK, 1.0)


@pytest.fixture(autouse=True)
def _settled_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets new cards take keys at once; the test of this delay brings it back."""
    monkeypatch.setattr(card, "SETTLING_MS", 0)


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until a condition holds, letting the loop turn."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, no event of its own
            await asyncio.sleep(0)

"""What the intake page keeps of what is typed: all of it, until a session has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.services.engine import SessionStarted
from flowpilot_desktop.viewmodels import drafts
from flowpilot_desktop.viewmodels.intake import IntakeViewModel
from tests.services.desk import Desk, open_desk
from tests.ui.conftest import until


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
async def model(desk: Desk) -> AsyncIterator[IntakeViewModel]:
    made = IntakeViewModel(desk.engine)
    yield made
    await made.aclose()


async def test_typing_on_without_a_pause_is_saved(
    desk: Desk, model: IntakeViewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "DRAFT_DELAY", 0.02)
    async with asyncio.timeout(5):
        typed = ""
        while not await desk.engine.drafts(""):
            typed += "x"
            model.set_text(typed)  # a key at every look: never a pause


async def test_a_quit_right_after_a_key_keeps_it(desk: Desk) -> None:
    model = IntakeViewModel(desk.engine)
    model.set_text("The printer is offline")
    await model.aclose()
    assert await desk.engine.drafts("") == {"intake": "The printer is offline"}


@pytest.mark.parametrize(
    ("typed", "stays"),
    [
        ("The printer is offline", ""),
        ("The printer is offline. Since the update", ". Since the update"),
        ("Another problem", "Another problem"),
    ],
)
async def test_only_what_the_session_started_with_is_cleared(
    desk: Desk, model: IntakeViewModel, monkeypatch: pytest.MonkeyPatch, typed: str, stays: str
) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()
    start = desk.engine.start_session

    async def slow(wanted: Intake) -> SessionStarted:
        begun.set()
        await gate.wait()
        return await start(wanted)

    monkeypatch.setattr(desk.engine, "start_session", slow)
    started: list[str] = []
    model.started.connect(started.append)
    model.set_text("The printer is offline")
    model.start()
    await begun.wait()
    model.set_text(typed)
    gate.set()
    await until(lambda: started and not model.is_starting)
    assert (await desk.engine.session(started[0])).session.intake.text == "The printer is offline"
    assert model.text == stays
    await model.aclose()
    assert await desk.engine.drafts("") == ({"intake": stays} if stays else {})

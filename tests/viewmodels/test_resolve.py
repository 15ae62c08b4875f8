"""What the resolve page keeps: typed text and choices, on the disk while they are still made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import FlowPilotError, StoreFull
from flowpilot_desktop.core.push import NoteVisibility
from flowpilot_desktop.core.session import Intake, Response, Result
from flowpilot_desktop.viewmodels import closing
from flowpilot_desktop.viewmodels.resolve import SUMMARY, ResolveViewModel
from tests.services.desk import CONNECTION, Desk, open_desk
from tests.ui.conftest import until

PRINTER = "12352"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
async def model(desk: Desk) -> AsyncIterator[ResolveViewModel]:
    made = ResolveViewModel(desk.engine)
    yield made
    await made.aclose()


async def verified(desk: Desk, ticket: str = "") -> str:
    connection = CONNECTION.id if ticket else ""
    started = await desk.engine.start_session(Intake("printer offline", connection, ticket))
    session_id = started.session.id
    step = await desk.engine.ask_verification(session_id)
    await desk.engine.respond(session_id, step.id, Response(result=Result.WORKED))
    return session_id


async def opened(model: ResolveViewModel, session_id: str) -> None:
    model.open(session_id)
    await until(lambda: model.preview is not None and not model.tasks.names)


async def test_choices_come_back_after_a_look_elsewhere(
    desk: Desk, model: ResolveViewModel
) -> None:
    session_id = await verified(desk, PRINTER)
    await opened(model, session_id)
    model.set_minutes(45)
    model.set_push(False)
    model.set_visibility(NoteVisibility.INTERNAL_AND_EXTERNAL)
    other = await verified(desk)
    await opened(model, other)  # at once: nothing waits for a pause
    assert model.minutes is None
    await opened(model, session_id)
    assert (model.shown_minutes, model.will_push) == (45, False)
    assert model.visibility is NoteVisibility.INTERNAL_AND_EXTERNAL


async def test_choices_that_cannot_be_read_are_left_out(
    desk: Desk, model: ResolveViewModel
) -> None:
    session_id = await verified(desk, PRINTER)
    for kept in ("{", "[]", '{"push": true}', "null"):
        await desk.engine.save_draft(session_id, "resolve.choices", kept)
        await opened(model, session_id)
        assert model.minutes is None
        assert model.push is None


async def test_typing_on_without_a_pause_is_saved(
    desk: Desk, model: ResolveViewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "DRAFT_DELAY", 0.02)
    session_id = await verified(desk)
    await opened(model, session_id)
    async with asyncio.timeout(5):
        typed = ""
        while SUMMARY not in await desk.engine.drafts(session_id):
            typed += "x"
            model.set_summary(typed)  # a key at every look: never a pause


async def test_a_quit_right_after_a_key_keeps_it(desk: Desk) -> None:
    session_id = await verified(desk)
    model = ResolveViewModel(desk.engine)
    await opened(model, session_id)
    model.set_summary("Replaced the fuser")
    await model.aclose()
    assert (await desk.engine.drafts(session_id))[SUMMARY] == "Replaced the fuser"


async def test_no_draft_outlives_the_resolve(desk: Desk, model: ResolveViewModel) -> None:
    session_id = await verified(desk)
    await opened(model, session_id)
    model.set_summary("The password is hunter2")
    model.resolve()
    await until(lambda: model.closing is not None and not model.tasks.names)
    model.set_summary("typed after the end")
    await model.aclose()
    assert await desk.engine.drafts(session_id) == {}


async def test_a_resolve_that_fails_keeps_what_was_typed(
    desk: Desk, model: ResolveViewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = await verified(desk)
    await opened(model, session_id)

    async def full(*_: object) -> FlowPilotError:
        raise StoreFull

    monkeypatch.setattr(desk.engine, "resolve_session", full)
    model.set_summary("Replaced the fuser")
    model.resolve()
    await until(lambda: model.error is not None and not model.is_closing)
    await model.aclose()
    assert (await desk.engine.drafts(session_id))[SUMMARY] == "Replaced the fuser"

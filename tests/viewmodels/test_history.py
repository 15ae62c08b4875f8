"""The list of sessions keeps its length when one of them changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.history import SessionFilter
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.viewmodels import history
from flowpilot_desktop.viewmodels.history import HistoryViewModel
from tests.services.desk import Desk, open_desk
from tests.ui.conftest import until


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
async def model(desk: Desk) -> AsyncIterator[HistoryViewModel]:
    made = HistoryViewModel(desk.engine)
    yield made
    await made.aclose()


async def test_a_change_leaves_the_list_as_long_as_it_was(
    desk: Desk, model: HistoryViewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 3)
    ids = [
        (await desk.engine.start_session(Intake(f"problem {number}"))).session.id
        for number in range(8)
    ]
    model.show()
    await until(lambda: not model.tasks.names)
    model.more()
    await until(lambda: not model.tasks.names)
    assert len(model.sessions.rows) == 6
    await desk.engine.pause_session(ids[-1])
    await until(lambda: not model.tasks.names)
    assert len(model.sessions.rows) == 6
    assert model.has_more
    model.more()
    await until(lambda: not model.tasks.names)
    assert len(model.sessions.rows) == 8
    assert not model.has_more
    model.filter_by(SessionFilter.OPEN)  # another list begins at its beginning
    await until(lambda: not model.tasks.names)
    assert len(model.sessions.rows) == 3

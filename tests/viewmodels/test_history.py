"""The list of sessions keeps its length when one of them changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.history import SessionFilter, TicketListing
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.viewmodels import history
from flowpilot_desktop.viewmodels.history import HistoryViewModel
from tests.services.desk import CONNECTION, Desk, open_desk
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


async def settled(model: HistoryViewModel) -> None:
    await until(lambda: not model.tasks.names, 20)


def shown(model: HistoryViewModel) -> list[str]:
    return [row.session.problem_summary for row in model.sessions.rows]


async def test_the_list_is_narrowed_to_client_device_and_error(
    desk: Desk, model: HistoryViewModel
) -> None:
    for ticket in ("12345", "12352"):
        await desk.engine.start_session(Intake("", CONNECTION.id, ticket))
    await desk.engine.start_session(Intake("PRN-LOBBY-2 says 0x8004010F cannot open the mailbox"))
    model.show()
    await settled(model)
    assert len(model.sessions.rows) == 3
    assert len(model.clients) == 2
    model.narrow(client=model.clients[0])
    await settled(model)
    assert [row.session.company for row in model.sessions.rows] == [model.clients[0]]
    model.narrow(client="", device="prn-lob")
    await settled(model)
    assert shown(model) == ["PRN-LOBBY-2 says 0x8004010F cannot open the mailbox"]
    model.narrow(device="", error="cannot open the mail")
    await settled(model)
    assert len(model.sessions.rows) == 1
    model.filter_by(SessionFilter.PAUSED)
    model.search("prn")
    await settled(model)
    assert model.empty_words == (
        "No paused session has “prn” and the error “cannot open the mail”."
    )
    model.widen()
    await settled(model)
    assert model.empty_words == "Nothing is paused."
    assert not model.is_asked
    model.filter_by(SessionFilter.ALL)
    await settled(model)
    assert len(model.sessions.rows) == 3


async def test_tickets_that_were_read_are_found_with_the_sessions(
    desk: Desk, model: HistoryViewModel
) -> None:
    context, _, _ = await desk.tickets.context(CONNECTION.id, "12345")
    assert context is not None
    model.show()
    await settled(model)
    assert model.tickets.rows == ()
    model.search(context.ticket.summary)
    await settled(model)
    assert model.empty_words.endswith("These tickets do.")
    found: list[TicketListing] = list(model.tickets.rows)
    assert len(found) == 1
    model.choose_ticket(found[0])
    await settled(model)
    assert model.chosen_ticket == context
    session = (await desk.engine.start_session(Intake("printer"))).session
    model.choose(session.id)
    await settled(model)
    assert model.chosen_ticket is None


async def test_what_is_typed_on_is_read_once(
    desk: Desk, model: HistoryViewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    sessions = desk.engine.sessions

    async def listening(which, search="", *rest):
        asked.append(search)
        return await sessions(which, search, *rest)

    monkeypatch.setattr(desk.engine, "sessions", listening)
    for end in range(1, 8):
        model.search("printer"[:end])
        model.narrow(device="srv-dc01"[:end])
    await settled(model)
    assert asked == ["printer"]

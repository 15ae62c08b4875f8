"""What the hand-off's screens know, on two real desks and without a widget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import AlreadyPickedUp, QueueNotOpen, QueueUnreachable
from flowpilot_desktop.core.escalation import EscalationFilter
from flowpilot_desktop.core.session import Intake, SessionStatus
from flowpilot_desktop.services.queue import INVITATION_NAME
from flowpilot_desktop.viewmodels.escalate import EscalateViewModel
from flowpilot_desktop.viewmodels.escalations import EscalationsViewModel
from flowpilot_desktop.viewmodels.team_queue import TeamQueueViewModel
from tests.services.desk import CONNECTION, Desk, open_desk
from tests.services.team import ALEX, KIM, SAM, Team, two_desks

PRINTER = "12352"


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[tuple[Team, Desk, Desk]]:
    async with two_desks(tmp_path) as opened:
        yield opened


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0)


async def opened(desk: Desk) -> tuple[str, EscalateViewModel]:
    started = await desk.engine.start_session(Intake("", CONNECTION.id, PRINTER))
    model = EscalateViewModel(desk.engine, desk.escalations)
    model.open(started.session.id)
    await until(lambda: model.preview is not None)
    return started.session.id, model


async def escalated(desk: Desk) -> str:
    session_id, model = await opened(desk)
    await desk.engine.escalate_session(session_id, "I need help")
    await desk.escalations.settled()
    await model.aclose()
    return session_id


async def test_a_reason_is_required_and_stands_in_the_note(desks):
    _, sam, _ = desks
    session_id, model = await opened(sam)
    assert not model.can_escalate
    assert model.escalate_label == "Escalate & Update Ticket"
    model.set_push(push=False)
    assert model.escalate_label == "Escalate"
    model.set_reason("No rights on the server")
    await until(lambda: "No rights on the server" in model.note)
    assert model.hand_off is not None
    assert model.can_escalate
    model.escalate()
    model.escalate()
    await until(lambda: model.closing is not None)
    assert (await sam.engine.session(session_id)).session.status is (
        SessionStatus.REQUESTING_ESCALATION
    )
    await sam.escalations.settled()
    await model.aclose()


async def test_the_reason_survives_leaving_the_page(desks):
    _, sam, _ = desks
    session_id, model = await opened(sam)
    model.set_reason("Half a thought")
    await until(lambda: not model.tasks.names)
    assert (await sam.engine.drafts(session_id))["escalate.reason"] == "Half a thought"
    model.open(session_id)
    await until(lambda: model.reason == "Half a thought")
    await model.aclose()


async def test_nobody_can_assign_to_themselves(desks):
    _, sam, alex = desks
    await sam.escalations.refresh()
    _, model = await opened(sam)
    names = {one.name for one in model.members}
    assert names == {alex.me.name}
    model.assign(model.members[0].id)
    assert model.assign_to == model.members[0].id
    await model.aclose()


async def test_without_a_queue_the_page_says_where_to_set_it_up(tmp_path):
    async with open_desk(tmp_path) as desk:
        _, model = await opened(desk)
        assert isinstance(model.queue_error, QueueNotOpen)
        model.set_reason("why")
        assert not model.can_escalate
        await model.aclose()


async def test_the_list_its_filters_its_count_and_a_pickup(desks):
    _, sam, alex = desks
    session_id = await escalated(sam)
    model = EscalationsViewModel(alex.engine, alex.escalations)
    taken: list[str] = []
    model.picked_up.connect(taken.append)
    model.refresh()
    await until(lambda: model.waiting == 1)
    model.filter_by(EscalationFilter.MINE)
    await until(lambda: model.entries.rowCount() == 0)
    assert model.waiting == 1
    model.filter_by(EscalationFilter.UNASSIGNED)
    await until(lambda: model.entries.rowCount() == 1)
    model.choose(model.entries.rows[0].escalation.id)
    model.set_read_back("I take it; next: the driver")
    model.pick_up()
    model.pick_up()
    await until(lambda: taken)
    assert taken == [session_id]
    await until(lambda: not model.is_busy and model.waiting == 0)
    await alex.escalations.settled()
    await model.aclose()


async def test_the_loser_and_the_offline_read_why_and_can_try_again(desks):
    team, sam, alex = desks
    await escalated(sam)
    async with team.desk(KIM) as kim:
        model = EscalationsViewModel(kim.engine, kim.escalations)
        model.refresh()
        await until(lambda: model.entries.rowCount() == 1)
        model.choose(model.entries.rows[0].escalation.id)
        team.lines[KIM.id].away = True
        model.pick_up()
        await until(lambda: isinstance(model.error, QueueUnreachable) and not model.is_busy)
        team.lines[KIM.id].away = False
        await alex.escalations.refresh()
        await alex.engine.pickup_session(model.chosen_id)
        model.pick_up()
        await until(lambda: isinstance(model.error, AlreadyPickedUp) and not model.is_busy)
        assert model.error is not None
        assert ALEX.name in model.error.message
        await alex.escalations.settled()
        await model.aclose()


async def test_offline_the_last_known_state_says_how_old_it_is(desks):
    team, sam, alex = desks
    await escalated(sam)
    await alex.escalations.refresh()
    seen = team.clock.now()
    team.lines[ALEX.id].away = True
    team.clock.advance(minutes=40)
    model = EscalationsViewModel(alex.engine, alex.escalations)
    model.refresh()
    await until(lambda: model.picture is not None and model.picture.error is not None)
    assert model.picture is not None
    assert model.picture.as_of == seen
    assert model.entries.rowCount() == 1
    await model.aclose()


async def test_the_settings_join_test_and_leave(desks):
    team, sam, _ = desks
    del sam.secrets.kept[INVITATION_NAME]
    model = TeamQueueViewModel(sam.link, sam.events)
    model.open()
    model.join()
    await until(lambda: model.error is not None and not model.is_busy)
    model.set_token(" a to\nken ")
    model.join()
    await until(lambda: model.is_set_up and not model.is_busy)
    assert sam.secrets.kept[INVITATION_NAME] == "atoken"
    assert SAM.name in {one.name for one in model.members}
    team.lines[SAM.id].away = True
    model.test()
    await until(lambda: isinstance(model.error, QueueUnreachable))
    model.leave()
    await until(lambda: not model.is_set_up and not model.is_busy)
    assert INVITATION_NAME not in sam.secrets.kept
    await model.aclose()

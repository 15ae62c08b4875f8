"""The hand-off between two desks: real stores, the practice queue, the practice company."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from flowpilot_desktop.core.errors import (
    AlreadyPickedUp,
    ClaimLost,
    CredentialsUnavailable,
    InvalidInput,
    ModelError,
    ModelUnavailable,
    NotAllowed,
    QueueNotOpen,
    QueueUnreachable,
    TransitionRefused,
)
from flowpilot_desktop.core.escalation import (
    EscalationFilter,
    EscalationState,
    OperationState,
)
from flowpilot_desktop.core.events import SettingsChanged
from flowpilot_desktop.core.ports import (
    BriefingDraft,
    Consultation,
    ModelDescription,
    StepProgress,
)
from flowpilot_desktop.core.push import PushKind, PushState, TimePayload
from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    BRIEFING_FRESH,
    Briefing,
    Intake,
    Question,
    Response,
    Result,
    SessionStatus,
    Source,
    Step,
    StepDraft,
    StepKind,
    Usage,
)
from flowpilot_desktop.core.stops import are_near_identical
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.registry import ModelSettings
from flowpilot_desktop.services.engine import Closing
from flowpilot_desktop.services.escalations import QueueEntry
from flowpilot_desktop.services.queue import INVITATION_NAME, SETTING
from tests.clock import VirtualClock
from tests.services.desk import CONNECTION, Desk, any_answer, diagnose, open_desk
from tests.services.mind import PATIENT
from tests.services.team import ALEX, KIM, SAM, Team, make_team, two_desks
from tests.simulators.claude import KEY, Answer, running
from tests.simulators.claude_answers import card
from tests.simulators.postgres import shared_server

PRINTER = "12352"


@pytest.fixture
async def desks(tmp_path):
    async with two_desks(tmp_path) as opened:
        yield opened


async def work(desk: Desk, session_id: str, cards: int = 3, minutes: int = 4) -> Step | None:
    """Answer some cards, none of them well, and leave the next one open."""
    for _ in range(cards):
        step = await desk.engine.next_step(session_id)
        assert step is not None
        desk.clock.advance(minutes=minutes)
        answer = any_answer(step)
        if step.kind is not StepKind.QUESTION:
            answer = Response(result=Result.DID_NOT_WORK, text="nothing changed")
        await desk.engine.respond(session_id, step.id, answer)
    return await desk.engine.next_step(session_id)


async def begun(desk: Desk, text: str = "since the update", ticket: str = PRINTER) -> str:
    intake = Intake(text, CONNECTION.id if ticket else "", ticket)
    return (await desk.engine.start_session(intake)).session.id


async def escalated(desk: Desk, **more: Any) -> tuple[str, Step]:
    session_id = await begun(desk)
    open_card = await work(desk, session_id)
    assert open_card is not None
    await desk.engine.escalate_session(session_id, "I need somebody with rights", **more)
    await desk.escalations.settled()
    return session_id, open_card


async def waiting_for(desk: Desk) -> QueueEntry:
    await desk.escalations.refresh()
    (entry,) = (await desk.engine.escalation_queue()).entries
    return entry


async def status(desk: Desk, session_id: str) -> SessionStatus:
    return (await desk.engine.session(session_id)).session.status


async def finish(desk: Desk, session_id: str) -> Closing:
    """Verify that it holds, and resolve."""
    waiting = (await desk.engine.session(session_id)).open_step
    if waiting is not None and waiting.kind is not StepKind.VERIFICATION:
        await desk.engine.respond(session_id, waiting.id, any_answer(waiting))
    card = await desk.engine.ask_verification(session_id)
    desk.clock.advance(minutes=4)
    await desk.engine.respond(session_id, card.id, Response(result=Result.WORKED))
    closing = await desk.engine.resolve_session(
        session_id, "The driver was blocked.", "Allowed it; the pw is Hunter2!secret"
    )
    await desk.escalations.settled()
    return closing


async def test_a_session_is_escalated_picked_up_continued_and_resolved(desks):
    team, sam, alex = desks
    session_id, open_card = await escalated(sam)
    assert await status(sam, session_id) is SessionStatus.REQUESTING_ESCALATION
    entry = await waiting_for(alex)
    assert (entry.raised_by, entry.escalation.ticket_number) == (SAM.name, PRINTER)
    assert entry.escalation.step_count == 4
    assert entry.can_pick_up
    assert (await alex.engine.escalation_queue()).waiting == 1
    team.clock.advance(minutes=11)
    session = await alex.engine.pickup_session(entry.escalation.id, "I take it; next: the driver")
    await alex.escalations.settled()
    assert (session.status, session.handler_id) == (SessionStatus.ACTIVE, ALEX.id)
    view = await alex.engine.session(session_id)
    briefing = view.open_step
    assert isinstance(briefing.body, Briefing)
    assert briefing.body.escalated_by == SAM.name
    assert len(briefing.body.steps) == 3
    assert view.context is not None
    assert view.context.ticket.id == PRINTER
    sams = (await sam.engine.session(session_id)).steps
    assert [(s.id, s.body, s.response) for s in view.steps[:-1]] == [
        (s.id, s.body, s.response) for s in sams
    ]
    await alex.engine.respond(session_id, briefing.id, Response(option=BRIEFING_CONTINUE))
    assert (await alex.engine.next_step(session_id)).id == open_card.id
    await alex.escalations.settled()

    await sam.escalations.refresh()
    following = await sam.engine.session(session_id)
    assert following.session.handler_id != SAM.id
    assert following.session.status is SessionStatus.ACTIVE
    assert following.engineers[following.session.handler_id] == ALEX.name
    assert following.steps[-1].response.option == BRIEFING_CONTINUE

    closing = await finish(alex, session_id)
    assert closing.status is SessionStatus.ESCALATED
    await sam.escalations.refresh()
    ended = (await sam.engine.session(session_id)).session
    assert ended.status is SessionStatus.ESCALATED
    assert ended.resolution_summary == "The driver was blocked."
    assert "Hunter2!secret" not in ended.resolution_action
    assert ended.user_id == SAM.id
    alexs = (await alex.engine.session(session_id)).steps
    followed = (await sam.engine.session(session_id)).steps
    assert [step.id for step in followed] == [step.id for step in alexs]
    assert [step.response is None for step in followed] == [False] * len(followed)


async def test_a_fresh_start_repeats_no_step_that_was_done(desks):
    _, sam, alex = desks
    session_id, open_card = await escalated(sam)
    done = [step.body for step in (await sam.engine.session(session_id)).steps if step.response]
    entry = await waiting_for(alex)
    await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_FRESH)
    await alex.escalations.settled()
    assert open_card.id not in {s.id for s in (await alex.engine.session(session_id)).steps}
    await diagnose(alex, session_id)
    later = (await alex.engine.session(session_id)).steps
    own = [step.body for step in later if step.answered_by == ALEX.id]
    assert len(own) > 1
    for body in own:
        if isinstance(body, Question) or body.kind is StepKind.ACTION:
            assert body.text not in {one.text for one in done}
    await alex.escalations.settled()
    await sam.escalations.refresh()
    shown = (await sam.engine.session(session_id)).steps
    assert [step.id for step in shown] == [step.id for step in later]


@pytest.mark.parametrize("again", [1, 2], ids=["once", "and once more"])
async def test_a_fresh_start_shows_no_card_of_claudes_that_was_tried(tmp_path, again):
    team = make_team(tmp_path)
    tried = Answer(json=card(text="Restart the spooler on <print server>."))
    new = Answer(json=card(text="Print from another computer."))
    with running() as simulator:
        settings = ModelSettings(base_url=simulator.url, timeouts=PATIENT)
        sams, alexs = registry.create(settings, KEY), registry.create(settings, KEY)
        async with team.desk(SAM, model=sams) as sam, team.desk(ALEX, model=alexs) as alex:
            session_id = await begun(sam)
            simulator.script(tried)
            open_card = await sam.engine.next_step(session_id)
            assert open_card is not None
            failed = Response(result=Result.DID_NOT_WORK)
            await sam.engine.respond(session_id, open_card.id, failed)
            await sam.engine.escalate_session(session_id, "I need somebody with rights")
            await sam.escalations.settled()
            entry = await waiting_for(alex)
            await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_FRESH)
            await alex.escalations.settled()
            before = len(simulator.asked())
            simulator.script(*[tried] * again, new)
            step = await alex.engine.next_step(session_id)
            assert step is not None
            assert not are_near_identical(step.body, open_card.body)
            first, second = simulator.asked()[before:]
            same = len(first["messages"]) - 1
            assert second["messages"][:same] == first["messages"][:same]
            assert "asked for what was done in step 1" in str(second["messages"][-1])
            paid = sum(item.usage.total for item in simulator.requests[before:] if item.usage)
            if again == 1:
                assert step.body.text == "Print from another computer."
                used = step.usage
                read = used.input_tokens + used.cache_read_tokens + used.cache_write_tokens
                assert read == paid
                assert alex.engine.notice(session_id) == ""
            else:
                assert step.source is Source.FLOW
                assert "asked again for what was done in step 1" in alex.engine.notice(session_id)
                spent = await alex.store.usage(session_id=session_id)
                assert spent.usage.total >= paid, "unusable answers are paid for"


async def test_both_time_entries_are_their_own_and_do_not_overlap(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    entry = await waiting_for(alex)
    team.clock.advance(minutes=1)
    await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_CONTINUE)
    await finish(alex, session_id)
    spans = []
    for desk in (sam, alex):
        found = await desk.store.push_items(session_id)
        notes = [item for item in found if item.kind is PushKind.NOTE]
        (time,) = [item.payload for item in found if isinstance(item.payload, TimePayload)]
        spans.append((time.start, time.end, time.member_identifier))
        assert notes
        assert all(item.state is PushState.PENDING for item in found)
    assert spans[0][1] <= spans[1][0] or spans[1][1] <= spans[0][0]
    assert spans[0][2] != spans[1][2]
    note = (await sam.engine.session(session_id)).documentation
    assert note.startswith("═══ FlowPilot Escalation Documentation ═══")
    assert "I need somebody with rights" in note
    last = (await alex.engine.session(session_id)).documentation
    assert f"Worked: {SAM.name}" in last
    assert f"Worked: {ALEX.name}" in last


async def test_the_loser_of_a_race_reads_who_has_it(desks):
    team, sam, alex = desks
    await escalated(sam)
    async with team.desk(KIM) as kim:
        first, second = await waiting_for(alex), await waiting_for(kim)
        await alex.engine.pickup_session(first.escalation.id)
        with pytest.raises(AlreadyPickedUp, match=ALEX.name):
            await kim.engine.pickup_session(second.escalation.id)
        (entry,) = (await kim.engine.escalation_queue()).entries
        assert entry.handler == ALEX.name
        assert not entry.can_pick_up


async def test_nobody_assigns_to_or_picks_up_from_themselves(desks):
    _, sam, _ = desks
    session_id = await begun(sam)
    with pytest.raises(InvalidInput):
        await sam.engine.escalate_session(session_id, "why", assign_to=SAM.id)
    with pytest.raises(InvalidInput):
        await sam.engine.escalate_session(session_id, "  ")
    await sam.engine.escalate_session(session_id, "why")
    await sam.escalations.settled()
    entry = await waiting_for(sam)
    assert not entry.can_pick_up
    with pytest.raises(NotAllowed):
        await sam.engine.pickup_session(entry.escalation.id)


async def test_an_escalation_made_on_a_train_leaves_when_the_network_is_back(desks):
    team, sam, alex = desks
    line = team.lines[SAM.id]
    line.away = True
    session_id, _ = await escalated(sam)
    picture = await sam.engine.escalation_queue()
    assert picture.entries[0].is_unsent
    team.clock.advance(hours=5)
    await sam.escalations.outbox.run_due()
    (operation,) = await sam.store.queue_operations()
    assert operation.tries == 0
    line.away = False
    await sam.escalations.outbox.network_is_back()
    assert not (await sam.engine.escalation_queue()).entries[0].is_unsent
    assert (await waiting_for(alex)).escalation.session_id == session_id


async def test_withdrawn_before_it_left_it_never_leaves(desks):
    team, sam, alex = desks
    team.lines[SAM.id].away = True
    session_id, open_card = await escalated(sam)
    session = await sam.engine.withdraw_escalation(session_id)
    assert session.status is SessionStatus.ACTIVE
    assert (await sam.engine.next_step(session_id)).id == open_card.id
    team.lines[SAM.id].away = False
    await sam.escalations.outbox.network_is_back()
    assert "escalate" not in team.lines[SAM.id].calls
    await alex.escalations.refresh()
    assert not (await alex.engine.escalation_queue()).entries
    assert not (await sam.engine.escalation_queue()).entries


async def test_what_has_left_is_withdrawn_with_the_queues_word_only(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    team.lines[SAM.id].away = True
    with pytest.raises(QueueUnreachable):
        await sam.engine.withdraw_escalation(session_id)
    assert await status(sam, session_id) is SessionStatus.REQUESTING_ESCALATION
    assert not await sam.store.queue_operations()
    team.lines[SAM.id].away = False
    session = await sam.engine.withdraw_escalation(session_id)
    assert session.status is SessionStatus.ACTIVE
    assert not session.escalation_id
    await alex.escalations.refresh()
    assert not (await alex.engine.escalation_queue()).entries


async def test_a_withdrawal_that_comes_too_late_is_refused_and_the_session_follows(desks):
    _, sam, alex = desks
    session_id, _ = await escalated(sam)
    entry = await waiting_for(alex)
    await alex.engine.pickup_session(entry.escalation.id)
    with pytest.raises((AlreadyPickedUp, TransitionRefused)):
        await sam.engine.withdraw_escalation(session_id)
    await sam.escalations.refresh()
    assert await status(sam, session_id) is SessionStatus.ACTIVE
    assert (await sam.engine.session(session_id)).session.handler_id != SAM.id


@pytest.mark.parametrize("lost", ["escalate", "pick_up", "resolve", "append_steps"])
async def test_an_answer_that_is_lost_is_asked_for_again_and_counts_once(desks, lost):
    team, sam, alex = desks
    giver, taker = team.lines[SAM.id], team.lines[ALEX.id]
    giver.lost = taker.lost = {lost}
    session_id, _ = await escalated(sam)
    if lost == "escalate":
        team.clock.advance(minutes=1)
        giver.lost = set()
        await sam.escalations.outbox.run_due()
    entry = await waiting_for(alex)
    if lost == "pick_up":
        with pytest.raises(QueueUnreachable):
            await alex.engine.pickup_session(entry.escalation.id)
        taker.lost = set()
        team.clock.advance(minutes=1)
        await alex.escalations.outbox.run_due()
    else:
        await alex.engine.pickup_session(entry.escalation.id)
    card = (await alex.engine.session(session_id)).open_step
    await alex.engine.respond(session_id, card.id, Response(option=BRIEFING_CONTINUE))
    await finish(alex, session_id)
    taker.lost = set()
    team.clock.advance(minutes=1)
    await alex.escalations.outbox.run_due()
    await sam.escalations.refresh()
    assert await status(sam, session_id) is SessionStatus.ESCALATED
    (record,) = team.server.records.values()
    numbers = [step.number for step in record.steps]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({step.payload for step in record.steps}) == len(record.steps)
    assert [hop.ended_how for hop in record.hops] == ["resolved"]


async def test_a_pickup_cut_by_a_crash_is_settled_at_the_next_start(tmp_path):
    team = make_team(tmp_path)
    async with team.desk(SAM) as sam:
        session_id, _ = await escalated(sam)
        async with team.desk(ALEX) as alex:
            entry = await waiting_for(alex)
            team.lines[ALEX.id].lost = {"pick_up"}
            with pytest.raises(QueueUnreachable):
                await alex.engine.pickup_session(entry.escalation.id)
        async with team.desk(ALEX) as alex:
            team.clock.advance(minutes=1)
            await alex.escalations.outbox.run_due()
            assert (await alex.engine.session(session_id)).session.handler_id == ALEX.id


async def test_whoever_comes_back_late_keeps_a_copy_and_is_told(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    entry = await waiting_for(alex)
    await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_CONTINUE)
    await alex.escalations.settled()
    told = []
    alex.escalations.told = lambda title, words: told.append(words)
    team.lines[ALEX.id].away = True
    await alex.engine.add_note(session_id, "I replaced the fuser")
    await alex.escalations.settled()
    team.server.lapse_lease(next(iter(team.server.records)))
    async with team.desk(KIM) as kim:
        other = await waiting_for(kim)
        assert other.is_silent
        await kim.engine.pickup_session(other.escalation.id, resume_mode=BRIEFING_CONTINUE)
        await kim.escalations.settled()
        team.lines[ALEX.id].away = False
        await alex.escalations.outbox.network_is_back()
        await alex.escalations.settled()
        session = (await alex.engine.session(session_id)).session
        assert session.handler_id not in (ALEX.id, SAM.id)
        copies = [a for a in await alex.store.attachments(session_id) if "conflict" in a.id]
        assert b"I replaced the fuser" in copies[0].content
        assert any(KIM.name in words for words in told)
        assert not await alex.store.queue_operations()
        with pytest.raises((NotAllowed, ClaimLost)):
            await alex.engine.add_note(session_id, "and the roller")
        assert "fuser" not in str([s.body for s in (await kim.engine.session(session_id)).steps])


async def test_a_second_hop_brings_everything_and_the_originator_may_take_it(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    entry = await waiting_for(alex)
    await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_CONTINUE)
    await alex.engine.add_note(session_id, "The port is closed on SRV-PRINT01")
    team.clock.advance(minutes=9)
    await alex.engine.release_session(session_id, "My shift is over")
    await alex.escalations.settled()
    again = await waiting_for(sam)
    assert again.can_pick_up
    assert again.escalation.hop_count == 2
    session = await sam.engine.pickup_session(again.escalation.id, resume_mode=BRIEFING_CONTINUE)
    await sam.escalations.settled()
    assert (session.handler_id, session.user_id, session.hop_count) == (SAM.id, SAM.id, 2)
    texts = [step.body.text for step in (await sam.engine.session(session_id)).steps]
    assert "The port is closed on SRV-PRINT01" in texts
    closing = await finish(sam, session_id)
    assert closing.status is SessionStatus.ESCALATED
    await alex.escalations.refresh()
    assert await status(alex, session_id) is SessionStatus.ESCALATED


async def test_the_package_is_redacted(desks):
    team, sam, _ = desks
    session_id = await begun(sam, "login fails, the password is Tr0ub4dor&3x")
    step = await sam.engine.next_step(session_id)
    if step.kind is StepKind.QUESTION and step.body.free_text_allowed:
        await sam.engine.respond(session_id, step.id, Response(text="pw is Tr0ub4dor&3x here"))
    await sam.engine.add_note(session_id, "api_key=sk-ant-api03-abcdefghijklmnopqrstuvwxyz012345")
    await sam.engine.escalate_session(session_id, "the password is Tr0ub4dor&3x, please help")
    await sam.escalations.settled()
    (record,) = team.server.records.values()
    everything = record.packages[0].payload.decode() + record.row.reason + record.row.summary
    assert "Tr0ub4dor" not in everything
    assert "abcdefghijklmnop" not in everything


async def test_cancelled_by_its_originator_it_ends_with_the_reason(desks):
    _, sam, alex = desks
    session_id, _ = await escalated(sam)
    await waiting_for(alex)
    session = await sam.engine.cancel_escalation(session_id, "The customer replaced it")
    assert session.status is SessionStatus.ESCALATED
    assert session.end_reason == "The customer replaced it"
    await alex.escalations.refresh()
    assert not (await alex.engine.escalation_queue()).entries


async def test_what_nobody_picked_up_in_time_ends_with_that(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    team.server.lapse_waiting(next(iter(team.server.records)))
    team.server.sweep()
    await sam.escalations.refresh()
    session = (await sam.engine.session(session_id)).session
    assert session.status is SessionStatus.ESCALATED
    assert "Nobody" in session.end_reason
    assert not (await alex.engine.escalation_queue()).entries


async def test_filters_and_reassigning(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    alex_there = str(team.there[ALEX.id])
    await sam.escalations.refresh()
    entry = await waiting_for(alex)
    assert (await alex.engine.escalation_queue(EscalationFilter.UNASSIGNED)).entries
    assert not (await alex.engine.escalation_queue(EscalationFilter.MINE)).entries
    await sam.engine.reassign_escalation(entry.escalation.id, alex_there)
    entry = await waiting_for(alex)
    assert entry.for_me
    assert (await alex.engine.escalation_queue(EscalationFilter.MINE)).entries
    assert not (await alex.engine.escalation_queue(EscalationFilter.UNASSIGNED)).entries
    assert session_id == entry.escalation.session_id


async def test_a_silent_handlers_session_can_be_put_back_by_its_originator(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    entry = await waiting_for(alex)
    await alex.engine.pickup_session(entry.escalation.id)
    team.server.lapse_lease(uuid_of(entry))
    mine = await waiting_for(sam)
    assert mine.can_take_back
    await sam.engine.take_back_escalation(entry.escalation.id, "Alex has gone home")
    await sam.escalations.refresh()
    session = (await sam.engine.session(session_id)).session
    assert session.status is SessionStatus.REQUESTING_ESCALATION
    assert session.handler_id == SAM.id
    await alex.escalations.refresh()
    assert await status(alex, session_id) is SessionStatus.REQUESTING_ESCALATION


def uuid_of(entry: QueueEntry) -> UUID:
    return UUID(entry.escalation.id)


async def test_without_an_invitation_nothing_is_escalated(tmp_path):
    async with open_desk(tmp_path) as desk:
        session_id = await begun(desk)
        with pytest.raises(QueueNotOpen) as refused:
            await desk.engine.escalate_session(session_id, "why")
        assert "Settings" in refused.value.hint
        assert await status(desk, session_id) is SessionStatus.ACTIVE


async def test_an_escalation_that_is_refused_is_parked_and_can_be_taken_back(desks):
    team, sam, _ = desks
    told = []
    sam.escalations.told = lambda title, words: told.append(title)
    session_id = await begun(sam)
    await sam.engine.escalate_session(
        session_id, "why", assign_to="0" * 8 + "-0000-4000-8000-" + "0" * 12
    )
    await sam.escalations.settled()
    (operation,) = await sam.store.queue_operations(OperationState, session_id)
    assert operation.state is OperationState.REFUSED
    assert told
    assert not team.server.records
    assert (await sam.engine.withdraw_escalation(session_id)).status is SessionStatus.ACTIVE
    second = await begun(sam, ticket="")
    await sam.engine.escalate_session(second, "why")
    await sam.escalations.settled()
    assert [r.row.state.value for r in team.server.records.values()] == [EscalationState.OPEN.value]


async def test_tending_renews_a_claim_before_it_lapses(desks):
    team, sam, alex = desks
    session_id, _ = await escalated(sam)
    entry = await waiting_for(alex)
    await alex.engine.pickup_session(entry.escalation.id)
    alex_line = team.lines[ALEX.id]
    for _ in range(8):  # half an hour: two leases
        team.clock.advance(minutes=4)
        await alex.escalations.tend()
    assert alex_line.calls.count("renew") == 8
    await alex.escalations.tend()
    assert alex_line.calls.count("renew") == 8  # not before it is due
    (seen,) = (await sam.engine.escalation_queue()).entries
    assert not seen.is_silent
    assert await status(alex, session_id) is SessionStatus.ACTIVE


async def test_tending_notices_that_somebody_else_has_taken_over(tmp_path):
    team = make_team(tmp_path)
    async with team.desk(SAM) as sam, team.desk(ALEX) as alex, team.desk(KIM) as kim:
        session_id, _ = await escalated(sam)
        entry = await waiting_for(alex)
        await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_CONTINUE)
        told: list[str] = []
        alex.escalations.told = lambda title, words: told.append(words)
        team.clock.advance(minutes=16)
        silent = await waiting_for(kim)
        assert silent.is_silent
        await kim.engine.pickup_session(silent.escalation.id)
        await alex.escalations.tend()
        session = (await alex.engine.session(session_id)).session
        assert session.handler_id == str(team.there[KIM.id])
        assert not await alex.store.open_segments()
        assert KIM.name in told[0]


async def test_tending_without_a_network_says_so_and_goes_on(desks):
    team, sam, _ = desks
    await sam.escalations.tend()
    assert (await sam.engine.escalation_queue()).error is None
    team.lines[SAM.id].away = True
    await sam.escalations.tend()
    assert isinstance((await sam.engine.escalation_queue()).error, QueueUnreachable)
    team.lines[SAM.id].away = False
    await sam.escalations.tend()
    assert (await sam.engine.escalation_queue()).error is None


async def test_however_often_following_begins_there_is_one_poller_and_none_at_the_end(tmp_path):
    def pollers() -> int:
        return sum(task.get_name() == "queue poller" for task in asyncio.all_tasks())

    async with make_team(tmp_path).desk(SAM) as sam:
        sam.escalations.start()
        await asyncio.gather(*(sam.escalations.tend() for _ in range(3)))
        await sam.escalations.settled()
        assert pollers() == 1
        sam.events.publish(SettingsChanged("queue.poll_seconds"))
        await sam.escalations.tend()
        await sam.escalations.settled()
        assert pollers() == 1
    assert pollers() == 0


class SlowMind:
    """A model that writes briefings when it is told to, and proposes nothing."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []
        self.error: ModelError | None = None

    async def briefing(self, consultation: Consultation) -> BriefingDraft:
        self.asked.append("".join(turn.text.text for turn in consultation.turns))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return BriefingDraft(("A tray sensor",), ("Swap the tray",), usage=Usage(10, 20))

    def next_step(self, consultation: Consultation) -> AsyncGenerator[StepProgress | StepDraft]:
        raise ModelUnavailable("Not today.", reason="unreachable")

    async def models(self) -> tuple[ModelDescription, ...]:
        return ()

    async def aclose(self) -> None:
        pass


def package_of(team: Team) -> Any:
    (record,) = team.server.records.values()
    return json.loads(record.packages[-1].payload)["hand_off"]


async def turned(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0)


async def test_a_briefing_that_comes_in_time_goes_along(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    async with team.desk(SAM, model=mind) as sam:
        session_id = await begun(sam)
        await sam.engine.add_note(session_id, "The tray is new")
        await sam.engine.escalate_session(session_id, "I need help")
        await turned(lambda: mind.asked)
        await sam.escalations.outbox.run_due()
        assert not team.server.records
        mind.may_answer.set()
        await sam.escalations.settled()
        assert package_of(team)["next_steps"][0] == "Swap the tray"
        assert "A tray sensor" in [one["text"] for one in package_of(team)["hypotheses"]]
        assert "The tray is new" in mind.asked[0]
        assert (await sam.store.usage(session_id=session_id)).calls == 1


async def test_a_slow_briefing_holds_nothing_up_beyond_its_time(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    async with team.desk(SAM, model=mind) as sam:
        session_id = await begun(sam)
        await sam.engine.escalate_session(session_id, "I need help")
        await turned(lambda: mind.asked)
        team.clock.advance(seconds=14)
        await sam.escalations.outbox.run_due()
        assert not team.server.records
        assert await sam.escalations.outbox.next_due() == team.clock.now() + timedelta(seconds=1)
        team.clock.advance(seconds=1)
        await sam.escalations.outbox.run_due()
        assert len(team.server.records) == 1
        before = package_of(team)
        mind.may_answer.set()
        await sam.escalations.settled()
        assert package_of(team) == before


async def test_a_briefing_that_fails_lets_the_escalation_go_at_once(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    mind.may_answer.set()
    mind.error = ModelUnavailable("Overloaded.", reason="overloaded")
    async with team.desk(SAM, model=mind) as sam:
        await sam.engine.escalate_session(await begun(sam), "I need help")
        await sam.escalations.settled()
        assert len(team.server.records) == 1


async def test_what_the_package_came_without_is_filled_in_where_it_is_picked_up(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    async with team.desk(SAM) as sam, team.desk(ALEX, model=mind) as alex:
        session_id = await begun(sam)
        await sam.engine.add_note(session_id, "The tray is new")
        await sam.engine.escalate_session(session_id, "I need help")
        await sam.escalations.settled()
        entry = await waiting_for(alex)
        await alex.engine.pickup_session(entry.escalation.id)
        card = (await alex.engine.session(session_id)).open_step
        assert card is not None
        assert isinstance(card.body, Briefing)
        assert card.body.next_steps == ()
        mind.may_answer.set()
        await alex.escalations.settled()
        filled = (await alex.engine.session(session_id)).open_step
        assert filled is not None
        assert isinstance(filled.body, Briefing)
        assert filled.body.next_steps == ("Swap the tray",)


async def test_a_briefing_that_comes_after_the_answer_corrects_the_card(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    async with team.desk(SAM) as sam, team.desk(ALEX, model=mind) as alex:
        session_id, open_card = await escalated(sam)
        entry = await waiting_for(alex)
        await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_CONTINUE)
        await turned(lambda: mind.asked)
        before = (await alex.engine.session(session_id)).steps
        mind.may_answer.set()
        await alex.escalations.settled()
        *same, late = (await alex.engine.session(session_id)).steps
        assert tuple(same) == before
        card = next(step for step in same if isinstance(step.body, Briefing))
        assert late.corrects == card.id
        assert late.response == card.response
        assert not late.is_open
        assert isinstance(late.body, Briefing)
        assert late.body.next_steps == ("Swap the tray", f"Not answered yet: {open_card.body.text}")
        assert "A tray sensor" in [one.text for one in late.body.hypotheses]
        await sam.escalations.refresh()
        assert late.body in [step.body for step in (await sam.engine.session(session_id)).steps]
        assert (await alex.engine.session(session_id)).open_step is not None
        note = (await alex.engine.preview_documentation(session_id)).note
        assert note.count(f"Escalation from {SAM.name}") == 1


async def test_a_package_with_the_models_words_is_not_asked_about_again(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    mind.may_answer.set()
    async with team.desk(SAM, model=mind) as sam, team.desk(ALEX, model=mind) as alex:
        await escalated(sam)
        entry = await waiting_for(alex)
        await alex.engine.pickup_session(entry.escalation.id)
        await alex.escalations.settled()
        assert len(mind.asked) == 1


async def test_late_words_for_a_session_that_ended_change_nothing(tmp_path):
    team, mind = make_team(tmp_path), SlowMind()
    async with team.desk(SAM) as sam, team.desk(ALEX, model=mind) as alex:
        session_id, _ = await escalated(sam)
        entry = await waiting_for(alex)
        await alex.engine.pickup_session(entry.escalation.id, resume_mode=BRIEFING_CONTINUE)
        await alex.engine.abandon_session(session_id)
        before = (await alex.engine.session(session_id)).steps
        mind.may_answer.set()
        await alex.escalations.settled()
        assert (await alex.engine.session(session_id)).steps == before
        assert (await alex.store.usage(session_id=session_id)).calls == 1


class PowerCut(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("cut_at", range(12))
async def test_a_power_cut_between_any_two_writes_loses_and_doubles_nothing(tmp_path, cut_at):
    """Cut the desk at its n-th write from the escalation on; the next start goes on."""
    team = make_team(tmp_path)
    session_id = ""
    writes = 0
    with contextlib.suppress(PowerCut):
        async with team.desk(SAM) as sam:
            session_id = await begun(sam)
            await work(sam, session_id)
            save = sam.store.save

            async def cut(*records: Any, **more: Any) -> None:
                nonlocal writes
                writes += 1
                if writes > cut_at:
                    raise PowerCut
                await save(*records, **more)

            sam.store.save = cut  # type: ignore[method-assign]  # the plug
            try:
                await sam.engine.escalate_session(session_id, "I need help")
                for _ in range(3):
                    await sam.escalations.outbox.run_due()
            finally:
                for task in tuple(sam.escalations.background.running):
                    task.cancel()
                await asyncio.gather(*sam.escalations.background.running, return_exceptions=True)
                sam.escalations.background.running.clear()
                sam.store.save = save  # type: ignore[method-assign]  # for closing the folder
    async with team.desk(SAM) as sam:
        team.clock.advance(minutes=1)
        await sam.escalations.outbox.run_due()
        await sam.escalations.settled()
        now = await status(sam, session_id)
        notes = [i for i in await sam.store.push_items(session_id) if i.kind is PushKind.NOTE]
        if now is SessionStatus.ACTIVE:
            assert not team.server.records
            assert not notes
            await sam.engine.escalate_session(session_id, "I need help")
            await sam.escalations.settled()
        assert await status(sam, session_id) is SessionStatus.REQUESTING_ESCALATION
        assert len(team.server.records) == 1
        assert not await sam.store.queue_operations()


@pytest.mark.parametrize("kind", ["plain"])
async def test_a_hand_off_over_a_real_postgres(tmp_path, kind):
    clock = VirtualClock(datetime.now(UTC))
    with shared_server(kind).database() as database:
        there = database.add_team()
        invitations = [database.invite(there, one.name).token() for one in (SAM, ALEX)]
        async with (
            open_desk(tmp_path / "a", clock=clock, me=SAM, invitation=invitations[0]) as sam,
            open_desk(tmp_path / "b", clock=clock, me=ALEX, invitation=invitations[1]) as alex,
        ):
            session_id, _ = await escalated(sam)
            entry = await waiting_for(alex)
            assert entry.raised_by == SAM.name
            await alex.engine.pickup_session(
                entry.escalation.id, "I take it", resume_mode=BRIEFING_CONTINUE
            )
            await alex.engine.add_note(session_id, "Looked at the driver")
            await alex.escalations.settled()
            await sam.escalations.refresh()
            (followed,) = (await sam.engine.escalation_queue()).entries
            assert followed.handler == ALEX.name
            assert followed.escalation.read_back == "I take it"
            texts = [step.body.text for step in (await sam.engine.session(session_id)).steps]
            assert "Looked at the driver" in texts
            await finish(alex, session_id)
            await sam.escalations.refresh()
            assert await status(sam, session_id) is SessionStatus.ESCALATED


async def test_the_keyring_is_asked_once_and_rarely_while_it_refuses(desks):
    _, sam, _ = desks
    asked: list[str] = []
    read = sam.secrets.read

    async def counted(name: str) -> str | None:
        asked.append(name)
        kept: str | None = await read(name)
        return kept

    sam.secrets.read = counted
    for _ in range(5):
        await sam.engine.escalation_queue()
    assert asked.count(INVITATION_NAME) == 1

    async def refused(name: str) -> str | None:
        asked.append(name)
        raise CredentialsUnavailable("The keyring is locked.")

    sam.secrets.read = refused
    sam.events.publish(SettingsChanged(SETTING))
    await sam.link.aclose()
    for _ in range(5):
        assert not (await sam.engine.escalation_queue()).is_set_up
    assert asked.count(INVITATION_NAME) == 2

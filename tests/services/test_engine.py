"""The verbs, on a real store, the practice company and the shipped flows."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from flowpilot_desktop.core.errors import (
    InvalidInput,
    NotFound,
    PsaNotFound,
    PsaUnreachable,
    StepRefused,
    TransitionRefused,
)
from flowpilot_desktop.core.history import SessionFilter
from flowpilot_desktop.core.push import PsaPushStatus, PushKind, PushState
from flowpilot_desktop.core.session import (
    ContextStatus,
    Intake,
    IntakeType,
    Question,
    Response,
    Result,
    SessionStatus,
    Source,
    StepDraft,
    StepKind,
)
from flowpilot_desktop.psa.practice import PracticePsa
from flowpilot_desktop.services.documentation import DocumentationChoices
from flowpilot_desktop.services.model_access import ModelRules
from tests.services.desk import CONNECTION, Desk, any_answer, diagnose, open_desk

PRINTER = "12352"


@pytest.fixture
async def desk(tmp_path):
    async with open_desk(tmp_path) as opened:
        yield opened


async def started(desk: Desk, text: str = "", ticket: str = PRINTER) -> str:
    intake = Intake(text, CONNECTION.id if ticket else "", ticket)
    return (await desk.engine.start_session(intake)).session.id


async def test_a_ticket_becomes_a_session_with_its_context_and_its_flow(desk):
    answer = await desk.engine.start_session(Intake("since the update", CONNECTION.id, PRINTER))
    assert answer.psa_context_status is ContextStatus.LOADED
    view = await desk.engine.session(answer.session.id)
    assert view.session.intake.type is IntakeType.COMBINED
    assert "printer" in view.session.problem_summary.casefold()
    assert view.context is not None
    assert view.context.ticket.company.name == view.session.company
    assert view.flow_title


async def test_without_connectwise_a_session_starts_from_number_and_words(desk):
    desk.psa.away = True
    answer = await desk.engine.start_session(Intake("nothing prints", CONNECTION.id, "4711"))
    assert answer.psa_context_status is ContextStatus.UNAVAILABLE
    assert isinstance(answer.psa_error, PsaUnreachable)
    view = await desk.engine.session(answer.session.id)
    assert (view.session.ticket_id, view.context) == ("4711", None)
    assert view.session.problem_summary == "nothing prints"


async def test_a_ticket_seen_before_comes_from_the_cache_when_connectwise_is_away(desk):
    await started(desk)
    desk.psa.away = True
    answer = await desk.engine.start_session(Intake("", CONNECTION.id, PRINTER))
    assert answer.psa_context_status is ContextStatus.CACHED


async def test_a_ticket_that_does_not_exist_is_said(desk):
    answer = await desk.engine.start_session(Intake("", CONNECTION.id, "999999"))
    assert isinstance(answer.psa_error, PsaNotFound)
    assert answer.session.problem_summary == "Ticket #999999"


async def test_refreshing_loads_what_was_away(desk):
    desk.psa.away = True
    session_id = await started(desk)
    with pytest.raises(PsaUnreachable):
        await desk.engine.refresh_ticket(session_id)
    desk.psa.away = False
    view = await desk.engine.refresh_ticket(session_id)
    assert view.session.psa_context_status is ContextStatus.LOADED
    assert view.context is not None


async def test_linking_a_ticket_midway_keeps_every_step(desk):
    session_id = await started(desk, "the reception printer is offline", ticket="")
    step = await desk.engine.next_step(session_id)
    await desk.engine.respond(session_id, step.id, any_answer(step))
    view = await desk.engine.link_ticket(session_id, CONNECTION.id, PRINTER)
    assert view.session.ticket_id == PRINTER
    assert view.context is not None
    assert [kept.id for kept in view.steps] == [step.id]


async def test_nothing_to_start_from_is_refused_kindly(desk):
    with pytest.raises(InvalidInput) as refusal:
        await desk.engine.start_session(Intake("  \n "))
    assert refusal.value.hint


async def test_every_card_waits_until_it_is_answered(desk):
    session_id = await started(desk)
    first = await desk.engine.next_step(session_id)
    assert await desk.engine.next_step(session_id) == first
    done = await desk.engine.respond(session_id, first.id, any_answer(first))
    assert done.answered_by == desk.me.id
    with pytest.raises(StepRefused):
        await desk.engine.respond(session_id, first.id, any_answer(first))
    second = await desk.engine.next_step(session_id)
    assert second.number == first.number + 1
    assert second.source is Source.FLOW
    with pytest.raises(NotFound):
        await desk.engine.respond(session_id, "no such card", any_answer(second))


async def test_a_note_by_hand_stands_between_the_cards_and_disturbs_none(desk):
    session_id = await started(desk)
    card = await desk.engine.next_step(session_id)
    note = await desk.engine.add_note(session_id, "Toner is at 80 %, no paper jam")
    assert note.kind is StepKind.NOTE
    assert await desk.engine.next_step(session_id) == card
    await desk.engine.respond(session_id, card.id, any_answer(card))
    following = await desk.engine.next_step(session_id)
    assert following.flow_node != card.flow_node


async def test_a_correction_is_a_new_step(desk):
    session_id = await started(desk)
    card = await desk.engine.next_step(session_id)
    done = await desk.engine.respond(session_id, card.id, any_answer(card))
    correction = await desk.engine.add_note(session_id, "It was the other one", corrects=card.id)
    steps = (await desk.engine.session(session_id)).steps
    assert steps == (done, correction)


async def test_going_back_asks_the_last_card_anew_and_keeps_the_first_answer(desk):
    session_id = await started(desk)
    first = await desk.engine.next_step(session_id)
    done = await desk.engine.respond(session_id, first.id, any_answer(first))
    left = await desk.engine.next_step(session_id)
    again = await desk.engine.go_back(session_id)
    assert (again.corrects, again.flow_node) == (first.id, first.flow_node)
    steps = (await desk.engine.session(session_id)).steps
    assert steps == (done, again)
    other = Response(option=again.body.options[-1].value)
    await desk.engine.respond(session_id, again.id, other)
    following = await desk.engine.next_step(session_id)
    assert following.flow_node not in (first.flow_node, "")
    assert following.id != left.id


async def test_there_is_nothing_to_go_back_to_at_the_beginning(desk):
    session_id = await started(desk)
    card = await desk.engine.next_step(session_id)
    with pytest.raises(InvalidInput):
        await desk.engine.go_back(session_id)
    assert await desk.engine.next_step(session_id) == card


async def test_a_pause_resumes_on_the_same_card_and_bills_nothing(desk):
    session_id = await started(desk)
    card = await desk.engine.next_step(session_id)
    desk.clock.advance(minutes=4)
    paused = await desk.engine.pause_session(session_id)
    assert paused.paused_at == desk.clock.now()
    desk.clock.advance(hours=14)
    with pytest.raises(TransitionRefused):
        await desk.engine.respond(session_id, card.id, any_answer(card))
    resumed = await desk.engine.resume_session(session_id)
    assert resumed.paused_at is None
    desk.clock.advance(minutes=3)
    assert await desk.engine.next_step(session_id) == card
    assert (await desk.engine.session(session_id)).active_seconds == pytest.approx(7 * 60)


async def test_nothing_resolves_before_a_person_verified(desk):
    session_id = await started(desk)
    with pytest.raises(StepRefused) as refusal:
        await desk.engine.resolve_session(session_id, "Plugged it in")
    assert "verif" in refusal.value.message
    card = await desk.engine.ask_verification(session_id)
    assert await desk.engine.ask_verification(session_id) == card
    await desk.engine.respond(session_id, card.id, Response(result=Result.DID_NOT_WORK))
    with pytest.raises(StepRefused):
        await desk.engine.resolve_session(session_id, "Plugged it in")
    again = await desk.engine.ask_verification(session_id)
    await desk.engine.respond(session_id, again.id, Response(result=Result.WORKED))
    closing = await desk.engine.resolve_session(session_id, "Plugged it in")
    assert closing.status is SessionStatus.RESOLVED


async def test_resolving_writes_note_and_time_and_they_land(desk):
    session_id = await started(desk)
    steps = await diagnose(desk, session_id, minutes=3)
    preview = await desk.engine.preview_documentation(session_id, "Cleared the queue")
    assert preview.will_push
    assert preview.member_mapping_warning == ""
    closing = await desk.engine.resolve_session(session_id, "Cleared the queue", "Restarted it")
    assert closing.psa_push_status is PsaPushStatus.PENDING
    assert "Cleared the queue" in closing.documentation
    assert closing.documentation.count("→") >= len(steps)
    await desk.push.run_due()
    view = await desk.engine.session(session_id)
    assert view.push_status is PsaPushStatus.SENT
    kinds = {item.kind: item for item in view.push_items}
    assert set(kinds) == {PushKind.NOTE, PushKind.TIME}
    worked = timedelta(minutes=3) * len(steps)
    assert kinds[PushKind.TIME].payload.actual_hours == pytest.approx(
        max(round(worked / timedelta(minutes=15)), 1) / 4
    )
    assert view.documentation == closing.documentation


async def test_an_edited_note_leaves_as_edited_and_redacted(desk):
    session_id = await started(desk)
    await diagnose(desk, session_id)
    edited = DocumentationChoices(note="Fixed. The admin password is Sunshine-77!")
    await desk.engine.resolve_session(session_id, "Fixed", choices=edited)
    note = next(
        item
        for item in (await desk.engine.session(session_id)).push_items
        if item.kind is PushKind.NOTE
    )
    assert note.payload.text.text.startswith("Fixed.")
    assert "Sunshine" not in note.payload.text.text
    assert note.payload.text.text.endswith(note.marker)


async def test_an_edited_note_is_kept_and_shown_as_it_left(desk):
    session_id = await started(desk)
    verification = await desk.engine.ask_verification(session_id)
    await desk.engine.respond(session_id, verification.id, Response(result=Result.WORKED))
    choices = DocumentationChoices(note="Fixed.\nPassword for the router: hunter2Xy9")
    closing = await desk.engine.resolve_session(session_id, "New cable", choices=choices)
    kept = (await desk.engine.session(session_id)).documentation
    assert closing.documentation == kept
    assert kept.startswith("Fixed.")
    assert "hunter2Xy9" not in kept


async def test_an_ended_session_keeps_no_draft(desk):
    session_id = await started(desk)
    await desk.engine.abandon_session(session_id)
    await desk.engine.save_draft(session_id, "note", "typed a moment too late")
    await desk.engine.save_draft("", "intake", "the next problem")
    assert await desk.engine.drafts(session_id) == {}
    assert await desk.engine.drafts("") == {"intake": "the next problem"}


async def test_without_a_mapping_the_time_is_in_the_note_and_the_warning_says_why(tmp_path):
    async with open_desk(tmp_path) as desk:
        desk.me = replace(desk.me, email="nobody@elsewhere.example")
        session_id = await started(desk)
        await diagnose(desk, session_id)
        preview = await desk.engine.preview_documentation(session_id, "Fixed")
        assert preview.member_mapping_warning.startswith("Map your CW account")
        closing = await desk.engine.resolve_session(session_id, "Fixed")
        assert closing.member_mapping_warning.startswith("Time entry was not created")
        assert "── Session Timing ──" in closing.documentation
        items = (await desk.engine.session(session_id)).push_items
        assert [item.kind for item in items] == [PushKind.NOTE]


async def test_a_session_without_a_ticket_is_documented_and_pushes_nothing(desk):
    session_id = await started(desk, "no internet on one laptop", ticket="")
    await diagnose(desk, session_id)
    closing = await desk.engine.resolve_session(session_id, "Proxy was on")
    assert closing.psa_push_status is PsaPushStatus.NO_PSA
    assert closing.documentation


async def test_auto_push_off_keeps_the_items_unsent(desk):
    desk.rules = replace(desk.rules, auto_push=False)
    session_id = await started(desk)
    await diagnose(desk, session_id)
    await desk.engine.resolve_session(session_id, "Fixed")
    await desk.push.run_due()
    items = (await desk.engine.session(session_id)).push_items
    assert {item.state for item in items} == {PushState.SKIPPED}


async def test_abandoned_sessions_stay_in_the_history(desk):
    session_id = await started(desk)
    await desk.engine.abandon_session(session_id, "customer fixed it")
    listed = await desk.engine.sessions(SessionFilter.ABANDONED)
    assert [row.session.id for row in listed] == [session_id]
    assert listed[0].session.end_reason == "customer fixed it"
    assert await desk.engine.sessions(SessionFilter.RESOLVED) == ()


async def test_the_history_is_searched_through_answers_and_resolution(desk):
    session_id = await started(desk)
    await desk.engine.add_note(session_id, "Spooler crashed with 0x000006BA on LX-441")
    await started(desk, "wifi is slow", ticket="")
    for words in ("0x000006BA", "LX-441", "spooler cras"):
        found = await desk.engine.sessions(search=words)
        assert [row.session.id for row in found] == [session_id], words


async def test_a_restart_comes_back_to_the_same_card_with_the_unsent_text(tmp_path):
    async with open_desk(tmp_path) as desk:
        session_id = await started(desk)
        card = await desk.engine.next_step(session_id)
        assert card is not None
        await desk.engine.save_draft(session_id, card.id, "half an ans")
        now = desk.clock.now()
    async with open_desk(tmp_path) as desk:
        desk.clock.jump(now - desk.clock.now())
        assert await desk.engine.last_open_session() == session_id
        assert await desk.engine.next_step(session_id) == card
        assert await desk.engine.drafts(session_id) == {card.id: "half an ans"}
        await desk.engine.respond(session_id, card.id, any_answer(card))
        assert await desk.engine.drafts(session_id) == {}


async def test_time_runs_on_one_session_at_a_time(desk):
    first = await started(desk)
    desk.clock.advance(minutes=4)
    second = await started(desk, "slow laptop", ticket="")
    desk.clock.advance(minutes=2)
    await desk.engine.work_on(first)
    desk.clock.advance(minutes=1)
    assert (await desk.engine.session(first)).active_seconds == pytest.approx(300)
    view = await desk.engine.session(second)
    assert view.active_seconds == pytest.approx(120)
    assert not view.clock_runs


async def test_a_laptop_that_slept_bills_nothing_for_it(desk):
    session_id = await started(desk)
    for _ in range(3):
        desk.clock.advance(seconds=60)
        await desk.timekeeping.beat()
    desk.clock.advance(hours=9)
    await desk.timekeeping.beat()
    desk.clock.advance(seconds=60)
    await desk.timekeeping.beat()
    assert (await desk.engine.session(session_id)).active_seconds == pytest.approx(240)


async def test_a_text_too_long_is_refused_and_nothing_is_lost(desk):
    session_id = await started(desk)
    with pytest.raises(InvalidInput) as refusal:
        await desk.engine.add_note(session_id, "x" * 2_000_001)
    assert "2,000,001" in refusal.value.message


async def test_hostile_text_is_kept_clean(desk):
    session_id = await started(desk)
    note = await desk.engine.add_note(session_id, "a\x00b\u202ec\ud800<b>bold</b>")
    assert note.body.text == "a\u2400bc\ufffd<b>bold</b>"


class SlowMind:
    """A model whose answer waits for a gate; it writes no briefings and lists no models."""

    def __init__(self) -> None:
        self.gate, self.asked = asyncio.Event(), asyncio.Event()

    async def next_step(self, consultation):
        self.asked.set()
        await self.gate.wait()
        yield StepDraft(Question("One more thing?"), Source.CLAUDE)

    async def briefing(self, consultation):
        raise AssertionError("nobody hands anything over here")

    async def models(self):
        return ()

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("leave", ["pause", "resolve", "abandon"])
async def test_a_late_card_changes_nothing_of_a_session_that_was_left(tmp_path, leave):
    mind = SlowMind()
    async with open_desk(tmp_path, model=mind) as desk:
        session_id = await started(desk, "printer offline", ticket="")
        card = await desk.engine.ask_verification(session_id)
        await desk.engine.respond(session_id, card.id, Response(result=Result.WORKED))
        thinking = asyncio.create_task(desk.engine.next_step(session_id))
        await mind.asked.wait()
        if leave == "pause":
            await desk.engine.pause_session(session_id)
        elif leave == "resolve":
            await desk.engine.resolve_session(session_id, "It was the cable")
        else:
            await desk.engine.abandon_session(session_id)
        other = await started(desk, "another problem", ticket="")
        mind.gate.set()
        assert await thinking is None
        assert (await desk.engine.session(session_id)).open_step is None
        assert (await desk.engine.session(other)).clock_runs


async def test_time_never_runs_on_a_paused_session_or_on_two_at_once(desk):
    first = await started(desk, "printer offline", ticket="")
    second = await started(desk, "slow laptop", ticket="")
    for _ in range(20):
        await asyncio.gather(desk.engine.work_on(first), desk.engine.pause_session(first))
        assert not (await desk.engine.session(first)).clock_runs
        await desk.engine.resume_session(first)
        await asyncio.gather(desk.engine.work_on(first), desk.engine.work_on(second))
        assert len(await desk.store.open_segments()) == 1
        await asyncio.gather(desk.engine.pause_session(second), desk.timekeeping.beat())
        assert not (await desk.engine.session(second)).clock_runs
        await desk.engine.resume_session(second)


NEVER = "Alder Dental Group"


@pytest.mark.parametrize(
    ("text", "ticket", "away"),
    [
        ("", PRINTER, False),
        ("", PRINTER, True),
        ("the printer of alder dental group is offline", "", False),
    ],
)
async def test_a_client_on_the_never_send_list_is_sent_to_no_model(tmp_path, text, ticket, away):
    mind = SlowMind()
    mind.gate.set()
    rules = ModelRules(never_send=frozenset({NEVER}))
    async with open_desk(tmp_path, model=mind, model_rules=rules) as desk:
        assert isinstance(desk.psa, PracticePsa)
        desk.psa.away = away
        session_id = await started(desk, text, ticket=ticket)
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        assert not mind.asked.is_set()
        assert "never sent" in desk.engine.notice(session_id) or "Nothing about" in (
            desk.engine.notice(session_id)
        )


async def test_other_clients_still_have_their_model(tmp_path):
    mind = SlowMind()
    mind.gate.set()
    rules = ModelRules(never_send=frozenset({NEVER}))
    async with open_desk(tmp_path, model=mind, model_rules=rules) as desk:
        session_id = await started(desk, "slow laptop", ticket="")
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.CLAUDE

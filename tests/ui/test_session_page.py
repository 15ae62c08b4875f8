"""The session's page: cards, answering, drafts, states, keys, the column at the right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from flowpilot_desktop.core.attachment import NOTE
from flowpilot_desktop.core.errors import (
    ModelUnavailable,
    NotFound,
    StoreFull,
)
from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import (
    ContextStatus,
    Question,
    Response,
    SessionStatus,
    StepKind,
)
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.cards import StepCard
from flowpilot_desktop.ui.cards.writing import StandingCard, WritingCard
from flowpilot_desktop.ui.controls import AnswerEdit, Badge, Button, CodeBox
from flowpilot_desktop.ui.pages.session import SessionPage
from flowpilot_desktop.ui.pages.session_side import age_words, clock_words, priority_tone
from flowpilot_desktop.ui.theme import Theme
from flowpilot_desktop.viewmodels.session import SessionViewModel
from tests import samples
from tests.ui.conftest import until
from tests.ui.double import DoubleEngine


@pytest.fixture
def engine() -> DoubleEngine:
    return DoubleEngine()


@pytest.fixture
async def shown(engine: DoubleEngine, theme: Theme, qtbot: QtBot) -> AsyncIterator[SessionPage]:
    """The page, on the screen, with nothing open yet."""
    viewmodel = SessionViewModel(engine)
    page = SessionPage(viewmodel)
    qtbot.addWidget(page)
    page.resize(1240, 900)
    page.show()
    page.activateWindow()
    await until(page.isActiveWindow)
    yield page
    await viewmodel.aclose()


@pytest.fixture
async def page(shown: SessionPage) -> SessionPage:
    """The page with the sample session."""
    return await opened(shown)


async def opened(page: SessionPage) -> SessionPage:
    model = page.viewmodel
    model.open(samples.SESSION)
    await until(lambda: not model.is_loading and not model.tasks.is_running("load"))
    return page


def open_card(page: SessionPage) -> StepCard:
    card = page.feed.card(page.feed.open_key)
    assert isinstance(card, StepCard)
    return card


def field(page: SessionPage) -> AnswerEdit:
    edit = open_card(page)._edit
    assert edit is not None
    return edit


def standing(page: SessionPage) -> StandingCard:
    card = page.feed.card("standing")
    assert isinstance(card, StandingCard)
    return card


def choose(page: SessionPage, words: str) -> None:
    next(b for b in standing(page)._buttons if b.text() == words).click()


def words(widget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


# --- cards ---


async def test_the_cards_of_a_session_are_on_the_screen(page, engine):
    kinds = [item.content.step.kind for item in page.feed.items]
    assert kinds == [StepKind.BRIEFING, StepKind.QUESTION, StepKind.ACTION, StepKind.QUESTION]
    assert page.page_title == "VPN drops every 20 minutes for 14 users"
    assert open_card(page).step is engine.view.open_step
    assert "#20412 · Northwind Dental · started" in page.head.facts.accessibleName()
    assert "step 6" in page.head.facts.accessibleName()
    assert page.head.saved.text == "Saved"


async def test_a_number_key_answers_and_the_next_card_has_the_focus(page, engine, qtbot):
    engine.bodies = [Question("What does the peer show?")]
    page.focus_open_card()
    qtbot.keyClick(open_card(page).frame, Qt.Key.Key_2)
    await until(lambda: engine.view.open_step is not None and len(engine.view.steps) == 5)
    assert engine.view.steps[3].response.option == "3600"
    await until(lambda: page.feed.open_key == engine.view.open_step.id)
    assert open_card(page).frame.hasFocus()


async def test_a_number_answers_from_anywhere_on_the_page_but_a_field(page, engine, qtbot):
    page.compose()
    qtbot.keyClick(page.note.edit, Qt.Key.Key_1)
    assert page.note.edit.text == "1"
    assert "respond" not in engine.calls
    page.foot.pause.setFocus()
    qtbot.keyClick(page.foot.pause, Qt.Key.Key_1)
    await until(lambda: engine.view.steps[3].response is not None)
    assert engine.view.steps[3].response.option == "1200"


async def test_a_composer_that_was_closed_stays_closed_and_keeps_its_words(page, qtbot):
    page.compose()
    qtbot.keyClicks(page.note.edit, "rebooted it")
    page.note.end()
    page.viewmodel.changed.emit()
    assert not page.note.isVisible()
    page.compose()
    assert page.note.isVisible()
    assert page.note.edit.text == "rebooted it"


async def test_the_focus_is_not_taken_from_who_types_elsewhere(page, engine, qtbot):
    engine.bodies = [samples.ACTION]
    page.compose()
    page.viewmodel.answer(open_card(page).step.id, Response(option="1200"))
    await until(lambda: len(engine.view.steps) == 5 and page.feed.open_key == "step-14")
    assert page.note.edit.hasFocus()


async def test_a_second_answer_while_the_first_is_on_its_way_is_nothing(page, engine, qtbot):
    engine.gate.clear()
    card = open_card(page)
    card.press(1)
    card.press(2)
    page.viewmodel.answer(card.step.id, Response(option="43200"))
    await until(lambda: "respond" in engine.calls)
    assert not card.takes_answers
    assert page.head.saved.text == "Saving…"
    engine.gate.set()
    await until(lambda: engine.view.steps[3].response is not None)
    await until(lambda: not page.viewmodel.is_busy)
    assert engine.calls.count("respond") == 1
    assert engine.view.steps[3].response.option == "1200"


async def test_an_answer_that_fails_leaves_the_card_as_it_was(page, engine):
    engine.error = StoreFull()
    card = open_card(page)
    card.press(1)
    await until(lambda: card.takes_answers)
    assert open_card(page) is card
    engine.error = None
    card.press(1)
    await until(lambda: engine.view.steps[3].response is not None)


async def test_text_typed_is_saved_and_comes_back(page, engine, qtbot):
    qtbot.keyClicks(field(page), "1200 on both")
    assert page.head.saved.text == "Saving…"
    field(page).clearFocus()
    await until(lambda: engine.saved == {"step-6": "1200 on both"})
    await until(lambda: page.head.saved.text == "Saved")
    again = SessionPage(SessionViewModel(engine))
    try:
        again.resize(1240, 900)
        again.show()
        again.viewmodel.open(samples.SESSION)
        await until(lambda: again.feed.open_key)
        assert field(again).text == "1200 on both"
    finally:
        await again.viewmodel.aclose()
        again.deleteLater()


# --- how a session stands ---


async def test_nothing_open_offers_a_new_session(shown, qtbot):
    asked: list[bool] = []
    shown.new_requested.connect(lambda: asked.append(True))
    choose(shown, "New Session")
    assert asked == [True]
    assert not shown.foot.isVisible()
    assert not shown._side_frame.isVisible()


async def test_loading_says_so_and_failing_offers_to_try_again(shown, engine):
    engine.gate.clear()
    shown.viewmodel.open(samples.SESSION)
    assert "Opening the session" in words(standing(shown))
    engine.error = NotFound("It is not in this profile.")
    engine.gate.set()
    await until(lambda: shown.viewmodel.load_error)
    assert "It is not in this profile." in words(standing(shown))
    engine.error = None
    choose(shown, "Try again")
    await until(lambda: shown.feed.open_key)


async def test_thinking_is_shown_as_it_is_written_and_can_be_stopped(shown, engine, qtbot):
    engine.view = replace(engine.view, steps=engine.view.steps[:-1])
    begun = asyncio.Event()

    async def endless(session_id, progress=None):
        progress(StepProgress("question", "Which VLAN do the"))
        begun.set()
        await asyncio.Event().wait()

    engine.next_step = endless
    shown.viewmodel.open(samples.SESSION)
    await begun.wait()
    await until(lambda: "Which VLAN do the" in words(shown.feed))
    assert isinstance(shown.feed.card("writing"), WritingCard)
    shown.feed.setFocus()
    qtbot.keyClick(shown, Qt.Key.Key_Escape)
    assert not shown.viewmodel.is_thinking
    assert "Stopped" in words(standing(shown))
    del engine.next_step
    engine.bodies = [samples.QUESTION]
    choose(shown, "Next card")
    await until(lambda: shown.feed.open_key)


async def test_a_mind_that_fails_says_so_with_try_again_and_by_hand(shown, engine):
    engine.view = replace(engine.view, steps=engine.view.steps[:-1])

    async def failing(session_id, progress=None):
        raise ModelUnavailable("No answer.", reason="unreachable", hint="All answers are saved.")

    engine.next_step = failing
    await opened(shown)
    await until(lambda: shown.viewmodel.think_error)
    assert "All answers are saved." in words(standing(shown))
    choose(shown, "Log a step")
    assert shown.note.edit.hasFocus()
    del engine.next_step
    engine.bodies = [samples.ACTION]
    choose(shown, "Try again")
    await until(lambda: shown.feed.open_key)


async def test_no_further_card_says_what_can_be_done(shown, engine):
    engine.view = replace(engine.view, steps=engine.view.steps[:-1])
    engine.words = "Claude can't be reached."
    await opened(shown)
    await until(lambda: shown.viewmodel.has_no_more)
    assert "No further card" in words(standing(shown))
    assert "Claude can't be reached." in words(shown.banners)
    engine.words = ""
    engine.bodies = [samples.ACTION]
    choose(shown, "Ask again")
    await until(lambda: shown.feed.open_key)
    assert shown.banners.keys == ()


async def test_a_confirmed_resolution_leads_to_resolving(shown, engine):
    proposal = samples.step(samples.RESOLUTION, 9)
    engine.view = replace(engine.view, steps=(*engine.view.steps[:-1], proposal))
    await opened(shown)
    asked: list[str] = []
    shown.resolve_requested.connect(asked.append)
    open_card(shown).press(1)
    await until(lambda: shown.viewmodel.is_over and not shown.viewmodel.is_busy)
    choose(shown, "Resolve")
    assert asked == [samples.SESSION]


async def test_pausing_stops_and_resuming_brings_back_the_card(page, engine):
    page.foot.pause.click()
    await until(lambda: engine.view.session.status is SessionStatus.PAUSED)
    await until(lambda: not page.viewmodel.is_busy)
    assert page.foot.pause.text() == "Resume"
    assert page.head.status.text == "Paused"
    assert not page.foot.escalate.isEnabled()
    assert not page.foot.resolve.isEnabled()
    assert page.feed.open_key == ""
    assert "not running" in words(page.side.time)
    assert not page._tick.isActive()
    choose(page, "Resume")
    await until(lambda: page.feed.open_key == "step-6")
    assert page.foot.pause.text() == "Pause"
    assert page._tick.isActive()


async def test_waiting_for_a_teammate_can_be_taken_back(shown, engine):
    session = samples.session(
        SessionStatus.REQUESTING_ESCALATION,
        escalated_at=samples.NOW,
        escalated_to=samples.PRIYA,
        escalation_reason="Needs the firewall.",
    )
    engine.view = replace(engine.view, session=session, clock_runs=False)
    await opened(shown)
    assert "Waiting for Priya Nair" in words(standing(shown))
    assert "Needs the firewall." in words(standing(shown))
    asked: list[str] = []
    shown.withdraw_requested.connect(asked.append)
    choose(shown, "Withdraw")
    assert asked == [samples.SESSION]


async def test_somebody_elses_session_can_be_read(shown, engine):
    session = samples.session(handler_id=samples.PRIYA, user_id=samples.ME)
    engine.view = replace(engine.view, session=session, steps=engine.view.steps[:-1])
    await opened(shown)
    assert "Priya Nair works on this session" in words(standing(shown))
    assert not shown.foot.write.isEnabled()
    assert not shown.foot.pause.isEnabled()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (PsaPushStatus.SENT, "Documentation pushed to ticket #20412"),
        (PsaPushStatus.PENDING_RETRY, "queued, will sync shortly"),
        (PsaPushStatus.FAILED, "did not reach ticket #20412"),
    ],
)
async def test_an_ended_session_says_where_its_documentation_is(shown, engine, status, says):
    session = samples.session(SessionStatus.RESOLVED, resolution_summary="Lifetimes agree now.")
    engine.view = replace(engine.view, session=session, push_status=status, clock_runs=False)
    await opened(shown)
    assert says in words(standing(shown))
    assert "Lifetimes agree now." in words(standing(shown))
    assert not shown.foot.isVisible()
    if status is PsaPushStatus.FAILED:
        choose(shown, "Retry")
        await until(lambda: "retry_psa_push" in engine.calls)


async def test_an_escalation_that_nobody_took_does_not_read_as_resolved(shown, engine):
    session = samples.session(SessionStatus.ESCALATED, end_reason="It expired after 24 hours.")
    engine.view = replace(engine.view, session=session, clock_runs=False)
    await opened(shown)
    assert "Escalation ended" in words(standing(shown))
    assert "It expired after 24 hours." in words(standing(shown))
    assert shown.head.status.text == "Escalation ended"


# --- a step by hand ---


async def test_a_step_is_logged_by_hand(page, engine, qtbot):
    page.foot.write.click()
    qtbot.keyClicks(page.note.edit, "Cable was loose")
    qtbot.keyClick(page.note.edit, Qt.Key.Key_Return)
    await until(lambda: engine.view.steps[-1].kind is StepKind.NOTE)
    assert engine.view.steps[-1].body.text == "Cable was loose"
    await until(lambda: not page.note.isVisible())
    assert page.note.edit.text == ""
    assert page.feed.open_key == "step-6"
    await until(lambda: page.viewmodel.is_saved and not page.viewmodel.is_busy)
    assert NOTE not in engine.saved


async def test_a_note_that_could_not_be_logged_is_not_lost(page, engine, qtbot):
    page.foot.write.click()
    qtbot.keyClicks(page.note.edit, "Cable was loose")
    engine.error = StoreFull()
    failures: list[object] = []
    page.viewmodel.failed.connect(failures.append)
    qtbot.keyClick(page.note.edit, Qt.Key.Key_Return)
    await until(lambda: failures)
    assert page.note.edit.text == "Cable was loose"
    assert page.note.isVisible()
    engine.error = None
    page.note.log.click()
    await until(lambda: engine.view.steps[-1].kind is StepKind.NOTE)


async def test_an_answer_is_corrected_by_a_step_of_its_own(page, engine, qtbot):
    card = page.feed.card("step-4")
    before = card.step
    next(b for b in card.findChildren(Button) if "Correct" in b.accessibleName()).click()
    await until(lambda: "step 4" in page.note.corrects.accessibleName())
    assert page.note.corrects.isVisible()
    qtbot.keyClicks(page.note.edit, "Only 9 of them")
    qtbot.keyClick(page.note.edit, Qt.Key.Key_Return)
    await until(lambda: engine.view.steps[-1].kind is StepKind.NOTE)
    assert engine.view.steps[-1].corrects == before.id
    assert engine.view.steps[1] == before
    note = engine.view.steps[-1].id
    await until(lambda: page.feed.card(note))
    assert page.feed.card(note).accessibleName() == "Correction of step 4: Only 9 of them"


async def test_escape_closes_the_note_and_keeps_its_text(page, engine, qtbot):
    page.compose()
    qtbot.keyClicks(page.note.edit, "half a note")
    qtbot.keyClick(page.note.edit, Qt.Key.Key_Escape)
    assert not page.note.isVisible()
    await until(lambda: engine.saved == {NOTE: "half a note"})
    page.compose()
    assert page.note.edit.text == "half a note"


async def test_a_hidden_page_renders_when_it_is_shown(page, engine):
    page.hide()
    engine.view = replace(engine.view, steps=engine.view.steps[:2])
    page.viewmodel.reload()
    await until(lambda: len(page.viewmodel.view.steps) == 2)
    assert len(page.feed.items) == 4
    page.show()
    assert [item.key for item in page.feed.items][:2] == ["step-3", "step-4"]
    assert len(page.feed.items) == 3


async def test_the_wheel_over_a_command_scrolls_the_feed(page, qtbot):
    page.resize(1240, 500)
    bar = page.feed.verticalScrollBar()
    page.feed.focus_card("step-5")
    before = bar.value()
    box = page.feed.card("step-5").findChild(CodeBox)
    centre = box.mapTo(page, box.rect().center())
    QTest.wheelEvent(page.windowHandle(), centre.toPointF(), QPoint(0, 120))
    assert bar.value() < before


async def test_a_half_written_note_comes_back(shown, engine):
    engine.saved = {NOTE: "half a note"}
    await opened(shown)
    assert shown.note.isVisible()
    assert shown.note.edit.text == "half a note"


# --- the column ---


async def test_the_ticket_is_told_with_badges_and_facts(page, monkeypatch):
    panel = page.side.ticket
    assert [badge.text for badge in panel.findChildren(Badge)] == [
        "Priority 2 - High",
        "In progress",
    ]
    for fact in ("VPN drops every 20 minutes", "Northwind Dental", "FortiGate 60F, NW-DC01"):
        assert fact in words(panel)
    opened_urls: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened_urls.append(url.toString()))
    next(b for b in panel.findChildren(Button) if b.text() == "#20412").click()
    assert opened_urls == ["https://connectwise.example/20412"]


async def test_only_web_addresses_are_opened(page, engine, monkeypatch):
    opened_urls: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened_urls.append(url.toString()))
    engine.view = replace(engine.view, ticket_url="file:///etc/passwd")
    page.viewmodel.reload()
    await until(lambda: page.side.ticket._url == "file:///etc/passwd")
    page.side.ticket._open()
    assert opened_urls == []


async def test_a_ticket_that_could_not_be_pulled_says_so_and_is_tried_again(shown, engine):
    session = samples.session(psa_context_status=ContextStatus.UNAVAILABLE)
    engine.view = replace(engine.view, session=session, context=None)
    await opened(shown)
    panel = shown.side.ticket
    assert "you can still type the ticket details manually" in words(panel)
    next(b for b in panel.findChildren(Button) if "Refresh" in b.text()).click()
    await until(lambda: "refresh_ticket" in engine.calls)


async def test_without_a_ticket_one_can_be_linked(shown, engine):
    engine.view = replace(engine.view, session=samples.session(ticket_id=""), context=None)
    await opened(shown)
    asked: list[str] = []
    shown.link_requested.connect(asked.append)
    next(b for b in shown.side.ticket.findChildren(Button) if b.text() == "Link Ticket").click()
    assert asked == [samples.SESSION]


async def test_confidence_and_hypotheses_are_told_by_the_last_step(page):
    side = page.side
    assert "72 %" in words(side.confidence)
    assert "narrowing it down" in words(side.confidence)
    listed = words(side.hypotheses)
    assert listed.index("Phase-2 lifetime mismatch") < listed.index("ISP CGNAT timeout")
    assert "ruled out" in listed
    struck = [w for w in side.hypotheses.findChildren(QLabel) if w.property("tone") == "struck"]
    assert [label.text() for label in struck] == ["Local Wi-Fi"]


async def test_the_column_hides_where_it_is_narrow_and_comes_on_demand(page, qtbot):
    assert page._side_frame.isVisible()
    page.resize(800, 700)
    assert not page._side_frame.isVisible()
    page.head.side_button.click()
    assert page._side_frame.isVisible()
    beside = page.rect().width() - page._side_frame.width()
    assert page._side_frame.x() == beside
    assert page.feed.width() == page.width()  # over the cards, not beside them
    for edge in (page.head, page.foot):
        assert not page._side_frame.geometry().intersects(edge.geometry())
    page.foot.pause.setFocus()
    qtbot.keyClick(page.foot.pause, Qt.Key.Key_Escape)
    assert not page._side_frame.isVisible()
    page.resize(1240, 900)
    await until(lambda: page.feed.width() < page.width())
    assert page._side_frame.isVisible()
    assert not page.head.side_button.isVisible()


async def test_the_keys_work_where_they_mean_something(page, engine):
    actions = Actions(page)
    page.register(actions)
    assert actions["session.pause"].isEnabled()
    assert not actions["session.stop"].isEnabled()
    actions["session.pause"].trigger()
    await until(lambda: engine.view.session.status is SessionStatus.PAUSED)
    await until(lambda: not page.viewmodel.is_busy)
    assert actions["session.pause"].isEnabled()
    assert not actions["session.escalate"].isEnabled()
    assert not actions["session.note"].isEnabled()
    page.hide()
    assert not any(action.isEnabled() for action in actions.all)


async def test_escalating_is_asked_of_the_window(page):
    asked: list[str] = []
    page.escalate_requested.connect(asked.append)
    page.foot.escalate.click()
    assert asked == [samples.SESSION]


async def test_the_time_ticks_at_its_own_full_seconds_and_does_not_drift(engine, theme, qtbot):
    now = [0.0]
    model = SessionViewModel(engine, monotonic=lambda: now[0])
    page = SessionPage(model)
    qtbot.addWidget(page)
    page.resize(1240, 900)
    page.show()
    await opened(page)
    try:
        for late in (0.25, 1.9, 60.4):  # however late a tick comes, the next aims at the second
            now[0] = late
            page._show_time()
            assert clock_words(1_335 + late) in words(page.side.time)
            left = (1 - late % 1) * 1_000
            assert left - 60 < page._tick.remainingTime() <= left + 6
        page.hide()
        assert not page._tick.isActive()
    finally:
        await model.aclose()


# --- words ---


@pytest.mark.parametrize(
    ("name", "tone"),
    [
        ("Priority 1 - Critical", "red"),
        ("HIGH", "red"),
        ("Priority 3 - Medium", "soft_amber"),
        ("Priority 4 - Low", "neutral"),
        ("", "neutral"),
    ],
)
def test_priorities_have_a_tone_by_their_words(name: str, tone: str):
    assert priority_tone(name) == tone


def test_times_are_said_as_people_say_them():
    assert clock_words(0) == "0:00:00"
    assert clock_words(3_725.9) == "1:02:05"
    assert clock_words(-5) == "0:00:00"
    created = samples.TICKET.created_at
    assert created is not None
    assert age_words(created, samples.NOW) == "3 h 20 min"
    assert age_words(samples.NOW, samples.NOW) == "just now"

"""Two technicians, two windows, one Postgres, by clicks: escalate, pick up, go on, resolve."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from flowpilot_desktop.core.events import SettingsChanged
from flowpilot_desktop.core.session import Question, SessionStatus, StepKind
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.services.model_access import KEY_NAME
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.postgres import QueueDatabase, shared_server

REASON = "I have no rights on the print server"


@asynccontextmanager
async def two_windows(
    folder: Path, database: QueueDatabase
) -> AsyncIterator[tuple[Technician, Technician]]:
    """Open both desktops; each has pasted its own invitation."""
    team = database.add_team("Helpdesk")
    async with AsyncExitStack() as stack:
        technicians: list[Technician] = []
        for name, is_second in (("Jordan Blake", False), ("Priya Nair", True)):
            profile = Profile(folder / name, is_demo=True, latency=0.0, is_second=is_second)
            beside = technicians[0] if technicians else None
            technician = await stack.enter_async_context(
                at_the_desk(folder, profile=profile, beside=beside)
            )
            await joins(technician, database.invite(team, name).token())
            technicians.append(technician)
        yield technicians[0], technicians[1]


async def joins(technician: Technician, token: str) -> None:
    await technician.clicks("Settings")
    technician.app.settings_page.show_section("Team queue")
    await technician.types("Invitation", token)
    await technician.clicks("Join the team queue")
    await technician.reads("You are in the team queue of Helpdesk")


async def escalates(technician: Technician) -> str:
    """Begin a session from the practice company's printer ticket, try something, hand it over."""
    app = technician.app
    await technician.clicks("Sessions")
    await technician.types("Search tickets", "12352")
    await until(
        lambda: any(ticket.id == "12352" for ticket in app.intake_model.picker.tickets.rows),
        "the ticket in the list",
    )
    await technician.enters("Search tickets")
    await technician.clicks("Start Session with Ticket #12352")
    for _ in range(2):
        await answers_badly(technician)
    await until(technician._open_card_is_shown, "a third card")
    await technician.clicks("Escalate")
    await until(lambda: app.window.current_page == "escalate", "the escalate page")
    await technician.reads("WHAT YOUR TEAMMATE GETS")
    await technician.types("Reason for escalating", REASON)
    await until(lambda: REASON in app.hand_off.escalate_model.note, "the note to follow")
    await technician.clicks("Escalate & Update Ticket")
    await technician.reads("Your team sees it")
    return str(app.session_model.session_id)


async def answers_badly(technician: Technician) -> None:
    await until(technician._open_card_is_shown, "an open card")
    step = technician.view.open_step
    assert step is not None
    words = "Did not work"
    if isinstance(step.body, Question):
        words = step.body.options[-1].label
    await technician.answers((words,))


async def picks_up(technician: Technician, way_on: str) -> None:
    app = technician.app
    model = app.hand_off.queue_model
    await until(lambda: model.waiting == 1, "the badge")
    await technician.clicks("Escalations, 1 waiting")
    await until(lambda: model.entries.rowCount() == 1, "the escalation in the list")
    app.hand_off.escalations_page.queue.list.chosen.emit(model.entries.rows[0])
    await technician.reads(REASON)
    await technician.types("What you do first", "I take it; next: the driver")
    await technician.clicks("Pick up")
    await until(lambda: app.window.current_page == "session", "the session page")
    await until(technician._open_card_is_shown, "the briefing")
    await technician.reads("ESCALATION FROM JORDAN BLAKE")
    await technician.answers((way_on,))
    await until(technician._open_card_is_shown, "the next card")


async def resolves(technician: Technician) -> None:
    app = technician.app
    await app.desk.engine.ask_verification(app.session_model.session_id)

    def asks() -> bool:
        step = technician.view.open_step
        return step is not None and step.kind is StepKind.VERIFICATION

    await until(asks, "the verification")
    await technician.answers(("Yes, it holds",))
    await until(
        lambda: not app.session_model.is_thinking and not app.session_model.is_busy, "a rest"
    )
    await technician.clicks("Resolve")
    await until(lambda: app.window.current_page == "resolve", "the resolve page")
    await technician.types("Solution in a sentence", "Rolled the driver back.")
    await until(lambda: app.resolve_model.can_resolve, "a complete page")
    await technician.clicks("Resolve")
    await technician.reads("Documentation pushed to ticket #12352")


async def test_a_session_changes_hands_and_its_originator_sees_how_it_ended(tmp_path):
    with shared_server("plain").database() as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            session_id = await escalates(jordan)
            open_card = jordan.view.open_step
            assert open_card is not None
            await picks_up(priya, "Continue Where They Left Off")
            going_on = priya.view.open_step
            assert going_on is not None
            assert going_on.id == open_card.id
            card_id = open_card.id
            model = jordan.app.session_model
            jordan.app.open_session(session_id)
            await until(
                lambda: model.view and model.view.session.status is SessionStatus.ACTIVE,
                "the originator to see that it was picked up",
            )
            await jordan.reads("Priya Nair works on this session")
            await answers_badly(priya)
            await until(
                lambda: any(step.id == card_id and step.response for step in jordan.view.steps),
                "the step to arrive at the originator's",
            )
            await resolves(priya)
            await until(lambda: jordan.view.session.status is SessionStatus.ESCALATED, "the end")
            await jordan.clicks("History")
            history = jordan.app.history_model
            await until(lambda: history.sessions.rowCount() == 1, "the session in the history")
            jordan.app.history_page.list.chosen.emit(history.sessions.rows[0])
            await until(
                lambda: history.chosen and "driver" in history.chosen.session.resolution_summary,
                "the outcome",
            )


@pytest.mark.usefixtures("qapp")
async def test_a_fresh_start_tells_claude_what_was_done(tmp_path):
    with ClaudeSimulator() as claude, shared_server("plain").database() as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            app = priya.app
            await app.settings.change(type(app.settings).model_base_url, claude.url)
            await app.desk.secrets.write(KEY_NAME, claude.key)
            app.events.publish(SettingsChanged("model.key"))
            await escalates(jordan)
            done = [step for step in jordan.view.steps if step.response]
            await picks_up(priya, "Start Fresh With Context")
            sent = json.dumps(claude.asked()[-1], ensure_ascii=False)
            for step in done:
                assert step.body.text[:40] in sent
            assert REASON in sent
            later = [step.body.text for step in priya.view.steps[-1:]]
            assert later[0] not in {step.body.text for step in done}

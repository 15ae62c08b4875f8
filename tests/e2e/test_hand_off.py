"""Two technicians, two windows, one Postgres, by clicks: escalate, pick up, go on, resolve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox

from flowpilot_desktop.core.events import SettingsChanged
from flowpilot_desktop.core.session import Briefing, Question, SessionStatus, StepKind
from flowpilot_desktop.core.stops import are_near_identical
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.services.model_access import KEY_NAME
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.postgres import QueueDatabase, engines, shared_server

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


async def opens_the_request(technician: Technician, badge: str, reason: str = REASON) -> None:
    """Go to the queue and click on its only request."""
    await technician.clicks(badge)
    listed = technician.app.hand_off.escalations_page.queue.list
    model = technician.app.hand_off.queue_model
    await until(lambda: model.entries.rowCount() == 1 and listed.isVisible(), "the request")
    await until(lambda: model.entries.rows[0].escalation.reason == reason, "its reason")
    place = listed.visualRect(model.entries.index(0)).center()
    QTest.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=place)
    await technician.reads(reason)


async def picks_up(technician: Technician, way_on: str) -> None:
    app = technician.app
    model = app.hand_off.queue_model
    await until(lambda: model.waiting == 1, "the badge")
    await opens_the_request(technician, "Escalations, 1 waiting")
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


async def assigns(technician: Technician, name: str, *, steps: int = 1) -> None:
    """Turn the choice of who is asked with the keys."""
    page = technician.app.hand_off.escalations_page
    await until(lambda: name in _choices(page.members), f"{name} among the choices")
    page.members.setFocus()
    for _ in range(steps):
        QTest.keyClick(page.members, Qt.Key.Key_Down)
    assert page.members.currentText() == name
    await until(lambda: not technician.app.hand_off.queue_model.is_busy, "the answer")


def _choices(box: QComboBox) -> list[str]:
    return [box.itemText(place) for place in range(box.count())]


def states(database: QueueDatabase) -> list[str]:
    """Return the states of all requests, the oldest first."""
    rows = database.connection.execute(
        "select state::text from fp.escalation order by created_at"
    ).fetchall()
    return [str(state) for (state,) in rows]


async def waits_for(database: QueueDatabase, *wanted: str) -> None:
    """Wait until the server's requests are in these states, the oldest first."""
    await until(lambda: states(database) == list(wanted), f"{wanted} on the server")


async def escalates_again(technician: Technician, reason: str) -> None:
    """Hand the session on the screen over once more."""
    app = technician.app
    await until(technician._open_card_is_shown, "an open card")
    await technician.clicks("Escalate")
    page = app.hand_off.escalate_page
    await until(lambda: app.window.focusWidget() is page.reason, "the focus in the reason")
    await technician.types("Reason for escalating", reason)
    await until(lambda: reason in app.hand_off.escalate_model.note, "the note to follow")
    await technician.clicks("Escalate & Update Ticket")
    await technician.reads("Your team sees it")
    await until(lambda: app.window.focusWidget() is page.done, "the focus on the way on")


async def test_a_request_is_reassigned_withdrawn_and_ended_over_tls(tmp_path):
    assert "tls" in engines(), "install postgresql and openssl to test encryption"
    with shared_server("tls").database() as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            session_id = await escalates(jordan)
            theirs = priya.app.hand_off.queue_model
            await until(lambda: theirs.waiting == 1, "the badge")
            await opens_the_request(jordan, "Escalations")
            await assigns(jordan, "Priya Nair")
            await until(lambda: theirs.entries.rows and theirs.entries.rows[0].for_me, "for Priya")
            await opens_the_request(priya, "Escalations, 1 waiting")
            await priya.reads("For you")
            await jordan.clicks("Withdraw")
            await until(lambda: jordan.app.window.current_page == "session", "the session")
            await until(lambda: jordan.view.session.status is SessionStatus.ACTIVE, "it active")
            await waits_for(database, "cancelled")
            await until(lambda: theirs.entries.rowCount() == 0, "the empty list")
            await priya.reads("Nobody waits for help.")
            await escalates_again(jordan, "Still no rights")
            await waits_for(database, "cancelled", "open")
            jordan.app.open_session(session_id)
            await jordan.reads("You can take it back")
            await jordan.clicks("Withdraw")
            await until(lambda: jordan.view.session.status is SessionStatus.ACTIVE, "it active")
            await waits_for(database, "cancelled", "cancelled")
            await escalates_again(jordan, "One last time")
            await waits_for(database, "cancelled", "cancelled", "open")
            await opens_the_request(jordan, "Escalations", "One last time")
            await jordan.clicks("End request…")
            await jordan.types("Why it is no longer needed", "The customer has a new printer")
            await jordan.clicks("End request")
            await waits_for(database, "cancelled", "cancelled", "cancelled")
            await until(lambda: theirs.entries.rowCount() == 0, "the empty list")
            view = await jordan.app.desk.engine.session(session_id)
            assert view.session.status is SessionStatus.ESCALATED
            encrypted = database.connection.execute(
                "select bool_and(s.ssl) from pg_stat_ssl s join pg_stat_activity a using (pid)"
                " where a.usename like 'fp\\_%' and a.datname = current_database()"
            ).fetchone()
            assert encrypted == (True,)


async def test_a_handler_hands_on_and_a_silent_one_is_relieved(tmp_path):
    with shared_server("plain").database() as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            await escalates(jordan)
            await picks_up(priya, "Continue Where They Left Off")
            await waits_for(database, "claimed")
            await escalates_again(priya, "It needs the vendor")
            await waits_for(database, "open")
            ours = jordan.app.hand_off.queue_model
            await until(lambda: ours.waiting == 1, "the badge at Jordan's")
            await opens_the_request(jordan, "Escalations, 1 waiting", "It needs the vendor")
            await jordan.reads("hand-off 2")
            await jordan.clicks("Pick up")
            await until(lambda: jordan.app.window.current_page == "session", "the session")
            await jordan.reads("ESCALATION FROM PRIYA NAIR")
            await jordan.answers(("Continue Where They Left Off",))
            await escalates_again(jordan, "Back to you")
            await waits_for(database, "open")
            await until(lambda: priya.app.hand_off.queue_model.waiting == 1, "the badge")
            await opens_the_request(priya, "Escalations, 1 waiting", "Back to you")
            await priya.clicks("Pick up")
            await waits_for(database, "claimed")
            await until(priya._open_card_is_shown, "the briefing")
            await goes_silent(priya, jordan, database)
            await opens_the_request(jordan, "Escalations", "Back to you")
            await jordan.reads("Priya Nair is silent")
            await jordan.clicks("Put back for everybody")
            await waits_for(database, "open")
            await jordan.reads("Unassigned")
            await priya.answers(("Continue Where They Left Off",))
            await priya.reads("taken")


async def goes_silent(handler: Technician, other: Technician, database: QueueDatabase) -> None:
    """Let the handler's lease run out, as after a long time without a sign of life."""
    row = (await handler.app.desk.store.escalations(live_only=True))[0]
    database.lapse_lease(UUID(row.id))
    desk = other.app.desk
    await desk.store.remember("queue cursor", "")  # time that passes changes no row: read it anew
    await desk.escalations.refresh()


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
            assert not jordan.sees("Going on without Claude")
            await answers_badly(priya)
            await until(
                lambda: any(step.id == card_id and step.response for step in jordan.view.steps),
                "the step to arrive at the originator's",
            )
            await resolves(priya)
            await jordan.reads("Resolved by Priya Nair, ")
            priya.app.open_session(session_id)
            await priya.reads("Resolved by you, ")
            assert not priya.sees("Resolved by a teammate")
            await sees_how_it_ended(jordan)


async def sees_how_it_ended(originator: Technician) -> None:
    """Wait for the end, open the History, and read the outcome of its only session there."""
    app = originator.app
    await until(lambda: originator.view.session.status is SessionStatus.ESCALATED, "the end")
    await originator.clicks("History")
    history, listed = app.history_model, app.history_page.list
    await until(lambda: history.sessions.rowCount() == 1 and listed.isVisible(), "the session")
    place = listed.visualRect(history.sessions.index(0)).center()
    QTest.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=place)
    await originator.reads("Resolved by Priya Nair: Rolled the driver back.")


@pytest.mark.usefixtures("qapp")
async def test_a_fresh_start_tells_claude_what_was_done_and_its_originator_how_it_ended(tmp_path):
    with ClaudeSimulator() as claude, shared_server("plain").database() as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            app = priya.app
            await app.settings.change(type(app.settings).model_base_url, claude.url)
            await app.desk.secrets.write(KEY_NAME, claude.key)
            app.events.publish(SettingsChanged("model.key"))
            session_id = await escalates(jordan)
            done = [step for step in jordan.view.steps if step.response]
            assert done
            await picks_up(priya, "Start Fresh With Context")
            bodies = [step.body for step in priya.view.steps]
            briefing = next(body for body in bodies if isinstance(body, Briefing))
            assert briefing.ruled_out
            # The briefing's own call is plain text; a step's has parts.
            calls = [one["messages"] for one in claude.asked()]
            steps = [call for call in calls if not isinstance(call[0]["content"], str)]
            sent = [part["text"] for message in steps[-1] for part in message["content"]]
            told = next(text for text in sent if "<<<DATA" in text and "briefing" in text)
            for words in (*(one.text for one in briefing.steps), *briefing.ruled_out, REASON):
                assert words in told
            assert {one.text for one in briefing.steps} == {step.body.text for step in done}
            await answers_badly(priya)
            await until(priya._open_card_is_shown, "a further card")
            jordan.app.open_session(session_id)
            await jordan.reads("Priya Nair works on this session")
            await resolves(priya)
            later = [step for step in priya.view.steps if step.number > done[-1].number]
            own = [step for step in later if step.kind in (StepKind.ACTION, StepKind.QUESTION)]
            assert len(own) > 1
            for step in own:
                for before in done:
                    assert not are_near_identical(step.body, before.body)
            await sees_how_it_ended(jordan)

"""A window and a queue of different ages: what can be done is done, what can't is said and kept."""

from __future__ import annotations

from flowpilot_desktop.core.events import Reach, System
from flowpilot_desktop.core.session import SessionStatus
from tests.e2e.driver import until
from tests.e2e.test_hand_off import (
    REASON,
    escalates,
    opens_the_request,
    picks_up,
    resolves,
    states,
    two_windows,
    waits_for,
)
from tests.simulators.postgres import shared_server

TOO_OLD = "too old to change the team queue"


async def test_a_window_too_old_for_the_queue_reads_says_so_and_loses_nothing(tmp_path):
    with shared_server("plain").database() as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            await escalates(jordan)
            queue = priya.app.hand_off.queue_model
            await until(lambda: queue.waiting == 1, "the badge")
            database.administration.require_api(write=3)
            await opens_the_request(priya, "Escalations, 1 waiting")
            await priya.clicks("Pick up")
            await priya.reads(TOO_OLD)
            await priya.app.desk.escalations.tend()
            await priya.reads("What you see is up to date")
            state = priya.app.desk.reach.state(System.QUEUE)
            assert state.reach is Reach.REFUSED
            assert "Update FlowPilot" in state.reason
            # A refused pickup changes nothing; an escalation waits here and is not lost.
            assert states(database) == ["open"]
            theirs = await escalates(priya)
            view = await priya.app.desk.engine.session(theirs)
            assert view.session.status is SessionStatus.REQUESTING_ESCALATION
            await priya.app.desk.escalations.tend()
            await priya.clicks("Escalations, 1 waiting")
            await until(lambda: any(e.is_unsent for e in queue.entries.rows), "the waiting one")
            assert states(database) == ["open"]
            # After the update what waits leaves by itself, once.
            database.administration.require_api(write=1)
            await priya.app.desk.escalations.outbox.network_is_back()
            await waits_for(database, "open", "open")
            await until(lambda: not any(e.is_unsent for e in queue.entries.rows), "it sent")
            await until(lambda: jordan.app.hand_off.queue_model.waiting == 1, "Jordan's badge")
            await priya.app.desk.escalations.tend()
            await priya.reads("Up to date, as of")
            assert priya.app.desk.reach.state(System.QUEUE).reach is Reach.REACHABLE


async def test_a_new_window_works_on_the_first_queue_and_says_what_it_lacks(tmp_path):
    with shared_server("plain").database(version=1) as database:
        async with two_windows(tmp_path, database) as (jordan, priya):
            told: list[str] = []
            tell = priya.app.desk.escalations.told

            def hear(title: str, words: str) -> None:
                told.append(words)
                tell(title, words)

            priya.app.desk.escalations.told = hear
            session_id = await escalates(jordan)
            await picks_up(priya, "Continue Where They Left Off")
            await waits_for(database, "claimed")
            assert [words for words in told if "I take it; next: the driver" in words]
            assert "flowpilot-queue migrate" in told[0]
            await resolves(priya)
            engine = jordan.app.desk.engine
            await waits_for(database, "resolved")
            jordan.app.open_session(session_id)
            await until(
                lambda: (
                    jordan.app.session_model.view is not None
                    and jordan.view.session.status is SessionStatus.ESCALATED
                ),
                "the end at the originator's",
            )
            ours = [step.id for step in (await engine.session(session_id)).steps]
            theirs = (await priya.app.desk.engine.session(session_id)).steps
            assert ours == [step.id for step in theirs]
            assert (await engine.session(session_id)).session.escalation_reason == REASON
